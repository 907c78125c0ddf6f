"""Compute units for the ticks or bins that a swap crosses, and for those that it may. Pure.

Between the simulation of a swap and its landing others swap too. The price may move as far as the
swap's threshold allows, and on the way it may come to where ticks or bins lie more densely.
"""

from __future__ import annotations

from typing import NamedTuple

from stages.pools.contract import Clock, Rejected, Swap, SwapTerms
from stages.venues.solana.transaction.signing import Leg

SPARE_MAX = 200_000
"""Units for what a swap may cross besides: a priority fee is paid for all that is asked for, and
few swaps cross that much more."""
_FIRST_PART, _GROWTH = 4, 4
"""The swaps of others before it: first a part of its own amount, then so many times as much."""


class Crossing(NamedTuple):
    """Compute units of the ticks or bins that a swap crosses."""

    now: int
    """Of those that it crosses as the pool is now."""
    spare: int
    """Of those that it may cross besides when it lands; at least one."""


def crossing(leg: Leg, clock: Clock) -> Crossing:
    """The ticks or bins that a swap crosses; 0 where the family has none."""
    units = leg.family.cu_step
    if not units:
        return Crossing(0, 0)
    try:
        swap = _quoted(leg, leg.terms.amount, clock)
    except Rejected:  # the simulation will tell
        return Crossing(0, units)
    spare = 1 + _within_reach(leg, swap, clock)
    return Crossing(units * swap.steps, min(SPARE_MAX, units * spare))


def _within_reach(leg: Leg, swap: Swap, clock: Clock) -> int:
    """How many ticks or bins lie beyond those that it crosses, up to where it may end: others swap
    before it, ever more, until the threshold is missed.
    """
    amount, steps = leg.terms.amount, swap.steps
    others = max(1, amount // _FIRST_PART)
    while leg.family.cu_step * (steps - swap.steps) < SPARE_MAX:
        try:
            before = _quoted(leg, others, clock)
            both = _quoted(leg, others + amount, clock)
        except Rejected:
            break
        steps = both.steps
        if not _met(leg.terms, before, both):
            break
        others *= _GROWTH
    return steps - swap.steps


def _quoted(leg: Leg, amount: int, clock: Clock) -> Swap:
    quote = leg.pool.exact_out if leg.terms.exact_out else leg.pool.exact_in
    return quote(amount, leg.a_to_b, clock)


def _met(terms: SwapTerms, before: Swap, both: Swap) -> bool:
    """Whether the second part of a swap meets a threshold, after the first."""
    if terms.exact_out:
        return both.amount_in - before.amount_in <= terms.threshold
    return both.amount_out - before.amount_out >= terms.threshold
