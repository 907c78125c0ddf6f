"""Events that cannot be read, or must not be folded: they are archived under what is known."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from events.archive import NO_ORDER
from events.hash_chain import decode_event
from events.ids import parse_order_id
from events.streams.damage import UNDECODABLE
from events.types import Event


class Unreadable(NamedTuple):
    """The part of an event that is known."""

    order_id: str
    version: int
    name: str
    reason: str


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    order_id: str
    version: int


_envelope = msgspec.msgpack.Decoder(_Envelope)


def read_event(body: msgspec.Raw, refused: str) -> Event | Unreadable:
    """The event, or what is known of it. `refused`: why it must not be folded; empty: it may be."""
    try:
        event = decode_event(body)
        return _unreadable(event.order_id, event.version, event.name, refused) if refused else event
    except msgspec.DecodeError as error:
        reason = f"cannot be read: {error}"
    try:
        known = _envelope.decode(body)
        return _unreadable(known.order_id, known.version, "Unknown", reason)
    except (msgspec.DecodeError, *UNDECODABLE):
        return Unreadable(NO_ORDER, 0, "Unknown", reason)


def _unreadable(order_id: str, version: int, name: str, reason: str) -> Unreadable:
    version = version if 0 <= version < 2**31 else 0
    return Unreadable(parse_order_id(order_id) or NO_ORDER, version, name, reason)
