"""The client behind proxies and networks that fail: nothing ends it, nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from engine.client import (
    Client,
    Event,
    NewOrder,
    OutcomeUnknownError,
    UnreachableError,
    retry_policy,
    transport,
)
from engine.client import api as client_api
from tests.support.http.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.support.http.served import MemoryArchive, Served, served
from tests.support.log.played import after_submission
from tests.support.waits import HANG_S, until

TIMES = 3
"""How many connections in a row meet a fault."""
ORDER = NewOrder("SOL", "USDC", "1.5")

Operation = Callable[[Client, str], Awaitable[object]]

READS: dict[str, Operation] = {
    "order": lambda client, order_id: client.order(order_id),
    "history": lambda client, order_id: client.history(order_id),
    "quotes": lambda client, _: client.quotes("SOL", "USDC", "1"),
    "tokens": lambda client, _: client.tokens(),
    "ready": lambda client, _: client.ready(),
    "metrics": lambda client, _: client.metrics(),
}
WRITES: dict[str, Operation] = {
    "submit": lambda client, _: client.submit(ORDER),
    "submit_batch": lambda client, _: client.submit_batch([ORDER]),
    "cancel": lambda client, order_id: client.cancel(order_id),
    "halt": lambda client, _: client.halt("odd"),
}
ONCE: dict[str, Operation] = {
    "amend": lambda client, order_id: client.amend(order_id, 2, {"targetPrice": "160"}),
    "resume": lambda client, _: client.resume(),
}
"""A second time they may undo what another person did since."""


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_policy, "FIRST_S", 0.01)
    monkeypatch.setattr(client_api, "RECONNECT_S", 0.01)
    monkeypatch.setattr(transport, "REQUEST_TIMEOUT_S", 0.5)


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url, archive=MemoryArchive(), heartbeat_ms=50) as gateway:
        yield gateway


@pytest.fixture
async def proxy(gateway: Served) -> AsyncIterator[FaultyProxy]:
    async with faulty_proxy(gateway.runner.addresses[0][1]) as proxy:
        yield proxy


def patient(proxy: FaultyProxy) -> Client:
    """A client that gives up when the test would."""
    return Client(proxy.url, retry_for_s=HANG_S, silence_s=0.5)


@pytest.mark.parametrize("fault", Fault)
async def test_every_request_survives_a_fault_of_the_way(
    gateway: Served, proxy: FaultyProxy, fault: Fault
) -> None:
    async with patient(proxy) as client:
        order_id = await gateway.resting()
        await client.ready()
        for name, operation in (READS | WRITES).items():
            proxy.misbehave(fault, TIMES)
            assert await operation(client, order_id) is not None, name
            assert proxy.left < 0, name


@pytest.mark.parametrize("fault", Fault)
async def test_an_order_is_accepted_once_whatever_becomes_of_its_answers(
    gateway: Served, proxy: FaultyProxy, fault: Fault
) -> None:
    async with patient(proxy) as client:
        before = await client.position()
        proxy.misbehave(fault, TIMES)
        accepted = await client.submit(ORDER)
        assert await client.position() == before + 1
        assert (await client.order(accepted.order_id)).status == "pending"


@pytest.mark.parametrize("fault", Fault)
async def test_streams_resume_after_a_fault_without_a_gap(
    gateway: Served, proxy: FaultyProxy, fault: Fault
) -> None:
    feed: list[Event] = []
    single: list[Event] = []
    order_id = await gateway.accepted()
    async with patient(proxy) as client:
        tasks = [
            asyncio.create_task(collect(client.events(after=0), feed)),
            asyncio.create_task(collect(client.follow(order_id), single)),
        ]
        await until(lambda: len(feed) == len(single) == 1)
        proxy.misbehave(fault, TIMES)
        await gateway.append(order_id, *after_submission())
        await until(lambda: len(feed) == 6)
        async with asyncio.timeout(HANG_S):
            await tasks[1]  # the order has ended
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert [event.frame.position for event in feed] == list(range(1, 7))
    assert [event.frame.version for event in single] == list(range(1, 7))


async def test_a_half_open_socket_is_replaced_after_silence(
    gateway: Served, proxy: FaultyProxy
) -> None:
    events: list[Event] = []
    async with patient(proxy) as client:
        task = asyncio.create_task(collect(client.events(after=0), events))
        await gateway.accepted()
        await until(lambda: len(events) == 1)
        proxy.freeze = True
        await gateway.accepted()
        await until(lambda: proxy.connections > 2)
        proxy.freeze = False
        await until(lambda: len(events) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [event.frame.position for event in events] == [1, 2]


async def test_an_end_of_stream_without_a_close_frame_does_not_end_the_order(
    gateway: Served, proxy: FaultyProxy
) -> None:
    events: list[Event] = []
    order_id = await gateway.accepted()
    async with patient(proxy) as client:
        task = asyncio.create_task(collect(client.follow(order_id), events))
        await until(lambda: len(events) == 1)
        proxy.end()
        await gateway.append(order_id, *after_submission())
        async with asyncio.timeout(HANG_S):
            await task
    assert len(events) == 6


async def test_an_outcome_that_stays_unclear_is_unknown_and_names_its_key(
    gateway: Served, proxy: FaultyProxy
) -> None:
    async with Client(proxy.url, retry_for_s=0.2) as client:
        await client.ready()
        proxy.misbehave(Fault.RESET_AFTER, 10**9)
        with pytest.raises(OutcomeUnknownError) as unknown:
            await client.submit(ORDER)
        key = unknown.value.idempotency_key
        assert key in str(unknown.value)
        proxy.misbehave(Fault.RESET_AFTER, 0)
        accepted = await client.submit(ORDER, key=key)
        assert (await client.position(), accepted.status) == (1, "pending")


@pytest.mark.parametrize("operation", ONCE)
async def test_what_may_not_be_done_twice_is_unknown_at_once(
    gateway: Served, proxy: FaultyProxy, operation: str
) -> None:
    order_id = await gateway.resting()
    async with patient(proxy) as client:
        assert (await client.order(order_id)).version == 2
        proxy.misbehave(Fault.RESET_AFTER, TIMES)
        with pytest.raises(OutcomeUnknownError):
            await ONCE[operation](client, order_id)
        assert proxy.left >= TIMES - 1  # the kept connection may have met it


async def test_a_page_of_a_stranger_is_refused_where_no_gateway_answered_before(
    gateway: Served, proxy: FaultyProxy
) -> None:
    async with patient(proxy) as client:
        proxy.misbehave(Fault.HTML_404, TIMES)
        with pytest.raises(UnreachableError, match="not a gateway"):
            await client.tokens()


@pytest.mark.parametrize("operation", WRITES | ONCE)
async def test_a_change_is_unknown_where_the_answer_has_another_shape(operation: str) -> None:
    """A newer gateway, or a page of a proxy: it may have been done all the same."""

    async def other(_: web.Request) -> web.Response:
        return web.json_response({"status": "fine"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", other)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Client(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            with pytest.raises(OutcomeUnknownError):
                await (WRITES | ONCE)[operation](client, "01900000-0000-7000-8000-000000000001")
    finally:
        await runner.cleanup()


async def collect(source: AsyncIterator[Event], into: list[Event]) -> None:
    async for event in source:
        into.append(event)
