"""Every route worth comparing for a swap: each pool by itself, the best splits, the best hops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from events.reason_codes import ReasonCode
from stages.pools.contract import Rejected, Swap
from stages.routing.board import Board, Way, above, marginal
from stages.routing.costs import Costs
from stages.routing.hops import Hops
from stages.routing.route import Candidate, Declined, Limits, Maker, Request, stepped
from stages.routing.split import equalised, widened

SPLIT_WITH = 2
"""So many of the next best pools the best one is split with, one at a time."""
THIRD_OF = 4
"""The third pool of a split is one of so many best."""


def candidates(
    board: Board, request: Request, costs: Costs, limits: Limits
) -> list[Candidate | Declined]:
    """All of them, direct ones in the order of the board. Empty where no pool leads there."""
    maker = Maker(board, request, costs)
    offered: list[Candidate | Declined] = [
        _direct(maker, way) for way in board.ways(request.mint_in, request.mint_out)
    ]
    direct = [one for one in offered if isinstance(one, Candidate)]
    direct.sort(key=maker.net, reverse=True)
    offered += _splits(maker, limits, direct)
    offered += Hops(maker, limits).candidates(direct)
    return offered


def _direct(maker: Maker, way: Way) -> Candidate | Declined:
    try:
        step = maker.step(way, maker.request.amount, maker.request.exact_out)
    except Rejected as error:
        return Declined(way, _reason(way, error))
    if step.swap.amount_out < 1:
        return Declined(way, "amount-too-small")
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
        ways = best.way, second.way
        swaps = equalised(ways, request.amount, request.exact_out, board)
        if swaps is None:
            continue
        one = _side_by_side(maker, ways, swaps)
        if maker.net(one) > maker.net(whole) and limits.fits(one.steps):
            yield one


def _third(maker: Maker, pair: Candidate, direct: Sequence[Candidate]) -> Candidate | None:
    """The pair with that pool beside it whose first unit gets most, if it beats their last."""
    board = maker.board
    first, second = pair.steps
    last = _last(board, first.way, first.swap)
    best = None
    for other in direct[:THIRD_OF]:
        way = other.steps[0].way
        if way in (first.way, second.way):
            continue
        offered = board.marginal(way)
        if above(offered, last):
            last, best = offered, way
    if best is None:
        return None
    ways = first.way, second.way, best
    added = maker.cost(ways) - pair.cost
    swaps = widened(
        ways, (first.swap, second.swap), maker.request.exact_out, board, lambda gain: gain > added
    )
    return None if swaps is None else _side_by_side(maker, ways, swaps)


def _side_by_side(maker: Maker, ways: Sequence[Way], swaps: Sequence[Swap]) -> Candidate:
    exact_out = maker.request.exact_out
    steps = [stepped(way, swap, exact_out) for way, swap in zip(ways, swaps, strict=True)]
    return maker.candidate("split", tuple(steps))


def _last(board: Board, way: Way, swap: Swap) -> tuple[int, int]:
    """What the next unit after a swap would get: out per in."""
    return marginal(swap.after, way.a_to_b, board.clock)


def _reason(way: Way, error: Rejected) -> ReasonCode:
    known = way.listed.family.errors.get(error.error)
    return known.reason if known else "pool-refused"
