"""Encodes a call of the append function: the layout of its keys and arguments.

Rule of this file: pure. The layout is defined only here; functions.lua gets it as constants.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from events.log.append_request import AppendRequest
from events.log.redis.keys import STAGE_KEYS, Keys
from events.order import STAGES
from events.order.wait_reasons import NUMBERS

FIXED_KEYS = ("meta", "log", "open", "parked", "owed", "expiry", "book", "aliases")
"""The first keys of a call, by their names in `Keys`. They are followed by STAGE_KEYS of each
stage, the head of each unit's order, and the idempotency keys of all units in order.
"""

Argument = bytes | str | int


class CallHeader(NamedTuple):
    """The first arguments of a call. They are followed by an `InboxEntry` for each inbox entry that
    units settle, and by the units.
    """

    epoch: bytes
    layout: str
    stages: int
    entries: int
    units: int
    events: int
    orders_per_inbox_entry: int
    window_ms: int
    run_id: str


class InboxEntry(NamedTuple):
    """An inbox entry: the number of its stage, its id, and how many orders it names."""

    stage: int
    id: bytes
    size: int


class UnitArguments(NamedTuple):
    """The first arguments of a unit. They are followed by the value of its idempotency keys, where
    it has any, and by its expiry, where EXPIRES is set.
    """

    meta: bytes
    """UNIT_FIELDS, packed."""
    old: bytes
    new: bytes
    records: bytes


UNIT_FIELDS = {
    "events": "B",
    "owes": "B",
    "flags": "B",
    "idempotency_keys": "B",
    "entry": "H",
    "index": "H",
    "wait_ms": "I",
    "not_after_ms": "Q",
    "wait_reason": "B",
}
"""`entry` numbers the call's inbox entries from 1, 0 is none; `index` its orders from 0."""
_UNIT = struct.Struct("<" + "".join(UNIT_FIELDS.values()))
_LUA_FORMATS = {"B": "B", "H": "I2", "I": "I4", "Q": "I8"}

FLAGS = {"CREATE": 1, "WAKE": 2, "SEND": 4, "HALT": 8, "RESUME": 16, "EXPIRES": 32}
_CREATE, _WAKE, _SEND, _HALT, _RESUME, _EXPIRES = FLAGS.values()

assert sorted(FLAGS.values()) == [1 << bit for bit in range(len(FLAGS))]
assert max(FLAGS.values()) < 2**8, "the flags are one byte"


def layout_constants() -> dict[str, str | int]:
    """The layout as constants for functions.lua, whose indexes start at 1."""
    return {
        "KEY_PLACES": _places(FIXED_KEYS),
        "STAGE_KEY_PLACES": _places(STAGE_KEYS),
        "HEADER_PLACES": _places(CallHeader._fields),
        "ENTRY_PLACES": _places(InboxEntry._fields),
        "UNIT_PLACES": _places(UnitArguments._fields),
        "UNIT_FIELDS": ", ".join(f"unit_{name}" for name in UNIT_FIELDS),
        "UNIT_FORMAT": "<" + "".join(_LUA_FORMATS[code] for code in UNIT_FIELDS.values()),
        **{f"FLAG_{name}": flag for name, flag in FLAGS.items()},
    }


def _places(names: Sequence[str]) -> str:
    """The fields of a Lua table: name -> index, and `count`."""
    places = [f"{name} = {place}" for place, name in enumerate(names, start=1)]
    return ", ".join([*places, f"count = {len(names)}"])


class Call(NamedTuple):
    """The units of one call, encoded."""

    keys: list[str]
    """The keys after the fixed ones: heads, then idempotency keys."""
    entries: int
    units: int
    events: int
    arguments: list[Argument]
    """The arguments after the header: inbox entries, then units."""
    creates: bool
    """Whether one of the units creates an order."""

    def header(
        self, epoch: bytes, layout: str, run_id: str, *, inbox_orders: int, window_ms: int
    ) -> CallHeader:
        """The arguments that precede `arguments`."""
        return CallHeader(
            epoch=epoch,
            layout=layout,
            stages=len(STAGES),
            entries=self.entries,
            units=self.units,
            events=self.events,
            orders_per_inbox_entry=inbox_orders,
            window_ms=window_ms,
            run_id=run_id,
        )


def fixed_keys(keys: Keys) -> list[str]:
    """The keys that every call starts with."""
    return [*attrgetter(*FIXED_KEYS)(keys), *keys.stages]


def encode_units(requests: Sequence[AppendRequest], keys: Keys) -> Call:
    """Encodes the units of one call."""
    heads = [keys.order(request.order_id) for request in requests]
    idempotency_keys: list[str] = []
    places: dict[tuple[int, bytes], int] = {}
    entries: list[Argument] = []
    units: list[Argument] = []
    events = 0
    creates = False
    for request in requests:
        entry = index = names = 0
        delivery = request.delivery
        if delivery is not None:
            index = delivery.place
            name = (delivery.stage, delivery.entry)
            entry = places.get(name, 0)
            if not entry:
                entry = places[name] = len(places) + 1
                entries += InboxEntry(delivery.stage, delivery.entry, delivery.size)
        flags = _flags(request)
        if flags & _CREATE and not request.halts:
            creates = True
        idempotency = request.idempotency
        if idempotency is not None:
            names = len(idempotency.keys)
            idempotency_keys += idempotency.keys
        events += request.events
        meta = _UNIT.pack(
            request.events,
            request.owes,
            flags,
            names,
            entry,
            index,
            request.wait_ms,
            request.not_after_ms,
            NUMBERS[request.wait_reason] if request.wait_reason else 0,
        )
        units += (meta, request.old, request.new, request.records)
        if names and idempotency is not None:
            units.append(idempotency.value)
        if request.expires_ms is not None:
            units.append(request.expires_ms)
    return Call(
        keys=heads + idempotency_keys,
        entries=len(places),
        units=len(requests),
        events=events,
        arguments=entries + units,
        creates=creates,
    )


def _flags(request: AppendRequest) -> int:
    flags = _WAKE if request.wake else 0
    if request.sends:
        flags |= _SEND
    if not request.old and request.events:
        flags |= _CREATE
    if request.halts is not None:
        flags |= _HALT if request.halts else _RESUME
    if request.expires_ms is not None:
        flags |= _EXPIRES
    return flags
