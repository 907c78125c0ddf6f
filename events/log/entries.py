"""Entries of the log's stream: decodes them and tells which of them no append wrote.

Rule of this file: pure. The append function writes an entry, `meta.position` and the heads of its
orders in one step. An entry after that position, or with an id of another form, is foreign: readers
skip it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from events.hash_chain import HashedEvent, decode_batch, follows
from events.log.head import OrderHead
from events.log.redis.link import Damaged
from events.telemetry.error_text import error_text


class Reason(StrEnum):
    """Why an entry is refused."""

    FOREIGN_ID = "foreign-id"
    """Its id is not `<position>-0`."""
    DAMAGED = "damaged"
    """It cannot be decoded."""
    OVERLAP = "overlap"
    """It holds positions that the previous entry holds."""
    DUPLICATE = "duplicate"
    """It is after the head and repeats events that the log has."""
    NOT_CHAINED = "not-chained"
    """Its events do not continue the hash chains of their orders."""
    BEYOND_HEAD = "beyond-head"
    """It is after the head and has no other fault."""


class Batch(NamedTuple):
    """One log entry: the events `first` to `last`, written by one append call."""

    first: int
    last: int
    time_us: int
    """The server's time of the append."""
    records: list[HashedEvent]
    data: bytes
    """The stored bytes of all records."""


class Stored(NamedTuple):
    """An event with its position and the server's time of its append."""

    position: int
    time_us: int
    record: HashedEvent


class RawEntry(NamedTuple):
    """An undecoded entry."""

    id: str
    fields: tuple[bytes, ...]
    """Names and values alternating."""

    @property
    def position(self) -> int:
        """The position of its last event, by its id."""
        return int(self.id.partition("-")[0])

    @property
    def own(self) -> bool:
        """Whether its id has the form that appends use."""
        return self.id.endswith("-0")


class Refused(NamedTuple):
    """An entry that readers skip."""

    id: str
    position: int
    """The position of its last event, by its id."""
    reason: Reason
    detail: str
    order_ids: tuple[str, ...] = ()
    """The orders of its readable events."""

    def __str__(self) -> str:
        return f"log entry {self.id} is refused ({self.reason}): {self.detail}"


class Tail(NamedTuple):
    """The entries after `meta.position`."""

    refused: list[Refused]
    vouched: int
    """The last position after it that a head refers to: `meta.position` is wrong then, not the
    entries. 0: no head refers to any."""


def raw_entry(answer: Any) -> RawEntry:
    """An entry of an XRANGE reply."""
    entry_id, fields = answer
    return RawEntry(entry_id.decode(), tuple(fields))


def batch_of(entry: RawEntry) -> Batch:
    """Decodes an entry. Raises Damaged."""
    try:
        values = dict(zip(entry.fields[::2], entry.fields[1::2], strict=True))
        data = values[b"b"]
        records = decode_batch(data)
        last = entry.position
        if not records or len(records) > last:
            raise ValueError(f"{len(records)} events")
        return Batch(last - len(records) + 1, last, int(values[b"t"]), records, data)
    except (KeyError, ValueError, msgspec.DecodeError) as error:
        detail = f"entry {entry.id} of the log is damaged: {error_text(error)}"
        raise Damaged(detail, resume_after=entry.position) from error


def order_ids(entries: Iterable[RawEntry]) -> set[str]:
    """The orders of all readable events of entries."""
    ids: set[str] = set()
    for entry in entries:
        try:
            batch = batch_of(entry)
        except Damaged:
            continue
        ids.update(_order_id(record) for record in batch.records)
    return ids - {""}


def _order_id(record: HashedEvent) -> str:
    try:
        return record.event().order_id
    except msgspec.DecodeError:
        return ""


def tail_of(entries: Sequence[RawEntry], position: int, heads: Mapping[str, OrderHead]) -> Tail:
    """Classifies entries after `position`, in the order of the stream, given the heads of
    `order_ids(entries)`.
    """
    refused, vouched = [], 0
    for entry in entries:
        if not entry.own:
            refused.append(foreign_id(entry))
            continue
        try:
            batch = batch_of(entry)
        except Damaged as error:
            refused.append(Refused(entry.id, entry.position, Reason.DAMAGED, str(error)))
            continue
        if _named(batch, heads):
            vouched = entry.position
        else:
            reason, detail = _fault(batch, heads)
            detail = f"it stands behind the log's head, {position}; {detail}"
            ids = tuple(dict.fromkeys(filter(None, map(_order_id, batch.records))))
            refused.append(Refused(entry.id, entry.position, reason, detail, ids))
    return Tail(refused, vouched)


def foreign_id(entry: RawEntry) -> Refused:
    """The refusal of an entry whose id has another form than appends use."""
    return Refused(entry.id, entry.position, Reason.FOREIGN_ID, "no append makes such an id")


def _named(batch: Batch, heads: Mapping[str, OrderHead]) -> bool:
    """Whether the head of an order refers to a position in this entry: an append wrote it then."""
    return any(
        (head := heads.get(_order_id(record))) is not None and position in head.positions
        for position, record in enumerate(batch.records, batch.first)
    )


def _fault(batch: Batch, heads: Mapping[str, OrderHead]) -> tuple[Reason, str]:
    """The first fault of an entry. Events of one order are consecutive versions in it."""
    at: dict[str, tuple[int, bytes]] = {i: (head.version, head.hash) for i, head in heads.items()}
    for record in batch.records:
        try:
            event = record.event()
        except msgspec.DecodeError:
            return Reason.DAMAGED, "an event of it cannot be read"
        version, digest = at.get(event.order_id, (event.version - 1, b""))
        if event.version <= version:
            return Reason.DUPLICATE, f"order {event.order_id} has version {version} already"
        if event.version > version + 1 or (
            digest and not follows(digest, bytes(record.body), record.hash)
        ):
            detail = f"version {event.version} does not continue order {event.order_id}"
            return Reason.NOT_CHAINED, detail
        at[event.order_id] = (event.version, record.hash)
    return Reason.BEYOND_HEAD, "no append wrote it"
