"""What older builds left out of the orders that they stored in heads and rows. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import fields, replace

from events.order.state import Order, decode, encode

ADDED = ("rent_lamports", "trigger_price")
"""Fields that came later than the events which they are taken from: in what an older build stored
they have their defaults, where the events say more. All other fields that came later are taken from
events, or parts of events, that came with them.
"""
NOTHING_ADDED = tuple(field.default for field in fields(Order) if field.name in ADDED)


def added(order: Order) -> tuple[Any, ...]:
    """Those fields of an order."""
    return tuple(getattr(order, name) for name in ADDED)


def basis(order: Order) -> bytes:
    """An order as this build encodes it, without those fields."""
    if added(order) != NOTHING_ADDED:
        order = replace(order, **dict(zip(ADDED, NOTHING_ADDED, strict=True)))
    return encode(order)


def adds(state: bytes, expected: tuple[Any, ...]) -> bool:
    """Whether each of those fields of a stored order is as its events say, or was left out."""
    try:
        stored = added(decode(state))
    except msgspec.DecodeError:
        return False
    each = zip(stored, expected, NOTHING_ADDED, strict=True)
    return all(one in (right, left_out) for one, right, left_out in each)
