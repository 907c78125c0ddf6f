"""Routes of two hops, through the mints in the middle, where each hop may be a split itself.

The second hop's inputs are written into the transaction: the first has to yield exactly them, so
that it is quoted by its outputs, and a little less than it could give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import chain, islice

from stages.pools.contract import Rejected
from stages.routing.pool_graph import PoolDirection, above, marginal
from stages.routing.route import Candidate, Limits, Maker, Step, stepped
from stages.routing.split import COARSE_STEPS, equalised

HOP_POOLS = 3
"""So many pools of either hop are combined: the very best may not fit into one transaction."""
BPS = 10_000

_Hop = tuple[Step, ...]
"""Steps side by side."""


class Hops:
    """Searches for one request. An exact output is never asked for in two hops: what the first
    yields too much would be left in a third token.
    """

    def __init__(self, maker: Maker, limits: Limits) -> None:
        self._maker = maker
        self._limits = limits

    def candidates(self, direct: Sequence[Candidate]) -> Iterator[Candidate]:
        """Through each middle mint the best route of single pools that fits, and the best with a
        split in it where that pays more; both only where they pay more than the best pool.
        """
        request, net = self._maker.request, self._maker.net
        if request.exact_out:
            return
        for middle in self._maker.costs.middles:
            if middle in (request.mint_in, request.mint_out):
                continue
            least = net(direct[0]) if direct else None
            for candidate in self._through(middle, direct):
                if least is None or net(candidate) > least:
                    least = net(candidate)
                    yield candidate

    def _through(self, middle: str, direct: Sequence[Candidate]) -> Iterator[Candidate]:
        """The best of single pools, then the best of those with a split."""
        request, board = self._maker.request, self._maker.board
        firsts = board.ways(request.mint_in, middle)
        seconds = board.ways(middle, request.mint_out)
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
        """The best one that fits, if any does."""
        hops = [self._maker.candidate("hop", steps) for steps in routes]
        hops.sort(key=self._maker.net, reverse=True)
        yield from islice(
            (candidate for candidate in hops if self._limits.fits(candidate.steps)), 1
        )

    def _split(self, best: Sequence[Step], seconds: Sequence[PoolDirection]) -> Iterator[_Hop]:
        """The best pool of the first hop, or two, with the best of the second hop, or two; one
        hop at least is split.
        """
        halves = self._shared(best, self._maker.request.amount)
        for first in chain(self._exactly(best[:1]), self._exactly(halves)):
            through = _yields(first)
            lasts = self._best(seconds, through)
            if len(first) > 1 and lasts:
                yield (*first, lasts[0])
            if shared := self._shared(lasts, through):
                yield (*first, *shared)

    def _exactly(self, steps: Sequence[Step]) -> Iterator[_Hop]:
        """A first hop that yields a little less than these steps, exactly; none where it cannot."""
        less = BPS - self._limits.hop_slack_bps
        amounts = [step.swap.amount_out * less // BPS for step in steps]
        if not steps or not all(amounts):
            return
        try:
            hop = tuple(
                self._maker.step(step.way, amount, True)
                for step, amount in zip(steps, amounts, strict=True)
            )
        except Rejected:
            return
        if sum(step.swap.amount_in for step in hop) <= self._maker.request.amount:
            yield hop

    def _shared(self, best: Sequence[Step], amount: int) -> _Hop:
        """The amount over the best two pools; empty where that cannot pay."""
        if len(best) < 2:
            return ()
        (first, two), board = best[:2], self._maker.board
        last = marginal(first.swap.after, first.way.a_to_b, board.clock)
        if not above(board.marginal(two.way), last):
            return ()
        directions = first.way, two.way
        swaps = equalised(directions, amount, False, board, COARSE_STEPS)
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
        """Whether the best prices of both hops together beat what the best pool pays."""
        if not direct:
            return True
        paid = direct[0].amount_out, direct[0].amount_in
        candidate, two = self._dearest(firsts), self._dearest(seconds)
        return above((candidate[0] * two[0], candidate[1] * two[1]), paid)

    def _dearest(self, directions: Sequence[PoolDirection]) -> tuple[int, int]:
        """The best price of these pools: out per in. Each is asked once."""
        prices = map(self._maker.board.marginal, directions)
        return reduce(lambda best, price: price if above(price, best) else best, prices)

    def _best(self, directions: Sequence[PoolDirection], amount: int) -> list[Step]:
        """What the best of these pools would pay for an amount, the best first."""
        steps = []
        for direction in directions if amount else ():
            try:
                step = self._maker.step(direction, amount, False)
            except Rejected:
                continue
            if step.swap.amount_out:
                steps.append(step)
        steps.sort(key=lambda step: step.swap.amount_out, reverse=True)
        return steps[:HOP_POOLS]


def _yields(hop: _Hop) -> int:
    return sum(step.swap.amount_out for step in hop)
