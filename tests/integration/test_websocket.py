"""WebSockets: everyone sees every step, whenever they connect, and can resume from anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from events.metrics import CUT_OFFS
from gateway.streaming import liveness, transport, websocket
from projections.feed import feed as feeds
from tests.support.http.served import Served, served
from tests.support.log.played import after_submission, failed
from tests.support.waits import HANG_S, pace, until

UNKNOWN = "01900000-0000-7000-8000-000000000001"
STATUSES = ["pending", "routing", "building", "building", "submitted", "confirmed"]


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url) as gateway:
        yield gateway


async def frames(
    ws: ClientWebSocketResponse, count: int, *, heartbeats: bool = False
) -> list[dict[str, Any]]:
    """The next frames, without heartbeats."""
    results: list[dict[str, Any]] = []
    async with asyncio.timeout(HANG_S):
        while len(results) < count:
            frame = await ws.receive_json()
            if heartbeats or frame["event"] != "heartbeat":
                results.append(frame)
    return results


async def closed(ws: ClientWebSocketResponse) -> int | None:
    """The close code, once all is read; nothing else may come."""
    async with asyncio.timeout(HANG_S):
        message = await ws.receive()
    assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED), message
    return ws.close_code


def follow(gateway: Served, order_id: str = "") -> Any:
    query = f"?orderId={order_id}" if order_id else ""
    return gateway.http.ws_connect(f"{gateway.url}/api/orders/execute{query}")


def subscribe(gateway: Served, query: str = "") -> Any:
    return gateway.http.ws_connect(f"{gateway.url}/api/events?{query}")


async def finish(gateway: Served, order_id: str) -> None:
    for fact in after_submission():
        await gateway.append(order_id, fact)


# -- one order -------------------------------------------------------------------------------------


@pytest.mark.parametrize("already", [0, 2, 5])
async def test_every_status_is_delivered_however_late_the_client_connects(
    gateway: Served, already: int
) -> None:
    order_id = await gateway.accepted()
    steps = after_submission()
    for fact in steps[:already]:
        await gateway.append(order_id, fact)
    async with follow(gateway, order_id) as ws:
        for fact in steps[already:]:
            await gateway.append(order_id, fact)
        seen = await frames(ws, 6)
        assert await closed(ws) == 1000
    assert [frame["status"] for frame in seen] == STATUSES
    assert [frame["version"] for frame in seen] == [1, 2, 3, 4, 5, 6]
    assert all(frame["orderId"] == order_id and frame["cursor"] for frame in seen)
    assert seen[-1]["txHash"]


async def test_a_failed_order_closes_the_socket_with_its_reason(gateway: Served) -> None:
    order_id = await gateway.accepted()
    async with follow(gateway, order_id) as ws:
        await gateway.append(order_id, failed("no-route"))
        seen = await frames(ws, 2)
        assert await closed(ws) == 1000
    assert (seen[-1]["status"], seen[-1]["reason"], seen[-1]["stage"]) == (
        "failed", "no-route", "router",
    )  # fmt: skip


async def test_connecting_while_the_order_runs_never_misses_or_repeats_a_step(
    gateway: Served,
) -> None:
    ids = [await gateway.accepted() for _ in range(30)]

    async def watch(order_id: str, delay_s: float) -> list[int]:
        await pace(delay_s)
        async with follow(gateway, order_id) as ws:
            seen = await frames(ws, 6)
            assert await closed(ws) == 1000
            return [frame["version"] for frame in seen]

    watching = [asyncio.create_task(watch(item, n / 500)) for n, item in enumerate(ids)]
    for fact in after_submission():
        for order_id in ids:
            await gateway.append(order_id, fact)
    assert await asyncio.gather(*watching) == [[1, 2, 3, 4, 5, 6]] * 30


async def test_one_socket_follows_many_orders_by_message(gateway: Served) -> None:
    ids = [await gateway.accepted() for _ in range(3)]
    async with follow(gateway) as ws:
        for order_id in ids:
            await ws.send_json({"orderId": order_id})
        assert {f["orderId"] for f in await frames(ws, 3)} == set(ids)
        for order_id in reversed(ids):
            await finish(gateway, order_id)
        seen = await frames(ws, 15)
        for order_id in ids:
            mine = [frame["version"] for frame in seen if frame["orderId"] == order_id]
            assert mine == [2, 3, 4, 5, 6]
        await ws.send_json({"orderId": ids[0]})  # ended: its history again, and the socket stays
        assert len(await frames(ws, 6)) == 6


async def test_messages_with_an_id_are_acknowledged(gateway: Served) -> None:
    order_id = await gateway.accepted()
    async with follow(gateway) as ws:
        await ws.send_json({"orderId": order_id, "id": "r1"})
        history, acknowledged = await frames(ws, 2)
        assert history["status"] == "pending"
        answer = {"orderId": order_id, "live": True}
        assert acknowledged == {"event": "following", "id": "r1"} | answer
        await ws.send_json({"orderId": order_id, "id": "r2"})  # without a second history
        assert await frames(ws, 1) == [{"event": "following", "id": "r2"} | answer]
        await ws.send_json({"orderId": UNKNOWN, "id": "r3"})
        [refused] = await frames(ws, 1)
        assert (refused["code"], refused["id"]) == ("unknown-order", "r3")
        await finish(gateway, order_id)
        await frames(ws, 5)
        await ws.send_json({"orderId": order_id, "id": "r4"})
        *again, acknowledged = await frames(ws, 7)
        assert [frame["version"] for frame in again] == [1, 2, 3, 4, 5, 6]
        assert (acknowledged["event"], acknowledged["live"]) == ("following", False)


async def test_an_order_that_is_no_longer_followed_sends_nothing(gateway: Served) -> None:
    left, kept = [await gateway.accepted() for _ in range(2)]
    async with follow(gateway) as ws:
        for order_id in (left, kept):
            await ws.send_json({"orderId": order_id})
        await frames(ws, 2)
        await ws.send_json({"orderId": left, "follow": False, "id": "r1"})
        [acknowledged] = await frames(ws, 1)
        assert (acknowledged["event"], acknowledged["live"]) == ("unfollowed", False)
        await ws.send_json({"orderId": left, "follow": False})  # not followed: no answer
        for order_id in (left, kept):
            await finish(gateway, order_id)
        assert {frame["orderId"] for frame in await frames(ws, 5)} == {kept}
        await ws.send_json({"orderId": left})
        assert [frame["version"] for frame in await frames(ws, 6)] == [1, 2, 3, 4, 5, 6]


async def test_an_order_that_was_left_makes_room_for_another(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "FOLLOWED_ORDERS", 1)
    first, second = [await gateway.accepted() for _ in range(2)]
    async with follow(gateway) as ws:
        await ws.send_json({"orderId": first})
        await ws.send_json({"orderId": second})
        assert (await frames(ws, 2))[1]["code"] == "too-many-orders"
        await ws.send_json({"orderId": first, "follow": False})
        await ws.send_json({"orderId": second})
        assert (await frames(ws, 1))[0]["orderId"] == second


async def test_a_late_subscription_to_an_order_gets_every_step(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LINGER_S", 0.0)  # no reads without subscribers
    order_id = await gateway.accepted()
    async with follow(gateway) as ws:
        await ws.send_json({"orderId": order_id})
        await frames(ws, 1)
        await finish(gateway, order_id)
        assert [frame["version"] for frame in await frames(ws, 5)] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "malformed-message"),
        ('{"order":"x"}', "malformed-message"),
        ('{"orderId":7}', "malformed-message"),
        (f'{{"orderId":"{UNKNOWN}","follow":1}}', "malformed-message"),
        (f'{{"orderId":"{UNKNOWN}","id":""}}', "malformed-message"),
        (f'{{"orderId":"{UNKNOWN}","id":"{"r" * 65}"}}', "malformed-message"),
        ('{"orderId":"x"}', "malformed-order-id"),
        (f'{{"orderId":"{UNKNOWN}"}}', "unknown-order"),
    ],
)
async def test_an_invalid_subscription_message_gets_an_error_frame(
    gateway: Served, message: str, code: str
) -> None:
    order_id = await gateway.accepted()
    async with follow(gateway) as ws:
        await ws.send_str(message)
        error = (await frames(ws, 1))[0]
        assert (error["event"], error["code"]) == ("error", code)
        await ws.send_json({"orderId": order_id})
        assert (await frames(ws, 1))[0]["status"] == "pending"


@pytest.mark.parametrize(
    ("message", "echoed"),
    [
        ('{"id":"m1","order":"x"}', "m1"),
        ('{"id":"m1","orderId":7}', "m1"),
        (f'{{"id":"m1","orderId":"{UNKNOWN}","follow":1}}', "m1"),
        ('{"id":7,"order":"x"}', None),
        (f'{{"id":"{"r" * 65}","order":"x"}}', None),
        ('["id"]', None),
        ('{"id":"m1",', None),
        (f'{{"id":"m1","x":{"[" * 2000}{"]" * 2000}}}', None),
    ],
)
async def test_a_malformed_message_is_refused_with_its_id_where_that_can_be_read(
    gateway: Served, message: str, echoed: str | None
) -> None:
    async with follow(gateway) as ws:
        await ws.send_str(message)
        [error] = await frames(ws, 1)
        assert (error["code"], error.get("id")) == ("malformed-message", echoed)
        assert error["detail"]


async def test_requests_of_a_client_that_does_not_read_do_not_accumulate(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "FOLLOWER_BYTES", 64 * 1024)
    order_id = await gateway.accepted()
    await finish(gateway, order_id)
    async with raw_socket(gateway, "/api/orders/execute") as client:
        wish = b'{"orderId":"%s"}' % order_id.encode()
        frame = bytes((0x81, 0x80 | len(wish))) + bytes(4) + wish  # masked with zeros
        before = CUT_OFFS.counts.get("4408", 0)
        await client.send(frame * 1000)
        await until(lambda: CUT_OFFS.counts.get("4408", 0) > before)
        positions, code = await client.read_all()
    assert code == 4408
    assert len(positions) < 6000


async def test_an_unknown_order_is_answered_and_closed_with_4404(gateway: Served) -> None:
    async with follow(gateway, UNKNOWN) as ws:
        error = (await frames(ws, 1))[0]
        assert (error["code"], error["orderId"]) == ("unknown-order", UNKNOWN)
        assert await closed(ws) == 4404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/orders/execute?orderId=17", 400),
        ("/api/orders/execute?order=17", 400),
        ("/api/events?after=-1", 400),
        ("/api/events?after=x", 400),
        ("/api/events?after=e1.p7.0", 400),
        ("/api/events?events=OrderEaten", 400),
        ("/api/events?status=done", 400),
        ("/api/events?orderId=17", 400),
        ("/api/events?since=1", 400),
    ],
)
async def test_malformed_requests_are_refused_before_the_upgrade(
    gateway: Served, path: str, status: int
) -> None:
    with pytest.raises(WSServerHandshakeError) as raised:
        await gateway.http.ws_connect(gateway.url + path)
    assert raised.value.status == status


async def test_a_foreign_page_cannot_listen(gateway: Served) -> None:
    with pytest.raises(WSServerHandshakeError) as raised:
        await gateway.http.ws_connect(
            f"{gateway.url}/api/events", headers={"Origin": "http://evil.example"}
        )
    assert raised.value.status == 403


async def test_a_message_that_is_too_long_closes_the_socket(gateway: Served) -> None:
    async with follow(gateway) as ws:
        await ws.send_str("x" * 5000)
        assert await closed(ws) == 1009


# -- everything ------------------------------------------------------------------------------------


async def test_the_feed_starts_at_the_present_by_default(gateway: Served) -> None:
    await gateway.accepted()
    async with subscribe(gateway) as ws:
        order_id = await gateway.accepted()
        frame = (await frames(ws, 1))[0]
        assert (frame["orderId"], frame["position"]) == (order_id, 2)


async def test_a_subscriber_can_resume_from_every_position_and_cursor(gateway: Served) -> None:
    for _ in range(3):
        await finish(gateway, await gateway.accepted())
    async with subscribe(gateway, "after=0") as ws:
        whole = await frames(ws, 18)
    assert [frame["position"] for frame in whole] == list(range(1, 19))
    for frame in whole[:-1]:
        for after in (frame["position"], frame["cursor"]):
            async with subscribe(gateway, f"after={after}") as ws:
                rest = await frames(ws, 18 - frame["position"])
                assert rest == whole[frame["position"] :]


async def test_subscribers_receive_only_the_events_of_their_filter(gateway: Served) -> None:
    first, second = await gateway.accepted(), await gateway.accepted()
    async with (
        subscribe(gateway, f"after=0&orderId={first}") as context,
        subscribe(gateway, "after=0&events=OrderConfirmed,OrderFailed") as ends,
        subscribe(gateway, "after=0&status=building&events=TransactionBuilt") as built,
        subscribe(gateway, f"orderId={second}&status=confirmed,failed") as second_end,
    ):
        await finish(gateway, first)
        await finish(gateway, second)
        assert {f["orderId"] for f in await frames(context, 6)} == {first}
        assert [f["orderId"] for f in await frames(ends, 2)] == [first, second]
        assert [f["event"] for f in await frames(built, 2)] == ["TransactionBuilt"] * 2
        assert [f["position"] for f in await frames(second_end, 1)] == [12]


async def test_heartbeats_carry_the_served_position_under_filters_too(
    redis_url: str,
) -> None:
    async with served(redis_url, heartbeat_ms=50) as gateway:
        await gateway.accepted()
        async with subscribe(gateway, "after=0&events=OrderFailed") as ws:
            await gateway.accepted()
            beat: dict[str, Any] = {"position": 0}
            while beat["position"] < 2:
                beat = (await frames(ws, 1, heartbeats=True))[0]
                assert beat["event"] == "heartbeat"
            assert (beat["head"], beat["cursor"]) == (2, "e1.p0.2")


async def test_a_slow_reader_is_cut_with_4408_and_others_are_not_held_up(redis_url: str) -> None:
    async with served(redis_url, slow_s=3.0) as gateway:  # who reads is not behind for so long
        before = CUT_OFFS.counts.get("4408", 0)
        async with (
            raw_socket(gateway, "/api/events?after=0") as slow,
            subscribe(gateway, "after=0") as quick,
        ):
            count = 12_000
            reading = asyncio.create_task(frames(quick, count))
            await flood(gateway, count)
            assert [f["position"] for f in await reading] == list(range(1, count + 1))
            await until(lambda: CUT_OFFS.counts.get("4408", 0) > before)
            positions, code = await slow.read_all()
            assert code == 4408
            assert positions == list(range(1, len(positions) + 1))
            assert len(positions) < count
    async with (
        served(redis_url) as gateway,
        subscribe(gateway, f"after={positions[-1]}") as again,
    ):
        rest = await frames(again, count - len(positions))
        assert [f["position"] for f in rest] == list(range(len(positions) + 1, count + 1))


async def test_a_closed_socket_of_a_silent_client_is_disconnected(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "CHECK_S", 10 * HANG_S)  # which would end it too
    async with served(redis_url) as gateway:
        monkeypatch.setattr(transport, "CLOSE_S", 0.05)
        async with raw_socket(gateway, f"/api/orders/execute?orderId={UNKNOWN}") as silent:
            assert (await silent.read_all())[1] == 4404
            await silent.hung_up()


async def test_a_client_that_answers_no_ping_is_closed_with_4408(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "CHECK_S", 0.2)
    async with served(redis_url, heartbeat_ms=50) as gateway:
        url = gateway.url + "/api/events"
        mute = await gateway.http.ws_connect(url, autoping=False)
        async with asyncio.timeout(HANG_S):
            kinds = [message.type async for message in mute]
        assert WSMsgType.PING in kinds
        assert mute.close_code == 4408


async def test_a_pong_is_heard_and_a_ping_is_answered(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bool] = []
    monkeypatch.setattr(liveness, "CHECK_S", 0.2)
    monkeypatch.setattr(transport.Socket, "heard", lambda socket: heard.append(socket.closed))
    async with served(redis_url) as gateway:
        async with gateway.http.ws_connect(gateway.url + "/api/events") as polite:
            reading = asyncio.create_task(polite.receive())
            await until(lambda: bool(heard))
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        mine = await gateway.http.ws_connect(gateway.url + "/api/events", autoping=False)
        await mine.ping(b"mine")
        async with asyncio.timeout(HANG_S):
            pongs = (m.data async for m in mine if m.type is WSMsgType.PONG)
            assert await anext(pongs) == b"mine"
        await mine.close()


async def flood(gateway: Served, events: int) -> None:
    """Many new orders."""
    body = {"orders": [{"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}] * 500}
    for _ in range(events // 500):
        assert (await gateway.post(body, path="/api/orders/batch"))[0] == 202


class Raw(NamedTuple):
    """A WebSocket whose client reads only when asked to."""

    send: Callable[[bytes], Awaitable[None]]
    read_all: Callable[[], Awaitable[tuple[list[int], int]]]
    hung_up: Callable[[], Awaitable[None]]
    """Waits until the other side has ended the connection."""


@contextlib.asynccontextmanager
async def raw_socket(gateway: Served, path: str) -> AsyncIterator[Raw]:
    """Connects, and reads nothing yet."""
    host, port = gateway.url.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setblocking(False)
        await loop.sock_connect(sock, (host, int(port)))
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await loop.sock_sendall(sock, request.encode())

        async def read_all() -> tuple[list[int], int]:
            data, positions, code = b"", list[int](), 0
            async with asyncio.timeout(HANG_S):
                while b"\r\n\r\n" not in data:
                    data += await loop.sock_recv(sock, 1 << 20)
                data = data.partition(b"\r\n\r\n")[2]
                while not code:
                    results, code, data = decoded(data)
                    positions += results
                    if not code and not (more := await loop.sock_recv(sock, 1 << 20)):
                        break
                    data += more if not code else b""
            return positions, code

        async def hung_up() -> None:
            async with asyncio.timeout(HANG_S):
                with contextlib.suppress(ConnectionError):
                    while await loop.sock_recv(sock, 1 << 20):
                        pass

        yield Raw(partial(loop.sock_sendall, sock), read_all, hung_up)


def decoded(data: bytes) -> tuple[list[int], int, bytes]:
    """Positions of all event frames, the code of the close frame or 0, and the bytes of a frame
    that is not complete.
    """
    positions: list[int] = []
    start = 0
    while len(data) - start >= 4:
        kind, size, at = data[start] & 0x0F, data[start + 1], start + 2
        if size == 126:
            size, at = int.from_bytes(data[at : at + 2]), at + 2
        if len(data) < at + size:
            break
        payload, start = data[at : at + size], at + size
        if kind == 8:
            return positions, int.from_bytes(payload[:2]), b""
        frame = json.loads(payload) if kind == 1 else {}
        if "version" in frame:
            positions.append(frame["position"])
    return positions, 0, data[start:]


# -- stopping --------------------------------------------------------------------------------------


async def test_a_subscriber_that_resumes_after_a_gateway_restart_loses_no_event(
    redis_url: str,
) -> None:
    async with served(redis_url) as before:
        await before.accepted()
        async with subscribe(before, "after=0") as ws:
            cursor = (await frames(ws, 1))[0]["cursor"]
            order_id = await before.accepted()
            cursor = (await frames(ws, 1))[0]["cursor"]
            stopping = asyncio.create_task(before.stop())
            notice = (await frames(ws, 1))[0]
            assert (notice["event"], notice["code"]) == ("notice", "shutdown")
            assert await closed(ws) == 1012
            await stopping
            await before.append(order_id, after_submission()[0])
    async with served(redis_url) as after:
        await after.accepted()
        async with subscribe(after, f"after={cursor}") as ws:
            assert [f["position"] for f in await frames(ws, 2)] == [3, 4]


async def test_stopping_is_quick_with_many_sockets_that_do_not_answer(redis_url: str) -> None:
    async with served(redis_url) as gateway, contextlib.AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(raw_socket(gateway, "/api/events"))
        await gateway.accepted()
        async with asyncio.timeout(10):  # one after the other: 14 s or more
            await gateway.stop()
