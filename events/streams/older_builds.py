"""Fields that older builds omitted from the states in heads and rows. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import fields, replace

from events.order import Order
from events.streams import State, decode, encode

ADDED = ("rent_lamports", "trigger_price", "detail")
"""Fields that are newer than the events from which they are folded: in states that an older build
stored they have their defaults, although the events contain values. All other added fields are
folded from events, or fields of events, that were added together with them.
"""
NOTHING_ADDED = tuple(field.default for field in fields(Order) if field.name in ADDED)


def added(state: State) -> tuple[Any, ...]:
    """The values of these fields; states other than orders have none."""
    return tuple(getattr(state, name) for name in ADDED) if type(state) is Order else NOTHING_ADDED


def basis(state: State) -> bytes:
    """A state as this build encodes it, with these fields at their defaults."""
    if type(state) is Order and added(state) != NOTHING_ADDED:
        state = replace(state, **dict(zip(ADDED, NOTHING_ADDED, strict=True)))
    return encode(state)


def adds(state: bytes, expected: tuple[Any, ...]) -> bool:
    """Whether each of these fields of a stored order has its expected value or was omitted."""
    try:
        stored = added(decode(state))
    except msgspec.DecodeError:
        return False
    values = zip(stored, expected, NOTHING_ADDED, strict=True)
    return all(value in (folded, default) for value, folded, default in values)
