"""The book of a pair beside the ticks it is held against: what was looked at, what was triggered.

Rule of this file: no log. What a takeover has to look at again, and what it must not, is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from events.money import price_units
from events.order import Order
from stages.triggers.price_pause import Pause
from stages.triggers.trigger_book import PoolTriggerBook, TriggerBook
from stages.triggers.watcher import target_of, terms_of
from stages.venues import Pair, PoolEvent, Tick
from stages.venues.venue_group import VenueGroup

LOOK_BACK_SLOTS = 8
"""Of these slots before an order counts again the last that was seen tells the price at which its
attempt failed: a watcher need not have seen the very slot."""


class TriggerCandidate(NamedTuple):
    """An order and what may have triggered it."""

    order_id: str
    seen: Tick | PoolEvent


class PairBook:
    """The orders of a pair, and how far its ticks were followed here."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.limits = TriggerBook()
        """Of all that a price triggers: limit orders, and snipers that retreated."""
        self.snipers = PoolTriggerBook()
        self.done: int | None = None
        """Everything through this slot is triggered; None while somebody else follows the pair."""
        self._last_before: tuple[int, int | None] = (-1, None)
        """The last price before a slot, of the last order that was asked about."""

    def __len__(self) -> int:
        return len(self.limits) + sum(order_id not in self.limits for order_id in self.snipers)

    @property
    def seen(self) -> int:
        """The newest slot that was looked at; triggering may still be under way."""
        return self.limits.slot

    def add(self, order: Order, first: int, pause: Pause | None = None) -> bool:
        """Adds an order for which slots from `first` on count; False where all of it is known.

        An order with other terms is another one: what passed may have paid these.
        """
        target, is_new = target_of(order), False
        if target is not None:
            is_new = self.limits.add(order.id, target, first, pause)
        if order.kind.waits_for == "price":
            return is_new
        return self.snipers.add(order.id, terms_of(order, first)) or is_new

    def pause_of(self, order: Order, first: int, market: VenueGroup) -> Pause | None:
        """How an order that retreated passes over the price at which its last attempt failed."""
        if order.paused_until_slot < first:
            return None
        if self._last_before[0] != first:
            ticks = market.ticks(self.pair, first - LOOK_BACK_SLOTS, first - 1)
            self._last_before = first, price_units(ticks[-1].price) if ticks else None
        trigger_price = price_units(order.trigger_price) if order.trigger_price else None
        return Pause(order.paused_until_slot, self._last_before[1], trigger_price)

    def discard(self, order_id: str) -> None:
        """Takes an order out."""
        self.limits.discard(order_id)
        self.snipers.discard(order_id)

    def begin(self, followed: int | None, late: Iterable[str] | None, now: int, floor: int) -> None:
        """Takes the pair over: it was followed through a slot, if it ever was, but for the orders

        `late`, of which its last holder may not have heard; None: it may have heard of none. From
        where on these are looked at, each says itself. What happened through the slot `floor`
        counts no more: an operator had halted the engine.
        """
        self.limits.rewind(-1)
        earliest = self._earliest()
        start = now if earliest is None else earliest - 1
        if followed is not None and late is not None:
            firsts = (self._first_slot(order_id) for order_id in late)
            before = [first - 1 for first in firsts if first is not None]
            if (paused := self.limits.paused.earliest()) is not None:
                before.append(paused - 1)  # whether the price left since is known here only
            start = max(start, min([followed, *before]))
        self.done = min(max(start, floor), now)
        self.limits.rewind(self.done)

    def touched(self, market: VenueGroup, last: int) -> list[TriggerCandidate]:
        """What happened after the slots seen, through `last`, triggers; it is out of the book."""
        candidates: list[TriggerCandidate] = []
        first = self.seen + 1
        events = market.pools(self.pair, first, last) if self._needs_events() else []
        for event in events:
            ids = self.snipers.event(event.slot, price_units(event.price), event.liquidity)
            candidates += [TriggerCandidate(order_id, event) for order_id in ids]
        for order_id, _ in candidates:
            self.limits.discard(order_id)
        if len(self.limits):
            changed = {event.slot for event in events}
            for tick in market.ticks(self.pair, first, last):
                if tick.slot in changed:
                    self.limits.wake(tick.slot)
                ids = self.limits.tick(tick.slot, price_units(tick.price))
                candidates += [TriggerCandidate(order_id, tick) for order_id in ids]
                for order_id in ids:
                    self.snipers.discard(order_id)
        self.limits.skip(last)
        return candidates

    def _needs_events(self) -> bool:
        return bool(len(self.snipers) or self.limits.paused)

    def _first_slot(self, order_id: str) -> int | None:
        first = self.limits.first_slot(order_id)
        return self.snipers.first_slot(order_id) if first is None else first

    def _earliest(self) -> int | None:
        slots = (self.limits.earliest(), self.snipers.earliest())
        return min((slot for slot in slots if slot is not None), default=None)
