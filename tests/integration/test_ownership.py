"""No damage or outage reveals another account's order, and every route checks ownership."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import redis.asyncio

from events.commands import api_keys
from events.commands.api_keys import SCOPES
from gateway.endpoints.table import ENDPOINTS
from gateway.middleware.authorization import Permission, Reach
from tests.support.http.permitted import EXPECTED, LIMIT, UNKNOWN, alike, ask
from tests.support.http.served import MemoryArchive, Served, served
from tests.support.processes.proxied import proxied
from tests.support.waits import HANG_S


@pytest.mark.parametrize("reach", [Reach.CREATED, Reach.LISTED, Reach.NAMED])
async def test_a_response_whose_handler_did_not_check_the_account_is_not_sent(
    reach: Reach, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = ENDPOINTS["GET", "/api/tokens"]
    permission = Permission(tokens.permission.scope, reach)
    monkeypatch.setitem(ENDPOINTS, tokens.key, tokens._replace(permission=permission))
    async with served(redis_url) as gateway:
        status, body = await gateway.get("/api/tokens")
        assert (status, body["code"]) == (500, "internal")


class Broken(NamedTuple):
    """A gateway that something befell, and an order of `them`."""

    gateway: Served
    mine: str
    theirs: str
    order_id: str


DAMAGES = ("archive down", "log down", "history lost", "head unreadable")


@contextlib.asynccontextmanager
async def broken(redis_url: str, damage: str) -> AsyncIterator[Broken]:
    archive = MemoryArchive()
    async with (
        proxied(redis_url) as proxy,
        served(
            redis_url,
            gateway_redis_url=proxy.url,
            archive=archive,
            keys_required=True,
            heartbeat_ms=100,
        ) as gateway,
    ):
        issueds = [
            await api_keys.create(gateway.log, a, SCOPES[:3], "", 0, "ann") for a in ("me", "them")
        ]
        mine, theirs = (issued.text.reveal() for issued in issueds)
        headers = {"Authorization": f"Bearer {theirs}"}
        _, body, _ = await gateway.post(LIMIT, headers=headers)
        order_id = body["orderId"]
        assert (await gateway.get("/api/tokens", headers={"Authorization": f"Bearer {mine}"}))[0]
        async with redis.asyncio.from_url(redis_url) as client:
            match damage:
                case "archive down":
                    archive.down = True
                case "log down":
                    await archive.take(gateway.log)
                    proxy.cut("refuse")
                case "history lost":
                    await client.xtrim(gateway.log.keys.log, maxlen=0)
                case "head unreadable":
                    name = gateway.log.keys.order(order_id)
                    head: Any = await client.get(name)
                    await client.set(name, head.replace(b"\xa7pending", b"\xa7pondering"[:8]))
        yield Broken(gateway, mine, theirs, order_id)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_and_outages_do_not_reveal_an_order_of_another_account(
    redis_url: str, damage: str
) -> None:
    async with broken(redis_url, damage) as at:
        told = set()
        for key, meant in EXPECTED.items():
            # What only administrators may do is refused before any order is looked at.
            open_to = meant.reach == "in-path" and meant.scope in SCOPES[:3]
            for call in meant.calls if open_to else ():
                theirs = await ask(at.gateway, key, call, at.mine, at.order_id)
                never = await ask(at.gateway, key, call, at.mine)
                assert alike(theirs, at.order_id) == alike(never, UNKNOWN), (key, call.door)
                # Whether there is one is unknown while a store does not answer.
                assert never.status == (503 if damage.endswith("down") else 404)
                owner = await ask(at.gateway, key, call, at.theirs, at.order_id)
                told.add(owner.code)
        frames = [await followed(at.gateway, at.mine, item) for item in (at.order_id, UNKNOWN)]
        assert frames[0] == frames[1]
        # It did befall the order: its owner is told.
        assert (
            told
            & {
                "archive down": {""},
                "log down": {"log-unavailable", "suspended"},
                "history lost": {"history-lost", "archive-unavailable"},
                "head unreadable": {"unreadable-order"},
            }[damage]
        ), told


async def followed(gateway: Served, token: str, order_id: str) -> str:
    """What one is told who follows an order by message; empty where no socket is given."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{gateway.url}/api/orders/execute"
    async with asyncio.timeout(HANG_S):
        try:
            async with gateway.http.ws_connect(url, headers=headers) as ws:
                await ws.send_json({"orderId": order_id})
                return str((await ws.receive()).data).replace(order_id, "ID")
        except Exception as error:  # how it is refused is compared
            return type(error).__name__


async def test_a_feed_of_an_order_of_another_account_gets_no_notice_of_its_damage(
    redis_url: str,
) -> None:
    async with broken(redis_url, "history lost") as at:
        query = f"?after=0&orderId={at.order_id}"
        headers = {"Authorization": f"Bearer {at.mine}"}
        async with at.gateway.http.ws_connect(
            f"{at.gateway.url}/api/events{query}", headers=headers
        ) as ws:
            for _ in range(3):
                frame = await ws.receive_json(timeout=HANG_S)
                assert frame["event"] == "heartbeat", frame
