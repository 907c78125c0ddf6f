"""What older builds left out of the states that they stored in heads and rows. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import fields, replace

from events.order import Order
from events.streams import State, decode, encode

ADDED = ("rent_lamports", "trigger_price")
"""Fields that came later than the events which they are taken from: in what an older build stored
they have their defaults, where the events say more. All other fields that came later are taken from
events, or parts of events, that came with them.
"""
NOTHING_ADDED = tuple(field.default for field in fields(Order) if field.name in ADDED)


def added(state: State) -> tuple[Any, ...]:
    """Those fields of an order; no other state has gained any."""
    return tuple(getattr(state, name) for name in ADDED) if type(state) is Order else NOTHING_ADDED


def basis(state: State) -> bytes:
    """A state as this build encodes it, without those fields."""
    if type(state) is Order and added(state) != NOTHING_ADDED:
        state = replace(state, **dict(zip(ADDED, NOTHING_ADDED, strict=True)))
    return encode(state)


def adds(state: bytes, expected: tuple[Any, ...]) -> bool:
    """Whether each of those fields of a stored order is as its events say, or was left out."""
    try:
        stored = added(decode(state))
    except msgspec.DecodeError:
        return False
    each = zip(stored, expected, NOTHING_ADDED, strict=True)
    return all(left in (right, left_out) for left, right, left_out in each)
