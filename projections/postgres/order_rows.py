"""Rows of the `orders` table, and the fold that keeps them up to date.

Rule of this file: pure. It holds the open orders and knows which rows a batch of events changes;
`tables.py` reads and writes. It refuses an event that does not continue its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from events import streams
from events.archive import Page
from events.hash_chain import GENESIS
from events.streams import State, advance, evolve
from events.types import TERMINAL, Event
from projections.postgres.binary_copy import pack_row

COLUMNS = (
    "id", "created_us", "updated_us", "version", "attempts", "account", "client_order_id", "status",
    "type", "token_in", "token_out", "amount_in", "amount_out", "price",
    "executed_price", "dex", "signature", "parked", "reason", "hash", "positions", "state",
)  # fmt: skip
"""Of the `orders` table, in the order of `row`."""


class Poison(Exception):
    """An event that cannot be folded into its order."""


class OrderNotHeld(Exception):
    """The order of event number `at` of a page began earlier and is not held."""

    def __init__(self, at: int, order_id: str) -> None:
        super().__init__(order_id)
        self.at = at
        self.order_id = order_id


class ProjectedOrder:
    """An order after its last event, with the positions of its events."""

    __slots__ = ("hash", "order", "positions")

    def __init__(self, order: State, digest: bytes, positions: list[int]) -> None:
        self.order = order
        self.hash = digest
        self.positions = positions


def row(folded: ProjectedOrder) -> tuple[Any, ...]:
    """The row of an order."""
    o = streams.as_row(folded.order)
    return (
        o.id, o.created_at_us, o.updated_at_us, o.version, o.attempts, o.account, o.client_order_id,
        o.status.value, o.type, o.token_in, o.token_out, o.amount_in, o.amount_out,
        o.price or None, o.executed_price or None, o.dex or None, o.signature or None,
        o.parked or None, o.reason or None,
        folded.hash, folded.positions, streams.encode(o),
    )  # fmt: skip


def columns(order: State, digest: bytes, positions: Sequence[int]) -> dict[str, Any]:
    """The row of an order by column name, for audits."""
    return dict(zip(COLUMNS, row(ProjectedOrder(order, digest, list(positions))), strict=True))


class OrderFold:
    """The open orders, and which of them changed since the last `take`."""

    def __init__(self) -> None:
        self._held: dict[str, ProjectedOrder] = {}
        self._touched: dict[str, ProjectedOrder] = {}
        self._new: set[str] = set()
        self._ended: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    def clear(self) -> None:
        """Drops everything that is held."""
        self._held.clear()
        self._touched.clear()
        self._new.clear()
        self._ended.clear()

    def absent(self, events: Sequence[Event]) -> set[str]:
        """The orders of these events that began earlier and are not held."""
        held = self._held
        begun = {e.order_id for e in events if e.version == 1}
        return {e.order_id for e in events if e.order_id not in held and e.order_id not in begun}

    def known(self, order_id: str) -> tuple[int, bytes]:
        """Version and hash of a held order; those before the first event for any other."""
        folded = self._held.get(order_id)
        return (folded.order.version, folded.hash) if folded else (0, GENESIS)

    def hold(self, folded: ProjectedOrder) -> None:
        """Adds an order as the table has it."""
        self._held[folded.order.id] = folded

    def resume(self, folded: ProjectedOrder) -> None:
        """Continues an order from a stored state: events of it are lost."""
        order_id = folded.order.id
        self._held[order_id] = self._touched[order_id] = folded
        if folded.order.status in TERMINAL:
            self._ended.add(order_id)

    def apply(self, position: int, digest: bytes, event: Event) -> None:
        """Folds one event. Raises Poison and leaves the order as it was."""
        order_id = event.order_id
        folded = self._held.get(order_id)
        if folded is None:
            if event.version != 1:
                raise Poison(f"version {event.version} of an order that is not there")
            folded = ProjectedOrder(evolve(None, event), digest, [position])
            self._held[order_id] = folded
            self._new.add(order_id)
        else:
            if event.version != folded.order.version + 1:
                raise Poison(f"version {event.version} follows {folded.order.version}")
            advance(folded.order, event)
            folded.hash = digest
            folded.positions.append(position)
        self._touched[order_id] = folded

    def extend(self, page: Page, events: Sequence[Event], start: int, stop: int) -> None:
        """Folds events `start` to `stop` of a page. Raises OrderNotHeld or Poison."""
        held, touched, new, positions = self._held, self._touched, self._new, page.positions
        ended, hashes = self._ended, page.hashes
        for at in range(start, stop):
            event = events[at]
            order_id = event.order_id
            folded = held.get(order_id)
            if folded is not None and event.version == folded.order.version + 1:
                advance(folded.order, event)
                folded.hash = hashes[32 * at : 32 * at + 32]
                folded.positions.append(positions[at])
                if folded.order.status in TERMINAL:
                    ended.add(order_id)
            elif folded is None and event.version == 1:
                folded = ProjectedOrder(
                    evolve(None, event), hashes[32 * at : 32 * at + 32], [positions[at]]
                )
                held[order_id] = folded
                new.add(order_id)
            elif folded is None:
                raise OrderNotHeld(at, order_id)
            else:
                raise Poison(
                    f"position {positions[at]}: version {event.version} of {order_id}"
                    f" follows {folded.order.version}"
                )
            touched[order_id] = folded

    def take(self) -> Changes:
        """The rows that changed. Orders that ended stay held until `drop`."""
        changes = Changes(self._touched, self._new)
        self._touched, self._new, self._ended = {}, set(), set()
        return changes

    def take_ended(self) -> Changes:
        """The rows of orders that `extend` saw end. Other rows change again and can wait."""
        touched, new = self._touched, self._new
        changes = Changes({i: touched.pop(i) for i in self._ended}, new)
        new -= self._ended
        self._ended = set()
        return changes

    def drop(self, order_ids: Iterable[str]) -> None:
        """Drops orders that ended and whose rows are written."""
        for order_id in order_ids:
            self._held.pop(order_id, None)


class Changes:
    """The rows that a batch of events changes, encoded: later folding does not alter them."""

    def __init__(self, touched: dict[str, ProjectedOrder], new: set[str]) -> None:
        self.rows = [
            pack_row(folded.order, folded.hash, folded.positions, len(COLUMNS))
            for folded in touched.values()
        ]
        self.replaced = [order_id for order_id in touched if order_id not in new]
        """The ids of those that have a row already."""
        self.ended = [order_id for order_id, folded in touched.items() if folded.order.terminal]
