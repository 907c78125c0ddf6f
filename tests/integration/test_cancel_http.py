"""Cancelling over HTTP: one winner, no surprise, and each order of many has its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from events.types import Status
from tests.support.http.served import GOOD, Served, served
from tests.support.log.played import Play, after_submission, submitted
from tests.support.patience import WRITING, given_up_after
from tests.support.processes.proxied import proxied
from tests.support.waits import until

UNKNOWN = "01900000-0000-7000-8000-000000000001"


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url) as gateway:
        yield gateway


async def cancel(gateway: Served, order_id: str, query: str = "") -> tuple[int, Any]:
    return await gateway.ask("DELETE", f"/api/orders/{order_id}{query}")


async def forget(gateway: Served, order_id: str) -> None:
    """As if the order's head had expired after its end."""
    await gateway.archive.take(gateway.log)
    async with redis.asyncio.from_url(gateway.log.url.reveal()) as client:
        await client.delete(gateway.log.keys.order(order_id))


# -- one -------------------------------------------------------------------------------------------


async def test_a_cancelled_order_shows_its_actor_and_stays_cancelled(gateway: Served) -> None:
    order_id = await gateway.resting()
    done = (200, {"orderId": order_id, "status": "cancelled"})
    assert await cancel(gateway, order_id, "?actor=ann&reason=changed%20my%20mind") == done
    position = await gateway.log.position()
    assert await cancel(gateway, order_id) == done
    assert await gateway.log.position() == position
    _, order = await gateway.get(f"/api/orders/{order_id}")
    assert (order["status"], order["reason"]) == ("cancelled", None)
    assert order["detail"] == "changed my mind"
    _, history = await gateway.get(f"/api/orders/{order_id}/events")
    assert history["events"][-1]["actor"] == "ann"


async def test_a_cancel_after_the_send_is_answered_with_the_current_status(gateway: Served) -> None:
    order_id = await gateway.accepted()
    await gateway.append(order_id, *after_submission()[:4])
    status, body = await cancel(gateway, order_id)
    assert (status, body["code"], body["orderStatus"]) == (409, "too-late", "submitted")
    assert (body["status"], body["orderId"]) == (409, order_id)
    await gateway.append(order_id, after_submission()[4])
    status, body = await cancel(gateway, order_id)
    assert (status, body["orderStatus"]) == (409, "confirmed")


async def test_an_order_of_a_newer_build_is_answered_as_unreadable(gateway: Served) -> None:
    order_id = await gateway.resting()
    key = gateway.log.keys.order(order_id)
    async with redis.asyncio.from_url(gateway.log.url.reveal()) as client:
        head: Any = await client.get(key)
        await client.set(key, head.replace(b"\xa8watching", b"\xa8sleeping"))
    change: dict[str, Any] = {"json": {"version": 2, "targetPrice": 1}}
    for method, options in (("GET", {}), ("DELETE", {}), ("PATCH", change)):
        status, body = await gateway.ask(method, f"/api/orders/{order_id}", **options)
        assert (status, body["code"]) == (500, "unreadable-order"), method


async def test_20_concurrent_cancels_append_one_event(gateway: Served) -> None:
    order_id = await gateway.resting()
    answers = await asyncio.gather(*(cancel(gateway, order_id) for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert await gateway.log.position() == 3


async def test_an_order_that_ended_long_ago_is_distinguished_from_an_unknown_one(
    gateway: Served,
) -> None:
    done, ended = await gateway.resting(), await gateway.accepted()
    await cancel(gateway, done)
    await gateway.append(ended, *after_submission())
    for order_id in (done, ended):
        await forget(gateway, order_id)
    assert await cancel(gateway, done) == (200, {"orderId": done, "status": "cancelled"})
    status, body = await cancel(gateway, ended)
    assert (status, body["code"], body["orderStatus"]) == (409, "too-late", "confirmed")
    status, body = await cancel(gateway, UNKNOWN)
    assert (status, body["code"]) == (404, "unknown-order")
    gateway.archive.down = True
    status, body = await cancel(gateway, done)
    assert (status, body["code"]) == (503, "archive-unavailable")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?force=1", "malformed-parameter"),
        ("?actor=", "malformed-parameter"),
        ("?reason=a%0Ab", "malformed-parameter"),
    ],
)
async def test_a_malformed_cancel_changes_nothing(gateway: Served, query: str, code: str) -> None:
    order_id = await gateway.resting()
    status, body = await cancel(gateway, order_id, query)
    assert (status, body["code"]) == (400, code)
    assert await gateway.log.position() == 2


@pytest.mark.parametrize("mode", ["refuse", "hang", "drop-answers"])
async def test_a_cancel_without_the_log_is_refused_in_time_and_may_be_repeated(
    redis_url: str, mode: str
) -> None:
    async with (
        proxied(redis_url) as proxy,
        served(redis_url, gateway_redis_url=proxy.url) as gateway,
    ):
        order_id = await gateway.resting()
        proxy.cut(mode)
        with given_up_after(0.5):
            answers = await asyncio.gather(
                cancel(gateway, order_id), gateway.ask("DELETE", "/api/orders?all=true")
            )
        for status, body in answers:
            assert (status, body["code"]) == (503, "log-unavailable")
        assert await gateway.log.position() == 2
        proxy.cut("pass")
        assert (await cancel(gateway, order_id))[0] == 200


async def cancelled(gateway: Served, order_id: str) -> bool:
    """By the log itself."""
    [head] = await gateway.log.load([order_id])
    return head is not None and head.order.status is Status.CANCELLED


async def test_a_cancel_whose_answer_is_lost_is_outcome_unknown_and_may_be_repeated(
    redis_url: str,
) -> None:
    async with (
        proxied(redis_url) as proxy,
        served(redis_url, gateway_redis_url=proxy.url) as gateway,
    ):
        order_id, other = await gateway.resting(), await gateway.resting()
        proxy.mode = "drop-writes"
        with given_up_after(0.5, WRITING):
            status, body = await cancel(gateway, order_id)
            assert (status, body["code"], body["orderId"]) == (503, "outcome-unknown", order_id)
            await until(lambda: cancelled(gateway, order_id))
            _, body = await gateway.ask("DELETE", "/api/orders?status=watching")
        [result] = body["results"]  # the first one is cancelled by now
        assert (result["orderId"], result["status"]) == (other, "unknown")
        assert result["problem"]["code"] == "outcome-unknown"
        proxy.cut("pass")
        for i in (order_id, other):
            assert await cancel(gateway, i) == (200, {"orderId": i, "status": "cancelled"})
        assert await gateway.log.position() == 6


# -- many ------------------------------------------------------------------------------------------


async def cancel_many(gateway: Served, query: str) -> dict[str, str]:
    """Status of each order that matches."""
    status, body = await gateway.ask("DELETE", f"/api/orders?{query}")
    assert (status, body["nextCursor"]) == (200, None), body
    return {result["orderId"]: result["status"] for result in body["results"]}


async def test_many_are_cancelled_by_status_token_or_name_also_without_the_archive(
    gateway: Served,
) -> None:
    gateway.archive.down = True
    waiting = await gateway.resting()
    bonk = await gateway.accepted(tokenOut="BONK")
    named = await gateway.accepted(clientOrderId="c1")
    other = await gateway.accepted()
    assert await cancel_many(gateway, "token=BONK") == {bonk: "cancelled"}
    assert await cancel_many(gateway, "clientOrderId=c1") == {named: "cancelled"}
    assert await cancel_many(gateway, "status=watching&token=BONK") == {}
    assert await cancel_many(gateway, "status=watching") == {waiting: "cancelled"}
    assert await cancel_many(gateway, "token=SOL") == {other: "cancelled"}
    assert await gateway.log.open_orders() == 0


async def test_a_bulk_cancel_answers_for_each_order_and_leaves_the_engine_stream_out(
    gateway: Served,
) -> None:
    sent, waiting = await gateway.accepted(), await gateway.resting()
    await gateway.append(sent, *after_submission()[:4])
    await gateway.ask("POST", "/api/admin/halt", json={"reason": "odd"})
    status, body = await gateway.ask("DELETE", "/api/orders?all=true&reason=close")
    results = {result["orderId"]: result for result in body["results"]}
    assert (status, set(results)) == (200, {sent, waiting})
    assert results[waiting] == {"orderId": waiting, "status": "cancelled"}
    assert (results[sent]["status"], results[sent]["problem"]["code"]) == ("submitted", "too-late")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "filter-required"),
        ("reason=x", "filter-required"),
        ("all=yes", "malformed-parameter"),
        ("status=confirmed", "malformed-parameter"),
        ("status=halted", "malformed-parameter"),
        ("token=DOGE", "malformed-parameter"),
        ("all=true&limit=5", "malformed-parameter"),
        ("all=true&cursor=x", "malformed-cursor"),
        ("all=true&cursor=99999999999999999999", "malformed-cursor"),
    ],
)
async def test_a_bulk_cancel_without_a_filter_needs_all_true(
    gateway: Served, query: str, code: str
) -> None:
    order_id = await gateway.resting()
    status, body = await gateway.ask("DELETE", f"/api/orders?{query}")
    assert (status, body["code"]) == (400, code)
    assert (await gateway.get(f"/api/orders/{order_id}"))[1]["status"] == "watching"


async def test_1500_orders_are_cancelled_in_a_few_calls_by_cursor(
    gateway: Served,
) -> None:
    play = Play(gateway.log)
    ids = {i for _ in range(3) for i in await play.create(500, fact=submitted())}
    cancelled: list[str] = []
    cursor, calls = "0", 0
    while cursor:
        _, body = await gateway.ask("DELETE", f"/api/orders?status=pending&cursor={cursor}")
        assert len(body["results"]) < 800
        cancelled += [r["orderId"] for r in body["results"] if r["status"] == "cancelled"]
        for result in body["results"]:
            if problem := result.get("problem"):  # the disk was busy for seconds: once more
                assert problem["code"] == "outcome-unknown"
                _, outcome = await gateway.ask("DELETE", f"/api/orders/{result['orderId']}")
                assert outcome["status"] == "cancelled"
                cancelled.append(outcome["orderId"])
        cursor, calls = str(body["nextCursor"] or ""), calls + 1
    assert set(cancelled) == ids
    assert 2 <= calls <= 4
    assert await gateway.log.open_orders() == 0


async def test_an_order_is_cancelled_while_new_ones_are_refused_for_lack_of_memory(
    gateway: Served, redis_url: str
) -> None:
    order_id = await gateway.resting()
    async with redis.asyncio.from_url(redis_url) as client:
        used = (await client.info("memory"))["used_memory"]
        try:
            await client.config_set("maxmemory", used + 1000)

            async def refused() -> bool:
                return bool((await gateway.post(GOOD))[1].get("code") == "log-full")

            await until(refused)
            assert (await cancel(gateway, order_id))[0] == 200
        finally:
            await client.config_set("maxmemory", 0)
