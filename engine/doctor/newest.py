"""The newest events of records that are too many to look at all of them, held against each other.

An audit reports everything that is reported here. Earlier events are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from events.archive import Checkpoint, Snapshot
from events.archive.losses import Losses, digest_of
from events.archive.page import LabelledEvent
from events.archive.snapshot import OrderRow
from events.audit.archive_columns import label_faults
from events.hash_chain import GENESIS, follows
from events.log import Damaged, EventLog, LogTruncated, Stored
from events.positions import spans

EVENTS = 20_000
ORDERS = 500


class Newest(NamedTuple):
    """What was looked at, and what is wrong with it."""

    first: int
    last: int
    faults: list[str]


async def look(log: EventLog, snapshot: Snapshot, *, events: int = EVENTS) -> Newest:
    """Looks at the newest archived events. Raises LogError, SchemaDamaged or asyncpg's errors."""
    checkpoint, end = await snapshot.checkpoint(), await snapshot.last_position()
    faults = list(_checkpoint_faults(checkpoint, end))
    first = max(1, end - events + 1)
    rows = [row async for row in snapshot.labelled(first - 1)]
    logged, damaged = await _logged(log, first, end)
    losses = await snapshot.losses()
    ends = _Ends()
    faults += [*damaged, *_event_faults(rows, logged, losses, ends, first, end)]
    ids = sorted(ends.newest)
    for at in range(0, len(ids), ORDERS):
        some = ids[at : at + ORDERS]
        faults += _order_faults(some, {o.id: o for o in await snapshot.some(some)}, ends)
    return Newest(first, end, faults)


class _Ends:
    """Version and hash of the newest events of the orders that were seen."""

    def __init__(self) -> None:
        self.newest: dict[str, tuple[int, bytes]] = {}

    def continues(self, row: LabelledEvent) -> bool:
        """Whether an event continues its order, as far as that can be told; notes it."""
        body, digest = bytes(row.stored.record.body), row.stored.record.hash
        before = self.newest.get(row.order_id)
        self.newest[row.order_id] = row.version, digest
        if before is None:
            return row.version != 1 or follows(GENESIS, body, digest)
        return row.version == before[0] + 1 and follows(before[1], body, digest)


def _checkpoint_faults(checkpoint: Checkpoint | None, end: int) -> Iterator[str]:
    if checkpoint is None:
        yield "checkpoint: there is none"
    elif checkpoint.position != end:
        yield f"checkpoint: it stands at {checkpoint.position}, the archive ends at {end}"


def _event_faults(
    rows: Sequence[LabelledEvent],
    logged: Mapping[int, Stored],
    losses: Losses,
    ends: _Ends,
    first: int,
    end: int,
) -> Iterator[str]:
    wrong: list[int] = []
    there = {row.stored.position for row in rows}
    for position in range(first, end + 1):
        loss = losses.at(position)
        if position not in there and (loss is None or loss.digest):
            wrong.append(position)
    for row in rows:
        position, stored = row.stored.position, row.stored
        loss = losses.at(position)
        if loss is not None and loss.digest == digest_of([row]):
            ends.newest.pop(row.order_id, None)
            continue
        other = logged.get(position)
        differs = other is not None and other != stored
        if differs or any(label_faults(row)) or not ends.continues(row):
            wrong.append(position)
    if wrong:
        at = spans(sorted(wrong))
        yield f"archive: rows are missing, damaged or wrongly labelled, at {at}"


def _order_faults(ids: Sequence[str], rows: Mapping[str, OrderRow], ends: _Ends) -> Iterator[str]:
    for order_id in ids:
        row, newest = rows.get(order_id), ends.newest[order_id]
        if row is None or (row.version, row.hash) != newest:
            yield f"orders: the row of order {order_id} is not what its newest event says"


async def _logged(log: EventLog, first: int, end: int) -> tuple[dict[int, Stored], list[str]]:
    """The log's copies, and where it is damaged."""
    reader, after = log.reader("doctor"), first - 1
    stored: dict[int, Stored] = {}
    faults: list[str] = []
    try:
        while after < end:
            try:
                batches = await reader.read(after)
            except LogTruncated as error:
                if isinstance(error, Damaged) or stored:  # else it is trimmed up to there
                    faults.append(f"log: {error}")
                after = max(after + 1, error.resume_after or end)
                continue
            if not batches:
                break
            for batch in batches:
                for position, record in enumerate(batch.records, batch.first):
                    if first <= position <= end:
                        stored[position] = Stored(position, batch.time_us, record)
            after = batches[-1].last
    finally:
        await reader.close()
    return stored, faults
