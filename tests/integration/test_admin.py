"""Halt and resume over HTTP: clients see that the engine is halted, why, since when, by whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from events.ids import ENGINE_STREAM_ID
from events.log import AppendStatus
from events.types import OrderTriggered
from tests.support.http.served import Served, served
from tests.support.patience import WRITING, given_up_after
from tests.support.processes.proxied import proxied
from tests.support.waits import HANG_S, until

RUNNING = {"status": "running", "reason": None, "actor": None, "since": None}


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url) as gateway:
        yield gateway


async def halt(gateway: Served, **body: Any) -> tuple[int, Any]:
    return await gateway.ask("POST", "/api/admin/halt", json=body)


async def resume(gateway: Served, **body: Any) -> tuple[int, Any]:
    return await gateway.ask("POST", "/api/admin/resume", json=body)


async def halted(gateway: Served) -> Any:
    status, ready = await gateway.get("/readyz")
    assert (status, ready["status"]) == (200, "ready")
    return ready["halted"]


async def test_a_halt_is_shown_in_readyz_and_orders_are_accepted_until_the_resume(
    gateway: Served,
) -> None:
    assert await halted(gateway) is None
    waiting = await gateway.resting()
    status, view = await halt(gateway, reason="prices look wrong", actor="ann")
    assert (status, view.pop("status"), view["actor"]) == (200, "halted", "ann")
    assert await halted(gateway) == view
    head = (await gateway.log.load([waiting]))[0]
    assert head is not None
    triggered = OrderTriggered("tick", "raydium", "r", 8, "151.2")
    request, _ = gateway.log.build_append_of(head, head.order, [triggered])
    assert (await gateway.log.append([request]))[0].status is AppendStatus.HALTED
    order_id = await gateway.accepted()
    for item in (order_id, waiting):
        assert (await gateway.ask("DELETE", f"/api/orders/{item}"))[0] == 200
    status, view = await resume(gateway, actor="bob", reason="checked")
    assert (status, view["status"], view["actor"], view["reason"]) == (
        200, "running", "bob", "checked",
    )  # fmt: skip
    assert await halted(gateway) is None


async def test_the_first_of_two_halts_is_the_recorded_actor(gateway: Served) -> None:
    _, first = await halt(gateway, reason="one", actor="ann")
    assert await halt(gateway, reason="two", actor="bob") == (200, first)
    assert await gateway.log.position() == 1
    await resume(gateway)
    _, again = await halt(gateway, reason="two")
    assert (again["reason"], again["actor"]) == ("two", "main")


async def test_an_engine_that_was_never_halted_runs(gateway: Served) -> None:
    assert await resume(gateway) == (200, RUNNING)
    assert await gateway.log.position() == 0


async def test_the_actor_of_a_halt_is_known_after_the_log_was_trimmed(gateway: Served) -> None:
    _, view = await halt(gateway, reason="odd", actor="ann")
    del view["status"]
    await gateway.archive.take(gateway.log)
    async with redis.asyncio.from_url(gateway.log.url.reveal()) as client:
        await client.xtrim(gateway.log.keys.log, minid="2-0", approximate=False)
    assert await halted(gateway) == view
    gateway.archive.down = True
    _, ready = await gateway.get("/readyz")
    assert ready["halted"] == view | {"actor": None}


async def test_the_engine_stream_is_on_the_feed_and_is_not_an_order(gateway: Served) -> None:
    await halt(gateway, reason="odd", actor="ann")
    for path in ("", "/events"):
        status, body = await gateway.get(f"/api/orders/{ENGINE_STREAM_ID}{path}")
        assert (status, body["code"]) == (404, "unknown-order")
    for method, options in (("DELETE", {}), ("PATCH", {"json": {"version": 1, "targetPrice": 1}})):
        status, body = await gateway.ask(method, f"/api/orders/{ENGINE_STREAM_ID}", **options)
        assert (status, body["code"]) == (404, "unknown-order")
    query = f"?after=0&orderId={ENGINE_STREAM_ID}"
    async with asyncio.timeout(HANG_S), gateway.http.ws_connect(
        f"{gateway.url}/api/events{query}"
    ) as socket:  # fmt: skip
        frame = await socket.receive_json()
        assert (frame["event"], frame["status"]) == ("EngineHalted", "halted")
        assert (frame["reason"], frame["actor"]) == ("odd", "ann")
    async with asyncio.timeout(HANG_S), gateway.http.ws_connect(
        f"{gateway.url}/api/orders/execute"
    ) as socket:  # fmt: skip
        await socket.send_json({"orderId": ENGINE_STREAM_ID})
        assert (await socket.receive_json())["code"] == "unknown-order"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing-field"),
        ({"reason": ""}, "malformed-text"),
        ({"reason": 7}, "wrong-type"),
        ({"reason": "x", "actor": "a\x07"}, "malformed-text"),
        ({"reason": "x", "force": True}, "unknown-field"),
    ],
)
async def test_a_malformed_halt_request_halts_nothing(
    gateway: Served, body: dict[str, Any], code: str
) -> None:
    status, problem = await halt(gateway, **body)
    assert (status, problem["code"]) == (400, code)
    assert await halted(gateway) is None


async def test_a_foreign_page_cannot_halt(gateway: Served) -> None:
    status, problem = await gateway.ask("POST", "/api/admin/halt", data=b'{"reason":"x"}')
    assert (status, problem["code"]) == (415, "unsupported-media-type")


async def test_without_an_answer_of_the_log_a_halt_is_refused_or_its_outcome_unknown(
    redis_url: str,
) -> None:
    async with (
        proxied(redis_url) as proxy,
        served(redis_url, gateway_redis_url=proxy.url) as gateway,
    ):
        proxy.cut("hang")
        with given_up_after(0.5):
            status, body = await halt(gateway, reason="x")
        assert (status, body["code"]) == (503, "log-unavailable")
        assert not await gateway.log.halted()
        proxy.cut("drop-writes")
        with given_up_after(0.5, WRITING):
            status, body = await halt(gateway, reason="x")
        assert (status, body["code"]) == (503, "outcome-unknown")
        await until(gateway.log.halted)
        proxy.cut("pass")  # the gateway waits for its append as it stops
