"""Raydium CLMM: the limit orders that rest at one tick, and what a swap that arrives there takes.

Orders at a tick above the current one sell token 0, others token 1, at the price of the tick. The
rules are those that the program's source of 2026-07-16 and the vectors show.
"""

from __future__ import annotations

from typing import NamedTuple

from stages.pools.contract import PPM, Rejected
from stages.pools.raydium.clmm.maths import U64_MAX


class Orders(NamedTuple):
    """The limit orders at a tick. Amounts in base units of the token that they sell."""

    phase: int
    """How often the open orders have begun to be filled."""
    open: int
    """The amount of the orders that no swap has reached."""
    part: int
    """The remaining amount of the orders that a swap has reached."""
    ratio: int
    """The part of the latter that is not filled, Q64.64."""
    alone: bool
    """Whether no liquidity begins or ends at the tick."""

    @property
    def total(self) -> int:
        """The amount that the orders sell."""
        return self.open + self.part

    def less(self, amount: int) -> Orders:
        """The orders after `amount` of them was filled: those that were reached before first."""
        phase, opened, part, ratio, alone = self
        first = min(amount, part)
        if first:
            ratio = ratio * (part - first) // part
        if rest := amount - first:
            left = opened - rest
            return Orders(phase + 1, 0, left, (left << 64) // opened, alone)
        return Orders(phase, opened, part - first, ratio, alone)


class Fill(NamedTuple):
    """The amounts that a swap takes at a tick."""

    paid: int
    """In base units of the input, without a fee on it."""
    got: int
    """In base units of the output, less a fee on it."""
    fee: int
    left: Orders


def fill(
    orders: Orders,
    sqrt_price: int,
    remaining: int,
    fee_ppm: int,
    *,
    a_to_b: bool,
    out: bool,
    on_input: bool,
) -> Fill:
    """Takes `remaining` of the input, or of the output if `out`, as far as the orders go.

    Raises Rejected (CalculateOverflow) where the input is not a u64.
    """
    square = sqrt_price * sqrt_price
    price = square >> 64 if a_to_b else -(-square >> 64)
    if out:
        gross = min(remaining, orders.total)
        if not on_input:
            gross = min(-(-gross * PPM // (PPM - fee_ppm)), orders.total)
        paid = _cost(gross, price, a_to_b)
        fee = _on_top(paid, fee_ppm) if on_input else 0
    else:
        fee = -(-remaining * fee_ppm // PPM) if on_input else 0
        paid = remaining - fee
        gross = paid * price >> 64 if a_to_b else (paid << 64) // price
        if gross > orders.total:
            gross = orders.total
            paid = _cost(gross, price, a_to_b)
            fee = _on_top(paid, fee_ppm) if on_input else 0
    if paid > U64_MAX:
        raise Rejected("CalculateOverflow", "an order costs more than a u64")
    left = orders.less(gross)
    if on_input:
        return Fill(paid, gross, fee, left)
    fee = -(-gross * fee_ppm // PPM)
    return Fill(paid, gross - fee, fee, left)


def _cost(amount: int, price: int, a_to_b: bool) -> int:
    """The input for `amount` of the output at `price` (Q64.64, token 1 for token 0), rounded up."""
    return -(-(amount << 64) // price) if a_to_b else -(-amount * price >> 64)


def _on_top(paid: int, fee_ppm: int) -> int:
    """The fee that comes on top of an input."""
    return -(-paid * fee_ppm // (PPM - fee_ppm))
