"""One amount over two pools, so that the next unit would get the same in either.

Both outputs are concave in what goes in, so the best shares are where the marginal prices meet: we
bisect on the exact quoters, and keep the best that was seen. No closed form would know of ticks,
bins and rounding.
"""

from __future__ import annotations

from stages.routing.board import Board, Way, above, marginal
from stages.venues.pool import Rejected, Swap

STEPS = 20
"""Shares are found to a millionth of the amount."""


def equalised(
    ways: tuple[Way, Way], amount: int, exact_out: bool, board: Board
) -> tuple[Swap, Swap] | None:
    """The two swaps that together pay most (or cost least); None where no split is possible.

    `amount` goes in, or comes out if `exact_out`.
    """
    best: tuple[int, tuple[Swap, Swap]] | None = None
    low, high = 0, amount
    for _ in range(STEPS):
        share = (low + high) // 2
        if not low < share < high:
            break
        first = _quote(ways[0], share, exact_out, board)
        second = _quote(ways[1], amount - share, exact_out, board)
        if first is None and second is None:
            break
        if first is None:
            high = share
            continue
        if second is None:
            low = share
            continue
        score = _score((first, second), exact_out)
        if best is None or score > best[0]:
            best = score, (first, second)
        if above(_marginal(ways[0], first, board), _marginal(ways[1], second, board)):
            low = share
        else:
            high = share
    return best[1] if best else None


def _score(swaps: tuple[Swap, Swap], exact_out: bool) -> int:
    if exact_out:
        return -(swaps[0].amount_in + swaps[1].amount_in)
    return swaps[0].amount_out + swaps[1].amount_out


def _marginal(way: Way, swap: Swap, board: Board) -> tuple[int, int]:
    return marginal(swap.after, way.a_to_b, board.clock)


def _quote(way: Way, amount: int, exact_out: bool, board: Board) -> Swap | None:
    pool = way.listed.pool
    quote = pool.exact_out if exact_out else pool.exact_in
    try:
        swap = quote(amount, way.a_to_b, board.clock)
    except Rejected:
        return None
    return swap if swap.amount_in and swap.amount_out else None
