"""WebSockets: follow single orders, or all events.

Close codes: 1000 the order ended; 1011 a bug; 1012 the gateway restarts; 1013 try again later; 4401
the key is no longer valid; 4404 unknown order; 4408 too slow, resume from the last cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated

import msgspec
import structlog
from aiohttp import WSMsgType, hdrs, web

from events.archive import ArchiveUnavailable
from events.ids import SYSTEM_STREAM_IDS, parse_order_id
from events.log import EventLog, LogError
from gateway.backends.backend_errors import ANSWER_S
from gateway.backends.health import Health
from gateway.http.problems import Problem
from gateway.http.protocol import become_stream
from gateway.middleware.auth import SUBPROTOCOL, visible_account
from gateway.middleware.ownership import Ownership
from gateway.parsing.parameter_tables import FOLLOW
from gateway.parsing.parameters import feed_filter, order_id_of, reject_unknown_parameters
from gateway.streaming.connections import ConnectionLimiter
from gateway.streaming.transport import Socket
from projections.feed.feed import FOLLOWER_BYTES, Feed
from projections.feed.history_reader import HistoryGap
from projections.feed.order_follower import Follower
from projections.feed.subscription import SLOW, Subscription

MESSAGE_BYTES = 4096
"""The longest message of a client: an order id and an id in JSON."""

MESSAGE_ID_LENGTH = 64

FOLLOWED_ORDERS = 10_000
"""How many orders one socket may follow at once."""

SHUTDOWN_S = 0.7
"""How long clients may take to close when the gateway stops; its supervisor waits for 2 s."""

BUG, RESTART, LATER, UNKNOWN = 1011, 1012, 1013, 4404


class _FollowRequest(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    order_id: str
    follow: bool = True
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MESSAGE_ID_LENGTH)] = ""


_wish = msgspec.json.Decoder(_FollowRequest)


class _WithId(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MESSAGE_ID_LENGTH)] = ""


_with_id = msgspec.json.Decoder(_WithId)


def _id_of(malformed: str) -> dict[str, str]:
    """The id of a malformed message, by which its client tells which one was refused."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):  # nested too deep
        if known := _with_id.decode(malformed).id:
            return {"id": known}
    return {}


class Sockets:
    """The WebSocket handlers and all open sockets."""

    def __init__(
        self,
        log: EventLog,
        feed: Feed,
        health: Health,
        presence: ConnectionLimiter,
        ownership: Ownership,
    ) -> None:
        self._log = log
        self._feed = feed
        self._health = health
        self._presence = presence
        self._ownership = ownership
        self._open: set[Socket] = set()
        self._stopping = False

    @property
    def open(self) -> int:
        """How many sockets are open."""
        return len(self._open)

    # -- one order, or several -----------------------------------------------------------------

    async def execute(self, request: web.Request) -> web.StreamResponse:
        """GET /api/orders/execute."""
        _check_upgrade(request, "GET /api/orders/{id}/events")
        reject_unknown_parameters(request.query, FOLLOW)
        named = request.query.get("orderId")
        order_id = None if named is None else order_id_of(named)
        account = visible_account(request)
        async with self._socket(request) as (ws, socket):
            known = partial(self._ownership.check, account)
            following = OrderFollowers(self._feed, socket, known, single=order_id is not None)
            try:
                if order_id is not None:
                    await following.add(order_id)
                async for text in _texts(ws, socket):
                    if not socket.closed and order_id is None:
                        await following.wish(text)
            finally:
                following.end()
        return ws

    # -- everything ----------------------------------------------------------------------------

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET /api/events."""
        _check_upgrade(request, "send the same request")
        filters, after = feed_filter(request.query, visible_account(request))
        if after is not None and after.partition != self._log.partition:
            raise Problem("malformed-cursor", "no such partition", parameter="after")
        async with self._socket(request) as (ws, socket):
            subscription = Subscription(self._feed, socket, filters, after)
            running = asyncio.create_task(subscription.run(), name="subscription")
            running.add_done_callback(partial(check_end, socket))
            try:
                async for _ in _texts(ws, socket):
                    pass  # a subscriber has nothing to say
            finally:
                running.cancel()
                await asyncio.wait([running])
        return ws

    # -- life ----------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _socket(
        self, request: web.Request
    ) -> AsyncIterator[tuple[web.WebSocketResponse, Socket]]:
        if not self._health.open:
            raise Problem("log-unavailable")
        self._presence.check(request)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._feed.ready()
        except (LogError, TimeoutError) as error:
            raise Problem("log-unavailable", str(error) or "no answer") from error
        ws = web.WebSocketResponse(
            compress=False,
            max_msg_size=MESSAGE_BYTES,
            autoping=False,  # a pong behind data is late: see `liveness`
            protocols=_protocols(request),
        )
        await ws.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        become_stream(request)
        socket = Socket(transport)
        self._open.add(socket)
        if self._stopping:  # it was connecting while the others were told
            socket.close(RESTART, "the gateway restarts")
            socket.abort()
        try:
            with self._presence.held(request, socket):
                yield ws, socket
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:  # an answer in HTTP would be garbage here
            structlog.get_logger().exception("websocket_failed", path=request.path)
            socket.close(BUG, "internal: resume from the last cursor")
        finally:
            self._open.discard(socket)
            socket.release()

    async def shutdown(self, _: web.Application) -> None:
        """Closes all sockets; clients resume from their last cursor."""
        self._stopping = True
        leaving = list(self._open)
        for socket in leaving:
            socket.send_content(
                event="notice", code="shutdown", message="resume from the last cursor"
            )
            socket.close(RESTART, "the gateway restarts: resume from the last cursor")
        if leaving:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHUTDOWN_S):
                    for socket in leaving:
                        await socket.gone.wait()
            for socket in leaving:
                socket.abort()


async def _texts(ws: web.WebSocketResponse, socket: Socket) -> AsyncIterator[str]:
    """The texts that the client sends until it closes; its pings are answered."""
    async for message in ws:
        socket.heard()
        if message.type is WSMsgType.PING:
            socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            yield message.data


Known = Callable[[str], Awaitable[None]]
NOT_ASKED: Mapping[str, str] = {}
"""Of a message without an id."""


class OrderFollowers:
    """The orders that one socket follows."""

    def __init__(self, feed: Feed, socket: Socket, known: Known, *, single: bool) -> None:
        """`known`: raises Problem for an order that the client may not see."""
        self._feed = feed
        self._known = known
        self._socket = socket
        self._single = single
        self._followers: dict[str, Follower] = {}

    async def wish(self, text: str) -> None:
        """Handles a message of the client: `{"orderId": "…", "follow": true}`."""
        try:
            wish = _wish.decode(text)
        except msgspec.DecodeError as error:
            asked = _id_of(text)
            self._socket.send_content(
                event="error", code="malformed-message", detail=str(error), **asked
            )
            return
        order_id = parse_order_id(wish.order_id)
        asked = {"id": wish.id} if wish.id else {}
        if self._socket.backlog() > FOLLOWER_BYTES:
            self._socket.close(SLOW, "too slow: follow again")
        elif order_id is None:
            self._error("malformed-order-id", wish.order_id[:80], asked)
        elif not wish.follow:
            self._remove(order_id)
            self._acknowledge("unfollowed", order_id, asked)
        elif order_id in SYSTEM_STREAM_IDS:
            self._error("unknown-order", order_id, asked)
        elif order_id in self._followers:  # a second history would be of no use
            self._acknowledge("following", order_id, asked)
        elif len(self._followers) >= FOLLOWED_ORDERS:
            self._error("too-many-orders", order_id, asked)
        else:
            await self.add(order_id, asked)

    def _remove(self, order_id: str) -> None:
        if (follower := self._followers.pop(order_id, None)) is not None:
            follower.leave()

    def _acknowledge(self, event: str, order_id: str, asked: Mapping[str, str]) -> None:
        """Answers a message with an id; others are answered by the events alone."""
        if asked:
            live = order_id in self._followers
            self._socket.send_content(event=event, orderId=order_id, live=live, **asked)

    async def add(self, order_id: str, asked: Mapping[str, str] = NOT_ASKED) -> None:
        """Follows an order, its history first. `asked`: the id of the message, if any."""
        follower = Follower(self._feed, self._socket, order_id, self._ended)
        self._followers[order_id] = follower
        code = ""
        try:
            await self._known(order_id)
            known = await follower.start()
        except Problem as problem:
            code = problem.code
        except LogError:
            code = "log-unavailable"
        except ArchiveUnavailable:
            code = "archive-unavailable"
        except HistoryGap:
            code = "history-lost"
        else:
            code = "" if known else "unknown-order"
        if code:
            del self._followers[order_id]
            self._error(code, order_id, asked)
            if self._single:
                self._socket.close(UNKNOWN if code == "unknown-order" else LATER, code)
        else:
            self._acknowledge("following", order_id, asked)

    def _error(self, code: str, order_id: str, asked: Mapping[str, str]) -> None:
        self._socket.send_content(event="error", code=code, orderId=order_id, **asked)

    def _ended(self, follower: Follower) -> None:
        self._followers.pop(follower.order_id, None)
        if self._single:
            self._socket.close(1000, "the order has ended")

    def end(self) -> None:
        """Stops following all orders."""
        for follower in tuple(self._followers.values()):
            follower.leave()


def check_end(socket: Socket, running: asyncio.Task[None]) -> None:
    """Logs a failed subscription and closes its socket: its client must not wait in silence."""
    if not running.cancelled() and (error := running.exception()) is not None:
        structlog.get_logger().error("subscription_failed", exc_info=error)
        socket.close(BUG, "internal: resume from the last cursor")


def _protocols(request: web.Request) -> tuple[str, ...]:
    """The subprotocol to answer with, where the client offers any.

    aiohttp would log offers that match nothing, and one of them may be a key.
    """
    return (SUBPROTOCOL,) if hdrs.SEC_WEBSOCKET_PROTOCOL in request.headers else ()


def _check_upgrade(request: web.Request, instead: str) -> None:
    """Raises Problem for a plain request; `instead`: the request for the same as a stream."""
    wants = request.headers.get(hdrs.UPGRADE, "").lower()
    asked = web.WebSocketResponse(protocols=_protocols(request))
    if wants != "websocket" or not asked.can_prepare(request).ok:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        detail = f"connect with a WebSocket client, or {instead} with Accept: text/event-stream"
        raise Problem("upgrade-required", detail, headers=headers)
