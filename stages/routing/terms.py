"""The threshold of each swap of a route, so that the transaction keeps the bound of the order.

Each program enforces the threshold of its own swap only. Their sum has to be the bound of the
order, and rounding never weakens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from events.quote import Leg
from stages.pools.contract import SwapTerms


def terms(legs: Sequence[Leg], *, amount_in: int, min_out: int, max_in: int) -> list[SwapTerms]:
    """The terms of each leg. `max_in` > 0: the output is exact. Amounts are in base units."""
    if max_in:
        return _exactly(legs, max_in)
    *before, last = hops_of(legs)
    # The first hop yields exactly the input of the second, for at most the input of the order.
    return [*(term for hop in before for term in _exactly(hop, amount_in)), *_least(last, min_out)]


def hops_of(legs: Sequence[Leg]) -> list[list[Leg]]:
    """The legs by hop: consecutive legs with one output token."""
    return [list(hop) for _, hop in groupby(legs, key=lambda leg: leg.token_out)]


def _exactly(hop: Sequence[Leg], most: int) -> list[SwapTerms]:
    """Each leg yields exactly its output; together they take at most `most`."""
    expected = sum(leg.amount_in for leg in hop)
    return [SwapTerms(True, leg.amount_out, most * leg.amount_in // expected) for leg in hop]


def _least(hop: Sequence[Leg], least: int) -> list[SwapTerms]:
    """Each leg takes exactly its input; together they yield at least `least`."""
    expected = sum(leg.amount_out for leg in hop)
    return [
        SwapTerms(False, leg.amount_in, max(1, -(-least * leg.amount_out // expected)))
        for leg in hop
    ]
