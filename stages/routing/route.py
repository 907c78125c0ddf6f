"""What is asked of the search, and the routes that it makes: steps, amounts, impact, cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from events.reason_codes import ReasonCode
from stages.pools.contract import PPM, Swap, impact_ppm
from stages.routing.costs import Costs
from stages.routing.pool_graph import PoolDirection, PoolGraph

Kind = Literal["direct", "split", "hop"]


class Request(NamedTuple):
    """What is to be swapped. `amount` is of mint_in, or of mint_out if `exact_out`."""

    mint_in: str
    mint_out: str
    amount: int
    exact_out: bool = False


class Step(NamedTuple):
    """One swap of a route, quoted."""

    way: PoolDirection
    exact_out: bool
    swap: Swap
    impact_ppm: int


class Candidate(NamedTuple):
    """A route: its steps side by side (`split`) or one hop after the other (`hop`), where each
    hop may be a split itself.
    """

    kind: Kind
    steps: tuple[Step, ...]
    amount_in: int
    amount_out: int
    impact_ppm: int
    cost: int
    """Of the transaction, in base units of mint_out, or of mint_in if the output is exact."""

    @property
    def hops(self) -> list[tuple[Step, ...]]:
        """The steps of each hop, side by side."""
        return hops_of(self.steps)


class RejectedPool(NamedTuple):
    """A pool that would not swap this."""

    way: PoolDirection
    reason: ReasonCode


class Limits(NamedTuple):
    """How a route may look."""

    hop_slack_bps: int
    """So much less than the first hop's output the second takes in: prices move meanwhile."""
    fits: Callable[[Sequence[Step]], bool] = lambda _: True
    """Whether these swaps fit into one transaction."""


class Maker:
    """Makes routes for one request, and compares them."""

    def __init__(self, board: PoolGraph, request: Request, costs: Costs) -> None:
        self.board = board
        self.request = request
        self.costs = costs

    def net(self, candidate: Candidate) -> int:
        """What is compared: the more the better."""
        if self.request.exact_out:
            return -(candidate.amount_in + candidate.cost)
        return candidate.amount_out - candidate.cost

    def step(self, direction: PoolDirection, amount: int, exact_out: bool) -> Step:
        """One swap, quoted. Raises Rejected."""
        pool = direction.listed.pool
        quote = pool.exact_out if exact_out else pool.exact_in
        return stepped(direction, quote(amount, direction.a_to_b, self.board.clock), exact_out)

    def candidate(self, kind: Kind, steps: tuple[Step, ...]) -> Candidate:
        """The route of these steps."""
        hops = hops_of(steps)
        kept = PPM
        for hop in hops:
            kept = kept * (PPM - _impact(hop)) // PPM
        return Candidate(
            kind,
            steps,
            sum(step.swap.amount_in for step in hops[0]),
            sum(step.swap.amount_out for step in hops[-1]),
            PPM - kept,
            self.cost([step.way for step in steps]),
        )

    def cost(self, directions: Sequence[PoolDirection]) -> int:
        """Of a transaction of swaps through these pools, in the token that is compared."""
        lamports = self.costs.lamports(
            sum(direction.listed.family.cu_limit for direction in directions)
        )
        request = self.request
        token = request.mint_in if request.exact_out else request.mint_out
        return self.costs.worth(self.board, lamports, token)


def stepped(direction: PoolDirection, swap: Swap, exact_out: bool) -> Step:
    """A step whose swap is known."""
    return Step(
        direction, exact_out, swap, impact_ppm(swap, direction.listed.pool.spot(direction.a_to_b))
    )


def hops_of(steps: Sequence[Step]) -> list[tuple[Step, ...]]:
    """The steps by hop: those that lead to one mint stand side by side."""
    return [tuple(hop) for _, hop in groupby(steps, key=lambda step: step.way.mint_out)]


def _impact(side_by_side: Sequence[Step]) -> int:
    """The impact of a hop: that of its steps by what goes into each, rounded up."""
    amount_in = sum(step.swap.amount_in for step in side_by_side)
    weighted = sum(step.impact_ppm * step.swap.amount_in for step in side_by_side)
    return -(-weighted // amount_in) if amount_in else 0
