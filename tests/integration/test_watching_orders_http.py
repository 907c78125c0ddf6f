"""Limit and sniper orders over HTTP, and what may be changed of them while they wait."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from events.types import OrderTriggered
from tests.support.http.served import GOOD, Served, served
from tests.support.log.played import after_submission
from tests.support.patience import WRITING, given_up_after
from tests.support.processes.proxied import proxied
from tests.support.waits import until

TRIGGERED = OrderTriggered("tick", "raydium", "r", 8, "151.2")
LIMIT = GOOD | {"type": "limit", "targetPrice": "151.20"}
SNIPER = GOOD | {"type": "sniper", "minLiquidity": "20", "maxPrice": 0.007, "slippageBps": 300}


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url) as gateway:
        yield gateway


# -- accepting -------------------------------------------------------------------------------------


async def test_each_type_of_order_is_shown_as_it_was_asked_for(gateway: Served) -> None:
    orders = [LIMIT, SNIPER, GOOD | {"timeInForce": "FOK", "minAmountOut": "148"}]
    orders.append(LIMIT | {"timeInForce": "GTT", "expiresAt": "2090-01-01T00:00:00Z"})
    _, body, _ = await gateway.post({"orders": orders}, path="/api/orders/batch")
    shown = [
        (await gateway.get(f"/api/orders/{result['orderId']}"))[1] for result in body["results"]
    ]
    names = ("type", "targetPrice", "timeInForce", "minLiquidity", "maxPrice", "minAmountOut")
    assert [tuple(order[name] for name in names) for order in shown] == [
        ("limit", "151.2", "GTC", None, None, None),
        ("sniper", None, "GTC", "20", "0.007", None),
        ("market", None, "FOK", None, None, "148"),
        ("limit", "151.2", "GTT", None, None, None),
    ]
    assert shown[1]["slippageBps"] == 300
    assert shown[3]["expiresAt"] == "2090-01-01T00:00:00.000000Z"
    assert (await gateway.log.lag())["watcher"].orders == 3


async def test_a_limit_order_under_a_used_key_is_the_same_or_refused(gateway: Served) -> None:
    order = LIMIT | {"clientOrderId": "c1"}
    _, first, _ = await gateway.post(order)
    status, again, _ = await gateway.post(order | {"targetPrice": 151.2})
    assert (status, again["orderId"]) == (200, first["orderId"])
    status, body, _ = await gateway.post(order | {"targetPrice": 151.3})
    assert (status, body["code"]) == (422, "idempotency-conflict")


async def test_a_bad_limit_order_is_rejected_alone_and_pointed_at(gateway: Served) -> None:
    orders = [LIMIT | {"minAmountOut": 1, "targetPrice": None}, LIMIT]
    _, body, _ = await gateway.post({"orders": orders}, path="/api/orders/batch")
    assert [result["status"] for result in body["results"]] == ["rejected", "pending"]
    errors = body["results"][0]["problem"]["errors"]
    assert [(error["code"], error["pointer"]) for error in errors] == [
        ("missing-field", "/targetPrice"),
        ("field-not-allowed", "/minAmountOut"),
    ]


# -- amending --------------------------------------------------------------------------------------


async def test_an_amended_order_waits_with_its_new_terms_at_the_next_version(
    gateway: Served,
) -> None:
    order_id = await gateway.resting()
    path = f"/api/orders/{order_id}"
    change = {"version": 2, "targetPrice": "149.50", "actor": "ann"}
    status, order = await gateway.ask("PATCH", path, json=change)
    assert (status, order["status"], order["version"]) == (200, "watching", 3)
    assert (order["targetPrice"], order["timeInForce"]) == ("149.5", "GTC")
    until = {"expiresAt": "2090-01-01T00:00:00Z"}
    status, order = await gateway.ask("PATCH", path, json=until, headers={"If-Match": '"3"'})
    assert (status, order["version"], order["timeInForce"]) == (200, 4, "GTT")
    assert (order["targetPrice"], order["expiresAt"]) == ("149.5", "2090-01-01T00:00:00.000000Z")
    assert (await gateway.get(path))[1] == order
    async with gateway.http.get(gateway.url + path) as answer:
        assert answer.headers["ETag"] == '"4"'
    change = {"version": 4, "expiresAt": None}
    status, order = await gateway.ask("PATCH", path, json=change)
    assert (status, order["timeInForce"], order["expiresAt"]) == (200, "GTC", None)
    assert (await gateway.get(path))[1] == order
    _, history = await gateway.get(f"{path}/events")
    assert [event.get("actor") for event in history["events"]] == [
        None, None, "ann", "main", "main",
    ]  # fmt: skip
    assert history["events"][-1]["expiresAt"] is None


async def test_an_amend_of_another_version_is_refused_with_the_current_version(
    gateway: Served,
) -> None:
    order_id = await gateway.resting()
    path = f"/api/orders/{order_id}"
    status, body = await gateway.ask("PATCH", path, json={"version": 1, "targetPrice": 1})
    assert (status, body["code"], body["version"]) == (409, "version-conflict", 2)
    assert (await gateway.get(path))[1]["targetPrice"] == "151"


async def test_an_order_that_is_not_watching_cannot_be_amended(gateway: Served) -> None:
    order_id = await gateway.resting()
    await gateway.append(order_id, TRIGGERED)
    change = {"version": 3, "targetPrice": 1}
    status, body = await gateway.ask("PATCH", f"/api/orders/{order_id}", json=change)
    assert (status, body["code"], body["orderStatus"]) == (409, "not-watching", "pending")
    ended = await gateway.resting()
    await gateway.ask("DELETE", f"/api/orders/{ended}")
    await gateway.archive.take(gateway.log)
    async with redis.asyncio.from_url(gateway.log.url.reveal()) as client:
        await client.delete(gateway.log.keys.order(ended))
    status, body = await gateway.ask("PATCH", f"/api/orders/{ended}", json=change)
    assert (status, body["code"], body["orderStatus"]) == (409, "not-watching", "cancelled")


async def test_terms_that_an_order_does_not_have_cannot_be_amended(gateway: Served) -> None:
    order_id = await gateway.resting(**SNIPER, targetPrice=None)
    path = f"/api/orders/{order_id}"
    status, body = await gateway.ask("PATCH", path, json={"version": 2, "targetPrice": 1})
    assert (status, body["code"]) == (400, "field-not-allowed")
    change = {"version": 2, "expiresAt": "2090-01-01T00:00:00Z"}
    status, body = await gateway.ask("PATCH", path, json=change)
    assert (status, body["version"]) == (200, 3)
    unknown = "/api/orders/01900000-0000-7000-8000-000000000001"
    status, body = await gateway.ask("PATCH", unknown, json=change)
    assert (status, body["code"]) == (404, "unknown-order")


async def test_an_amendment_without_the_log_is_answered_in_time_with_the_right_code(
    redis_url: str,
) -> None:
    async with (
        proxied(redis_url) as proxy,
        served(redis_url, gateway_redis_url=proxy.url) as gateway,
    ):
        path = f"/api/orders/{await gateway.resting()}"
        for mode, only, code, position in (
            ("drop-answers", (), "log-unavailable", 2),  # not even the order could be read
            ("drop-writes", WRITING, "outcome-unknown", 3),
        ):
            proxy.cut(mode)
            with given_up_after(0.5, only):
                status, body = await gateway.ask(
                    "PATCH", path, json={"version": 2, "targetPrice": 1}
                )
            assert (status, body["code"]) == (503, code)

            async def written(position: int = position) -> bool:
                return await gateway.log.position() == position

            await until(written)
        proxy.cut("pass")
        status, body = await gateway.get(path)
        assert (body["targetPrice"], body["version"]) == ("1", 3)


# -- shown and not shown ---------------------------------------------------------------------------


async def test_the_life_of_a_limit_order_is_in_its_history(gateway: Served) -> None:
    order_id = await gateway.resting()
    await gateway.append(order_id, TRIGGERED)
    for fact in after_submission():
        await gateway.append(order_id, fact)
    _, body = await gateway.get(f"/api/orders/{order_id}/events")
    assert [event["status"] for event in body["events"]] == [
        "pending", "watching", "pending", "routing", "building", "building", "submitted",
        "confirmed",
    ]  # fmt: skip
    tick = body["events"][2]
    assert (tick["cause"], tick["dex"], tick["slot"], tick["price"]) == (
        "tick", "raydium", 8, "151.2",
    )  # fmt: skip
