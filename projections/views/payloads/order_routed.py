"""The payload of `OrderRouted`."""

from __future__ import annotations

from typing import Self

from msgspec import UNSET, UnsetType

from events import best_quote
from events.money import to_tokens
from events.types import OrderRouted
from projections.views.formats import bps
from projections.views.payloads.base import Payload
from projections.views.schemas import Amount, Bps, Leg, Price, Quote, TokenWarning


class OrderRoutedPayload(Payload):
    """Adds the route, all quotes, and the bound that is fixed from here on."""

    dex: str
    pool: str
    price: Price
    quotes: list[Quote]
    min_amount_out: Amount
    amount_out: Amount
    why: str | UnsetType = UNSET
    price_impact_bps: Bps | UnsetType = UNSET
    legs: list[Leg] | UnsetType = UNSET
    warnings: list[TokenWarning] | UnsetType = UNSET
    amount_in: Amount | UnsetType = UNSET
    max_amount_in: Amount | UnsetType = UNSET

    @classmethod
    def from_event(cls, fact: OrderRouted) -> Self:
        """See Payload."""
        exact_out = bool(fact.max_amount_in)
        added = cls(
            dex=fact.dex,
            pool=fact.pool,
            price=fact.price,
            quotes=[
                Quote.of(quote, fact.decimals_in, fact.decimals_out, exact_out=exact_out)
                for quote in fact.quotes
            ],
            min_amount_out=to_tokens(fact.min_amount_out, fact.decimals_out),
            amount_out=to_tokens(fact.amount_out, fact.decimals_out),
        )
        if fact.chosen >= 0:
            chosen = fact.quotes[fact.chosen]
            added.why = best_quote.why(fact.quotes, fact.chosen, exact_out=exact_out)
            added.price_impact_bps = bps(chosen.price_impact_ppm)
            added.legs = [Leg.of(leg) for leg in chosen.legs]
            added.warnings = [TokenWarning.of(warning) for warning in chosen.warnings]
        if exact_out:
            added.amount_in = to_tokens(fact.amount_in, fact.decimals_in)
            added.max_amount_in = to_tokens(fact.max_amount_in, fact.decimals_in)
        return added
