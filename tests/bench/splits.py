"""Figure (k): what a split over pools pays more than the best pool alone, by amount of SOL.

Pure: pools laid out as the local chain lays them, and the router's own search. Costs are those of
the engine's defaults, so that a split which does not pay for its second leg gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from engine.localnet import genesis
from engine.localnet.genesis.market import BY_SYMBOL, POOLS, TOKENS, PoolPlan
from engine.localnet.state.accounts import Account, mint_account
from engine.localnet.state.addresses import raw
from engine.localnet.state.pools import Families
from engine.settings import Settings
from stages.pools.contract import Clock
from stages.pools.families import FAMILIES
from stages.routing.candidates import candidates
from stages.routing.costs import Costs
from stages.routing.pool_graph import Listed, PoolGraph
from stages.routing.route import Candidate, Limits, Request
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.yardsticks import Yardsticks

SOL, USDC = BY_SYMBOL["SOL"], BY_SYMBOL["USDC"]
AMOUNTS_SOL = (1, 10, 100, 1_000, 10_000)
CLOCK = Clock(1_000, 1_800_000_000)
COSTS = Costs(Settings().cu_price_micro_lamports, SOL.mint, (SOL.mint, USDC.mint))
DEPTHS_SOL = (10_000, 4_000)
KEPT = 0.9975
"""What their fee leaves of the input."""
NEAR_BPS = 0.05
"""So near to the closed form: costs and rounding lie between."""


class Gain(NamedTuple):
    """A split beside the best pool alone, net of what the transaction costs."""

    bps: float
    split: Candidate | None


def by_amount(_: Subject, __: Yardsticks, ___: float) -> Outcome:
    """(k) What a split gains, by amount."""
    return Outcome(
        (
            *_figures("pools of 10 k and 4 k SOL", _board(TWO), closed_form_bps),
            *_figures("the local chain's pools", _board(POOLS)),
        )
    )


def closed_form_bps(amount_sol: int) -> float:
    """The most that two constant-product pools of one price can gain over the deeper alone."""
    deep, both, net = max(DEPTHS_SOL), sum(DEPTHS_SOL), amount_sol * KEPT
    return (both / deep * (deep + net) / (both + net) - 1) * 10_000


def gain(board: PoolGraph, amount_sol: int) -> Gain:
    """By the router's own search; one leg or two."""
    request = Request(SOL.mint, USDC.mint, amount_sol * 10**SOL.decimals)
    ones = [
        candidate
        for candidate in candidates(board, request, COSTS, Limits(hop_slack_bps=10))
        if isinstance(candidate, Candidate)
    ]
    alone = max(
        candidate.amount_out - candidate.cost for candidate in ones if candidate.kind == "direct"
    )
    split = max(
        (candidate for candidate in ones if candidate.kind == "split"),
        key=lambda candidate: candidate.amount_out - candidate.cost,
        default=None,
    )
    if split is None:
        return Gain(0.0, None)
    return Gain((split.amount_out - split.cost - alone) * 10_000 / alone, split)


def _figures(
    what: str, board: PoolGraph, expected: Callable[[int], float] | None = None
) -> Iterator[Figure]:
    for amount_sol in AMOUNTS_SOL:
        result = gain(board, amount_sol)
        targets: tuple[Target, ...] = ()
        if expected is not None:
            most = expected(amount_sol)
            near = abs(result.bps - most) <= NEAR_BPS
            targets = (Target(f"{most:,.2f} bps (closed form)", near),)
        yield Figure(
            letter="k",
            what=f"split of {amount_sol:,} SOL over {what}",
            value=result.bps,
            unit="bps",
            targets=targets,
            note=_shares(result.split),
        )


def _shares(split: Candidate | None) -> str:
    if split is None:
        return "no split pays for its second leg"
    parts = (
        f"{step.swap.amount_in * 100 / split.amount_in:.1f} % {step.way.listed.family.name}"
        for step in split.steps
    )
    return " + ".join(parts)


def _laid(plans: Iterable[PoolPlan]) -> dict[str, Account]:
    """What genesis lays out for these pools, their mints included."""
    account = {t.mint: mint_account(t.decimals, genesis.SUPPLY, genesis.FAUCET) for t in TOKENS}
    for plan in plans:
        account |= genesis.LAYOUTS[plan.family](plan)
    return account


def _board(plans: Sequence[PoolPlan]) -> PoolGraph:
    accounts, families = _laid(plans), Families(FAMILIES)
    pooled = (families.decode(plan.address, accounts.get) for plan in plans)
    return PoolGraph([Listed(item.family, item.pool, CLOCK.slot) for item in pooled if item], CLOCK)


TOKEN_A, TOKEN_B = sorted((SOL, USDC), key=lambda token: raw(token.mint))
TWO = tuple(
    PoolPlan(f"split:{sol}", "raydium-cpmm", TOKEN_A, TOKEN_B, int(sol * SOL.dollars))
    for sol in DEPTHS_SOL
)
