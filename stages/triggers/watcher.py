"""Watcher: lets limit and sniper orders rest, and says what triggers them.

The books and what drives them are in `trigger_book.py` and `runner.py`; what is decided
about one order is here.
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
"""Between two looks for the first slot."""


def decide(_: Order, slot: int | None) -> list[Fact] | NotYet:
    """The order rests: what happens at this slot or later counts. It waits for a chain that cannot
    be asked: that is no fault of the order.
    """
    return NOT_YET if slot is None else [OrderArmed(slot)]


def first_slot(order: Order, market: VenueGroup) -> int:
    """The first slot that counts: where the order came to rest, or its price was last amended.

    The slot of an amendment counts, as the one in which an order comes to rest does.
    """
    if not order.counts_from_us:
        return order.watch_slot
    return max(order.watch_slot, market.slot_at(order.counts_from_us))


def triggers(order: Order, seen: Tick | PoolEvent, first: int) -> list[Fact]:
    """What a tick or a pool event means for an order whose `first_slot` is this.

    Nothing, where it does not concern the order.
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
    """The price that an order waits for, in units; None where no price triggers it.

    A sniper waits for its pool. Once that came and its price retreated, it waits for its own
    highest price too: no other event may ever come.
    """
    if order.kind.waits_for == "price":
        return price_units(order.target_price)
    return terms_of(order, 0).price if order.retreats and order.max_price else None


def terms_of(order: Order, first: int) -> PoolTriggerTerms:
    """What a sniper waits for. At most x token_in a token_out is at least 1/x the other way."""
    least = 0
    if order.max_price:
        least = -(-int(10 ** (2 * PRICE_PLACES)) // price_units(order.max_price))
    return PoolTriggerTerms(first, order.min_liquidity or 0, least)


def stage(market: VenueGroup) -> Stage:
    """The stage, by the slots of this market."""

    def ask(orders: Sequence[Order]) -> list[int | None]:
        try:
            return [market.slot()] * len(orders)
        except VenueRefusal:
            return [None] * len(orders)

    return Stage(name="watcher", ask=ask, decide=decide, wait_ms=lambda _order, _now: NO_SLOT_MS)
