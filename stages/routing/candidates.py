"""Every route worth comparing for a swap: each pool by itself, the best splits, the best hops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from events.reason_codes import ReasonCode
from stages.pools.contract import Rejected, Swap
from stages.routing.costs import Costs
from stages.routing.hops import Hops
from stages.routing.pool_graph import PoolDirection, PoolGraph, above, marginal
from stages.routing.route import Candidate, Limits, Maker, RejectedPool, Request, stepped
from stages.routing.split import equalised, widened

SPLIT_WITH = 2
"""So many of the next best pools the best one is split with, one at a time."""
THIRD_OF = 4
"""The third pool of a split is one of so many best."""


def candidates(
    board: PoolGraph, request: Request, costs: Costs, limits: Limits
) -> list[Candidate | RejectedPool]:
    """All of them, direct ones in the order of the board. Empty where no pool leads there."""
    maker = Maker(board, request, costs)
    offered: list[Candidate | RejectedPool] = [
        _direct(maker, direction) for direction in board.ways(request.mint_in, request.mint_out)
    ]
    direct = [candidate for candidate in offered if isinstance(candidate, Candidate)]
    direct.sort(key=maker.net, reverse=True)
    offered += _splits(maker, limits, direct)
    offered += Hops(maker, limits).candidates(direct)
    return offered


def _direct(maker: Maker, direction: PoolDirection) -> Candidate | RejectedPool:
    try:
        step = maker.step(direction, maker.request.amount, maker.request.exact_out)
    except Rejected as error:
        return RejectedPool(direction, _reason(direction, error))
    if step.swap.amount_out < 1:
        return RejectedPool(direction, "amount-too-small")
    return maker.candidate("direct", (step,))


def _splits(maker: Maker, limits: Limits, direct: Sequence[Candidate]) -> list[Candidate]:
    """Splits over two pools and over three, where they pay more than what has fewer pools."""
    pairs = list(_pairs(maker, limits, direct))
    if not pairs:
        return []
    best = max(pairs, key=maker.net)
    third = _third(maker, best, direct)
    if third is not None and maker.net(third) > maker.net(best) and limits.fits(third.steps):
        pairs.append(third)
    return pairs


def _pairs(maker: Maker, limits: Limits, direct: Sequence[Candidate]) -> Iterator[Candidate]:
    """The best pool shared with each of the next, where that can pay at all."""
    request, board = maker.request, maker.board
    for other in direct[1 : 1 + SPLIT_WITH]:
        whole, (best,), (second,) = direct[0], direct[0].steps, other.steps
        # The second pool's first unit must beat the best one's last.
        if not above(board.marginal(second.way), _last(board, best.way, best.swap)):
            continue
        directions = best.way, second.way
        swaps = equalised(directions, request.amount, request.exact_out, board)
        if swaps is None:
            continue
        candidate = _side_by_side(maker, directions, swaps)
        if maker.net(candidate) > maker.net(whole) and limits.fits(candidate.steps):
            yield candidate


def _third(maker: Maker, pair: Candidate, direct: Sequence[Candidate]) -> Candidate | None:
    """The pair with that pool beside it whose first unit gets most, if it beats their last."""
    board = maker.board
    first, second = pair.steps
    last = _last(board, first.way, first.swap)
    best = None
    for other in direct[:THIRD_OF]:
        direction = other.steps[0].way
        if direction in (first.way, second.way):
            continue
        offered = board.marginal(direction)
        if above(offered, last):
            last, best = offered, direction
    if best is None:
        return None
    directions = first.way, second.way, best
    added = maker.cost(directions) - pair.cost
    swaps = widened(
        directions,
        (first.swap, second.swap),
        maker.request.exact_out,
        board,
        lambda gain: gain > added,
    )
    return None if swaps is None else _side_by_side(maker, directions, swaps)


def _side_by_side(
    maker: Maker, directions: Sequence[PoolDirection], swaps: Sequence[Swap]
) -> Candidate:
    exact_out = maker.request.exact_out
    steps = [
        stepped(direction, swap, exact_out)
        for direction, swap in zip(directions, swaps, strict=True)
    ]
    return maker.candidate("split", tuple(steps))


def _last(board: PoolGraph, direction: PoolDirection, swap: Swap) -> tuple[int, int]:
    """What the next unit after a swap would get: out per in."""
    return marginal(swap.after, direction.a_to_b, board.clock)


def _reason(direction: PoolDirection, error: Rejected) -> ReasonCode:
    known = direction.listed.family.errors.get(error.error)
    return known.reason if known else "pool-refused"
