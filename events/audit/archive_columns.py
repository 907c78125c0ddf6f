"""Compares the columns beside an archived event's body with the body. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from events import types
from events.archive.page import LabelledEvent
from events.archive.snapshot import NO_ORDER
from events.hash_chain import decode_event
from events.ids import parse_order_id
from events.streams.damage import UNDECODABLE

UNKNOWN = "Unknown"
"""The type of an event that the archiving build could not read."""
CLOCK_US = 10_000_000
"""The largest step back of a server's clock that is tolerated; doctor reports a larger one."""


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    order_id: str
    version: int


_envelope = msgspec.msgpack.Decoder(_Envelope)


def label_faults(row: LabelledEvent) -> Iterator[tuple[str, str]]:
    """The columns that differ from the body: (column, detail)."""
    body = bytes(row.stored.record.body)
    for name, value, expected in zip(
        ("order_id", "version", "type"),
        (row.order_id, row.version, row.name),
        _expected(body, row.name),
        strict=True,
    ):
        if value != expected:
            yield name, f"column {name} is {value!r}, its body says {expected!r}"


def _expected(body: bytes, named: str) -> tuple[str, int, str]:
    """The columns that the projector writes beside a body."""
    try:
        event = decode_event(body)
        # The build that archived it may not have known it, or known it by a former name.
        same = named == UNKNOWN or types.current_name(named) == event.name
        name = named if same else event.name
        return _order(event.order_id), _version(event.version), name
    except msgspec.DecodeError:
        pass
    try:
        known = _envelope.decode(body)
        return _order(known.order_id), _version(known.version), UNKNOWN
    except (msgspec.DecodeError, *UNDECODABLE):
        return NO_ORDER, 0, UNKNOWN


def _order(order_id: str) -> str:
    return parse_order_id(order_id) or NO_ORDER


def _version(version: int) -> int:
    return version if 0 <= version < 2**31 else 0


class Clock:
    """Checks that the times beside the events come from one clock that does not run backwards."""

    def __init__(self, now_us: int) -> None:
        self._latest_us = 0
        self._now_us = now_us

    def fault(self, time_us: int) -> str:
        """The problem of the next time; empty: none."""
        if time_us > self._now_us + CLOCK_US:
            return f"column time_us is {time_us}, which is still to come"
        if time_us < self._latest_us - CLOCK_US:
            return f"column time_us is {time_us}, the event before it has {self._latest_us}"
        self._latest_us = max(self._latest_us, time_us)
        return ""
