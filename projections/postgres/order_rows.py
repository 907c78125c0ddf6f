"""Orders folded for SQL: rows of the `orders` table, and the fold that keeps them up to date.

Rule of this file: pure. It holds the orders that are open, knows which rows a batch of events
changes, and leaves reading and writing to `tables.py`. It never judges history, but it refuses
what cannot be folded: an event that cannot be read, or that does not continue its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from events import streams
from events.archive import Page
from events.streams import State, advance, evolve
from events.streams.hash_chain import GENESIS
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
    """The order of the `at`th event of a page began earlier and is not held."""

    def __init__(self, at: int, order_id: str) -> None:
        super().__init__(order_id)
        self.at = at
        self.order_id = order_id


class ProjectedOrder:
    """An order as its events left it, and where they are."""

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
    """The row of an order, by name: for audits."""
    return dict(zip(COLUMNS, row(ProjectedOrder(order, digest, list(positions))), strict=True))


class OrderFold:
    """The open orders, and what changed since `take` was last called."""

    def __init__(self) -> None:
        self._held: dict[str, ProjectedOrder] = {}
        self._touched: dict[str, ProjectedOrder] = {}
        self._new: set[str] = set()
        self._ended: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    def clear(self) -> None:
        """Forgets everything: the tables are not what was thought."""
        self._held.clear()
        self._touched.clear()
        self._new.clear()
        self._ended.clear()

    def absent(self, events: Sequence[Event]) -> set[str]:
        """The orders among these that began earlier and are not held."""
        held = self._held
        begun = {e.order_id for e in events if e.version == 1}
        return {e.order_id for e in events if e.order_id not in held and e.order_id not in begun}

    def known(self, order_id: str) -> tuple[int, bytes]:
        """Version and hash of an order as held here; of none, those before the first event."""
        folded = self._held.get(order_id)
        return (folded.order.version, folded.hash) if folded else (0, GENESIS)

    def hold(self, folded: ProjectedOrder) -> None:
        """Takes an order as it stands in the table."""
        self._held[folded.order.id] = folded

    def resume(self, folded: ProjectedOrder) -> None:
        """Goes on with an order from a state that was kept: events of it are lost."""
        order_id = folded.order.id
        self._held[order_id] = self._touched[order_id] = folded
        if folded.order.status in TERMINAL:
            self._ended.add(order_id)

    def apply(self, position: int, digest: bytes, event: Event) -> None:
        """Folds one event. Raises Poison, and leaves the order as it was."""
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
        """Folds a part of a page: `apply` for the many. Raises Absent or Poison."""
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
        """What changed. Orders that ended are still held: see `drop`."""
        changes = Changes(self._touched, self._new)
        self._touched, self._new, self._ended = {}, set(), set()
        return changes

    def take_ended(self) -> Changes:
        """What `extend` saw end: the rest will change again, so its rows can wait."""
        touched, new = self._touched, self._new
        changes = Changes({i: touched.pop(i) for i in self._ended}, new)
        new -= self._ended
        self._ended = set()
        return changes

    def drop(self, order_ids: Iterable[str]) -> None:
        """Lets go of orders that ended, once that is written down."""
        for order_id in order_ids:
            self._held.pop(order_id, None)


class Changes:
    """The rows that a batch of events changes, ready to be written: the fold may go on."""

    def __init__(self, touched: dict[str, ProjectedOrder], new: set[str]) -> None:
        self.rows = [
            pack_row(folded.order, folded.hash, folded.positions, len(COLUMNS))
            for folded in touched.values()
        ]
        self.replaced = [order_id for order_id in touched if order_id not in new]
        """Of these, the ids that have a row already."""
        self.ended = [order_id for order_id, folded in touched.items() if folded.order.terminal]
