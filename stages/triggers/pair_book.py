"""The book of a pair, and how far its ticks and pool events were compared with it.

Rule of this file: no log. It decides which slots are looked at again when a watcher takes over.
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
"""The last price in so many slots before an order counts again is taken for the price at which its
attempt failed: the watcher may not have seen that very slot."""


class TriggerCandidate(NamedTuple):
    """An order and what may have triggered it."""

    order_id: str
    seen: Tick | PoolEvent


class PairBook:
    """The orders of a pair, and the slots that this watcher has compared with them."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.by_price = TriggerBook()
        """The orders that a price triggers: limit orders, and snipers that returned to waiting."""
        self.by_pool = PoolTriggerBook()
        """The orders that a pool event triggers."""
        self.done: int | None = None
        """The slot through which triggers are appended; None while another watcher follows it."""
        self._last_before: tuple[int, int | None] = (-1, None)
        """A cache of `pause_of`: a slot, and the last price before it."""

    def __len__(self) -> int:
        return len(self.by_price) + sum(order_id not in self.by_price for order_id in self.by_pool)

    @property
    def seen(self) -> int:
        """The newest slot that was looked at; its triggers may not be appended yet."""
        return self.by_price.slot

    def add(self, order: Order, first: int, pause: Pause | None = None) -> bool:
        """Adds an order for which slots from `first` on count.

        False: the book has it with the same terms. Slots that were looked at may trigger other
        terms.
        """
        target, is_new = target_of(order), False
        if target is not None:
            is_new = self.by_price.add(order.id, target, first, pause)
        if order.kind.waits_for == "price":
            return is_new
        return self.by_pool.add(order.id, terms_of(order, first)) or is_new

    def pause_of(self, order: Order, first: int, market: VenueGroup) -> Pause | None:
        """How an order that returned to waiting ignores the price at which its attempt failed."""
        if order.paused_until_slot < first:
            return None
        if self._last_before[0] != first:
            ticks = market.ticks(self.pair, first - LOOK_BACK_SLOTS, first - 1)
            self._last_before = first, price_units(ticks[-1].price) if ticks else None
        trigger_price = price_units(order.trigger_price) if order.trigger_price else None
        return Pause(order.paused_until_slot, self._last_before[1], trigger_price)

    def discard(self, order_id: str) -> None:
        """Removes an order; it may be absent."""
        self.by_price.discard(order_id)
        self.by_pool.discard(order_id)

    def begin(self, followed: int | None, late: Iterable[str] | None, now: int, floor: int) -> None:
        """Takes the pair over from a holder that followed it through the slot `followed`, if any.

        `late` are the orders that the last holder may not have known; None: it may have known none.
        Slots are looked at again from the first slot of these on. Slots through `floor` count no
        more: the engine was halted.
        """
        self.by_price.rewind(-1)
        earliest = self._earliest()
        start = now if earliest is None else earliest - 1
        if followed is not None and late is not None:
            firsts = (self._first_slot(order_id) for order_id in late)
            before = [first - 1 for first in firsts if first is not None]
            if (paused := self.by_price.paused.earliest()) is not None:
                before.append(
                    paused - 1
                )  # only this watcher knows whether the price has left since
            start = max(start, min([followed, *before]))
        self.done = min(max(start, floor), now)
        self.by_price.rewind(self.done)

    def touched(self, market: VenueGroup, last: int) -> list[TriggerCandidate]:
        """Removes and returns the orders that are triggered by the slots from `seen` to `last`."""
        candidates: list[TriggerCandidate] = []
        first = self.seen + 1
        events = market.pools(self.pair, first, last) if self._needs_events() else []
        for event in events:
            ids = self.by_pool.event(event.slot, price_units(event.price), event.liquidity)
            candidates += [TriggerCandidate(order_id, event) for order_id in ids]
        for order_id, _ in candidates:
            self.by_price.discard(order_id)
        if len(self.by_price):
            changed = {event.slot for event in events}
            for tick in market.ticks(self.pair, first, last):
                if tick.slot in changed:
                    self.by_price.wake(tick.slot)
                ids = self.by_price.tick(tick.slot, price_units(tick.price))
                candidates += [TriggerCandidate(order_id, tick) for order_id in ids]
                for order_id in ids:
                    self.by_pool.discard(order_id)
        self.by_price.skip(last)
        return candidates

    def _needs_events(self) -> bool:
        return bool(len(self.by_pool) or self.by_price.paused)

    def _first_slot(self, order_id: str) -> int | None:
        first = self.by_price.first_slot(order_id)
        return self.by_pool.first_slot(order_id) if first is None else first

    def _earliest(self) -> int | None:
        slots = (self.by_price.earliest(), self.by_pool.earliest())
        return min((slot for slot in slots if slot is not None), default=None)
