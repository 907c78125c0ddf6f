"""The one place where an order's route becomes swaps of a transaction."""

from __future__ import annotations

from collections.abc import Mapping

from events.order import Order
from events.types import Leg as Quoted
from stages.pools.contract import SwapTerms
from stages.routing.terms import terms
from stages.venues import VenueRefusal
from stages.venues.solana.accounts.cache import AccountCache
from stages.venues.solana.accounts.pools_file import TokenEntry
from stages.venues.solana.transaction.signing import Leg


def legs_of(order: Order, cache: AccountCache, tokens: Mapping[str, TokenEntry]) -> tuple[Leg, ...]:
    """The swaps of the order's route, with the pools as they are now. Raises VenueRefusal."""
    if not order.legs:
        raise VenueRefusal("no-route", "the route names no pools")
    if not order.min_amount_out:
        raise VenueRefusal("no-minimum", "a swap without a minimum is never signed")
    swap_terms = terms(
        order.legs,
        amount_in=order.amount_in,
        min_out=order.min_amount_out,
        max_in=0 if order.exact_amount_out is None else order.max_amount_in or 0,
    )
    return tuple(
        _leg(quoted, term, cache, tokens)
        for quoted, term in zip(order.legs, swap_terms, strict=True)
    )


def _leg(
    quoted: Quoted, terms: SwapTerms, cache: AccountCache, tokens: Mapping[str, TokenEntry]
) -> Leg:
    quotable = cache.quotable(quoted.pool)
    for name in (quoted.token_in, quoted.token_out):
        if name not in tokens:
            raise VenueRefusal("no-route", f"{name} is not in POOLS")
    mint_in, mint_out = tokens[quoted.token_in].mint, tokens[quoted.token_out].mint
    if {mint_in, mint_out} != {quotable.pool.mint_a, quotable.pool.mint_b}:
        raise VenueRefusal("no-route", f"{quoted.pool} is of another pair")
    return Leg(quotable.family, quotable.pool, quotable.pool.mint_a == mint_in, terms)
