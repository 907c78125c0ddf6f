"""What each swap of a route promises on chain, so that the whole keeps the order's bound.

Each program enforces the threshold of its own swap and knows nothing of the others: their sum has
to be the order's, rounded against us and never against the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from events.quote import Leg
from stages.pools.contract import SwapTerms


def terms(legs: Sequence[Leg], *, amount_in: int, min_out: int, max_in: int) -> list[SwapTerms]:
    """One a leg. `max_in` > 0 says that the output is exact; amounts are base units."""
    if max_in:
        return _exactly(legs, max_in)
    *before, last = hops_of(legs)
    # What the second hop takes in, the first has to yield: exactly that, for no more than we have.
    return [*(term for hop in before for term in _exactly(hop, amount_in)), *_least(last, min_out)]


def hops_of(legs: Sequence[Leg]) -> list[list[Leg]]:
    """The legs by hop: those that pay out one token stand side by side."""
    return [list(hop) for _, hop in groupby(legs, key=lambda leg: leg.token_out)]


def _exactly(hop: Sequence[Leg], most: int) -> list[SwapTerms]:
    """Each yields exactly its output; together they take no more than `most`."""
    expected = sum(leg.amount_in for leg in hop)
    return [SwapTerms(True, leg.amount_out, most * leg.amount_in // expected) for leg in hop]


def _least(hop: Sequence[Leg], least: int) -> list[SwapTerms]:
    """Each takes exactly its input; together they yield no less than `least`."""
    expected = sum(leg.amount_out for leg in hop)
    return [
        SwapTerms(False, leg.amount_in, max(1, -(-least * leg.amount_out // expected)))
        for leg in hop
    ]
