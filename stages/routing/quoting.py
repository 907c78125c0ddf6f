"""Candidates as the quotes that events record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from events.money import Token
from events.quote import Leg, Quote, TokenWarning
from stages.pools.contract import fees_of
from stages.routing.route import Candidate, RejectedPool, Request, Step

BESIDE, AFTER = "+", ">"
"""Between the names of a route's pools: side by side, one hop after the other."""

Named = Callable[[str], Token]
"""The token of a mint."""


def as_quote(
    value: Candidate | RejectedPool,
    request: Request,
    named: Named,
    max_impact_ppm: int,
    warned: Mapping[str, Sequence[str]],
) -> Quote:
    """A quote, with the refusal beside its amounts where its price impact is too high.

    `warned`: the codes of `events.token_warnings` by mint.
    """
    if isinstance(value, RejectedPool):
        listed = value.way.listed
        amount_in = 0 if request.exact_out else request.amount
        return Quote(
            listed.family.dex, listed.pool.address, amount_in, 0, 0, listed.slot, value.reason
        )
    dexes = [
        BESIDE.join(dict.fromkeys(step.way.listed.family.dex for step in hop)) for hop in value.hops
    ]
    pools = [BESIDE.join(step.way.listed.pool.address for step in hop) for hop in value.hops]
    return Quote(
        dex=AFTER.join(dict.fromkeys(dexes)),
        pool=AFTER.join(pools),
        amount_in=value.amount_in,
        amount_out=value.amount_out,
        fee=_fee(value),
        slot=min(step.way.listed.slot for step in value.steps),
        error="price-impact-too-high" if value.impact_ppm > max_impact_ppm else "",
        price_impact_ppm=value.impact_ppm,
        cost=value.cost,
        legs=tuple(_leg(step, named) for step in value.steps),
        warnings=_warnings(value, named, warned),
    )


def _warnings(
    candidate: Candidate, named: Named, warned: Mapping[str, Sequence[str]]
) -> tuple[TokenWarning, ...]:
    """Of every token of the route, once each."""
    pools = [step.way.listed.pool for step in candidate.steps]
    mints = dict.fromkeys(mint for pool in pools for mint in (pool.mint_a, pool.mint_b))
    return tuple(
        TokenWarning(code, named(mint).symbol) for mint in mints for code in warned.get(mint, ())
    )


def _leg(step: Step, named: Named) -> Leg:
    family, pool, _ = step.way.listed
    mints = (pool.mint_a, pool.mint_b) if step.way.a_to_b else (pool.mint_b, pool.mint_a)
    token_in, token_out = map(named, mints)
    return Leg(
        dex=family.dex,
        family=family.name,
        pool=pool.address,
        token_in=token_in.symbol,
        token_out=token_out.symbol,
        decimals_in=token_in.decimals,
        decimals_out=token_out.decimals,
        amount_in=step.swap.amount_in,
        amount_out=step.swap.amount_out,
        fee=step.swap.fee,
        fee_on_output=step.swap.fee_on_output,
        price_impact_ppm=step.impact_ppm,
        exact_out=step.exact_out,
        transfer_fee_in=step.swap.transfer_fee_in,
        transfer_fee_out=step.swap.transfer_fee_out,
    )


def _fee(candidate: Candidate) -> int:
    """All fees in base units of token_in, each valued at the rate of its own swap, those of a
    second hop at the rate of the whole first one; rounded up.
    """
    total = 0
    for number, hop in enumerate(candidate.hops):
        for step in hop:
            fee, fee_out = fees_of(step.swap)
            fee += -(-fee_out * step.swap.amount_in // max(1, step.swap.amount_out + fee_out))
            if number:
                before = sum(first.swap.amount_out for first in candidate.hops[0])
                fee = -(-fee * candidate.amount_in // max(1, before))
            total += fee
    return total
