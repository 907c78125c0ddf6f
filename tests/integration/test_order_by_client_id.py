"""An order is read by its client's own name, as soon as it is accepted."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from events.commands import api_keys
from gateway.middleware.auth import BEARER
from tests.support.http.served import ACCOUNT, GOOD, served

PATH = "/api/orders/by-client-id/"


@pytest.mark.parametrize("name", ["mine", "events", "a/b?c#d%e&f{g}", "%2F", "x" * 128])
async def test_an_accepted_order_is_read_by_its_client_order_id_without_an_archive(
    redis_url: str, name: str
) -> None:
    async with served(redis_url) as gateway:
        order_id = await gateway.accepted(clientOrderId=name)
        await gateway.accepted(clientOrderId="another")
        async with gateway.http.get(f"{gateway.url}{PATH}{quote(name, safe='')}") as answer:
            body = await answer.json()
            assert (answer.status, answer.headers["ETag"]) == (200, '"1"')
        assert (body["orderId"], body["clientOrderId"]) == (order_id, name)
        assert (await gateway.get(f"/api/orders/{order_id}"))[1] == body


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("none", 404, "unknown-order"),
        ("x" * 129, 400, "malformed-client-order-id"),
        ("a b", 400, "malformed-client-order-id"),
        ("é", 400, "malformed-client-order-id"),
    ],
)
async def test_a_name_that_no_order_has_is_refused(
    redis_url: str, name: str, status: int, code: str
) -> None:
    async with served(redis_url) as gateway:
        await gateway.accepted(clientOrderId="mine")
        answer = await gateway.get(f"{PATH}{quote(name, safe='')}")
        assert (answer[0], answer[1]["code"]) == (status, code)
        assert (await gateway.get(f"{PATH}mine?colour=red"))[0] == 400


async def test_a_name_belongs_to_an_account(redis_url: str) -> None:
    async with served(redis_url, keys_required=True) as gateway:
        ids = {}
        headers = {}
        for account in (ACCOUNT, "other"):
            key = await api_keys.create(gateway.log, account, ["read", "trade"], "", 0, "ann")
            headers[account] = {"Authorization": BEARER + key.text.reveal()}
        for account in (ACCOUNT, "other"):
            body = GOOD | {"clientOrderId": "same"}
            ids[account] = (await gateway.post(body, headers=headers[account]))[1]["orderId"]
        assert ids[ACCOUNT] != ids["other"]
        for account, order_id in ids.items():
            status, body = await gateway.get(f"{PATH}same", headers=headers[account])
            assert (status, body["orderId"]) == (200, order_id)
        await gateway.post(GOOD | {"clientOrderId": "theirs"}, headers=headers["other"])
        status, body = await gateway.get(f"{PATH}theirs", headers=headers[ACCOUNT])
        assert (status, body["code"]) == (404, "unknown-order")
