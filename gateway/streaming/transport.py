"""Writes to the transport of a WebSocket or an event stream; nothing else does.

aiohttp's `send_str` costs 6 to 10 µs a frame and waits when the socket is full, so that one slow
reader would delay all others. Here encoded frames (`feed.frames`) go out in one write. That is safe
because server messages are not masked, compression is off, and aiohttp writes its own frames (ping,
close) whole and without waiting in between.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket as sockets
import struct
import termios

from events.metrics import CUT_OFFS
from gateway.streaming import liveness
from projections.feed.frames import SSE, WEBSOCKET, FrameEncoder, json_frame
from projections.feed.subscription import SLOW

KERNEL_BYTES = 256 * 1024
"""Send buffer of a socket; by itself the kernel lets it grow to several MB."""

CLOSE_S = 5.0
"""How long a client may receive nothing of the rest, or not close."""

_CLOSE = 0x88
_PING = b"\x89\x00"
_PONG = 0x8A
_REASON_BYTES = 123


class Socket:
    """A prepared WebSocket as the feed sees it. No call waits.

    Its handler reads until the client has closed as well: an earlier hang-up would make the kernel
    discard what the client has not read yet.
    """

    medium: FrameEncoder = WEBSOCKET
    answers = True
    """Whether its client has to answer pings."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.closed = False
        self.gone = asyncio.Event()
        """Set once the handler has finished with it."""
        self._transport = transport
        self._patience: asyncio.TimerHandle | None = None
        self._written = 0
        self._heard = False
        self._looked: liveness.Look | None = None
        self._check = asyncio.get_running_loop().call_later(liveness.CHECK_S, self._look)
        self._raw = transport.get_extra_info("socket")
        if self._raw:
            self._raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, KERNEL_BYTES)

    def write(self, frames: bytes) -> None:
        """Sends whole WebSocket messages; nothing once the socket is closed."""
        if not self.closed and not self._transport.is_closing():
            self._transport.write(frames)
            self._written += len(frames)

    def send_content(self, **content: object) -> None:
        """Sends one JSON frame."""
        self.write(json_frame(content))

    def backlog(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def in_flight(self) -> int:
        """Bytes that the client's machine has not acknowledged yet."""
        if self._raw is None or self._transport.is_closing():
            return 0
        unsent = array.array("i", [0])
        fcntl.ioctl(self._raw.fileno(), termios.TIOCOUTQ, unsent)
        return self.backlog() + unsent[0]

    def received(self) -> int:
        """Bytes that the client's machine has acknowledged: they grow while the client lives."""
        return self._written - self.in_flight()

    def heard(self) -> None:
        """Called for each message of the client, pongs included."""
        self._heard = True

    def pong(self, payload: bytes) -> None:
        """Answers a ping; a client that sends pings and reads nothing gets no more answers."""
        if self.backlog() <= KERNEL_BYTES:
            self.write(struct.pack("!BB", _PONG, len(payload)) + payload)

    def _look(self) -> None:
        """Closes the connection of a client that lives no more."""
        if self.closed:
            return
        now = liveness.Look(self.received(), self.in_flight(), self._heard)
        before, self._looked, self._heard = self._looked, now, False
        if before is not None and not liveness.is_alive(before, now, answers=self.answers):
            self.close(SLOW, "nothing was received: resume from the last cursor")
            return
        self._ping()
        self._check = asyncio.get_running_loop().call_later(liveness.CHECK_S, self._look)

    def _ping(self) -> None:
        self.write(_PING)

    def close(self, code: int, reason: str) -> None:
        """Closes after what was written, and hangs up when the client does not answer."""
        if self.closed:
            return
        CUT_OFFS.add(str(code))
        self._send_close(code, reason)
        self.closed = True
        self._be_patient(self.received())

    def _be_patient(self, received: int) -> None:
        """Hangs up unless more is received: who still reads gets the rest, and the close code."""
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(CLOSE_S, self._hang_up_unless, received)

    def _hang_up_unless(self, before: int) -> None:
        if (received := self.received()) > before:
            self._be_patient(received)
        else:
            self.abort()

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
        self._check.cancel()
        if self._patience is not None:
            self._patience.cancel()


class EventStream(Socket):
    """A prepared response of Server-Sent Events, as the feed sees it."""

    medium = SSE
    answers = False

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

    def _ping(self) -> None:
        """Its handler writes comments as heartbeats."""

    def _send_close(self, code: int, reason: str) -> None:
        self.send_content(event="close", code=code, reason=reason)
