"""The one place where an order's route becomes legs."""

from __future__ import annotations

from collections.abc import Mapping

from events.order import Order
from stages.venues import Refused
from stages.venues.pool import SwapTerms
from stages.venues.solana.accounts import AccountCache
from stages.venues.solana.pools_file import TokenEntry
from stages.venues.solana.transaction import Leg


def legs_of(order: Order, cache: AccountCache, tokens: Mapping[str, TokenEntry]) -> tuple[Leg, ...]:
    """The swaps of the order's route, with the pools as they are now. Raises Refused.

    So far a route is one pool, exact in, with the minimum that routing fixed.
    """
    found = cache.quotable(order.pool)
    for name in (order.token_in, order.token_out):
        if name not in tokens:
            raise Refused("no-route", f"{name} is not in POOLS")
    mints = {tokens[order.token_in].mint, tokens[order.token_out].mint}
    if mints != {found.pool.mint_a, found.pool.mint_b}:
        raise Refused("no-route", f"{order.pool} is of another pair")
    if not order.min_amount_out:
        raise Refused("no-minimum", "a swap without a minimum is never signed")
    a_to_b = found.pool.mint_a == tokens[order.token_in].mint
    terms = SwapTerms(exact_out=False, amount=order.amount_in, threshold=order.min_amount_out)
    return (Leg(found.family, found.pool, a_to_b, terms),)
