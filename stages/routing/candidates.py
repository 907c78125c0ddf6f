"""Every route worth comparing for a swap: each pool by itself, the best split, the best hops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from stages.routing.board import Board, Way, above, marginal
from stages.routing.costs import Costs
from stages.routing.split import equalised
from stages.venues.pool import PPM, Rejected, Swap, impact_ppm

SPLIT_WITH = 2
"""So many of the next best pools the best one is split with, one at a time."""
HOP_POOLS = 3
"""So many pools of either hop are combined: the very best may not fit into one transaction."""
BPS = 10_000


class Request(NamedTuple):
    """What is to be swapped. `amount` is of mint_in, or of mint_out if `exact_out`."""

    mint_in: str
    mint_out: str
    amount: int
    exact_out: bool = False


class Step(NamedTuple):
    """One swap of a route, quoted."""

    way: Way
    exact_out: bool
    swap: Swap
    impact_ppm: int


class Candidate(NamedTuple):
    """A route: its steps side by side (`split`) or one after the other (`hop`)."""

    kind: Literal["direct", "split", "hop"]
    steps: tuple[Step, ...]
    amount_in: int
    amount_out: int
    impact_ppm: int
    cost: int
    """Of the transaction, in base units of mint_out, or of mint_in if the output is exact."""


class Declined(NamedTuple):
    """A pool that would not swap this."""

    way: Way
    reason: str


class Limits(NamedTuple):
    """How a route may look."""

    hop_slack_bps: int
    """So much less than the first hop's output the second takes in: prices move meanwhile."""
    fits: Callable[[Sequence[Step]], bool] = lambda _: True
    """Whether these swaps fit into one transaction."""


def candidates(
    board: Board, request: Request, costs: Costs, limits: Limits
) -> list[Candidate | Declined]:
    """All of them, direct ones in the order of the board. Empty where no pool leads there."""
    search = _Search(board, request, costs, limits)
    found: list[Candidate | Declined] = list(search.direct())
    direct = [one for one in found if isinstance(one, Candidate)]
    direct.sort(key=search.net, reverse=True)
    found += search.splits(direct)
    found += search.hops(direct)
    return found


class _Search:
    def __init__(self, board: Board, request: Request, costs: Costs, limits: Limits) -> None:
        self._board = board
        self._request = request
        self._costs = costs
        self._limits = limits

    def net(self, one: Candidate) -> int:
        """What is compared: the more the better."""
        if self._request.exact_out:
            return -(one.amount_in + one.cost)
        return one.amount_out - one.cost

    def direct(self) -> list[Candidate | Declined]:
        request = self._request
        return [self._direct(way) for way in self._board.ways(request.mint_in, request.mint_out)]

    def _direct(self, way: Way) -> Candidate | Declined:
        try:
            step = self._step(way, self._request.amount, self._request.exact_out)
        except Rejected as error:
            return Declined(way, _reason(way, error))
        if step.swap.amount_out < 1:
            return Declined(way, "amount-too-small")
        return self._candidate("direct", (step,))

    def splits(self, direct: Sequence[Candidate]) -> list[Candidate]:
        """The best pool shared with each of the next, where that can pay at all."""
        if len(direct) < 2:
            return []
        best, whole = direct[0].steps[0], direct[0]
        last = marginal(best.swap.after, best.way.a_to_b, self._board.clock)
        found = []
        for other in direct[1 : 1 + SPLIT_WITH]:
            second = other.steps[0].way
            # The second pool's first unit must beat the best one's last.
            if not above(self._board.marginal(second), last):
                continue
            ways = best.way, second
            shares = equalised(ways, self._request.amount, self._request.exact_out, self._board)
            if shares is None:
                continue
            steps = tuple(
                _stepped(way, swap, self._request.exact_out)
                for way, swap in zip(ways, shares, strict=True)
            )
            one = self._candidate("split", steps)
            if self.net(one) > self.net(whole) and self._limits.fits(steps):
                found.append(one)
        return found

    def hops(self, direct: Sequence[Candidate]) -> list[Candidate]:
        """Through each middle mint by the best pools, where there is no pool or it pays more.

        An exact output is never asked for in two hops: what the first yields too much would be
        left in a third token.
        """
        request = self._request
        if request.exact_out:
            return []
        found = []
        for middle in self._costs.middles:
            if middle in (request.mint_in, request.mint_out):
                continue
            one = self._hop(middle, direct)
            if one is not None and (not direct or self.net(one) > self.net(direct[0])):
                found.append(one)
        return found

    def _hop(self, middle: str, direct: Sequence[Candidate]) -> Candidate | None:
        """The best pair of pools that fits into one transaction."""
        request, board = self._request, self._board
        firsts = board.ways(request.mint_in, middle)
        seconds = board.ways(middle, request.mint_out)
        if not firsts or not seconds or not self._may_pay(firsts, seconds, direct):
            return None
        pairs = [
            pair
            for first in self._best(firsts, request.amount)
            for pair in self._through(first, seconds)
        ]
        pairs.sort(key=self.net, reverse=True)
        return next((pair for pair in pairs if self._limits.fits(pair.steps)), None)

    def _through(self, first: Step, seconds: Sequence[Way]) -> Iterator[Candidate]:
        """What the first swap yields, less some slack, through the second pools.

        The second swap's input is written into the transaction: the first must yield exactly it.
        """
        through = first.swap.amount_out * (BPS - self._limits.hop_slack_bps) // BPS
        try:
            first = self._step(first.way, through, exact_out=True)
        except Rejected:
            return
        if first.swap.amount_in <= self._request.amount:
            for second in self._best(seconds, through):
                yield self._candidate("hop", (first, second))

    def _may_pay(
        self, firsts: Sequence[Way], seconds: Sequence[Way], direct: Sequence[Candidate]
    ) -> bool:
        """Whether the best prices of both hops together beat what the best pool pays."""
        if not direct:
            return True
        paid = direct[0].amount_out, direct[0].amount_in
        price = self._board.marginal
        return any(
            above((one[0] * two[0], one[1] * two[1]), paid)
            for one in map(price, firsts)
            for two in map(price, seconds)
        )

    def _best(self, ways: Sequence[Way], amount: int) -> list[Step]:
        """What the best of these pools would pay for an amount, the best first."""
        found = []
        for way in ways if amount else ():
            try:
                step = self._step(way, amount, exact_out=False)
            except Rejected:
                continue
            if step.swap.amount_out:
                found.append(step)
        found.sort(key=lambda step: step.swap.amount_out, reverse=True)
        return found[:HOP_POOLS]

    def _step(self, way: Way, amount: int, exact_out: bool) -> Step:
        pool = way.listed.pool
        quote = pool.exact_out if exact_out else pool.exact_in
        return _stepped(way, quote(amount, way.a_to_b, self._board.clock), exact_out)

    def _candidate(
        self, kind: Literal["direct", "split", "hop"], steps: tuple[Step, ...]
    ) -> Candidate:
        request = self._request
        if kind == "hop":
            amount_in, amount_out = steps[0].swap.amount_in, steps[-1].swap.amount_out
            kept = PPM
            for step in steps:
                kept = kept * (PPM - step.impact_ppm) // PPM
            impact = PPM - kept
        else:
            amount_in = sum(step.swap.amount_in for step in steps)
            amount_out = sum(step.swap.amount_out for step in steps)
            weighted = sum(step.impact_ppm * step.swap.amount_in for step in steps)
            impact = -(-weighted // amount_in) if amount_in else 0
        lamports = self._costs.lamports(sum(s.way.listed.family.cu_limit for s in steps))
        token = request.mint_in if request.exact_out else request.mint_out
        cost = self._costs.worth(self._board, lamports, token)
        return Candidate(kind, steps, amount_in, amount_out, impact, cost)


def _stepped(way: Way, swap: Swap, exact_out: bool) -> Step:
    return Step(way, exact_out, swap, impact_ppm(swap, way.listed.pool.spot(way.a_to_b)))


def _reason(way: Way, error: Rejected) -> str:
    known = way.listed.family.errors.get(error.error)
    return known.reason if known else "pool-refused"
