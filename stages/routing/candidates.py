"""The routes of a swap that are compared: each pool alone, the best splits, the best two hops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from events.reason_codes import ReasonCode
from stages.pools.contract import Rejected, Swap
from stages.routing.costs import Costs
from stages.routing.hops import Hops
from stages.routing.pool_graph import PoolDirection, PoolGraph, above, marginal
from stages.routing.route import Candidate, Limits, RejectedPool, Request, RouteFactory, stepped
from stages.routing.split import equalised, widened

SPLIT_WITH = 2
"""Pools that the best one is split with, one at a time: the next best ones."""
THIRD_OF = 4
"""Pools of which one may be the third of a split: the best ones."""


def candidates(
    graph: PoolGraph, request: Request, costs: Costs, limits: Limits
) -> list[Candidate | RejectedPool]:
    """All candidates, direct ones first, in the order of the graph. Empty: no pool leads there."""
    factory = RouteFactory(graph, request, costs)
    offered: list[Candidate | RejectedPool] = [
        _direct(factory, direction) for direction in graph.ways(request.mint_in, request.mint_out)
    ]
    direct = [candidate for candidate in offered if isinstance(candidate, Candidate)]
    direct.sort(key=factory.net, reverse=True)
    offered += _splits(factory, limits, direct)
    offered += Hops(factory, limits).candidates(direct)
    return offered


def _direct(factory: RouteFactory, direction: PoolDirection) -> Candidate | RejectedPool:
    try:
        step = factory.step(direction, factory.request.amount, factory.request.exact_out)
    except Rejected as error:
        return RejectedPool(direction, _reason(direction, error))
    if step.swap.amount_out < 1:
        return RejectedPool(direction, "amount-too-small")
    return factory.candidate("direct", (step,))


def _splits(factory: RouteFactory, limits: Limits, direct: Sequence[Candidate]) -> list[Candidate]:
    """Splits over two and three pools, each only where it pays more than fewer pools do."""
    pairs = list(_pairs(factory, limits, direct))
    if not pairs:
        return []
    best = max(pairs, key=factory.net)
    third = _third(factory, best, direct)
    if third is not None and factory.net(third) > factory.net(best) and limits.fits(third.steps):
        pairs.append(third)
    return pairs


def _pairs(
    factory: RouteFactory, limits: Limits, direct: Sequence[Candidate]
) -> Iterator[Candidate]:
    """Splits over the best pool and one of the next ones, where a split can pay."""
    request, graph = factory.request, factory.graph
    for other in direct[1 : 1 + SPLIT_WITH]:
        whole, (best,), (second,) = direct[0], direct[0].steps, other.steps
        # The second pool's first unit must beat the best one's last.
        if not above(graph.marginal(second.way), _last(graph, best.way, best.swap)):
            continue
        directions = best.way, second.way
        swaps = equalised(directions, request.amount, request.exact_out, graph)
        if swaps is None:
            continue
        candidate = _side_by_side(factory, directions, swaps)
        if factory.net(candidate) > factory.net(whole) and limits.fits(candidate.steps):
            yield candidate


def _third(factory: RouteFactory, pair: Candidate, direct: Sequence[Candidate]) -> Candidate | None:
    """The pair and a third pool, whose first unit pays most and beats the last unit of the pair."""
    graph = factory.graph
    first, second = pair.steps
    last = _last(graph, first.way, first.swap)
    best = None
    for other in direct[:THIRD_OF]:
        direction = other.steps[0].way
        if direction in (first.way, second.way):
            continue
        offered = graph.marginal(direction)
        if above(offered, last):
            last, best = offered, direction
    if best is None:
        return None
    directions = first.way, second.way, best
    added = factory.cost(directions) - pair.cost
    swaps = widened(
        directions,
        (first.swap, second.swap),
        factory.request.exact_out,
        graph,
        lambda gain: gain > added,
    )
    return None if swaps is None else _side_by_side(factory, directions, swaps)


def _side_by_side(
    factory: RouteFactory, directions: Sequence[PoolDirection], swaps: Sequence[Swap]
) -> Candidate:
    exact_out = factory.request.exact_out
    steps = [
        stepped(direction, swap, exact_out)
        for direction, swap in zip(directions, swaps, strict=True)
    ]
    return factory.candidate("split", tuple(steps))


def _last(graph: PoolGraph, direction: PoolDirection, swap: Swap) -> tuple[int, int]:
    """The price of the next unit after a swap: out per in."""
    return marginal(swap.after, direction.a_to_b, graph.clock)


def _reason(direction: PoolDirection, error: Rejected) -> ReasonCode:
    known = direction.listed.family.errors.get(error.error)
    return known.reason if known else "pool-refused"
