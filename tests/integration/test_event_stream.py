"""Server-Sent Events: what WebSockets give, for browsers and curl, with `Last-Event-ID`."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientResponse

from events.metrics import CUT_OFFS
from gateway.streaming import transport
from tests.support.http.served import Served, served
from tests.support.log.played import after_submission
from tests.support.waits import HANG_S, until

UNKNOWN = "01900000-0000-7000-8000-000000000001"
ACCEPT = {"Accept": "text/event-stream"}


class ServerEvent(NamedTuple):
    """One event of a stream."""

    name: str
    id: str
    data: Any
    comment: str


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url) as gateway:
        yield gateway


def stream(gateway: Served, path: str = "/api/events", last: str = "") -> Any:
    headers = ACCEPT | ({"Last-Event-ID": last} if last else {})
    return gateway.http.get(gateway.url + path, headers=headers, timeout=None)


def parsed(block: str) -> ServerEvent:
    """As the standard says: a field is what stands before the first colon."""
    fields = dict(line.partition(":")[::2] for line in block.splitlines())
    data = fields.get("data", "").strip()
    return ServerEvent(
        fields.get("event", "").strip(),
        fields.get("id", "").strip(),
        json.loads(data) if data else None,
        fields.get("", "").strip(),
    )


async def events_of(
    answer: ClientResponse, count: int, *, beats: bool = False
) -> list[ServerEvent]:
    """The next events, or all until the end where there are fewer; heartbeats if asked for."""
    server_events: list[ServerEvent] = []
    async with asyncio.timeout(HANG_S):
        while len(server_events) < count:
            block = b""
            while (line := await answer.content.readline()) not in (b"\n", b""):
                block += line
            if not line and not block:
                break
            server_event = parsed(block.decode())
            if server_event.data is not None or (beats and server_event.comment):
                server_events.append(server_event)
    return server_events


async def finish(gateway: Served, order_id: str) -> int:
    position = 0
    for fact in after_submission():
        position = await gateway.append(order_id, fact)
    return position


def positions(server_events: list[ServerEvent]) -> list[int]:
    return [server_event.data["position"] for server_event in server_events]


async def test_every_past_and_live_event_is_delivered_once_and_in_order(gateway: Served) -> None:
    await finish(gateway, await gateway.accepted())
    async with stream(gateway, "/api/events?after=0") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        await finish(gateway, await gateway.accepted())
        server_events = await events_of(answer, 12)
    assert positions(server_events) == list(range(1, 13))
    assert [server_event.id for server_event in server_events] == [
        server_event.data["cursor"] for server_event in server_events
    ]
    assert {server_event.name for server_event in server_events} == {""}


async def test_an_event_is_the_same_as_on_the_websocket(gateway: Served) -> None:
    await finish(gateway, await gateway.accepted())
    async with (
        gateway.http.ws_connect(f"{gateway.url}/api/events?after=0") as ws,
        stream(gateway, "/api/events?after=0") as answer,
    ):
        for server_event in await events_of(answer, 6):
            assert server_event.data == await ws.receive_json()


async def test_a_subscriber_can_resume_from_every_event_id(gateway: Served) -> None:
    for _ in range(2):
        await finish(gateway, await gateway.accepted())
    async with stream(gateway, "/api/events?after=0") as answer:
        whole = await events_of(answer, 12)
    for at, server_event in enumerate(whole[:-1], 1):
        # As a browser does: the URL of the first time, and the header.
        async with stream(gateway, "/api/events?after=0", last=server_event.id) as answer:
            assert await events_of(answer, 12 - at) == whole[at:]


async def test_subscribers_receive_only_the_events_of_their_filter(gateway: Served) -> None:
    first, second = await gateway.accepted(), await gateway.accepted()
    async with (
        stream(gateway, f"/api/events?after=0&orderId={first}") as context,
        stream(gateway, "/api/events?after=0&events=OrderConfirmed") as ended,
        stream(gateway, f"/api/events?orderId={second}&status=confirmed") as second_end,
    ):
        await finish(gateway, first)
        await finish(gateway, second)
        assert {s.data["orderId"] for s in await events_of(context, 6)} == {first}
        assert [s.data["orderId"] for s in await events_of(ended, 2)] == [first, second]
        assert positions(await events_of(second_end, 1)) == [12]


async def test_heartbeats_are_comments_that_move_the_place_to_resume_from(redis_url: str) -> None:
    async with served(redis_url, heartbeat_ms=50) as gateway:
        await gateway.accepted()
        async with stream(gateway, "/api/events?after=0&events=OrderFailed") as answer:
            beat = (await events_of(answer, 1, beats=True))[0]
            while not beat.id.endswith(".1"):
                beat = (await events_of(answer, 1, beats=True))[0]
        assert beat.data is None
        assert json.loads(beat.comment)["head"] == 1


async def test_a_cursor_of_another_log_is_answered_with_a_notice(gateway: Served) -> None:
    await gateway.accepted()
    async with stream(gateway, last="e7.p0.1") as answer:
        notice = (await events_of(answer, 1))[0]
    assert (notice.name, notice.data["code"]) == ("notice", "epoch-changed")
    assert notice.id == notice.data["cursor"]


async def test_a_slow_reader_is_cut_and_can_resume_without_a_gap(redis_url: str) -> None:
    async with served(redis_url, slow_s=0.3) as gateway:
        count = 12_000
        await flood(gateway, count)
        whole, cut = await read_late(gateway)
        assert cut.name == "close"
        assert cut.data["code"] == 4408
        assert positions(whole) == list(range(1, len(whole) + 1))
        assert len(whole) < count
    async with served(redis_url) as gateway:
        async with stream(gateway, last=whole[-1].id) as answer:
            rest = await events_of(answer, count - len(whole))
        assert positions(rest) == list(range(len(whole) + 1, count + 1))


async def test_a_cut_client_that_never_reads_is_disconnected(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(redis_url, slow_s=0.05) as gateway:
        monkeypatch.setattr(transport, "CLOSE_S", 0.05)
        await flood(gateway, 12_000)
        server = gateway.runner.server
        assert server is not None
        others, cuts = set(server.connections), CUT_OFFS.counts.get("4408", 0)
        with silent_reader(gateway):
            await until(lambda: CUT_OFFS.counts.get("4408", 0) > cuts)
            await until(lambda: others.issuperset(server.connections))


async def read_late(gateway: Served) -> tuple[list[ServerEvent], ServerEvent]:
    """What a client gets that reads only after it was cut: the events, and the last message."""
    before = CUT_OFFS.counts.get("4408", 0)
    raw = silent_reader(gateway)
    await until(lambda: CUT_OFFS.counts.get("4408", 0) > before)
    reader, writer = await asyncio.open_connection(sock=raw)
    async with asyncio.timeout(HANG_S):
        _, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    every = [parsed(block) for block in body.decode().split("\n\n") if block]
    server_events = [server_event for server_event in every if server_event.data is not None]
    return server_events[:-1], server_events[-1]


def silent_reader(gateway: Served) -> socket.socket:
    """Asks for everything, and reads nothing."""
    host, port = gateway.url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    raw.connect((host, int(port)))
    # HTTP/1.0: what comes is the stream itself, not in chunks.
    raw.sendall(b"GET /api/events?after=0 HTTP/1.0\r\nHost: localhost\r\n")
    raw.sendall(b"Accept: text/event-stream\r\n\r\n")
    return raw


async def flood(gateway: Served, events: int) -> None:
    body = {"orders": [{"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}] * 500}
    for _ in range(events // 500):
        assert (await gateway.post(body, path="/api/orders/batch"))[0] == 202


async def test_a_gateway_that_stops_ends_streams_with_a_close_event(redis_url: str) -> None:
    async with served(redis_url) as gateway, stream(gateway) as answer:
        await gateway.stop()
        last = (await events_of(answer, 9))[-1]
    assert (last.name, last.data["code"]) == ("close", 1012)


async def test_the_subscriptions_of_disconnected_clients_end(redis_url: str) -> None:
    async with served(redis_url, heartbeat_ms=50) as gateway:
        tasks = len(asyncio.all_tasks())
        for _ in range(5):
            async with stream(gateway, "/api/events?after=0"):
                pass
        await until(lambda: "subscription" not in {t.get_name() for t in asyncio.all_tasks()})
        await until(lambda: len(asyncio.all_tasks()) <= tasks + 5)  # those of the connections


# -- one order -------------------------------------------------------------------------------------


@pytest.mark.parametrize("already", [0, 2, 5])
async def test_an_order_streams_its_history_then_live_then_ends(
    gateway: Served, already: int
) -> None:
    order_id = await gateway.accepted()
    steps = after_submission()
    for fact in steps[:already]:
        await gateway.append(order_id, fact)
    async with stream(gateway, f"/api/orders/{order_id}/events") as answer:
        for fact in steps[already:]:
            await gateway.append(order_id, fact)
        server_events = await events_of(answer, 99)
    assert [server_event.data["version"] for server_event in server_events[:-1]] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]
    assert (server_events[-1].name, server_events[-1].data["code"]) == ("close", 1000)


async def test_a_stream_of_an_order_resumes_and_is_204_after_the_last_event(
    gateway: Served,
) -> None:
    order_id = await gateway.accepted()
    await finish(gateway, order_id)
    path = f"/api/orders/{order_id}/events"
    async with stream(gateway, path) as answer:
        whole = await events_of(answer, 6)
    async with stream(gateway, path, last=whole[2].id) as answer:
        assert await events_of(answer, 3) == whole[3:]
    async with stream(gateway, path, last=whole[-1].id) as answer:
        assert answer.status == 204


@pytest.mark.parametrize(
    ("path", "last", "status", "code"),
    [
        (f"/api/orders/{UNKNOWN}/events", "", 404, "unknown-order"),
        ("/api/orders/nonsense/events", "", 400, "malformed-order-id"),
        ("/api/events", "nonsense", 400, "malformed-cursor"),
        ("/api/events", "e1.p9.3", 400, "malformed-cursor"),
        ("/api/events?colour=red", "", 400, "malformed-parameter"),
    ],
)
async def test_a_stream_that_cannot_start_is_answered_with_a_problem(
    gateway: Served, path: str, last: str, status: int, code: str
) -> None:
    async with stream(gateway, path, last) as answer:
        assert answer.status == status
        assert (await answer.json(content_type=None))["code"] == code


async def test_a_request_that_does_not_accept_event_streams_gets_json_or_426(
    gateway: Served,
) -> None:
    order_id = await gateway.accepted()
    status, history = await gateway.get(f"/api/orders/{order_id}/events")
    assert (status, len(history["events"])) == (200, 1)
    assert (await gateway.get("/api/events"))[0] == 426
