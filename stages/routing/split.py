"""One amount over two or three pools, so that the next unit would get the same in each.

Every output is concave in what goes in, so the best shares are where the marginal prices meet: we
bisect on the exact quoters, and keep the best that was seen. No closed form would know of ticks,
bins and rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from events.money import U64_MAX
from stages.pools.contract import Rejected, Swap
from stages.routing.board import PoolDirection, PoolGraph, above, marginal

STEPS = 20
"""Shares are found to a millionth of the amount."""
COARSE_STEPS = 14
"""Near the best shares the loss grows with the square of the distance: a hundred-millionth."""
BRACKET_STEPS, THIRD_STEPS, REFINE_STEPS = 10, 8, 6
REFINE_PART = 32
"""A third pool moves the share between the first two by no more than such a part of them."""


class _Part(NamedTuple):
    """Swaps that share an amount, and what the next unit would get: out per in."""

    swaps: tuple[Swap, ...]
    marginal: tuple[int, int]


_Source = Callable[[int], _Part | None]
"""Quotes an amount; None where it cannot be swapped."""


def equalised(
    directions: tuple[PoolDirection, PoolDirection],
    amount: int,
    exact_out: bool,
    board: PoolGraph,
    steps: int = STEPS,
) -> tuple[Swap, Swap] | None:
    """The two swaps that together pay most (or cost least); None where no split is possible.

    `amount` goes in, or comes out if `exact_out`.
    """
    first, second = (_single(direction, exact_out, board) for direction in directions)
    both = _meet(first, second, (0, amount), amount, exact_out, steps)
    return None if both is None else (both[0].swaps[0], both[1].swaps[0])


def widened(
    directions: tuple[PoolDirection, PoolDirection, PoolDirection],
    pair: tuple[Swap, Swap],
    exact_out: bool,
    board: PoolGraph,
    pays: Callable[[int], bool],
) -> tuple[Swap, Swap, Swap] | None:
    """Three swaps for what `pair`, the best two swaps of the first two ways, swaps; None where
    the third pool takes no part, or so small a one that the gain does not pay (`pays`, of as much
    as it can be at most; units of the output, or of the input if `exact_out`).

    First the third against the other two in their ratio, then these two again.
    """
    first, second, third = (_single(direction, exact_out, board) for direction in directions)
    shares = [_given(swap, exact_out) for swap in pair]
    amount = sum(shares)
    last = marginal(pair[0].after, directions[0].a_to_b, board.clock)
    most = _bracket(third, amount, last, exact_out)
    if not pays(most.gain):
        return None
    both = _together((first, second), shares)
    met = _meet(third, both, (0, most.share), amount, exact_out, THIRD_STEPS)
    if met is None:
        return None
    added, rest = met
    kept = [_given(swap, exact_out) for swap in rest.swaps]
    reach = sum(kept) // REFINE_PART
    bounds = max(0, kept[0] - reach), min(sum(kept), kept[0] + reach)
    finer = _meet(first, second, bounds, sum(kept), exact_out, REFINE_STEPS)
    swaps = rest.swaps
    if finer is not None:
        swaps = max(swaps, (*finer[0].swaps, *finer[1].swaps), key=lambda s: _score(s, exact_out))
    return swaps[0], swaps[1], added.swaps[0]


class _Most(NamedTuple):
    """What a third pool can take part in at most, and what that can gain at most."""

    share: int
    gain: int


def _bracket(third: _Source, amount: int, last: tuple[int, int], exact_out: bool) -> _Most:
    """As far as it pays more than the others' last unit: their prices only rise as it takes."""
    low, high = 0, amount
    lowest = highest = None
    for _ in range(BRACKET_STEPS):
        share = (low + high) // 2
        if not low < share < high:
            break
        part = third(share)
        if part is None or not above(part.marginal, last):
            high, highest = share, part
        else:
            low, lowest = share, part
    out, into = last
    if exact_out:
        # It costs no less than its lower end, and the others save no more than for the upper.
        return _Most(high, high * into // out - (lowest.swaps[0].amount_in if lowest else 0))
    if highest is None:  # it refuses so much: nothing is known of it
        return _Most(high, U64_MAX)
    # It pays no more than its upper end, and the others lose no less than for the lower.
    return _Most(high, highest.swaps[0].amount_out - low * out // into)


def _given(swap: Swap, exact_out: bool) -> int:
    """Its share of the amount that is shared."""
    return swap.amount_out if exact_out else swap.amount_in


def _meet(
    left: _Source,
    right: _Source,
    bounds: tuple[int, int],
    amount: int,
    exact_out: bool,
    steps: int,
) -> tuple[_Part, _Part] | None:
    """The best of so many looks at `amount` over two sources; the left share lies in `bounds`."""
    best: tuple[int, tuple[_Part, _Part]] | None = None
    low, high = bounds
    for _ in range(steps):
        share = (low + high) // 2
        if not low < share < high:
            break
        first, second = left(share), right(amount - share)
        if first is None and second is None:
            break
        if first is None:
            high = share
            continue
        if second is None:
            low = share
            continue
        score = _score((*first.swaps, *second.swaps), exact_out)
        if best is None or score > best[0]:
            best = score, (first, second)
        if above(first.marginal, second.marginal):
            low = share
        else:
            high = share
    return best[1] if best else None


def _score(swaps: Sequence[Swap], exact_out: bool) -> int:
    if exact_out:
        return -sum(swap.amount_in for swap in swaps)
    return sum(swap.amount_out for swap in swaps)


def _single(direction: PoolDirection, exact_out: bool, board: PoolGraph) -> _Source:
    """One pool."""
    pool = direction.listed.pool
    quote = pool.exact_out if exact_out else pool.exact_in

    def source(amount: int) -> _Part | None:
        try:
            swap = quote(amount, direction.a_to_b, board.clock)
        except Rejected:
            return None
        if not (swap.amount_in and swap.amount_out):
            return None
        return _Part((swap,), marginal(swap.after, direction.a_to_b, board.clock))

    return source


def _together(pair: tuple[_Source, _Source], shares: Sequence[int]) -> _Source:
    """Two pools in a fixed ratio."""
    whole = sum(shares)

    def source(amount: int) -> _Part | None:
        part = amount * shares[0] // whole
        first, second = pair[0](part), pair[1](amount - part)
        if first is None or second is None:
            return None
        # Their prices meet but for rounding and ticks: the lower one counts.
        lower = second if above(first.marginal, second.marginal) else first
        return _Part((*first.swaps, *second.swaps), lower.marginal)

    return source
