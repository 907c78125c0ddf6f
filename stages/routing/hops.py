"""Routes of two hops through a middle mint, where each hop may be a split itself.

The inputs of the second hop are fixed in the transaction, and the first hop has to yield exactly
these. So it is quoted by exact outputs, which are slightly less than it could yield.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import chain, islice

from stages.pools.contract import Rejected
from stages.routing.pool_graph import PoolDirection, above, marginal
from stages.routing.route import Candidate, Limits, RouteFactory, Step, stepped
from stages.routing.split import COARSE_STEPS, equalised

HOP_POOLS = 3
"""Pools of each hop that are combined: the best two may not fit into one transaction."""
BPS = 10_000

_Hop = tuple[Step, ...]
"""Steps side by side."""


class Hops:
    """The two-hop routes of one request. An exact output has none: what the first hop yields in
    excess would be left in a third token.
    """

    def __init__(self, factory: RouteFactory, limits: Limits) -> None:
        self._factory = factory
        self._limits = limits

    def candidates(self, direct: Sequence[Candidate]) -> Iterator[Candidate]:
        """For each middle mint the best route of single pools that fits, and the best route with a
        split if it pays more. Both have to pay more than the best pool.
        """
        request, net = self._factory.request, self._factory.net
        if request.exact_out:
            return
        for middle in self._factory.costs.middles:
            if middle in (request.mint_in, request.mint_out):
                continue
            least = net(direct[0]) if direct else None
            for candidate in self._through(middle, direct):
                if least is None or net(candidate) > least:
                    least = net(candidate)
                    yield candidate

    def _through(self, middle: str, direct: Sequence[Candidate]) -> Iterator[Candidate]:
        """The best route of single pools, then the best one with a split."""
        request, graph = self._factory.request, self._factory.graph
        firsts = graph.ways(request.mint_in, middle)
        seconds = graph.ways(middle, request.mint_out)
        if not firsts or not seconds or not self._may_pay(firsts, seconds, direct):
            return
        best = self._best(firsts, request.amount)
        singles = [
            (first, second)
            for step in best
            for first in self._exactly([step])
            for second in self._best(seconds, _yields(first))
        ]
        yield from self._fitting((*first, second) for first, second in singles)
        yield from self._fitting(self._split(best, seconds))

    def _fitting(self, routes: Iterable[_Hop]) -> Iterator[Candidate]:
        """The best route that fits, if any does."""
        hops = [self._factory.candidate("hop", steps) for steps in routes]
        hops.sort(key=self._factory.net, reverse=True)
        yield from islice(
            (candidate for candidate in hops if self._limits.fits(candidate.steps)), 1
        )

    def _split(self, best: Sequence[Step], seconds: Sequence[PoolDirection]) -> Iterator[_Hop]:
        """One or two of the best pools of the first hop, with one or two of the second. At least
        one hop is split.
        """
        halves = self._shared(best, self._factory.request.amount)
        for first in chain(self._exactly(best[:1]), self._exactly(halves)):
            through = _yields(first)
            lasts = self._best(seconds, through)
            if len(first) > 1 and lasts:
                yield (*first, lasts[0])
            if shared := self._shared(lasts, through):
                yield (*first, *shared)

    def _exactly(self, steps: Sequence[Step]) -> Iterator[_Hop]:
        """The first hop that yields `hop_slack_bps` less than these steps, exactly, if it can."""
        less = BPS - self._limits.hop_slack_bps
        amounts = [step.swap.amount_out * less // BPS for step in steps]
        if not steps or not all(amounts):
            return
        try:
            hop = tuple(
                self._factory.step(step.way, amount, True)
                for step, amount in zip(steps, amounts, strict=True)
            )
        except Rejected:
            return
        if sum(step.swap.amount_in for step in hop) <= self._factory.request.amount:
            yield hop

    def _shared(self, best: Sequence[Step], amount: int) -> _Hop:
        """A split of the amount over the best two pools; empty where a split cannot pay."""
        if len(best) < 2:
            return ()
        (first, second), graph = best[:2], self._factory.graph
        last = marginal(first.swap.after, first.way.a_to_b, graph.clock)
        if not above(graph.marginal(second.way), last):
            return ()
        directions = first.way, second.way
        swaps = equalised(directions, amount, False, graph, COARSE_STEPS)
        if swaps is None:
            return ()
        return tuple(
            stepped(direction, swap, False)
            for direction, swap in zip(directions, swaps, strict=True)
        )

    def _may_pay(
        self,
        firsts: Sequence[PoolDirection],
        seconds: Sequence[PoolDirection],
        direct: Sequence[Candidate],
    ) -> bool:
        """Whether the best prices of both hops together beat the best pool."""
        if not direct:
            return True
        paid = direct[0].amount_out, direct[0].amount_in
        first, second = self._dearest(firsts), self._dearest(seconds)
        return above((first[0] * second[0], first[1] * second[1]), paid)

    def _dearest(self, directions: Sequence[PoolDirection]) -> tuple[int, int]:
        """The best price of these pools: out per in."""
        prices = map(self._factory.graph.marginal, directions)
        return reduce(lambda best, price: price if above(price, best) else best, prices)

    def _best(self, directions: Sequence[PoolDirection], amount: int) -> list[Step]:
        """The swaps of an amount through the best of these pools, the best first."""
        steps = []
        for direction in directions if amount else ():
            try:
                step = self._factory.step(direction, amount, False)
            except Rejected:
                continue
            if step.swap.amount_out:
                steps.append(step)
        steps.sort(key=lambda step: step.swap.amount_out, reverse=True)
        return steps[:HOP_POOLS]


def _yields(hop: _Hop) -> int:
    return sum(step.swap.amount_out for step in hop)
