"""Splits of one amount over two or three pools, so that the next unit pays the same in each.

The output of a pool is concave in its input, so the best shares are where the marginal prices meet.
Bisection on the exact quotes computes them, and the best split that was seen is kept: a closed form
would ignore ticks, bins and rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from events.money import U64_MAX
from stages.pools.contract import Rejected, Swap
from stages.routing.pool_graph import PoolDirection, PoolGraph, above, marginal

STEPS = 20
"""Bisections of a split: the shares are exact to a millionth of the amount."""
COARSE_STEPS = 14
"""Bisections of a split in a hop. The loss grows with the square of the error: 1e-8."""
BRACKET_STEPS, THIRD_STEPS, REFINE_STEPS = 10, 8, 6
REFINE_PART = 32
"""A third pool moves the shares of the first two by at most 1 / REFINE_PART."""


class _Part(NamedTuple):
    """Swaps that share an amount, and the price of the next unit: out per in."""

    swaps: tuple[Swap, ...]
    marginal: tuple[int, int]


_Source = Callable[[int], _Part | None]
"""Quotes an amount. None: it cannot be swapped."""


def equalised(
    directions: tuple[PoolDirection, PoolDirection],
    amount: int,
    exact_out: bool,
    graph: PoolGraph,
    steps: int = STEPS,
) -> tuple[Swap, Swap] | None:
    """The two swaps that together pay most, or cost least. None: no split is possible.

    `amount` is the input, or the output if `exact_out`.
    """
    first, second = (_single(direction, exact_out, graph) for direction in directions)
    both = _meet(first, second, (0, amount), amount, exact_out, steps)
    return None if both is None else (both[0].swaps[0], both[1].swaps[0])


def widened(
    directions: tuple[PoolDirection, PoolDirection, PoolDirection],
    pair: tuple[Swap, Swap],
    exact_out: bool,
    graph: PoolGraph,
    pays: Callable[[int], bool],
) -> tuple[Swap, Swap, Swap] | None:
    """Three swaps of the amount that `pair` swaps, the best two swaps of the first two directions.

    None: the third pool gets no share, or `pays` declines the greatest gain that its share can have
    (in units of the output, or of the input if `exact_out`). The third pool is split against the
    first two in their ratio, and then these two again.
    """
    first, second, third = (_single(direction, exact_out, graph) for direction in directions)
    shares = [_given(swap, exact_out) for swap in pair]
    amount = sum(shares)
    last = marginal(pair[0].after, directions[0].a_to_b, graph.clock)
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
    """The greatest share of a third pool, and the greatest gain of it."""

    share: int
    gain: int


def _bracket(third: _Source, amount: int, last: tuple[int, int], exact_out: bool) -> _Most:
    """The share up to which the third pool pays more than the last unit of the others."""
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
        # It costs at least what the lower end does; the others save no more than for the upper end.
        return _Most(high, high * into // out - (lowest.swaps[0].amount_in if lowest else 0))
    if highest is None:  # the pool refuses the upper end: no bound is known
        return _Most(high, U64_MAX)
    # It pays at most what the upper end does; the others lose at least what the lower end does.
    return _Most(high, highest.swaps[0].amount_out - low * out // into)


def _given(swap: Swap, exact_out: bool) -> int:
    """The share of the split amount that a swap has."""
    return swap.amount_out if exact_out else swap.amount_in


def _meet(
    left: _Source,
    right: _Source,
    bounds: tuple[int, int],
    amount: int,
    exact_out: bool,
    steps: int,
) -> tuple[_Part, _Part] | None:
    """The best split of `amount` over two sources within `steps` bisections.

    `bounds` are those of the left share. None: no split was quoted.
    """
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


def _single(direction: PoolDirection, exact_out: bool, graph: PoolGraph) -> _Source:
    """The quotes of one pool."""
    pool = direction.listed.pool
    quote = pool.exact_out if exact_out else pool.exact_in

    def source(amount: int) -> _Part | None:
        try:
            swap = quote(amount, direction.a_to_b, graph.clock)
        except Rejected:
            return None
        if not (swap.amount_in and swap.amount_out):
            return None
        return _Part((swap,), marginal(swap.after, direction.a_to_b, graph.clock))

    return source


def _together(pair: tuple[_Source, _Source], shares: Sequence[int]) -> _Source:
    """The quotes of two pools in a fixed ratio."""
    whole = sum(shares)

    def source(amount: int) -> _Part | None:
        part = amount * shares[0] // whole
        first, second = pair[0](part), pair[1](amount - part)
        if first is None or second is None:
            return None
        # Their prices are equal except for rounding and ticks: the lower one counts.
        lower = second if above(first.marginal, second.marginal) else first
        return _Part((*first.swaps, *second.swaps), lower.marginal)

    return source
