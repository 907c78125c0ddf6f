"""A request for routes, and the routes: steps, amounts, price impact, cost."""

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
    """A swap to be routed. `amount` is in base units of mint_in, or of mint_out if `exact_out`."""

    mint_in: str
    mint_out: str
    amount: int
    exact_out: bool = False


class Step(NamedTuple):
    """One swap of a route."""

    way: PoolDirection
    exact_out: bool
    swap: Swap
    impact_ppm: int


class Candidate(NamedTuple):
    """A route: one pool (`direct`), several that share the amount (`split`), or two hops, each of
    which may be a split itself (`hop`).
    """

    kind: Kind
    steps: tuple[Step, ...]
    amount_in: int
    amount_out: int
    impact_ppm: int
    cost: int
    """The cost of the transaction, in mint_out, or in mint_in if the output is exact."""

    @property
    def hops(self) -> list[tuple[Step, ...]]:
        """The steps of each hop."""
        return hops_of(self.steps)


class RejectedPool(NamedTuple):
    """A pool that refuses the swap."""

    way: PoolDirection
    reason: ReasonCode


class Limits(NamedTuple):
    """Limits of a route."""

    hop_slack_bps: int
    """By how much the input of the second hop is less than the first could yield: prices move."""
    fits: Callable[[Sequence[Step]], bool] = lambda _: True
    """Whether these swaps fit into one transaction."""


class RouteFactory:
    """Creates the routes of one request and compares them."""

    def __init__(self, graph: PoolGraph, request: Request, costs: Costs) -> None:
        self.graph = graph
        self.request = request
        self.costs = costs

    def net(self, candidate: Candidate) -> int:
        """The value by which routes are compared, in base units; more is better."""
        if self.request.exact_out:
            return -(candidate.amount_in + candidate.cost)
        return candidate.amount_out - candidate.cost

    def step(self, direction: PoolDirection, amount: int, exact_out: bool) -> Step:
        """A swap of an amount through a pool. Raises Rejected."""
        pool = direction.listed.pool
        quote = pool.exact_out if exact_out else pool.exact_in
        return stepped(direction, quote(amount, direction.a_to_b, self.graph.clock), exact_out)

    def candidate(self, kind: Kind, steps: tuple[Step, ...]) -> Candidate:
        """The route of these steps, with its impact and cost."""
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
        """The cost of a transaction through these pools, in the token that is compared."""
        lamports = self.costs.lamports(
            sum(direction.listed.family.cu_limit for direction in directions)
        )
        request = self.request
        token = request.mint_in if request.exact_out else request.mint_out
        return self.costs.worth(self.graph, lamports, token)


def stepped(direction: PoolDirection, swap: Swap, exact_out: bool) -> Step:
    """The step of a swap."""
    return Step(
        direction, exact_out, swap, impact_ppm(swap, direction.listed.pool.spot(direction.a_to_b))
    )


def hops_of(steps: Sequence[Step]) -> list[tuple[Step, ...]]:
    """The steps by hop: consecutive steps with one output mint."""
    return [tuple(hop) for _, hop in groupby(steps, key=lambda step: step.way.mint_out)]


def _impact(side_by_side: Sequence[Step]) -> int:
    """The price impact of a hop: the mean of its steps weighted by input, rounded up."""
    amount_in = sum(step.swap.amount_in for step in side_by_side)
    weighted = sum(step.impact_ppm * step.swap.amount_in for step in side_by_side)
    return -(-weighted // amount_in) if amount_in else 0
