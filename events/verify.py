"""The proof: reads everything that the engine wrote, and has it checked, while the engine runs.

Postgres is read in one snapshot, so that archive, orders and checkpoint belong together. The log
moves on: what follows the snapshot is read up to the newest event, the heads are loaded after that,
and those that are ahead by then are compared once their events have been read too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import NamedTuple

from events.acts import engine_state
from events.archive import Archive, Checkpoint, Snapshot
from events.audit import Auditor, Columns, Problem
from events.ids import ENGINE_ID
from events.log import EventLog, LogReader, Missing, Regressed, Stored
from events.types import Status

HEADS = 500
TRIES = 3
LOG_BATCHES = 20
ARCHIVE_PAGE = 1000

Progress = Callable[[int, int], None]


class Verdict(NamedTuple):
    """What was found."""

    events: int
    orders: int
    archived: int
    """Through which position Postgres was compared."""
    head: int
    """The newest position of the log, at the end."""
    compared: int
    """Events that were in the log and in the archive, and were compared."""
    problems: list[Problem]
    """By position."""


async def verify(
    archive: Archive, log: EventLog, columns: Columns, progress: Progress = lambda _done, _of: None
) -> Verdict:
    """Reads and checks everything. Raises ArchiveUnavailable or LogError."""
    auditor = Auditor()
    reader = log.reader("verify")
    try:
        try:
            await log.open(found=False)
        except Missing:
            auditor.report(1, "", "log", "there is no log")
        head = await log.position()
        async with archive.snapshot() as snapshot:
            checkpoint = await snapshot.checkpoint()
            archived = checkpoint.position if checkpoint else 0
            if checkpoint is not None and log.epoch:
                await _same_log(log, reader, auditor, checkpoint)
            compared = await _overlap(snapshot, log, reader, auditor, archived)
            await _archived(
                snapshot, auditor, archived, lambda done: progress(done, max(head, archived))
            )
            await _orders(snapshot, auditor, columns)
        await _rest(archive, log, reader, auditor, progress)
        await _heads(log, auditor)
        await _rest(archive, log, reader, auditor, progress)
        auditor.missing_events()
        if log.epoch:
            await _marks(log, auditor)
        head = await log.position()
    finally:
        await reader.close()
    return Verdict(
        auditor.position, auditor.orders, archived, head, compared, sorted(auditor.problems)
    )


async def _archived(
    snapshot: Snapshot, auditor: Auditor, end: int, progress: Callable[[int], None]
) -> None:
    async for page in snapshot.events(0):
        for stored in page:
            auditor.event(stored)
        progress(auditor.position)
    if auditor.position != end:
        detail = f"the archive ends at {auditor.position}, its checkpoint at {end}"
        auditor.report(min(auditor.position, end) + 1, "", "archive", detail)


async def _orders(snapshot: Snapshot, auditor: Auditor, columns: Columns) -> None:
    rows = auditor.rows(columns)
    async for found in snapshot.orders():
        for row in found:
            rows.row(row.id, row.version, row.hash, row.positions, row.columns)
    rows.finish()


async def _same_log(
    log: EventLog, reader: LogReader, auditor: Auditor, checkpoint: Checkpoint
) -> None:
    """The checkpoint belongs to this log, and the log is as long as it says."""
    end = checkpoint.position
    position = await log.position()
    first, last = await reader.bounds()
    if last < position:
        detail = f"the log's entries end at {last}, its newest position is {position}"
        auditor.report(last + 1, "", "log", detail)
    elif checkpoint.epoch != log.epoch:
        detail = f"the log is of epoch {log.epoch}, the archive of {checkpoint.epoch}"
        auditor.report(end, "", "epoch", detail)
    elif position < end:
        detail = f"the log ends at {position}, the archive at {end}"
        auditor.report(position + 1, "", "log", detail)
    elif end >= first:
        entry = await reader.entry_at(end)
        # None: a hole, which is looked for below; or trimmed away meanwhile.
        if entry is not None and sha256(entry.data).digest() != checkpoint.digest:
            auditor.report(end, "", "log", "the log differs from what was projected")


async def _overlap(
    snapshot: Snapshot, log: EventLog, reader: LogReader, auditor: Auditor, end: int
) -> int:
    """Compares what stands in the log and in the archive; says how many events that were."""
    compared = 0
    first, _ = await log.bounds()
    after = first - 1
    archived = _one_by_one(snapshot, after, end)
    async for logged in _log_until(reader, auditor, after, end):
        async for stored in archived:
            if stored.position >= logged.position:
                break
        else:
            break
        if stored.position == logged.position:
            auditor.same(logged, stored)
            compared += 1
    return compared


async def _one_by_one(snapshot: Snapshot, after: int, until: int) -> AsyncIterator[Stored]:
    async for page in snapshot.events(after, until):
        for stored in page:
            yield stored


async def _log_until(
    reader: LogReader, auditor: Auditor, after: int, until: int
) -> AsyncIterator[Stored]:
    """The log's events up to a position; what is trimmed away meanwhile is left out, and what is
    missing otherwise is reported.
    """
    while after < until:
        batches = await reader.read(after, batches=LOG_BATCHES)
        if not batches:
            return
        for batch in batches:
            if batch.first > after + 1 and (await reader.bounds())[0] <= after + 1:
                detail = f"the log goes from position {after} to {batch.first}"
                auditor.report(after + 1, "", "log", detail)
            elif batch.first <= after:
                detail = f"position {batch.first} stands in the log twice"
                auditor.report(batch.first, "", "log", detail)
            for position, record in enumerate(batch.records, start=batch.first):
                if after < position <= until:
                    yield Stored(position, batch.time_us, record)
            after = max(after, batch.last)


async def _rest(
    archive: Archive, log: EventLog, reader: LogReader, auditor: Auditor, progress: Progress
) -> None:
    """What follows, up to the newest event; from the archive, where the log was trimmed by now."""
    end = await log.position()
    while auditor.position < end:
        after = auditor.position
        try:
            batches = await reader.read(after, batches=LOG_BATCHES)
            found = [
                Stored(position, batch.time_us, record)
                for batch in batches
                for position, record in enumerate(batch.records, start=batch.first)
                if position > after
            ]
        except Regressed:
            found = await archive.read(after, ARCHIVE_PAGE)
        if not found:
            auditor.report(after + 1, "", "gap", f"neither log nor archive goes on, up to {end}")
            return
        for stored in found:
            auditor.event(stored)
        progress(min(auditor.position, end), end)


async def _heads(log: EventLog, auditor: Auditor) -> None:
    for ids in auditor.order_ids(HEADS):
        auditor.heads(zip(ids, await log.load(ids), strict=True))


async def _marks(log: EventLog, auditor: Auditor) -> None:
    """What follows from the events and decides what happens: the halt, lists of open orders."""
    for _ in range(TRIES):
        before, state, after = await log.halted(), await engine_state(log), await log.halted()
        said = state is not None and state.status is Status.HALTED
        if before == after == said:
            break
    else:
        word = "halted" if said else "not halted"
        detail = f"the engine is {word} by its events, and the mark that holds up sends differs"
        auditor.report(auditor.position, ENGINE_ID, "halt", detail)
    for ids in auditor.open_ids(HEADS):
        for order_id, what in (await log.unlisted(ids)).items():
            auditor.report(auditor.position, order_id, "list", f"it is open, and in no {what}")
