"""Frames: one event encoded once, as the bytes that every subscriber receives.

Rule of this file: pure. A frame is a whole WebSocket text message (RFC 6455 §5.2): FIN and opcode
1, the length, the payload. Server messages are neither masked nor compressed, so that the same
bytes serve all sockets, and joining frames is joining bytes. The same holds for Server-Sent Events:
an event is a few lines that end with an empty one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from events.hash_chain import HashedEvent
from events.log import Stored
from events.streams.damage import UNDECODABLE
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
    """A control message as a Server-Sent Event. Its name keeps it from `onmessage` handlers.

    Its cursor, where it has one, becomes the place from which the client resumes.
    """
    cursor = f"id: {content['cursor']}\n" if "cursor" in content else ""
    return f"event: {content['event']}\n{cursor}data: ".encode() + _to_json(content) + b"\n\n"


def sse_beat(content: dict[str, Any]) -> bytes:
    """A heartbeat: a comment, which no handler sees, and an id alone, which moves the cursor."""
    return b": " + _to_json(content) + f"\nid: {content['cursor']}\n\n".encode()


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """The first fields of an event, by which its followers are looked up."""

    order_id: str = ""
    version: int = 0
    time_us: int = 0
    status: str = ""
    account: str = ""


_envelope = msgspec.msgpack.Decoder(Envelope)


def envelope_of(record: HashedEvent) -> Envelope:
    """Decodes the envelope alone; empty fields for bytes that are not an event."""
    try:
        return _envelope.decode(record.body)
    except (msgspec.DecodeError, *UNDECODABLE):
        return Envelope()


class Frame:
    """One event at its position, decoded and encoded on first use."""

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
        """The first fields of the event."""
        return envelope_of(self.record)

    @property
    def event(self) -> Event | None:
        """The event; None where only a newer build can read it."""
        if self._event is None:
            try:
                self._event = self.record.event()
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
        """An event that this build cannot read is shown all the same: positions have no gaps."""
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
    """The encoders of one kind of socket."""

    event: Callable[[Frame], bytes]
    notice: Callable[[dict[str, Any]], bytes]
    beat: Callable[[dict[str, Any]], bytes]


WEBSOCKET = FrameEncoder(lambda frame: frame.wire, json_frame, json_frame)
SSE = FrameEncoder(lambda frame: frame.sse, sse_message, sse_beat)
