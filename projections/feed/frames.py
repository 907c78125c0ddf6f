"""Frames: one event encoded once, as the bytes that every subscriber's socket gets.

Rule of this file: pure. A frame is a whole WebSocket text message (RFC 6455 §5.2): FIN and opcode
1, the length, the payload. Messages of a server are not masked and we do not compress, so the same
bytes serve all sockets, and joining frames is joining bytes. The same holds for the other medium,
Server-Sent Events: an event is a few lines that end with an empty one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from events import types
from events.log import Stored
from events.streams.hash_chain import HashedEvent
from events.types import Event
from projections.views.formats import timestamp
from projections.views.orders import UNKNOWN, event_frame, event_json

_TEXT = 0x81

_to_json = msgspec.json.Encoder().encode


def text_frame(payload: bytes) -> bytes:
    """The WebSocket message that carries this text."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < 65536:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


def json_frame(content: dict[str, Any]) -> bytes:
    """The WebSocket message that carries this object as JSON."""
    return text_frame(_to_json(content))


def sse_message(content: dict[str, Any]) -> bytes:
    """Anything but an event, as Server-Sent Events: named, so that no `onmessage` takes it for one.

    Its cursor, where it has one, becomes the place from which the client resumes.
    """
    cursor = f"id: {content['cursor']}\n" if "cursor" in content else ""
    return f"event: {content['event']}\n{cursor}data: ".encode() + _to_json(content) + b"\n\n"


def sse_beat(content: dict[str, Any]) -> bytes:
    """A heartbeat: a comment, which no handler sees, and an id alone, which moves the cursor on."""
    return b": " + _to_json(content) + f"\nid: {content['cursor']}\n\n".encode()


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """The start of an event: all that is needed to find its followers."""

    order_id: str = ""
    version: int = 0
    time_us: int = 0
    status: str = ""
    account: str = ""


_envelope = msgspec.msgpack.Decoder(Envelope)


def envelope_of(record: HashedEvent) -> Envelope:
    """Read without decoding the whole event; empty for bytes that are no event at all."""
    try:
        return _envelope.decode(record.body)
    except msgspec.DecodeError:
        return Envelope()


class Frame:
    """One event where it stands; decoded and encoded when somebody wants it, and only once."""

    __slots__ = ("_event", "_sse", "_wire", "explorer", "position", "prefix", "record")

    def __init__(self, stored: Stored, cursor_prefix: str, explorer: str = "") -> None:
        self.position = stored.position
        self.record = stored.record
        self.prefix = cursor_prefix
        self.explorer = explorer
        self._event: Event | None = None
        self._wire = b""
        self._sse = b""

    @property
    def envelope(self) -> Envelope:
        """See `envelope_of`."""
        return envelope_of(self.record)

    @property
    def event(self) -> Event | None:
        """The event; None for one that only a newer build can read."""
        if self._event is None:
            try:
                self._event = types.decode(self.record.body)
            except msgspec.DecodeError:
                return None
        return self._event

    @property
    def name(self) -> str:
        """The public name of the event."""
        return UNKNOWN if self.event is None else self.event.name

    @property
    def status(self) -> str:
        """The order's status after the event."""
        return self.envelope.status if self.event is None else self.event.status

    @property
    def view(self) -> dict[str, Any]:
        """The event as the API shows it."""
        cursor = f"{self.prefix}{self.position}"
        if self.event is None:
            return self._unknown(cursor)
        return event_frame(self.event, self.position, cursor, self.record.hash, self.explorer)

    @property
    def wire(self) -> bytes:
        """The event as a WebSocket message."""
        if not self._wire:
            self._wire = text_frame(self._json)
        return self._wire

    @property
    def sse(self) -> bytes:
        """The event as a Server-Sent Event; its id is its cursor."""
        if not self._sse:
            head = f"id: {self.prefix}{self.position}\ndata: ".encode()
            self._sse = head + self._json + b"\n\n"
        return self._sse

    @property
    def _json(self) -> bytes:
        cursor = f"{self.prefix}{self.position}"
        if self.event is None:
            return _to_json(self._unknown(cursor))
        return event_json(self.event, self.position, cursor, self.record.hash, self.explorer)

    def _unknown(self, cursor: str) -> dict[str, Any]:
        """An event that this build cannot read is still shown: positions have no gaps."""
        known = self.envelope
        return {
            "orderId": known.order_id,
            "status": known.status,
            "event": UNKNOWN,
            "version": known.version,
            "position": self.position,
            "cursor": cursor,
            "timestamp": timestamp(known.time_us),
            "hash": self.record.hash.hex(),
        }


class FrameEncoder(NamedTuple):
    """How things are written for one kind of socket."""

    event: Callable[[Frame], bytes]
    notice: Callable[[dict[str, Any]], bytes]
    beat: Callable[[dict[str, Any]], bytes]


WEBSOCKET = FrameEncoder(lambda frame: frame.wire, json_frame, json_frame)
SSE = FrameEncoder(lambda frame: frame.sse, sse_message, sse_beat)
