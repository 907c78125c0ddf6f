"""A TCP proxy on the loopback that misbehaves as proxies, balancers and networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from enum import Enum

PAGE = b"<html>no</html>"
PAST = b"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
HEAD_BYTES = 65536


class Fault(Enum):
    """What becomes of one connection."""

    HTML_502 = "502 as a page"
    HTML_503 = "503 as a page"
    HTML_504 = "504 as a page"
    HTML_404 = "404 as a page"
    DATED_503 = "503 with a date in Retry-After"
    DATED_429 = "429 with a date in Retry-After"
    JSON_503 = "503 as JSON of a balancer"
    EMPTY_503 = "503 without a body"
    RESET_BEFORE = "reset before the request is passed on"
    RESET_AFTER = "reset after the request was passed on"
    ENDED_AFTER = "end of stream after the request was passed on"
    CUT_BODY = "reset in the middle of the response"
    HALF_OPEN = "the request is passed on, and nothing comes back"


ANSWERS = {
    Fault.HTML_502: (b"502 Bad Gateway", b"text/html", b"", PAGE),
    Fault.HTML_503: (b"503 Service Unavailable", b"text/html", b"", PAGE),
    Fault.HTML_504: (b"504 Gateway Timeout", b"text/html", b"", PAGE),
    Fault.HTML_404: (b"404 Not Found", b"text/html", b"", PAGE),
    Fault.DATED_503: (b"503 Service Unavailable", b"text/html", PAST, PAGE),
    Fault.DATED_429: (b"429 Too Many Requests", b"text/html", PAST, PAGE),
    Fault.JSON_503: (b"503 Service Unavailable", b"application/json", b"", b'{"message":"no"}'),
    Fault.EMPTY_503: (b"503 Service Unavailable", b"text/plain", b"", b""),
}


class FaultyProxy:
    """Passes connections on, but for the next `left`, which meet `fault`."""

    def __init__(self, upstream: int) -> None:
        self.fault = Fault.HTML_502
        self.left = 0
        self.port = 0
        self.connections = 0
        """How many there were."""
        self.freeze = False
        """Nothing of the gateway is passed on any more, on the connections that are open."""
        self._upstream = upstream
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def misbehave(self, fault: Fault, times: int) -> None:
        """Ends what is connected; the next connections meet the fault."""
        self.fault, self.left = fault, times
        for writer in tuple(self._open):
            writer.transport.abort()

    def end(self) -> None:
        """Ends what is connected as a proxy does that stops: with the end of the stream."""
        for writer in tuple(self._open):
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(HEAD_BYTES)
        if not data:
            return
        fault = self.fault if self.left > 0 else None
        self.left -= 1
        if fault in ANSWERS:
            status, media, extra, body = ANSWERS[fault]
            writer.write(
                b"HTTP/1.1 %b\r\nContent-Type: %b\r\n%bContent-Length: %d\r\nConnection: close\r\n"
                b"\r\n%b" % (status, media, extra, len(body), body)
            )
            await writer.drain()
        elif fault is Fault.RESET_BEFORE:
            reset(writer)
        else:
            await self._pass_on(data, reader, writer, fault)

    async def _pass_on(
        self,
        data: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        fault: Fault | None,
    ) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self._upstream)
        self._open.add(forth)
        try:
            forth.write(data)
            if fault is None:
                there = asyncio.create_task(pump(reader, forth, lambda: False))
                await pump(back, writer, lambda: self.freeze)
                there.cancel()
                return
            answer = await back.read(HEAD_BYTES)  # the gateway has done it
            if fault is Fault.CUT_BODY:
                writer.write(answer[:-8])
                await writer.drain()
            if fault is Fault.HALF_OPEN:
                await reader.read()  # until the client gives up
            elif fault is not Fault.ENDED_AFTER:
                reset(writer)
        finally:
            self._open.discard(forth)
            forth.close()


async def pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frozen: Callable[[], bool]
) -> None:
    """Passes bytes on until the end; drops them while it is frozen."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(HEAD_BYTES):
            if not frozen():
                writer.write(data)
                await writer.drain()
        writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def faulty_proxy(upstream: int) -> AsyncIterator[FaultyProxy]:
    """A proxy in front of this port for the length of a block."""
    proxy = FaultyProxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.misbehave(Fault.HTML_502, 0)
