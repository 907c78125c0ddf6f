"""The Python client: typed, safe to try again, and resumed without a gap."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import web

from engine.client import Client, Event, Filters, LostError, NewOrder, RefusedError
from engine.client.events import event_of
from events.commands import api_keys
from events.types import FACTS
from gateway.parsing.order_fields import FIELDS
from projections.views.event_schemas import Frame
from projections.views.payloads import PAYLOADS, Payload
from tests.support.http.served import MemoryArchive, served
from tests.support.log.played import after_submission
from tests.support.waits import HANG_S, until


async def test_an_order_is_submitted_read_amended_and_cancelled_with_types(redis_url: str) -> None:
    async with served(redis_url) as gateway, Client(gateway.url) as client:
        accepted = await client.submit(NewOrder("SOL", "USDC", "1.5", client_order_id="mine"))
        order = await client.order(accepted.order_id)
        assert (order.amount, order.token_in, order.client_order_id) == ("1.5", "SOL", "mine")
        resting = await gateway.resting()
        amended = await client.amend(resting, 2, {"targetPrice": "160"})
        assert (amended.target_price, amended.version) == ("160", 3)
        assert (await client.cancel(resting, reason="no")).status == "cancelled"
        assert [event.name for event in await client.history(resting)][-1] == "OrderCancelled"
        cancel_results = [result async for result in client.cancel_many(Filters(token="SOL"))]
        assert [
            (cancel_result.order_id, cancel_result.status) for cancel_result in cancel_results
        ] == [(order.order_id, "cancelled")]


async def test_a_batch_reports_the_outcome_of_each_order(redis_url: str) -> None:
    async with served(redis_url) as gateway, Client(gateway.url) as client:
        results = await client.submit_batch([NewOrder("SOL", "USDC", 1), NewOrder("SOL", "X", 1)])
        assert [result.status for result in results] == ["pending", "rejected"]
        problem = results[1].problem
        assert problem is not msgspec.UNSET
        assert problem.code == "unknown-token"


async def test_a_refusal_has_its_code_status_and_pointer(redis_url: str) -> None:
    async with served(redis_url) as gateway, Client(gateway.url) as client:
        with pytest.raises(RefusedError) as refused:
            await client.submit(NewOrder("SOL", "SOL", "1"))
        refused_error = refused.value
        assert (refused_error.code, refused_error.status, refused_error.pointer) == (
            "same-token",
            400,
            "/tokenOut",
        )


async def test_quotes_tokens_readiness_and_halts_are_typed(redis_url: str) -> None:
    async with served(redis_url) as gateway, Client(gateway.url) as client:
        quotes = await client.quotes("SOL", "USDC", "1.5")
        assert quotes.best is not None
        assert {quote.dex for quote in quotes.quotes} == {"raydium", "meteora"}
        assert "SOL" in {token.symbol for token in await client.tokens()}
        assert (await client.halt("odd", "ann")).actor == "ann"
        assert (await client.ready()).halted is not None
        assert (await client.resume()).status == "running"


async def test_a_submission_whose_answer_is_lost_is_one_order() -> None:
    seen: list[str] = []

    async def execute(request: web.Request) -> web.Response:
        seen.append(request.headers["Idempotency-Key"])
        if len(seen) == 2:
            assert request.transport is not None
            request.transport.abort()
        links = {"self": "s", "events": "e", "stream": "w"}
        accepted = {"orderId": "1", "status": "pending", "message": "m", "links": links}
        accepted["orderId"] = "01900000-0000-7000-8000-000000000001"
        return web.json_response(accepted, status=202)

    app = web.Application()
    app.router.add_post("/api/orders/execute", execute)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Client(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            await client.submit(NewOrder("SOL", "USDC", "1"))
            await client.submit(NewOrder("SOL", "USDC", "1"))
    finally:
        await runner.cleanup()
    assert len(seen) == 3
    assert seen[1] == seen[2] != seen[0]


async def test_events_resume_without_a_gap_across_a_restart_of_the_gateway(redis_url: str) -> None:
    events: list[Event] = []
    enough = asyncio.Event()

    async def follow(url: str) -> None:
        async with Client(url) as client:
            async for event in client.events(after=0):
                events.append(event)
                if len(events) == 12:
                    enough.set()

    archive = MemoryArchive()
    async with served(redis_url, archive=archive, heartbeat_ms=100) as first:
        port = first.runner.addresses[0][1]
        task = asyncio.create_task(follow(first.url))
        order_id = await first.accepted()
        await first.append(order_id, *after_submission())
        await until(lambda: len(events) == 6)
    async with served(redis_url, archive=archive, port=port) as second:
        order_id = await second.accepted()
        await second.append(order_id, *after_submission())
        async with asyncio.timeout(HANG_S):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [event.frame.position for event in events] == list(range(1, 13))


async def test_events_that_the_log_cannot_deliver_are_reported_to_the_client(
    redis_url: str,
) -> None:
    async with served(redis_url) as gateway, Client(gateway.url) as client:
        await gateway.accepted()
        with pytest.raises(LostError) as lost:
            async for _ in client.events(after=10**9):
                pass
        assert lost.value.lost.code == "ahead-of-log"


async def test_the_key_is_sent_with_every_request_and_socket(redis_url: str) -> None:
    async with served(redis_url, keys_required=True) as gateway:
        issued = await api_keys.create(gateway.log, "desk", ["read", "trade"], "", 0, "ann")
        async with Client(gateway.url, issued.text) as client:
            await until(client.tokens, "the key to be known", ignoring=(RefusedError,))
            accepted = await client.submit(NewOrder("SOL", "USDC", "1"))
            async for event in client.events(after=0):
                assert event.order_id == accepted.order_id
                break
        async with Client(gateway.url) as stranger:
            with pytest.raises(RefusedError) as refused:
                await stranger.order(accepted.order_id)
            assert refused.value.code == "unauthenticated"


def test_the_client_can_express_every_field_of_an_order() -> None:
    assert {field.encode_name for field in msgspec.structs.fields(NewOrder)} == FIELDS


def test_every_event_has_a_type_and_an_unknown_event_is_passed_on() -> None:
    assert set(PAYLOADS) == set(FACTS.values())
    common: dict[str, Any] = {
        "orderId": "01900000-0000-7000-8000-000000000001", "status": "pending", "version": 1,
        "position": 7, "cursor": "e1.p0.7", "timestamp": "2026-11-27T15:00:00.000000Z",
        "account": "a", "build": "b", "hash": "00",
    }  # fmt: skip
    event = event_of(common | {"event": "OrderTeleported", "to": "the moon"})
    assert (type(event.frame), type(event.adds)) == (Frame, Payload)
    assert event.raw["to"] == "the moon"


async def test_an_order_is_tested_with_types(redis_url: str) -> None:
    async with served(redis_url) as gateway, Client(gateway.url) as client:
        routed = await client.test(NewOrder("SOL", "USDC", "1.5"))
        assert (routed.outcome, routed.best is None) == ("routed", False)
        dear = NewOrder("SOL", "USDC", "1.5", type="limit", target_price="100000")
        assert (await client.test(dear)).outcome == "waiting"
        with pytest.raises(RefusedError, match="same-token"):
            await client.test(NewOrder("SOL", "SOL", "1.5"))
        assert await gateway.log.position() == 0
