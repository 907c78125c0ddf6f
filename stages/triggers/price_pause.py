"""Price pauses: orders that returned to waiting several times ignore an unchanged price.

Rule of this file: pure. A pause never costs an order its price. It ends when the price leaves the
target, rises above the one at which the last attempt failed, or the market gains liquidity; else at
its last slot. Paused orders are few, and looked at one by one.
"""

from __future__ import annotations

from typing import NamedTuple

Entry = tuple[int, str, int]
"""Target (units of a price), order id, first slot that counts."""


class Pause(NamedTuple):
    """How long an order ignores the price at which its last attempt failed."""

    until_slot: int
    """The slot from which any price counts."""
    price: int | None
    """The last price before the slots that count, in units; None: none was seen, and the next price
    counts."""
    trigger_price: int | None = None
    """The price that triggered the order. The attempt was made at this price or a later one: the
    slot of the quote may have ended with a higher price than the one quoted from."""

    @property
    def failed_at(self) -> int | None:
        """The lower of both prices: another attempt is better than a missed price."""
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
        """Removes an order; it may be absent."""
        self._orders.pop(order_id, None)

    def earliest(self) -> int | None:
        """The first slot that counts for any order."""
        return min((entry[2] for entry, _ in self._orders.values()), default=None)

    def tick(self, slot: int, price: int) -> list[Entry]:
        """Removes and returns the orders whose pause ends at this tick."""
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
        """Removes and returns the orders for which this slot counts, at any price."""
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
