"""Determines which events of archive and log are proved.

Rule of this file: pure. An event is proved where its hash follows from the hash of the previous
event of its order. At each position the copies of archive and log are tried; the first that follows
is the event. A position without one is lost, and so are the later events of its order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from events.archive import NO_ORDER
from events.archive.losses import NONE, Loss, Losses, Resumed, digest_of
from events.archive.page import LabelledEvent
from events.hash_chain import GENESIS, follows
from events.ids import SYSTEM_STREAM_IDS, parse_order_id
from events.log import Stored
from events.recovery.order_histories import OrderHistory, resumed
from events.streams import evolve
from events.streams.damage import UNDECODABLE
from events.types import Event, OrderSubmitted, current_name, decode
from projections.postgres.unreadable import read_event

VERSION_LIMIT = 2**31
"""The limit of the archive's column."""


class Lost(NamedTuple):
    """A position whose event neither store has."""

    position: int
    order_id: str
    """Empty where it is unknown."""
    detail: str
    digest: bytes = b""
    """Of the row at the position; empty: no row."""


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    order_id: str
    version: int


_envelope = msgspec.msgpack.Decoder(_Envelope)


def archived_event(stored: Stored) -> LabelledEvent:
    """The row as the projector writes it."""
    event = read_event(stored.record.body, "")
    if not isinstance(event, Event):
        return LabelledEvent(stored, event.order_id, event.version, event.name)
    order_id = parse_order_id(event.order_id) or NO_ORDER
    version = event.version if 0 <= event.version < VERSION_LIMIT else 0
    return LabelledEvent(stored, order_id, version, event.name)


class Submitted(NamedTuple):
    """The submission of an order."""

    order_id: str
    account: str
    fact: OrderSubmitted
    ended_us: int | None = None
    """None while the order is open."""


class Lives:
    """Folds orders from their events: the open ones, and what is needed of others."""

    def __init__(self, ended_since_us: int, named_since_us: int) -> None:
        self.open: dict[str, OrderHistory] = {}
        self.ended: dict[str, OrderHistory] = {}
        """Orders that ended at `ended_since_us` or later."""
        self.submitted: dict[str, Submitted] = {}
        """Of orders that are open, or ended no earlier than `named_since_us`, in the order of their
        first events."""
        self.unfolded: set[str] = set()
        """Orders with an event that this build cannot fold."""
        self.unasked: set[str] = set()
        """Orders whose first event is lost: under which names they were posted nothing tells."""
        self._ended_since_us = ended_since_us
        self._named_since_us = named_since_us

    def add(self, stored: Stored, order_id: str) -> None:
        """Adds the next proved event."""
        if order_id in self.unfolded:
            return
        history = self.open.pop(order_id, None) or self.ended.pop(order_id, None)
        try:
            event = decode(bytes(stored.record.body))
            order = evolve(history.order if history else None, event)
        except Exception:  # a fold that raises concerns one order
            self.unfolded.add(order_id)
            return
        position, time_us = stored.position, stored.time_us
        if history is None:
            history = OrderHistory(order, stored.record.hash, (position,), time_us, time_us, None)
        else:
            positions = (*history.positions, position)
            history = OrderHistory(
                order, stored.record.hash, positions, history.created_us, time_us, history.submitted
            )
        if isinstance(event.fact, OrderSubmitted):
            history = history._replace(submitted=event.fact)
            self.submitted[order_id] = Submitted(order_id, event.account, event.fact)
        self._put(history, time_us)

    def resume(self, kept: Resumed) -> None:
        """Continues an order with lost events from the state that was kept."""
        order_id = kept.order.id
        before = self.open.pop(order_id, None) or self.ended.pop(order_id, None)
        asked = before.submitted if before is not None else None
        if asked is None:
            self.unasked.add(order_id)
        history = resumed(kept, asked)
        self._put(history, history.changed_us)

    def forget(self, order_id: str) -> None:
        """Drops an order."""
        self.open.pop(order_id, None)
        self.ended.pop(order_id, None)
        self.submitted.pop(order_id, None)
        self.unasked.add(order_id)

    def _put(self, history: OrderHistory, time_us: int) -> None:
        order_id = history.order.id
        if not history.order.terminal:
            self.open[order_id] = history
            return
        if time_us < self._named_since_us:
            self.submitted.pop(order_id, None)
        elif order_id in self.submitted:
            self.submitted[order_id] = self.submitted[order_id]._replace(ended_us=time_us)
        if time_us >= self._ended_since_us:
            self.ended[order_id] = history


class Reconciliation:
    """Is fed every position from 1 on."""

    def __init__(self, lives: Lives, *, trusts_log: bool, losses: Losses = NONE) -> None:
        """`trusts_log`: where both copies are intact and differ, the log's counts; `losses` are
        those that were accepted.
        """
        self.lives = lives
        self.losses = losses
        self.regained: list[int] = []
        """Positions whose loss was accepted, and that are proved, or that no archive has."""
        self.position = 0
        """The last one looked at."""
        self.proved_end = 0
        """The last one whose event is proved."""
        self.last: Stored | None = None
        """The event there."""
        self.rows: list[LabelledEvent] = []
        """What the archive has to be given: missing, damaged or wrongly labelled rows."""
        self.lost: list[Lost] = []
        self.beyond: list[Lost] = []
        """Positions behind `proved_end` at which something stands that is not proved."""
        self.conflicts = 0
        """Positions at which both copies are intact and differ."""
        self._trusts_log = trusts_log
        self._chains: dict[str, tuple[int, bytes]] = {}
        self._broken: set[str] = set()

    def at(
        self, position: int, archived: Sequence[LabelledEvent], logged: Sequence[Stored]
    ) -> Stored | None:
        """The event at the next position, given its copies; None where it is lost."""
        assert position == self.position + 1, "every position once, in order"
        self.position = position
        event = self._proved(archived, logged)
        loss = self.losses.at(position)
        if event is None:
            if loss is not None and loss.digest == digest_of(archived) and _kept(loss):
                self._accept(loss)
            else:
                self._lose(position, archived, logged)
            return None
        if loss is not None:
            self.regained.append(position)
        stored, order_id, version = event
        if order_id:
            self._chains[order_id] = version, stored.record.hash
            self.lives.add(stored, order_id)
        self.proved_end, self.last = position, stored
        expected = archived_event(stored)
        # A row with the event's former name is sound.
        if [row._replace(name=current_name(row.name)) for row in archived] != [expected]:
            self.rows.append(expected)
        return stored

    def _accept(self, loss: Loss) -> None:
        self.proved_end = loss.position
        order_id, kept = loss.order_id, loss.resumed
        if order_id in self.losses.forgotten:
            self._chains.pop(order_id, None)
            self.lives.forget(order_id)
        elif kept is not None:
            self._chains[order_id] = kept.version, kept.hash
            self.lives.resume(kept)

    def chain(self, order_id: str) -> tuple[int, bytes]:
        """Version and hash of the newest proved event of an order."""
        return self._chains.get(order_id, (0, GENESIS))

    def _proved(
        self, archived: Sequence[LabelledEvent], logged: Sequence[Stored]
    ) -> tuple[Stored, str, int] | None:
        following = [
            following_events
            for stored in self._candidates(archived, logged)
            if (following_events := self._follows(stored, archived, logged)) is not None
        ]
        if len({bytes(match[0].record.body) for match in following}) > 1:
            self.conflicts += 1
        return following[0] if following else None

    def _candidates(
        self, archived: Sequence[LabelledEvent], logged: Sequence[Stored]
    ) -> Iterator[Stored]:
        if self._trusts_log:
            yield from logged
        yield from (row.stored for row in archived)
        if not self._trusts_log:
            yield from logged

    def _follows(
        self, candidate: Stored, archived: Sequence[LabelledEvent], logged: Sequence[Stored]
    ) -> tuple[Stored, str, int] | None:
        body = bytes(candidate.record.body)
        known = envelope_of(body)
        if known is None:
            # No build can read it. It is still archived, where both copies agree.
            copies = [row.stored.record for row in archived]
            agree = bool(copies) and copies == [stored.record for stored in logged]
            return (
                (candidate, "", 0) if agree or (self._trusts_log and candidate in logged) else None
            )
        order_id, version = known
        before, digest = self._chains.get(order_id, (0, GENESIS))
        if order_id in self._broken or version != before + 1:
            return None
        return (
            (candidate, order_id, version) if follows(digest, body, candidate.record.hash) else None
        )

    def _lose(
        self, position: int, archived: Sequence[LabelledEvent], logged: Sequence[Stored]
    ) -> None:
        copies = [row.stored for row in archived]
        named = [
            known[0] for stored in (*copies, *logged) if (known := envelope_of(stored.record.body))
        ]
        order_id = archived[0].order_id if archived and not named else "".join(named[:1])
        if not copies and not logged:
            detail = "neither archive nor log has it"
        elif order_id in self._broken:
            detail = "it follows an event of its order that is lost"
        else:
            detail = "no copy of it follows from the event before"
        self.lost.append(Lost(position, order_id, detail, digest_of(archived)))

    @property
    def gone(self) -> list[Lost]:
        """All positions that are not proved."""
        return [*self.lost, *self.beyond]

    def end(self) -> None:
        """Ends the reading. Unproved positions at the end are not losses: no known event was
        written there.
        """
        self.beyond = [lost for lost in self.lost if lost.position > self.proved_end]
        self.lost = [lost for lost in self.lost if lost.position <= self.proved_end]
        self.regained += [p for p in self.losses.positions if not 1 <= p <= self.position]

    def breaks(self, order_ids: Sequence[str]) -> None:
        """Stops proving events of these orders, because an event of theirs is known to be lost."""
        self._broken.update(set(order_ids) - SYSTEM_STREAM_IDS)


def _kept(loss: Loss) -> bool:
    """Whether the state kept with a loss belongs to it."""
    return loss.resumed is None or loss.resumed.fits(loss.order_id, loss.position)


def envelope_of(body: bytes | msgspec.Raw) -> tuple[str, int] | None:
    """Order id and version of an event, known or not; None for bytes that are not an event."""
    try:
        known = _envelope.decode(body)
    except (msgspec.DecodeError, *UNDECODABLE):
        return None
    return known.order_id, known.version
