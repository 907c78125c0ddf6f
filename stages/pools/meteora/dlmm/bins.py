"""Meteora DLMM: a bin, and what a swap leaves of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

BINS_PER_ARRAY = 70


class Bin(NamedTuple):
    """A price and the amounts offered at it, in base units."""

    x: int
    y: int
    price: int
    """Q64.64, y per x; 0 in a bin that was never used."""
    open_orders: int
    """Of limit orders that no swap has reached yet."""
    processing: int
    """The original amount of the limit orders that are being filled."""
    remaining: int
    """The remaining amount of those orders."""
    ask: int
    """1 where the limit orders sell x, 0 where they sell y."""


Bins = tuple[Bin, ...]
"""The seventy bins of an array."""


def layers_of(place: Bin, for_y: bool, takes_orders: bool) -> tuple[int, ...]:
    """The amounts of y (or x) that the bin sells: makers', then partly filled limit orders, then
    open ones.
    """
    makers = place.y if for_y else place.x
    if takes_orders and (place.remaining or place.open_orders) and (not place.ask) == for_y:
        return makers, place.remaining, place.open_orders
    return (makers,)


def sold_by(bins: Bins, for_y: bool, takes_orders: bool) -> int:
    """The amount of y (or x) that all bins of an array sell: the sum of `layers_of`, faster."""
    total = sum([place.y for place in bins] if for_y else [place.x for place in bins])
    if takes_orders:
        total += sum(
            place.remaining + place.open_orders
            for place in bins
            if (place.remaining or place.open_orders) and (not place.ask) == for_y
        )
    return total


def traded(place: Bin, for_y: bool, ins: Sequence[int], outs: Sequence[int]) -> Bin:
    """The bin afterwards. The payment of orders is set aside for them, out of the bin's amounts.

    Open orders that a swap reaches become those being filled.
    """
    x, y, price, opened, processing, remaining, ask = place
    if for_y:
        x, y = x + ins[0], y - outs[0]
    else:
        x, y = x - outs[0], y + ins[0]
    if len(outs) > 1:
        remaining -= outs[1]
        if outs[2]:
            opened, processing, remaining = 0, opened, opened - outs[2]
    return Bin(x, y, price, opened, processing, remaining, ask)
