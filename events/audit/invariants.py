"""The checks of an audit: events continue their orders, and all copies agree.

Rule of this file: pure. It is fed events in order of position, rows and heads, and reports each
problem at its first position. An order with a problem is not checked further, because the problems
that follow from the first would hide it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from events.archive.losses import NONE, Loss, Losses
from events.audit.order_digests import (
    Ended,
    Open,
    ended_head_fault,
    event_fault,
    fault_after_end,
    head_fault,
    summary_of,
)
from events.audit.problems import ARCHIVE, HEADS, LOG, Problem
from events.hash_chain import decode_event
from events.ids import SYSTEM_STREAM_IDS
from events.log import POSITIONS_KEPT, OrderHead, Stored
from events.positions import span
from events.streams import State, evolve
from events.streams.damage import UNDECODABLE
from events.streams.older_builds import added
from events.types import Event, OrderSubmitted


def _difference(logged: Stored, archived: Stored) -> str:
    if logged.record.hash != archived.record.hash:
        return "hash"
    if bytes(logged.record.body) != bytes(archived.record.body):
        return "body"
    return "" if logged.time_us == archived.time_us else "time"


class Asked(NamedTuple):
    """The submission of an order that has idempotency keys."""

    account: str
    fact: OrderSubmitted
    ended_us: int | None = None
    """The time at which the order ended, by the log server's clock; None: it is open."""


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    order_id: str


_envelope = msgspec.msgpack.Decoder(_Envelope)


class Auditor:
    """Checks a log from its first event."""

    def __init__(self, names_since_us: int = 0, losses: Losses = NONE) -> None:
        """Ignores the idempotency keys of orders that ended before `names_since_us`. `losses` are
        the accepted losses.
        """
        self.losses = losses
        self.accepted: list[Loss] = []
        """The accepted losses at whose positions nothing else is wrong."""
        self.position = 0
        """The position of the last event read."""
        self.asked: dict[str, Asked] = {}
        """Order id -> its submission, of orders with idempotency keys."""
        self._names_since_us = names_since_us
        self.problems: list[Problem] = []
        self._open: dict[str, Open] = {}
        self._ended: dict[str, Ended] = {}
        self._broken: set[str] = set()
        """Orders whose events do not continue each other: later ones are not checked."""
        self._told: set[tuple[str, str, str]] = set()
        """(store, key, order id) of the reported problems."""
        self._awaited: dict[str, OrderHead] = {}

    @property
    def orders(self) -> int:
        """The number of orders read so far."""
        seen = len(self._open) + len(self._ended)
        return seen - sum(
            order_id in self._open or order_id in self._ended for order_id in SYSTEM_STREAM_IDS
        )

    def report(
        self,
        position: int,
        order_id: str,
        code: str,
        detail: str,
        *,
        store: str = LOG,
        key: str = "",
    ) -> None:
        """Adds a problem. A second problem of an order in the same store and key is dropped."""
        if order_id:
            if (store, key, order_id) in self._told:
                return
            self._told.add((store, key, order_id))
        self.problems.append(Problem(position, order_id, code, detail, store, key))

    def _breaks(self, position: int, order_id: str, code: str, detail: str, store: str) -> None:
        if order_id:
            self._broken.add(order_id)
        self.report(position, order_id, code, detail, store=store)

    def known(self, order_id: str) -> int | None:
        """The version of an open order; 0: it has ended, or its chain is broken; None: no event of
        it.
        """
        if (seen := self._open.get(order_id)) is not None:
            return seen.order.version
        return 0 if order_id in self._ended or order_id in self._broken else None

    def sound_ids(self) -> list[str]:
        """The open orders whose events continue each other."""
        return [order_id for order_id in self._open if order_id not in self._broken]

    def is_sound(self, order_id: str) -> bool | None:
        """Whether the events of an order continue each other; None where no event names it."""
        if self.known(order_id) is None:
            return None
        return order_id not in self._broken

    def has_ended(self, order_id: str) -> bool:
        """Whether an order has ended."""
        return order_id in self._ended

    def order(self, order_id: str) -> State | None:
        """An order that is open and sound."""
        seen = self._open.get(order_id)
        return seen.order if seen is not None and order_id not in self._broken else None

    def last_position(self, order_id: str) -> int:
        """The position of the newest event of an order; the log's, where the order is unknown."""
        if (seen := self._open.get(order_id)) is not None:
            return seen.positions[-1]
        ended = self._ended.get(order_id)
        return ended.position if ended is not None else self.position

    # -- events --------------------------------------------------------------------------------

    def event(self, stored: Stored, store: str = LOG) -> None:
        """Checks the next event of the log. `store` is the store that it was read from."""
        position, _, record = stored
        if position != self.position + 1:
            self.lost(position - 1)
        self.position = max(position, self.position)
        body = bytes(record.body)
        try:
            event = decode_event(body)
        except msgspec.DecodeError as error:
            self._breaks(position, _order_id(body), "unreadable", str(error), store)
            return
        if event.order_id not in self._broken:
            self._continues(stored, body, event, store)

    def lost(self, through: int) -> None:
        """Reports that no store holds the next events, up to and including `through`."""
        for loss in self.losses.between(self.position + 1, through):
            if not loss.digest:
                self.lost(loss.position - 1)
                self.accept(loss)
        if through > self.position:
            where = span(self.position + 1, through)
            self.report(self.position + 1, "", "gap", f"neither log nor archive holds {where}")
            self.position = through

    def accept(self, loss: Loss) -> None:
        """Skips the next position, whose event is an accepted loss. Its order continues from the
        state kept with the loss, or is not checked further.
        """
        self.position = max(loss.position, self.position)
        self.accepted.append(loss)
        order_id, kept = loss.order_id, loss.resumed
        if order_id in self.losses.forgotten:
            self._broken.add(order_id)
            self.asked.pop(order_id, None)
        if not order_id or kept is None or order_id in self._broken:
            return
        if not kept.fits(order_id, loss.position):
            detail = "the state kept with its accepted loss is not one of it"
            self._breaks(loss.position, order_id, "accepted", detail, ARCHIVE)
            return
        order = kept.order
        self._ended.pop(order_id, None)
        seen = self._open[order_id] = Open(order, kept.hash, list(kept.positions))
        if order.terminal:
            self._ends(seen, order.updated_at_us)

    def follows(self, stored: Stored) -> bool:
        """Whether an event would continue its order."""
        body = bytes(stored.record.body)
        try:
            event = decode_event(body)
        except msgspec.DecodeError:
            return False
        seen = self._open.get(event.order_id)
        return self._fault(seen, stored.record.hash, body, event) is None

    def _continues(self, stored: Stored, body: bytes, event: Event, store: str) -> None:
        order_id, position, digest = event.order_id, stored.position, stored.record.hash
        seen = self._open.get(order_id)
        if fault := self._fault(seen, digest, body, event):
            self._breaks(position, order_id, *fault, store)
            return
        order = evolve(seen.order if seen else None, event)
        if event.status != order.status:
            detail = f"the event says {event.status}, its history {order.status}"
            self._breaks(position, order_id, "status", detail, store)
            return
        if isinstance(event.fact, OrderSubmitted):
            self._submitted(order_id, event.account, event.fact)
        if seen is None:
            seen = self._open[order_id] = Open(order, digest, [position])
        else:
            seen.order, seen.hash = order, digest
            seen.positions.append(position)
        if order_id in self._awaited and self._awaited[order_id].version == order.version:
            self._same_head(seen, self._awaited.pop(order_id))
        if order.terminal:
            self._ends(seen, stored.time_us)

    def _ends(self, seen: Open, ended_us: int) -> None:
        order = seen.order
        del self._open[order.id]
        whole = summary_of(seen)
        short = len(seen.positions) <= POSITIONS_KEPT
        head = whole if short else summary_of(seen, POSITIONS_KEPT)
        at = seen.positions[-1]
        self._ended[order.id] = Ended(order.version, at, whole, head, added(order))
        if (asked := self.asked.get(order.id)) is not None:
            self.asked[order.id] = asked._replace(ended_us=ended_us)
            self._forget_old(order.id, ended_us)

    def _submitted(self, order_id: str, account: str, fact: OrderSubmitted) -> None:
        if fact.client_order_id is not None or fact.idempotency_key is not None:
            self.asked[order_id] = Asked(account, fact)

    def _forget_old(self, order_id: str, ended_us: int) -> None:
        if ended_us < self._names_since_us:
            del self.asked[order_id]

    def _fault(
        self, seen: Open | None, digest: bytes, body: bytes, event: Event
    ) -> tuple[str, str] | None:
        if (ended := self._ended.get(event.order_id)) is not None:
            return fault_after_end(ended, event)
        return event_fault(seen, digest, body, event)

    # -- copies --------------------------------------------------------------------------------

    def copies(self, logged: Stored, archived: Stored) -> None:
        """Checks the next event, given the copies of log and archive. The copy that continues its
        order is used.
        """
        what = _difference(logged, archived)
        if not what:
            self.event(archived, ARCHIVE)
            return
        position, detail = logged.position, f"log and archive differ in the {what}"
        log_fits, archive_fits = self.follows(logged), self.follows(archived)
        if archive_fits and not log_fits:
            detail = f"its {what} is not the archive's, which continues the order"
            self.report(position, "", "entry", detail)
        elif log_fits and not archive_fits:
            detail = f"its {what} is not the log's, which continues the order"
            self.report(position, "", "row", detail, store=ARCHIVE)
            self.event(logged, LOG)
            return
        else:
            self.report(position, "", "row", detail, store=ARCHIVE)
        self.event(archived, ARCHIVE)

    def heads(self, loaded: Iterable[tuple[str, OrderHead | None]]) -> None:
        """Compares heads with their orders. A head that is ahead is compared once its events are
        read.
        """
        for order_id, head in loaded:
            seen = self._open.get(order_id)
            if order_id in self._broken:
                continue
            if head is None:
                if seen is not None:
                    at = seen.positions[-1]
                    self._head(at, order_id, "an open order has no head")
            elif seen is None:
                self._same_ended(order_id, head)
            elif head.version > seen.order.version:
                self._awaited[order_id] = head
            else:
                self._same_head(seen, head)

    def head_expires(self, order_id: str, left_ms: int) -> None:
        """Reports an open order whose head has a TTL."""
        at = self.last_position(order_id)
        self._head(at, order_id, f"it is open, and its head goes in {left_ms} ms")

    def missing_events(self) -> None:
        """Reports heads that refer to events which were never read."""
        for order_id, head in self._awaited.items():
            at = head.positions[-1] if head.positions else self.position
            self._head(at, order_id, f"its head has version {head.version}, the log not")
        self._awaited.clear()

    def open_ids(self, size: int) -> Iterator[list[str]]:
        """The open orders, in pages of `size`."""
        ids = list(self._open)
        return (ids[at : at + size] for at in range(0, len(ids), size))

    def order_ids(self, size: int) -> Iterator[list[str]]:
        """All orders, in pages of `size`."""
        ids = [*self._open, *self._ended]
        return (ids[at : at + size] for at in range(0, len(ids), size))

    def _head(self, position: int, order_id: str, detail: str) -> None:
        self.report(position, order_id, "head", detail, store=HEADS)

    def _same_head(self, seen: Open, head: OrderHead) -> None:
        if detail := head_fault(seen, head):
            self._head(seen.positions[-1], seen.order.id, detail)

    def _same_ended(self, order_id: str, head: OrderHead) -> None:
        ended = self._ended.get(order_id)
        if ended is None:
            self._awaited[order_id] = head
        elif detail := ended_head_fault(ended, head):
            self._head(ended.position, order_id, detail)


def _order_id(body: bytes) -> str:
    try:
        return _envelope.decode(body).order_id
    except (msgspec.DecodeError, *UNDECODABLE):
        return ""
