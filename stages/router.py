"""Router: asks every venue, picks the best net output, fixes the least acceptable one."""

from __future__ import annotations

from collections.abc import Sequence

from events import money
from events.order import Order
from events.types import Fact, OrderRouted, Quote, RoutingStarted, Status
from stages.market import RETRYABLE, Market
from stages.stage import Refused, Stage


def begin(order: Order) -> Fact | None:
    """Routing starts once; a retry does not start again."""
    return RoutingStarted() if order.status is Status.PENDING else None


def decide(order: Order, quotes: Sequence[Quote]) -> list[Fact]:
    """The route with the best net output; of equals the one named first."""
    usable = [quote for quote in quotes if not quote.error]
    if not usable:
        raise _why_not(quotes)
    best = max(usable, key=lambda quote: quote.amount_out)
    least = order.min_amount_out
    if least is None:
        least = money.min_amount_out(best.amount_out, order.slippage_bps)
    elif best.amount_out < least:
        raise Refused("quote-below-minimum", f"best quote {best.amount_out}, minimum {least}")
    price = money.price(best.amount_out, order.decimals_out, order.amount_in, order.decimals_in)
    return [
        OrderRouted(
            dex=best.dex,
            pool=best.pool,
            amount_out=best.amount_out,
            min_amount_out=least,
            price=price,
            quotes=tuple(quotes),
            decimals_in=order.decimals_in,
            decimals_out=order.decimals_out,
        )
    ]


def _why_not(quotes: Sequence[Quote]) -> Refused:
    """The refusal that stands for all: one worth a retry where there is any."""
    codes = [quote.error for quote in quotes]
    for code in codes:
        if code in RETRYABLE:
            return Refused(code, ", ".join(codes), retryable=True)
    return Refused(codes[0] if codes else "no-route", ", ".join(codes))


def stage(market: Market) -> Stage:
    """The stage, asking this market."""
    return Stage(
        name="router",
        begin=begin,
        ask=lambda orders: [market.quotes(order) for order in orders],
        decide=decide,
        needs_permit=True,
        paced=True,
    )
