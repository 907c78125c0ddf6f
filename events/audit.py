"""What can be proved of a log: the events continue each other, and all copies say the same.

Rule of this file: pure. It is fed events in order of position, rows and heads, and names what is
wrong with the first position at which it is. An order with a fault is not looked at further: the
faults that follow from the first would only hide it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from events import order as orders
from events import types
from events.chain import GENESIS, follows
from events.ids import NO_ORDERS
from events.log import PARKED, POSITIONS_KEPT, Head, Stored
from events.order import NEXT, Order, evolve
from events.order.stored import NOTHING_ADDED, added, adds, basis
from events.types import Event

Columns = Callable[[Order, bytes, Sequence[int]], Mapping[str, Any]]
"""The columns that the projection gives an order."""


class Problem(NamedTuple):
    """One thing that is not as it must be."""

    position: int
    order_id: str
    """Empty where it is about the log itself."""
    code: str
    detail: str


class _Open:
    """An order under way."""

    __slots__ = ("hash", "order", "positions")

    def __init__(self, order: Order, digest: bytes, positions: list[int]) -> None:
        self.order = order
        self.hash = digest
        self.positions = positions


class _Ended(NamedTuple):
    """All that is kept of an order that ended: an audit of years has to fit into memory."""

    version: int
    position: int
    summary: bytes
    head: bytes
    """The same of its head, which has the newest positions only."""
    added: tuple[Any, ...]
    """Its fields that older builds did not store; they are no part of the summaries."""


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    order_id: str


_envelope = msgspec.msgpack.Decoder(_Envelope)


class Auditor:
    """Checks a log from its first event on."""

    def __init__(self) -> None:
        self.position = 0
        """The last one seen."""
        self.problems: list[Problem] = []
        self._open: dict[str, _Open] = {}
        self._ended: dict[str, _Ended] = {}
        self._broken: set[str] = set()
        self._awaited: dict[str, Head] = {}

    @property
    def orders(self) -> int:
        """How many orders were seen."""
        seen = len(self._open) + len(self._ended)
        return seen - sum(one in self._open or one in self._ended for one in NO_ORDERS)

    @property
    def first(self) -> Problem | None:
        """The problem at the lowest position."""
        return min(self.problems, default=None)

    def report(self, position: int, order_id: str, code: str, detail: str) -> None:
        """Adds a problem, unless its order has one already."""
        if order_id in self._broken:
            return
        if order_id:
            self._broken.add(order_id)
        self.problems.append(Problem(position, order_id, code, detail))

    # -- events --------------------------------------------------------------------------------

    def event(self, stored: Stored) -> None:
        """The next event of the log."""
        position, _, record = stored
        if position != self.position + 1:
            self.report(self.position + 1, "", "gap", f"the next event is at {position}")
        self.position = max(position, self.position)
        body = bytes(record.body)
        try:
            event = types.decode(body)
        except msgspec.DecodeError as error:
            self.report(position, _order_id(body), "unreadable", str(error))
            return
        if event.order_id not in self._broken:
            self._continues(position, record.hash, body, event)

    def _continues(self, position: int, digest: bytes, body: bytes, event: Event) -> None:
        order_id = event.order_id
        seen = self._open.get(order_id)
        if fault := self._fault(seen, digest, body, event):
            self.report(position, order_id, *fault)
            return
        order = evolve(seen.order if seen else None, event)
        if event.status is not order.status:
            detail = f"the event says {event.status}, its history {order.status}"
            self.report(position, order_id, "status", detail)
            return
        if seen is None:
            seen = self._open[order_id] = _Open(order, digest, [position])
        else:
            seen.order, seen.hash = order, digest
            seen.positions.append(position)
        if order_id in self._awaited and self._awaited[order_id].version == order.version:
            self._same_head(seen, self._awaited.pop(order_id))
        if order.terminal:
            del self._open[order_id]
            summary = _summary_of(seen)
            short = len(seen.positions) <= POSITIONS_KEPT
            head = summary if short else _summary_of(seen, POSITIONS_KEPT)
            self._ended[order_id] = _Ended(order.version, position, summary, head, added(order))

    def _fault(
        self, seen: _Open | None, digest: bytes, body: bytes, event: Event
    ) -> tuple[str, str] | None:
        kind = type(event.fact)
        if event.order_id in self._ended:
            return "transition", f"{kind.__name__} after the order's end"
        version = seen.order.version if seen else 0
        if event.version != version + 1:
            return "version", f"version {event.version} follows {version}"
        if not follows(seen.hash if seen else GENESIS, body, digest):
            return "hash", f"version {event.version} is not what was hashed"
        if kind not in NEXT[seen.order.status if seen else None]:
            before = seen.order.status if seen else "nothing"
            return "transition", f"{kind.__name__} does not follow {before}"
        if seen and event.time_us < seen.order.updated_at_us:
            return "time", f"{event.time_us} is before {seen.order.updated_at_us}"
        return None

    # -- copies --------------------------------------------------------------------------------

    def same(self, logged: Stored, archived: Stored) -> None:
        """The same position, read from the log and from the archive."""
        if logged.record.hash != archived.record.hash:
            what = "hash"
        elif bytes(logged.record.body) != bytes(archived.record.body):
            what = "body"
        elif logged.time_us != archived.time_us:
            what = "time"
        else:
            return
        self.report(logged.position, "", "archive", f"log and archive differ in the {what}")

    def rows(self, columns: Columns) -> RowCheck:
        """A check of the orders table, as it is at the position reached."""
        return RowCheck(self, columns)

    def heads(self, loaded: Iterable[tuple[str, Head | None]]) -> None:
        """Heads of orders. Those that are ahead are compared once the events are there."""
        for order_id, head in loaded:
            seen = self._open.get(order_id)
            if order_id in self._broken:
                continue
            if head is None:
                if seen is not None:
                    at = seen.positions[-1]
                    self.report(at, order_id, "head", "an open order has no head")
            elif seen is None:
                self._same_ended(order_id, head)
            elif head.version > seen.order.version:
                self._awaited[order_id] = head
            else:
                self._same_head(seen, head)

    def missing_events(self) -> None:
        """Reports heads that told of events which never came."""
        for order_id, head in self._awaited.items():
            at = head.positions[-1] if head.positions else self.position
            self.report(at, order_id, "head", f"its head has version {head.version}, the log not")
        self._awaited.clear()

    def open_ids(self, size: int) -> Iterator[list[str]]:
        """The orders that have not ended, in parts."""
        ids = list(self._open)
        return (ids[at : at + size] for at in range(0, len(ids), size))

    def order_ids(self, size: int) -> Iterator[list[str]]:
        """All orders seen, in parts."""
        ids = [*self._open, *self._ended]
        return (ids[at : at + size] for at in range(0, len(ids), size))

    def _same_head(self, seen: _Open, head: Head) -> None:
        at, order = seen.positions[-1], seen.order
        if head.version != order.version or head.hash != seen.hash:
            detail = f"its head is at version {head.version}, the log at {order.version}"
            if head.version == order.version:
                detail = "its head has another hash"
            self.report(at, order.id, "head", detail)
        elif head.positions != tuple(seen.positions[-POSITIONS_KEPT:]):
            self.report(at, order.id, "head", "its head names other positions")
        elif head.owes == PARKED and _normal(head.body) is None:
            return  # parked because its body cannot be read: an operator's replay mends it
        elif _normal(head.body) != basis(order) or not adds(head.body, added(order)):
            self.report(at, order.id, "head", "its head is not what its events add up to")

    def _same_ended(self, order_id: str, head: Head) -> None:
        ended = self._ended.get(order_id)
        if ended is None:
            self._awaited[order_id] = head
        elif ended.head != _summary(head.version, head.hash, head.positions, head.body) or not adds(
            head.body, ended.added
        ):
            detail = "its head is not what its events add up to"
            self.report(ended.position, order_id, "head", detail)


class RowCheck:
    """Compares the orders table with the fold."""

    def __init__(self, auditor: Auditor, columns: Columns) -> None:
        self._auditor = auditor
        self._columns = columns
        self._left = {*auditor._open, *auditor._ended}

    def row(
        self,
        order_id: str,
        version: int,
        digest: bytes,
        positions: Sequence[int],
        columns: Mapping[str, Any],
    ) -> None:
        """One row. `columns` holds all of them, `state` among them."""
        auditor = self._auditor
        last = positions[-1] if positions else 0
        if order_id not in self._left:
            auditor.report(last, order_id, "orders", "a row without events")
            return
        self._left.discard(order_id)
        seen, ended = auditor._open.get(order_id), auditor._ended.get(order_id)
        expected = _summary_of(seen) if seen else ended.summary if ended else b""
        at = seen.positions[-1] if seen else ended.position if ended else last
        state = columns["state"]
        more = added(seen.order) if seen else ended.added if ended else NOTHING_ADDED
        if expected != _summary(version, digest, positions, state) or not adds(state, more):
            detail = f"its row (version {version}) is not what its events add up to"
            auditor.report(at, order_id, "orders", detail)
            return
        shown = self._columns(orders.decode(state), digest, positions)
        for name, value in shown.items():
            if name != "state" and _plain(columns[name]) != _plain(value):
                detail = f"column {name} is {columns[name]!r}, its events say {value!r}"
                auditor.report(at, order_id, "orders", detail)

    def finish(self) -> None:
        """Reports orders that have no row."""
        auditor = self._auditor
        for order_id in self._left:
            seen, ended = auditor._open.get(order_id), auditor._ended.get(order_id)
            at = seen.positions[-1] if seen else ended.position if ended else 0
            auditor.report(at, order_id, "orders", "it has no row")


def _plain(value: Any) -> Any:
    """As it compares: asyncpg has its own types for ids and arrays."""
    if isinstance(value, list):
        return tuple(value)
    return str(value) if isinstance(value, UUID) else value


def _order_id(body: bytes) -> str:
    try:
        return _envelope.decode(body).order_id
    except msgspec.DecodeError:
        return ""


def _normal(state: bytes) -> bytes | None:
    """An encoded order as this build encodes it, see `basis`: an older one knew fewer fields."""
    try:
        return basis(orders.decode(state))
    except msgspec.DecodeError:
        return None


def _summary(version: int, digest: bytes, positions: Sequence[int], state: bytes) -> bytes:
    return _digest(version, digest, positions, _normal(state) or b"unreadable")


def _summary_of(seen: _Open, newest: int = 0) -> bytes:
    """With all its positions, or so many of the newest."""
    positions = seen.positions[-newest:]
    return _digest(seen.order.version, seen.hash, positions, basis(seen.order))


def _digest(version: int, digest: bytes, positions: Sequence[int], state: bytes) -> bytes:
    return sha256(msgspec.msgpack.encode((version, digest, list(positions), state))).digest()
