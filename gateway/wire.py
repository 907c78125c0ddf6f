"""The one place that writes to a WebSocket's transport.

aiohttp's `send_str` costs 6 to 10 µs a frame and waits when the socket is full, so that one slow
reader would hold up all. Frames come here encoded (`projections.frames`), many at once, and go out
in one write. That is allowed because messages of a server are not masked, we do not compress, and
aiohttp writes its own frames (ping, pong, close) whole and without waiting in between.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import struct

from events.meters import CUT_OFFS
from projections.frames import json_frame

KERNEL_BYTES = 256 * 1024
"""Send buffer of a socket; the kernel would let it grow to several MB by itself."""

CLOSE_S = 5.0
"""How long a client may take to read what is left and to say goodbye."""

_CLOSE = 0x88
_REASON_BYTES = 123


class Socket:
    """A prepared WebSocket as the feed sees it. No call waits.

    Its handler reads on until the client has said goodbye too: hanging up earlier would make the
    kernel throw away what the client has not read yet.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.closed = False
        self.gone = asyncio.Event()
        """Set once the handler is done with it."""
        self._transport = transport
        self._patience: asyncio.TimerHandle | None = None
        if raw := transport.get_extra_info("socket"):
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, KERNEL_BYTES)

    def write(self, frames: bytes) -> None:
        """Sends whole WebSocket messages; nothing once the socket is closed."""
        if not self.closed and not self._transport.is_closing():
            self._transport.write(frames)

    def say(self, **content: object) -> None:
        """Sends one JSON frame."""
        self.write(json_frame(content))

    def backlog(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        """Says goodbye after what was written, and hangs up when no answer comes."""
        if self.closed:
            return
        CUT_OFFS.add(str(code))
        payload = code.to_bytes(2) + reason.encode()[:_REASON_BYTES]
        self.write(struct.pack("!BB", _CLOSE, len(payload)) + payload)
        self.closed = True
        self._patience = asyncio.get_running_loop().call_later(CLOSE_S, self.abort)

    def abort(self) -> None:
        """Hangs up."""
        self._transport.abort()

    def release(self) -> None:
        """Its handler is done."""
        self.closed = True
        self.gone.set()
        if self._patience is not None:
            self._patience.cancel()
