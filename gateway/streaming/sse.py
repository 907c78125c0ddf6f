"""Server-Sent Events: the feed and single orders for clients without WebSocket, such as curl.

They carry the same events. `id:` is the cursor; a client that reconnects with `Last-Event-ID`, as
browsers do, continues after it. The last event of a stream is named `close` and has the reason:
1000 the order ended, 1012 the gateway restarts, 1013 try again later, 4408 too slow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import structlog
from aiohttp import HttpVersion11, hdrs, web
from multidict import MultiDict

from events.log import EventLog, LogError
from gateway.backends.backend_errors import ANSWER_S, reading_archive, reading_log
from gateway.backends.health import Health
from gateway.backends.order_history import read_history
from gateway.http import response_headers
from gateway.http.problems import Problem
from gateway.http.protocol import become_stream
from gateway.middleware.auth import visible_account
from gateway.parsing.parameters import (
    Query,
    feed_filter,
    order_id_of,
    reject_unknown_parameters,
    resumes_after,
)
from gateway.streaming.connections import ConnectionLimiter
from gateway.streaming.transport import EventStream
from gateway.streaming.websocket import BUG, LATER, RESTART, check_end
from projections.feed.cursors import Cursor
from projections.feed.feed import Feed
from projections.feed.history_reader import HistoryGap
from projections.feed.order_follower import Follower, ends
from projections.feed.subscription import Subscription

LAST_EVENT_ID = "Last-Event-ID"
EVENT_STREAM = "text/event-stream"
RETRY_MS = 1000
"""How long browsers wait before they reconnect."""

SHUTDOWN_S = 0.3
"""How long clients may take to receive the rest when the gateway stops."""

HEADERS = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def wants_event_stream(request: web.Request) -> bool:
    """Whether the client asks for an event stream; HEAD asks for none."""
    accepts = EVENT_STREAM in request.headers.get(hdrs.ACCEPT, "").lower()
    return accepts and request.method == hdrs.METH_GET


def negotiate_event_stream(stream: Handler, other: Handler) -> Handler:
    """`stream` for requests that accept event streams, `other` for all others."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await (stream if wants_event_stream(request) else other)(request)

    return handle


class Streams:
    """The handlers and all open streams."""

    def __init__(
        self,
        log: EventLog,
        feed: Feed,
        health: Health,
        presence: ConnectionLimiter,
        *,
        heartbeat_ms: int,
    ) -> None:
        self._log = log
        self._feed = feed
        self._health = health
        self._presence = presence
        self._heartbeat_s = heartbeat_ms / 1000
        self._open: set[EventStream] = set()
        self._stopping = False

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET /api/events: all events that the filters leave."""
        filters, after = feed_filter(_resumed(request), visible_account(request))
        self._check(after)
        async with self._stream(request) as (response, stream):
            subscription = Subscription(self._feed, stream, filters, after)
            running = asyncio.create_task(subscription.run(), name="subscription")
            running.add_done_callback(partial(check_end, stream))
            try:
                await self._until_over(stream)
            finally:
                running.cancel()
                await asyncio.wait([running])
        return response

    async def order(self, request: web.Request) -> web.StreamResponse:
        """GET /api/orders/{id}/events: the history of an order, then its events until it ends."""
        order_id = order_id_of(request.match_info["id"])
        query = _resumed(request)
        reject_unknown_parameters(query, ("after",))
        after = self._check(resumes_after(query))
        if await self._is_over(order_id, after):
            return web.Response(status=204)  # browsers stop to come back
        async with self._stream(request) as (response, stream):
            follower = Follower(
                self._feed,
                stream,
                order_id,
                lambda _: stream.close(1000, "it has ended"),
                after,
            )
            async with reading_archive(), reading_log():
                await follower.start()
            try:
                await self._until_over(stream)
            finally:
                follower.leave()
        return response

    def _check(self, after: Cursor | None) -> int:
        """The position in this log that a cursor stands for. Raises Problem."""
        if after is None:
            return 0
        if after.partition != self._log.partition:
            raise Problem("malformed-cursor", "no such partition", parameter="after")
        if after.epoch in (None, self._feed.epoch):
            return after.position
        return min(after.position, self._feed.common_position)

    async def _is_over(self, order_id: str, after: int) -> bool:
        """Whether `after` is the last event of an ended order. Raises Problem if it is unknown."""
        self._health.check_open()
        stored = await read_history(self._feed.past, order_id)
        [last] = self._feed.frames(stored[-1:])
        return after >= last.position and ends(last)

    # -- life ----------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _stream(
        self, request: web.Request
    ) -> AsyncIterator[tuple[web.StreamResponse, EventStream]]:
        self._health.check_open()
        self._presence.check(request)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._feed.ready()
        except (LogError, TimeoutError) as error:
            raise Problem("log-unavailable", str(error) or "no answer") from error
        response = web.StreamResponse(headers=HEADERS | response_headers.of(request))
        response.force_close()
        await response.prepare(request)
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        if request.transport is None:
            raise ConnectionResetError
        become_stream(request)
        stream = EventStream(request.transport, chunked=request.version >= HttpVersion11)
        self._open.add(stream)
        if self._stopping:  # it was connecting while the others were told
            stream.close(RESTART, "the gateway restarts")
        try:
            with self._presence.held(request, stream):
                yield response, stream
        except (
            Problem,
            HistoryGap,
        ):  # too late for a status: the client comes back and is told then
            stream.close(LATER, "try again later")
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            structlog.get_logger().exception("stream_failed", path=request.path)
            stream.close(BUG, "internal: resume from the last cursor")
        finally:
            self._open.discard(stream)
            stream.closed = True
            stream.gone.set()

    async def _until_over(self, stream: EventStream) -> None:
        """Returns when the stream or its client ends. Heartbeats keep proxies from cutting it."""
        while not stream.hung_up():
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await stream.over.wait()
                return
            except TimeoutError:
                stream.write(b":\n\n")

    async def shutdown(self, _: web.Application) -> None:
        """Closes all streams; clients resume from their last cursor."""
        self._stopping = True
        leaving = list(self._open)
        for stream in leaving:
            stream.close(RESTART, "the gateway restarts: resume from the last cursor")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_S):
                for stream in leaving:
                    await stream.gone.wait()


def _resumed(request: web.Request) -> Query:
    """The query, resuming after `Last-Event-ID`, which is newer than any `after`."""
    query: MultiDict[str] = MultiDict(request.query)
    if last := request.headers.get(LAST_EVENT_ID):
        query["after"] = last
    return query
