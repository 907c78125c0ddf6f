"""The book of a pair beside the ticks it is held against: what was looked at, what was triggered.

Rule of this file: no log. What a takeover has to look at again, and what it must not, is here.
"""

from __future__ import annotations

from typing import NamedTuple

from events.money import price_units
from events.order import Order
from stages.book import Book, Snipers
from stages.market import Market
from stages.venues import Pair, PoolEvent, Tick
from stages.watcher import target_of, terms_of, triggers

REPLAY_SLOTS = 1000
"""So many slots before those that are known to be done are looked at again after a takeover: an
order may have come to rest a moment before, unseen by whoever held the pair then."""


class Touched(NamedTuple):
    """An order and what may have triggered it."""

    order_id: str
    seen: Tick | PoolEvent


class PairBook:
    """The orders of a pair, and how far its ticks were followed here."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.limits = Book()
        self.snipers = Snipers()
        self.done: int | None = None
        """Everything through this slot is triggered; None while somebody else follows the pair."""

    def __len__(self) -> int:
        return len(self.limits) + len(self.snipers)

    @property
    def seen(self) -> int:
        """The newest slot that was looked at; triggering may still be under way."""
        return self.limits.slot

    def knows(self, order: Order) -> bool:
        """Whether the order rests here since the same slot, whatever its terms."""
        book: Book | Snipers = self.limits if order.type == "limit" else self.snipers
        return book.first_slot(order.id) == order.watch_slot

    def add(self, order: Order) -> None:
        """Adds an order, or gives it its new terms."""
        if order.type == "limit":
            self.limits.add(order.id, target_of(order), order.watch_slot)
        else:
            self.snipers.add(order.id, terms_of(order))

    def discard(self, order_id: str) -> None:
        """Takes an order out."""
        self.limits.discard(order_id)
        self.snipers.discard(order_id)

    def begin(self, followed: int | None, now: int, floor: int) -> None:
        """Takes the pair over: it was followed through this slot, if it ever was.

        What happened through the slot `floor` counts no more: an operator had halted the engine.
        """
        self.limits.rewind(-1)
        slots = [s for s in (self.limits.earliest(), self.snipers.earliest()) if s is not None]
        start = min(slots, default=now + 1) - 1
        if followed is not None:
            start = max(start, followed - REPLAY_SLOTS)
        start = max(start, min(floor, now))
        self.limits.rewind(start)
        self.done = start

    def touched(self, market: Market, last: int) -> list[Touched]:
        """What happened after the slots seen, through `last`, triggers; it is out of the book."""
        found: list[Touched] = []
        first = self.seen + 1
        if len(self.snipers):
            for event in market.pools(self.pair, first, last):
                ids = self.snipers.event(event.slot, price_units(event.price), event.liquidity)
                found += [Touched(order_id, event) for order_id in ids]
        if len(self.limits):
            for tick in market.ticks(self.pair, first, last):
                ids = self.limits.tick(tick.slot, price_units(tick.price))
                found += [Touched(order_id, tick) for order_id in ids]
        self.limits.skip(last)
        return found

    def missed(self, market: Market, order: Order, floor: int) -> Touched | None:
        """What triggers an order that came to rest at a slot which was looked at before."""
        first = max(order.watch_slot, self.seen - REPLAY_SLOTS, floor + 1)
        look = market.ticks if order.type == "limit" else market.pools
        for seen in look(self.pair, first, self.seen):
            if triggers(order, seen):
                self.discard(order.id)
                return Touched(order.id, seen)
        return None
