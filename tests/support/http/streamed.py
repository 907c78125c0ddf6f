"""Both doors through which events are followed, WebSocket and Server-Sent Events, as one.

What is tried at one is tried at the other: tests take a `Door` as their parameter.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import ClientResponse, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from tests.support.http.permitted import EVENT_STREAM
from tests.support.http.served import Served
from tests.support.waits import HANG_S

Frame = dict[str, Any]


class Refused(Exception):
    """The door stays shut."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Reader(NamedTuple):
    """A stream that was opened."""

    next: Callable[[], Any]
    """Awaitable: the next frame, heartbeats too; None once the stream was closed."""
    code: Callable[[], int | None]
    """The close code, once `next` has given None."""

    async def frames(self, count: int) -> list[Frame]:
        """The next frames without heartbeats; fewer where the stream ends before."""
        results: list[Frame] = []
        async with asyncio.timeout(HANG_S):
            while len(results) < count and (frame := await self.next()) is not None:
                if frame["event"] != "heartbeat":
                    results.append(frame)
        return results

    async def closed(self) -> int | None:
        """Reads on to the end; the close code."""
        async with asyncio.timeout(HANG_S):
            while await self.next() is not None:
                pass
        return self.code()


class Door(NamedTuple):
    """One of the two."""

    name: str

    def feed(
        self, gateway: Served, query: str = "", headers: Mapping[str, str] | None = None
    ) -> contextlib.AbstractAsyncContextManager[Reader]:
        """Everything, by `/api/events`. Raises Refused."""
        return self._open(gateway, f"/api/events?{query}", headers or {})

    def order(
        self, gateway: Served, order_id: str, headers: Mapping[str, str] | None = None
    ) -> contextlib.AbstractAsyncContextManager[Reader]:
        """One order. Raises Refused."""
        path = f"/api/orders/{order_id}/events"
        if self is WEBSOCKET:
            path = f"/api/orders/execute?orderId={order_id}"
        return self._open(gateway, path, headers or {})

    @contextlib.asynccontextmanager
    async def _open(
        self, gateway: Served, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Reader]:
        url = gateway.url + path
        if self is WEBSOCKET:
            try:
                socket = await gateway.http.ws_connect(url, headers=headers)
            except WSServerHandshakeError as error:
                raise Refused(error.status) from None
            async with socket:
                yield _of_socket(socket)
            return
        async with gateway.http.get(
            url, headers={**headers, **EVENT_STREAM}, timeout=None
        ) as answer:
            if answer.status != 200:
                raise Refused(answer.status)
            yield _of_stream(answer)


WEBSOCKET, SSE = Door("websocket"), Door("sse")
DOORS = (WEBSOCKET, SSE)


def _of_socket(socket: ClientWebSocketResponse) -> Reader:
    async def following() -> Frame | None:
        message = await socket.receive()
        return json.loads(message.data) if message.type is WSMsgType.TEXT else None

    return Reader(following, lambda: socket.close_code)


def _of_stream(answer: ClientResponse) -> Reader:
    code: list[int] = []

    async def following() -> Frame | None:
        while True:
            lines = []
            while (line := await answer.content.readline()) not in (b"\n", b""):
                lines.append(line.decode().rstrip("\n"))
            if not lines and not line:
                return None
            fields = dict(text.split(": ", 1) for text in lines if ": " in text[1:])
            beat = next((text[2:] for text in lines if text.startswith(": ")), "")
            if beat:
                return dict(json.loads(beat))
            if fields.get("event") == "close":
                code.append(json.loads(fields["data"])["code"])
                return None
            if "data" in fields:
                return dict(json.loads(fields["data"]))

    return Reader(following, lambda: code[-1] if code else None)
