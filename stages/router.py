"""Router: asks every venue, picks the best net output, fixes the least acceptable one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from events import best_quote, money
from events.order import Order
from events.reason_codes import ReasonCode, recorded
from events.types import (
    U64_MAX,
    Fact,
    OrderRearmed,
    OrderRouted,
    Quote,
    RoutingStarted,
    Status,
)
from stages.runtime.retry import paused_until_slot
from stages.runtime.stage import Later, Stage, VenueRefusal
from stages.venues.venue_group import VenueGroup

UNSUITED: frozenset[ReasonCode] = frozenset(
    {
        "no-route", "price-impact-too-high", "insufficient-liquidity", "insufficient-funds",
        "pool-not-found", "pool-not-open", "pool-disabled", "price-limit", "price-out-of-range",
        "calculation-overflow", "too-many-bins", "too-many-ticks", "tick-arrays-missing",
        "bin-arrays-missing",
        "transaction-too-large", "token-paused",
    }
)  # fmt: skip
"""Refusals of a market as it is now: an order which waits for a price waits them out."""


def begin(order: Order) -> Fact | None:
    """Routing starts once; a retry does not start again."""
    return RoutingStarted() if order.status is Status.PENDING else None


def decide(order: Order, quotes: Sequence[Quote]) -> list[Fact]:
    """The best route; of equals the one named first."""
    exactly = order.exact_amount_out
    chosen = best_quote.best(quotes, exact_out=exactly is not None)
    if chosen is None:
        refused = _why_not(quotes)
        if order.kind.waits and not refused.retryable:
            codes = (recorded(quote.error) for quote in quotes)
            unsuited = next((code for code in codes if code in UNSUITED), refused.code)
            if unsuited in UNSUITED:
                return [_retreat(order, unsuited, quotes, 0, 0)]
        raise refused
    if exactly is not None:
        return [_routed_exactly(order, exactly, quotes, chosen)]
    best = quotes[chosen]
    least, worst = _least(order, best)
    if least > U64_MAX:
        raise VenueRefusal("amount-too-large", "the least output exceeds what a u64 holds")
    if best.amount_out < worst:
        if order.kind.waits:
            return [_retreat(order, "quote-below-target", quotes, best.amount_out, worst)]
        raise VenueRefusal("quote-below-minimum", f"best quote {best.amount_out}, minimum {worst}")
    return [_routed(order, quotes, chosen, best.amount_out, least, order.amount_in)]


def _routed(
    order: Order,
    quotes: Sequence[Quote],
    chosen: int,
    amount_out: int,
    least: int,
    amount_in: int,
    most: int = 0,
) -> Fact:
    best = quotes[chosen]
    return OrderRouted(
        dex=best.dex,
        pool=best.pool,
        amount_out=amount_out,
        min_amount_out=least,
        price=money.price(amount_out, order.decimals_out, amount_in, order.decimals_in),
        quotes=_recorded(quotes, chosen),
        decimals_in=order.decimals_in,
        decimals_out=order.decimals_out,
        chosen=chosen,
        amount_in=amount_in if most else 0,
        max_amount_in=most,
    )


def _recorded(quotes: Sequence[Quote], chosen: int) -> tuple[Quote, ...]:
    """The quotes as they are recorded: all name the same tokens, one says what may happen to them.

    That keeps the event small.
    """
    return tuple(
        quote if index == chosen or not quote.warnings else replace(quote, warnings=())
        for index, quote in enumerate(quotes)
    )


def _routed_exactly(order: Order, exactly: int, quotes: Sequence[Quote], chosen: int) -> Fact:
    """The output is given; what may go in at most is fixed from here on and never loosened."""
    best = quotes[chosen]
    most = order.max_amount_in
    if most is None:
        most = min(U64_MAX, money.max_amount_in(best.amount_in, order.slippage_bps))
    if best.amount_in > most:
        raise VenueRefusal("quote-above-maximum", f"best quote {best.amount_in}, maximum {most}")
    return _routed(order, quotes, chosen, exactly, exactly, best.amount_in, most)


def _least(order: Order, best: Quote) -> tuple[int, int]:
    """The least amount that may come out, and the least that a quote has to promise."""
    if order.kind.minimum == "target-price":
        target = money.price_units(order.target_price)
        least = money.amount_at(order.amount_in, order.decimals_in, target, order.decimals_out)
        return least, least
    if order.min_amount_out is not None:  # said by the client, or fixed by the first route
        return order.min_amount_out, order.min_amount_out
    if order.kind.minimum == "max-price":
        worst = 0
        if order.max_price:
            dearest = money.price_units(order.max_price)
            worst = money.amount_for(
                order.amount_in, order.decimals_in, dearest, order.decimals_out
            )
        return max(worst, money.min_amount_out(best.amount_out, order.slippage_bps)), worst
    return money.min_amount_out(best.amount_out, order.slippage_bps), 0


def _retreat(
    order: Order, reason: ReasonCode, quotes: Sequence[Quote], amount_out: int, least: int
) -> Fact:
    """The order waits again. One that was led on more than a few times passes over a price that
    stays: `stages.triggers.price_pause`.
    """
    slot = max(order.watch_slot, *(quote.slot for quote in quotes)) if quotes else order.watch_slot
    return OrderRearmed(
        stage="router",
        reason=reason,
        slot=slot + 1,
        amount_out=amount_out,
        min_amount_out=least,
        quotes=_recorded(quotes, -1),
        decimals_in=order.decimals_in,
        decimals_out=order.decimals_out,
        paused_until_slot=paused_until_slot(order.retreats, slot),
    )


def _why_not(quotes: Sequence[Quote]) -> VenueRefusal:
    """The refusal that stands for all: one worth a retry where there is any."""
    codes = [recorded(quote.error) for quote in quotes]
    for code in codes:
        if code in best_quote.UNANSWERED:
            return VenueRefusal(code, ", ".join(codes), retryable=True)
    return VenueRefusal(codes[0] if codes else "no-route", ", ".join(codes))


def stage(market: VenueGroup) -> Stage:
    """The stage, asking this market."""

    def ask(orders: Sequence[Order]) -> list[tuple[Quote, ...] | Later]:
        answers = [market.quotes(order) for order in orders]
        return [fact if isinstance(fact, tuple) else Later(fact) for fact in answers]

    return Stage(
        name="router",
        begin=begin,
        ask=ask,
        decide=decide,
        needs_permit=True,
        paced=True,
    )
