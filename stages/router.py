"""Router: asks every venue for quotes, picks the best one and fixes the least output."""

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
"""Refusals that concern the market as it is now: an order that waits for a price or a pool returns
to waiting."""


def begin(order: Order) -> Fact | None:
    """The start of routing, which a retry does not repeat."""
    return RoutingStarted() if order.status is Status.PENDING else None


def decide(order: Order, quotes: Sequence[Quote]) -> list[Fact]:
    """The route of the best quote, the first of equal ones; or the return to waiting.

    Raises VenueRefusal without an acceptable quote.
    """
    exactly = order.exact_amount_out
    chosen = best_quote.best(quotes, exact_out=exactly is not None)
    if chosen is None:
        refusal = _refusal_of(quotes)
        if order.kind.waits and not refusal.retryable:
            codes = (recorded(quote.error) for quote in quotes)
            unsuited = next((code for code in codes if code in UNSUITED), refusal.code)
            if unsuited in UNSUITED:
                return [_rearmed(order, unsuited, quotes, 0, 0)]
        raise refusal
    if exactly is not None:
        return [_routed_exactly(order, exactly, quotes, chosen)]
    best = quotes[chosen]
    least, worst = _least(order, best)
    if least > U64_MAX:
        raise VenueRefusal("amount-too-large", "the least output exceeds what a u64 holds")
    if best.amount_out < worst:
        if order.kind.waits:
            return [_rearmed(order, "quote-below-target", quotes, best.amount_out, worst)]
        raise VenueRefusal("quote-below-minimum", _missed(order, best.amount_out, "minimum", worst))
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
    """The quotes as recorded. Only the chosen one keeps its token warnings, which are the same in
    all: that keeps the event small.
    """
    return tuple(
        quote if index == chosen or not quote.warnings else replace(quote, warnings=())
        for index, quote in enumerate(quotes)
    )


def _routed_exactly(order: Order, exactly: int, quotes: Sequence[Quote], chosen: int) -> Fact:
    """The route of an exact output. Its first route fixes the greatest input, which never grows."""
    best = quotes[chosen]
    most = order.max_amount_in
    if most is None:
        most = min(U64_MAX, money.max_amount_in(best.amount_in, order.slippage_bps))
    if best.amount_in > most:
        raise VenueRefusal("quote-above-maximum", _missed(order, best.amount_in, "maximum", most))
    return _routed(order, quotes, chosen, exactly, exactly, best.amount_in, most)


def _least(order: Order, best: Quote) -> tuple[int, int]:
    """The least output of the route, and the least that its quote has to promise, in base units."""
    if order.kind.minimum == "target-price":
        target = money.price_units(order.target_price)
        least = money.amount_at(order.amount_in, order.decimals_in, target, order.decimals_out)
        return least, least
    if order.min_amount_out is not None:  # set by the client, or fixed by the first route
        return order.min_amount_out, order.min_amount_out
    if order.kind.minimum == "max-price":
        worst = 0
        if order.target_price:  # the least price of a sniper
            target = money.price_units(order.target_price)
            worst = money.amount_at(order.amount_in, order.decimals_in, target, order.decimals_out)
        elif order.max_price:
            dearest = money.price_units(order.max_price)
            worst = money.amount_for(
                order.amount_in, order.decimals_in, dearest, order.decimals_out
            )
        return max(worst, money.min_amount_out(best.amount_out, order.slippage_bps)), worst
    return money.min_amount_out(best.amount_out, order.slippage_bps), 0


def _missed(order: Order, quoted: int, bound: str, limit: int) -> str:
    """By how much the best quote misses a bound, in whole tokens of the side that is not exact."""
    decimals, token = order.decimals_out, order.token_out
    if order.exact_amount_out is not None:
        decimals, token = order.decimals_in, order.token_in
    best, least = money.to_tokens(quoted, decimals), money.to_tokens(limit, decimals)
    return f"best quote {best} {token}, {bound} {least} {token}"


def _rearmed(
    order: Order, reason: ReasonCode, quotes: Sequence[Quote], amount_out: int, least: int
) -> Fact:
    """The order returns to waiting. After several returns it ignores an unchanged price for some
    slots: see `stages.triggers.price_pause`.
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


def _refusal_of(quotes: Sequence[Quote]) -> VenueRefusal:
    """The refusal of all quotes: a retryable one, if there is any."""
    codes = [recorded(quote.error) for quote in quotes]
    for code in codes:
        if code in best_quote.UNANSWERED:
            return VenueRefusal(code, ", ".join(codes), retryable=True)
    return VenueRefusal(codes[0] if codes else "no-route", ", ".join(codes))


def stage(market: VenueGroup) -> Stage:
    """The stage on a market."""

    def ask(orders: Sequence[Order]) -> list[tuple[Quote, ...] | Later]:
        answers = [market.quotes(order) for order in orders]
        return [quotes if isinstance(quotes, tuple) else Later(quotes) for quotes in answers]

    return Stage(
        name="router",
        begin=begin,
        ask=ask,
        decide=decide,
        needs_permit=True,
        paced=True,
    )
