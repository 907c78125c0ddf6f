"""Limit orders that were led on more than a few times: they pass over a price that stays.

Rule of this file: pure. A pause must never cost an order its price. It ends at once when the price
leaves and so may come back, when it pays more than where the last attempt failed, or when the
market gains liquidity; else at its last slot. Paused orders are looked at one by one: they are few.
"""

from __future__ import annotations

from typing import NamedTuple

Entry = tuple[int, str, int]
"""Target (units of a price), order id, first slot that counts."""


class Pause(NamedTuple):
    """How long an order passes over the price at which its last attempt failed."""

    until_slot: int
    """From here on any price counts."""
    price: int | None
    """The last one seen before the slots that count, in units; None where none was seen: then the
    next one counts."""
    trigger_price: int | None = None
    """The one that had triggered the order. The attempt was made at this or at a later one: the
    slot of the quote may have ended with a higher price than it was made from."""

    @property
    def failed_at(self) -> int | None:
        """The lower of the two: rather another attempt than a price that is missed."""
        if self.price is None or self.trigger_price is None:
            return self.price
        return min(self.price, self.trigger_price)


class Paused:
    """The paused orders of a book."""

    def __init__(self) -> None:
        self._orders: dict[str, tuple[Entry, Pause]] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._orders

    def add(self, entry: Entry, pause: Pause) -> None:
        """Pauses an order."""
        self._orders[entry[1]] = entry, pause

    def discard(self, order_id: str) -> None:
        """Takes an order out; one that is not in is no fault."""
        self._orders.pop(order_id, None)

    def earliest(self) -> int | None:
        """The first slot that counts for any of them."""
        return min((entry[2] for entry, _ in self._orders.values()), default=None)

    def tick(self, slot: int, price: int) -> list[Entry]:
        """The orders whose pause ends at this tick; they are out."""
        ended = []
        for entry, pause in list(self._orders.values()):
            target, order_id, first = entry
            if slot < first:
                self._orders[order_id] = entry, pause._replace(price=price)
            elif _ends(target, pause, slot, price):
                del self._orders[order_id]
                ended.append(entry)
        return ended

    def wake(self, slot: int) -> list[Entry]:
        """The orders for which this slot counts, whatever the price; they are out."""
        ended = [entry for entry, _ in self._orders.values() if entry[2] <= slot]
        for _, order_id, _ in ended:
            del self._orders[order_id]
        return ended


def _ends(target: int, pause: Pause, slot: int, price: int) -> bool:
    failed_at = pause.failed_at
    return (
        slot >= pause.until_slot
        or price < target
        or failed_at is None
        or failed_at < target
        or price > failed_at
    )
