"""Router: asks every venue, picks the best net output, fixes the least acceptable one."""

from __future__ import annotations

from collections.abc import Sequence

from events import money
from events.order import WAITING_TYPES, Order
from events.types import (
    U64_MAX,
    Fact,
    OrderRetreated,
    OrderRouted,
    Quote,
    RoutingStarted,
    Status,
)
from stages.market import RETRYABLE, Market
from stages.retry import pause_slots
from stages.stage import Refused, Stage


def begin(order: Order) -> Fact | None:
    """Routing starts once; a retry does not start again."""
    return RoutingStarted() if order.status is Status.PENDING else None


def decide(order: Order, quotes: Sequence[Quote]) -> list[Fact]:
    """The route with the best net output; of equals the one named first."""
    usable = [quote for quote in quotes if not quote.error]
    if not usable:
        refused = _why_not(quotes)
        if refused.code == "no-route" and order.type in WAITING_TYPES:
            return [_retreat(order, refused.code, quotes, 0, 0)]
        raise refused
    best = max(usable, key=lambda quote: quote.amount_out)
    least, worst = _least(order, best)
    if least > U64_MAX:
        raise Refused("amount-too-large", "the least output exceeds what a u64 holds")
    if best.amount_out < worst:
        if order.type in WAITING_TYPES:
            return [_retreat(order, "quote-below-target", quotes, best.amount_out, worst)]
        raise Refused("quote-below-minimum", f"best quote {best.amount_out}, minimum {worst}")
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


def _least(order: Order, best: Quote) -> tuple[int, int]:
    """The least amount that may come out, and the least that a quote has to promise."""
    if order.type == "limit":
        target = money.price_units(order.target_price)
        least = money.amount_at(order.amount_in, order.decimals_in, target, order.decimals_out)
        return least, least
    if order.type == "sniper":
        worst = 0
        if order.max_price:
            dearest = money.price_units(order.max_price)
            worst = money.amount_for(
                order.amount_in, order.decimals_in, dearest, order.decimals_out
            )
        return max(worst, money.min_amount_out(best.amount_out, order.slippage_bps)), worst
    if order.min_amount_out is None:
        return money.min_amount_out(best.amount_out, order.slippage_bps), 0
    return order.min_amount_out, order.min_amount_out


def _retreat(
    order: Order, reason: str, quotes: Sequence[Quote], amount_out: int, least: int
) -> Fact:
    """The order waits again; ever longer, if it was led on more than a few times."""
    slot = max(order.watch_slot, *(quote.slot for quote in quotes)) if quotes else order.watch_slot
    return OrderRetreated(
        stage="router",
        reason=reason,
        slot=slot + pause_slots(order.retreats),
        amount_out=amount_out,
        min_amount_out=least,
        quotes=tuple(quotes),
        decimals_in=order.decimals_in,
        decimals_out=order.decimals_out,
    )


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
