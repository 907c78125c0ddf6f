"""GET /api/prices/history and GET /api/session: what charts and the head of the console show."""

from __future__ import annotations

import pytest

from events.commands import api_keys
from gateway.middleware.auth import BEARER
from tests.support.http.served import ACCOUNT, served

PATH = "/api/prices/history"


async def test_every_pool_of_a_pair_has_a_price(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        pair = {"tokenIn": "SOL", "tokenOut": "USDC"}
        status, answer = await gateway.get(PATH, params=pair)
    assert status == 200
    assert {series["dex"] for series in answer["series"]} == {"raydium", "meteora"}
    assert all(float(pool["points"][0]["price"]) > 100 for pool in answer["series"])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?tokenIn=SOL", "missing-parameter"),
        ("?tokenIn=SOL&tokenOut=SOL", "malformed-parameter"),
        ("?tokenIn=SOL&tokenOut=GOLD", "malformed-parameter"),
        ("?tokenIn=SOL&tokenOut=USDC&days=3", "malformed-parameter"),
    ],
)
async def test_a_pair_is_required(redis_url: str, query: str, code: str) -> None:
    async with served(redis_url) as gateway:
        status, problem = await gateway.get(PATH + query)
    assert (status, problem["code"]) == (400, code)


async def test_a_session_shows_the_account_and_scopes_of_its_key(redis_url: str) -> None:
    async with served(redis_url, keys_required=True) as gateway:
        key = await api_keys.create(gateway.log, ACCOUNT, ["trade", "read"], "", 0, "ann")
        headers = {"Authorization": BEARER + key.text.reveal()}
        status, answer = await gateway.get("/api/session", headers=headers)
        assert (status, answer["account"], answer["scopes"]) == (200, ACCOUNT, ["read", "trade"])
        assert key.text.reveal() not in str(answer)
        assert (await gateway.get("/api/session"))[0] == 401
