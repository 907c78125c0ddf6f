"""Writes to the transport of a WebSocket or an event stream; nothing else does.

aiohttp's `send_str` costs 6 to 10 µs a frame and waits when the socket is full, so that one slow
reader would delay all others. Here encoded frames (`feed.frames`) go out in one write. That is safe
because server messages are not masked, compression is off, and aiohttp writes its own frames (ping,
pong, close) whole and without waiting in between.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import struct

from events.metrics import CUT_OFFS
from projections.feed.frames import SSE, WEBSOCKET, FrameEncoder, json_frame

KERNEL_BYTES = 256 * 1024
"""Send buffer of a socket; by itself the kernel lets it grow to several MB."""

CLOSE_S = 5.0
"""How long a client may take to read the rest and to close."""

_CLOSE = 0x88
_REASON_BYTES = 123


class Socket:
    """A prepared WebSocket as the feed sees it. No call waits.

    Its handler reads until the client has closed as well: an earlier hang-up would make the kernel
    discard what the client has not read yet.
    """

    medium: FrameEncoder = WEBSOCKET

    def __init__(self, transport: asyncio.Transport) -> None:
        self.closed = False
        self.gone = asyncio.Event()
        """Set once the handler has finished with it."""
        self._transport = transport
        self._patience: asyncio.TimerHandle | None = None
        if raw := transport.get_extra_info("socket"):
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, KERNEL_BYTES)

    def write(self, frames: bytes) -> None:
        """Sends whole WebSocket messages; nothing once the socket is closed."""
        if not self.closed and not self._transport.is_closing():
            self._transport.write(frames)

    def send_content(self, **content: object) -> None:
        """Sends one JSON frame."""
        self.write(json_frame(content))

    def backlog(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        """Closes after what was written, and hangs up when the client does not answer."""
        if self.closed:
            return
        CUT_OFFS.add(str(code))
        self._send_close(code, reason)
        self.closed = True
        self._patience = asyncio.get_running_loop().call_later(CLOSE_S, self.abort)

    def _send_close(self, code: int, reason: str) -> None:
        payload = code.to_bytes(2) + reason.encode()[:_REASON_BYTES]
        self.write(struct.pack("!BB", _CLOSE, len(payload)) + payload)

    def abort(self) -> None:
        """Hangs up."""
        self._transport.abort()

    def release(self) -> None:
        """Called when its handler has finished."""
        self.closed = True
        self.gone.set()
        if self._patience is not None:
            self._patience.cancel()


class EventStream(Socket):
    """A prepared response of Server-Sent Events, as the feed sees it."""

    medium = SSE

    def __init__(self, transport: asyncio.Transport, *, chunked: bool) -> None:
        super().__init__(transport)
        self.over = asyncio.Event()
        """Set once nothing more is written; its handler then ends the response."""
        self._chunked = chunked

    def write(self, frames: bytes) -> None:
        """Sends whole events; nothing once the stream is closed."""
        if frames and self._chunked:
            frames = b"%x\r\n%b\r\n" % (len(frames), frames)
        if frames:
            super().write(frames)

    def send_content(self, **content: object) -> None:
        """Sends one named event."""
        self.write(SSE.notice(content))

    def hung_up(self) -> bool:
        """Whether the client has gone."""
        return self._transport.is_closing()

    def close(self, code: int, reason: str) -> None:
        """Closes after what was written, and hangs up when it is not read."""
        super().close(code, reason)
        self.over.set()

    def _send_close(self, code: int, reason: str) -> None:
        self.send_content(event="close", code=code, reason=reason)
