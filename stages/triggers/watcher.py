"""Watcher: lets limit and sniper orders rest, and decides what triggers them.

This file decides about a single order. `trigger_book.py` has the books of many, `runner.py` drives
them.
"""

from __future__ import annotations

from collections.abc import Sequence

from events.money import PRICE_PLACES, price_units
from events.order import Order
from events.types import Fact, OrderArmed, OrderTriggered, Status
from stages.runtime.stage import NOT_YET, NotYet, Stage, VenueRefusal
from stages.triggers.trigger_book import PoolTriggerTerms
from stages.venues import PoolEvent, Tick
from stages.venues.venue_group import VenueGroup

NO_SLOT_MS = 500
"""Between two questions for the first slot."""


def decide(_: Order, slot: int | None) -> list[Fact] | NotYet:
    """The order rests, and ticks and events from this slot on count. None: the chain cannot be
    asked now, and the order waits for it.
    """
    return NOT_YET if slot is None else [OrderArmed(slot)]


def first_slot(order: Order, market: VenueGroup) -> int:
    """The first slot that counts: the one in which the order began to rest, or in which its price
    was last amended.
    """
    if not order.counts_from_us:
        return order.watch_slot
    return max(order.watch_slot, market.slot_at(order.counts_from_us))


def triggers(order: Order, seen: Tick | PoolEvent, first: int) -> list[Fact]:
    """The trigger by a tick or a pool event, for an order whose `first_slot` is `first`; empty: it
    does not trigger the order.
    """
    if order.status is not Status.WATCHING or seen.slot < max(first, order.watch_slot):
        return []
    units = price_units(seen.price)
    if isinstance(seen, Tick):
        target = target_of(order)
        if target is None or units < target:
            return []
        return [
            OrderTriggered("tick", seen.dex, seen.pool, seen.slot, seen.price, first_slot=first)
        ]
    terms = terms_of(order, first)
    if order.kind.waits_for != "pool" or seen.liquidity < terms.liquidity or units < terms.price:
        return []
    return [
        OrderTriggered(
            seen.cause,
            seen.dex,
            seen.pool,
            seen.slot,
            seen.price,
            seen.liquidity,
            order.decimals_in,
            first,
        )
    ]


def target_of(order: Order) -> int | None:
    """The price that an order waits for, in units; None: no price triggers it.

    A sniper waits for its pool. One that was triggered and returned to waiting also waits for its
    highest price: there may never be another pool event.
    """
    if order.kind.waits_for == "price":
        return price_units(order.target_price)
    bounded = order.max_price or order.target_price
    return terms_of(order, 0).price if order.retreats and bounded else None


def terms_of(order: Order, first: int) -> PoolTriggerTerms:
    """What a sniper waits for. A highest price x of token_out is a least price 1/x of token_in."""
    least = 0
    if order.target_price:
        least = price_units(order.target_price)
    elif order.max_price:
        least = -(-int(10 ** (2 * PRICE_PLACES)) // price_units(order.max_price))
    return PoolTriggerTerms(first, order.min_liquidity or 0, least)


def stage(market: VenueGroup) -> Stage:
    """The stage on a market, which tells the current slot."""

    def ask(orders: Sequence[Order]) -> list[int | None]:
        try:
            return [market.slot()] * len(orders)
        except VenueRefusal:
            return [None] * len(orders)

    return Stage(name="watcher", ask=ask, decide=decide, wait_ms=lambda _order, _now: NO_SLOT_MS)
