"""The public view of `OrderRouted`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from events import best_quote
from events import quote as recorded
from events.money import to_tokens
from events.types import OrderRouted
from projections.views.formats import bps
from projections.views.payloads.base import EventView, Payload
from projections.views.schemas import Amount, Bps, Leg, Price, Quote, TokenWarning


class OrderRoutedPayload(Payload):
    """Adds the route, all quotes, and the bound, which is fixed from this event on."""

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


def _payload(fact: OrderRouted) -> OrderRoutedPayload:
    exact_out = bool(fact.max_amount_in)
    added = OrderRoutedPayload(
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


def _lines(fact: OrderRouted) -> list[str]:
    exact_out = bool(fact.max_amount_in)
    quotes = [_quote(quote, fact, exact_out=exact_out) for quote in fact.quotes]
    chosen = fact.chosen if fact.chosen >= 0 else _named(fact)
    why = best_quote.why(fact.quotes, chosen, exact_out=exact_out)
    quotes.append(f"{fact.dex} {fact.pool} wins: {why}")
    if exact_out:
        most = to_tokens(fact.max_amount_in, fact.decimals_in)
        return [*quotes, f"price {fact.price}, at most {most} in from here on"]
    least = to_tokens(fact.min_amount_out, fact.decimals_out)
    return [*quotes, f"price {fact.price}, min out {least} from here on"]


def _named(fact: OrderRouted) -> int:
    """The winner among the quotes of an older build, which recorded one for each venue."""
    return next((i for i, quote in enumerate(fact.quotes) if quote.dex == fact.dex), 0)


def _quote(quote: recorded.Quote, fact: OrderRouted, *, exact_out: bool) -> str:
    name = f"quote {quote.dex} {quote.pool}".rstrip()
    if quote.error:
        return f"{name}: refused, {quote.error}"
    amount = to_tokens(quote.amount_in, fact.decimals_in)
    out = to_tokens(quote.amount_out, fact.decimals_out)
    cost = to_tokens(quote.cost, fact.decimals_in if exact_out else fact.decimals_out)
    fee = to_tokens(quote.fee, fact.decimals_in)
    impact = to_tokens(quote.price_impact_ppm, 2)
    return (
        f"{name}: {amount} in, {out} out, fee {fee}, cost {cost}, impact {impact} bps,"
        f" slot {quote.slot}"
    )


VIEW = EventView(
    OrderRouted,
    OrderRoutedPayload,
    _payload,
    _lines,
    label="Route chosen",
    writer="router",
)
