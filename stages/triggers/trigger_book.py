"""The book of a pair: the orders that wait for its price or its pool.

Rule of this file: pure. A price that reaches no target costs one comparison; one that reaches k of
n costs k times log n. Orders that left are dropped when they come up, or when they are the most.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from stages.triggers.price_pause import Entry, Pause, Paused

_COMPACT_FROM = 1000


class TriggerBook:
    """Limit orders by target. One is due at a tick of its slot or later that pays its target."""

    def __init__(self) -> None:
        self.slot = -1
        """Of the newest tick."""
        self._entries: dict[str, Entry] = {}
        self._by_target: list[Entry] = []
        self._later: list[tuple[int, str, Entry]] = []
        """Whose first slot is still to come, by it."""
        self.paused = Paused()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def first_slot(self, order_id: str) -> int | None:
        """From when on ticks count for an order; None where it is not in the book."""
        entry = self._entries.get(order_id)
        return None if entry is None else entry[2]

    def earliest(self) -> int | None:
        """The first slot that counts for anybody who has seen no tick yet, or is paused."""
        slots = [self._later[0][0]] if self._later else []
        paused = self.paused.earliest()
        return min(slots if paused is None else [*slots, paused], default=None)

    def add(self, order_id: str, target: int, slot: int, pause: Pause | None = None) -> bool:
        """Adds an order, or gives it other terms; False where it was here with just these."""
        known = self._entries.get(order_id)
        woken = pause is None and order_id in self.paused  # amended
        if known is not None and known[0] == target and known[2] == slot and not woken:
            return False
        entry = (target, order_id, slot)
        self._entries[order_id] = entry
        self.paused.discard(order_id)
        if pause is not None:
            self.paused.add(entry, pause)
        elif slot > self.slot:
            heapq.heappush(self._later, (slot, order_id, entry))
        else:
            heapq.heappush(self._by_target, entry)
        self._compact()
        return True

    def discard(self, order_id: str) -> None:
        """Takes an order out; one that is not in is no fault."""
        self.paused.discard(order_id)
        if self._entries.pop(order_id, None) is not None:
            self._compact()

    def wake(self, slot: int) -> None:
        """The market changed at this slot: for orders that are paused its price counts again."""
        for entry in self.paused.wake(slot):
            heapq.heappush(self._by_target, entry)

    def follow(self, other: TriggerBook) -> None:
        """Orders whose pause ended in another book of the pair are paused here no longer."""
        for order_id in other:
            entry = self._entries.get(order_id)
            if order_id in self.paused and order_id not in other.paused and entry is not None:
                self.paused.discard(order_id)
                heapq.heappush(self._by_target, entry)

    def tick(self, slot: int, price: int) -> list[str]:
        """The orders that this tick triggers, the lowest target first; they are out of the book.

        Slots never go back, but for `rewind`.
        """
        self._advance(slot)
        if self.paused:
            for entry in self.paused.tick(slot, price):
                heapq.heappush(self._by_target, entry)
        by_target = self._by_target
        candidates = []
        while by_target and by_target[0][0] <= price:
            entry = heapq.heappop(by_target)
            if self._entries.get(entry[1]) is entry:
                del self._entries[entry[1]]
                candidates.append(entry[1])
        return candidates

    def skip(self, slot: int) -> None:
        """There is nothing (more) to see up to this slot."""
        if slot > self.slot:
            self._advance(slot)

    def rewind(self, slot: int) -> None:
        """The next tick is that of the slot after this one, even if later ones were seen."""
        self.slot = slot
        self._rebuild()

    def _advance(self, slot: int) -> None:
        self.slot = slot
        later = self._later
        while later and later[0][0] <= slot:
            entry = heapq.heappop(later)[2]
            if self._entries.get(entry[1]) is entry:
                heapq.heappush(self._by_target, entry)

    def _compact(self) -> None:
        held = len(self._by_target) + len(self._later)
        if held > 2 * len(self._entries) + _COMPACT_FROM:
            self._rebuild()

    def _rebuild(self) -> None:
        entries = [entry for entry in self._entries.values() if entry[1] not in self.paused]
        self._by_target = [entry for entry in entries if entry[2] <= self.slot]
        self._later = [(entry[2], entry[1], entry) for entry in entries if entry[2] > self.slot]
        heapq.heapify(self._by_target)
        heapq.heapify(self._later)


class PoolTriggerTerms(NamedTuple):
    """What a sniper waits for."""

    slot: int
    liquidity: int
    """The least, in base units of token_in; 0: any."""
    price: int
    """The least token_out per token_in, in units of a price; 0: any."""


class PoolTriggerBook:
    """Orders that wait for a pool event."""

    def __init__(self) -> None:
        self._terms: dict[str, PoolTriggerTerms] = {}

    def __len__(self) -> int:
        return len(self._terms)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._terms

    def __iter__(self) -> Iterator[str]:
        return iter(self._terms)

    def first_slot(self, order_id: str) -> int | None:
        """From when on events count for an order; None where it does not wait here."""
        terms = self._terms.get(order_id)
        return None if terms is None else terms.slot

    def earliest(self) -> int | None:
        """The first slot that counts for any of them."""
        return min((terms.slot for terms in self._terms.values()), default=None)

    def add(self, order_id: str, terms: PoolTriggerTerms) -> bool:
        """Adds an order, or gives it other terms; False where it was here with just these."""
        known = self._terms.get(order_id)
        self._terms[order_id] = terms
        return known != terms

    def discard(self, order_id: str) -> None:
        """Takes an order out; one that is not in is no fault."""
        self._terms.pop(order_id, None)

    def event(self, slot: int, price: int, liquidity: int) -> list[str]:
        """The orders that this event triggers; they are out."""
        order_ids = [
            order_id
            for order_id, terms in self._terms.items()
            if terms.slot <= slot and terms.liquidity <= liquidity and terms.price <= price
        ]
        for order_id in order_ids:
            del self._terms[order_id]
        return order_ids
