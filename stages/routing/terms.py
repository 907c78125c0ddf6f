"""What each swap of a route promises on chain, so that the whole keeps the order's bound.

Each program enforces the threshold of its own swap and knows nothing of the others: their sum has
to be the order's, rounded against us and never against the order.
"""

from __future__ import annotations

from collections.abc import Sequence

from events.types import Leg
from stages.venues.pool import SwapTerms


def terms(legs: Sequence[Leg], *, amount_in: int, min_out: int, max_in: int) -> list[SwapTerms]:
    """One a leg. `max_in` > 0 says that the output is exact; amounts are base units."""
    if max_in:
        expected = sum(leg.amount_in for leg in legs)
        return [SwapTerms(True, leg.amount_out, max_in * leg.amount_in // expected) for leg in legs]
    if is_hop(legs):
        first, last = legs
        # What the second takes in, the first has to yield: exactly that, for no more than we have.
        return [
            SwapTerms(True, first.amount_out, amount_in),
            SwapTerms(False, last.amount_in, max(1, min_out)),
        ]
    expected = sum(leg.amount_out for leg in legs)
    return [
        SwapTerms(False, leg.amount_in, max(1, -(-min_out * leg.amount_out // expected)))
        for leg in legs
    ]


def is_hop(legs: Sequence[Leg]) -> bool:
    """Whether the legs follow one another."""
    return len(legs) == 2 and legs[0].token_out == legs[1].token_in
