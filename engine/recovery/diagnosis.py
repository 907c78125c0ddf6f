"""Reads the input of a repair plan: both stores, event by event, and the result of an audit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from redis.exceptions import ResponseError

from engine.recovery.reconcile import Lives, Reconciliation
from engine.recovery.stream_plan import Target, target
from events.archive import Archive, Checkpoint, Snapshot
from events.archive.page import LabelledEvent
from events.audit.problems import Problem
from events.audit.verify import verify
from events.log import EventLog, LogError, Stored
from events.recovery.log_rebuild import LogRebuild
from events.recovery.stream_survey import Meta, RawEntry, stored_in
from projections.postgres.order_rows import columns

GAP_MAX = 200_000
"""The longest gap in positions. Entries after a longer one do not belong to the log before it."""
LATEST = 500
"""The newest archived events, at least, from which a stream is rewritten."""


Events = dict[int, list[Stored]]
"""Events of the stream by position; several where entries overlap."""


_UNREADABLE = (
    LogError, ResponseError, RuntimeError, TypeError, ValueError, msgspec.MsgspecError,
)  # fmt: skip
"""The errors that an audit of badly damaged stores may raise."""


class Diagnosis(NamedTuple):
    """The content of both stores, and which events of it are proved."""

    meta: Meta
    log_end: int
    """The end of the log: its mark, or the position of a head beyond it."""
    checkpoint: Checkpoint | None
    archive_chain: str
    missing_tables: list[str]
    archived_end: int
    """The last position that has a row."""
    strays: list[int]
    """Invalid positions of rows, which no log has."""
    same: bool
    """Whether log and archive agree about the newest event that both have."""
    common: bool
    """Whether both have an event at the same position."""
    proof: Reconciliation
    proved: dict[int, Stored]
    """The events from which a stream is rewritten, where that is needed."""
    problems: list[Problem]
    unfolded: int
    promoted: bool
    """Whether the log is suspended until the chain has been queried."""
    fenced: bool
    """Whether a repair holds the fence, or was interrupted and left it."""
    target: Target
    """The stream after the repair."""
    lacking: list[str]
    """The columns that `events` lacks."""

    @property
    def empty(self) -> bool:
        """Whether neither store has ever held an event."""
        return not self.archived_end and not self.log_end and not self.proof.position


async def diagnose(log: EventLog, archive: Archive) -> Diagnosis:
    """Reads both stores completely. Raises LogError, ArchiveUnavailable or asyncpg's errors."""
    work = LogRebuild(log.url, log.keys)
    try:
        async with archive.snapshot() as snapshot:
            diagnosis = await _read(log, work, snapshot)
        return diagnosis._replace(problems=await _problems(log, archive))
    finally:
        await work.close()


async def _read(log: EventLog, work: LogRebuild, snapshot: Snapshot) -> Diagnosis:
    missing = await snapshot.missing_tables()
    damaged = await snapshot.damaged_tables()
    lacking = damaged.pop("events", [])
    snapshot.without(lacking)
    missing += damaged  # all are rebuilt from events and log
    checkpoint = None if "checkpoints" in missing else await snapshot.checkpoint()
    # The archive's moment is fixed now: the log had everything in it before.
    entries, meta = await _logged(work)
    now_us = await work.now_ms() * 1000
    log_end = await _vouched(work, meta, entries)
    stream = stream_of(entries, log_end if meta.there and not meta.fault else None)
    archived_end = 0 if "events" in missing else await snapshot.last_position()
    same = None if "events" in missing else await _same(snapshot, stream)
    lives = Lives(now_us - log.heads_kept_ms * 1000, now_us - log.window_ms * 1000)
    losses = await snapshot.losses()
    proof = Reconciliation(lives, trusts_log=same is not False, losses=losses)
    rows = _Rows(snapshot.labelled() if "events" not in missing else _none())
    first = max(1, min([archived_end - LATEST, *stream]))
    proved = await _prove(proof, rows, stream, first)
    end = proof.proved_end
    return Diagnosis(
        meta, log_end, checkpoint,
        "" if checkpoint is None else await snapshot.chain(),
        missing, rows.last, rows.strays, same is not False, same is not None, proof, proved, [],
        0 if "projection_parked" in missing else await snapshot.unfolded(),
        "--restored" in meta.suspended,
        meta.there and await work.fenced(),
        target(entries, proved, min(archived_end, end), end),
        lacking,
    )  # fmt: skip


async def _logged(work: LogRebuild) -> tuple[list[RawEntry], Meta]:
    """The entries of the log, and a mark that is not older than any of them."""
    entries = await work.entries()
    meta = await work.meta()
    later = await work.entries(entries[-1].id if entries else b"-")
    end = meta.position or 0
    return entries + [e for e in later if e.batch is not None and e.batch.last <= end], meta


async def _prove(
    proof: Reconciliation, rows: _Rows, stream: Events, first: int
) -> dict[int, Stored]:
    """Checks every position; returns the proved events from a position on."""
    proved: dict[int, Stored] = {}
    left = sorted(stream, reverse=True)
    row = await rows.following()
    while row is not None or left:
        ahead = [left[-1]] if left else []
        following = min([*ahead, *([row.stored.position] if row is not None else [])])
        if following - proof.position > GAP_MAX:
            break
        while proof.position + 1 < following:
            proof.at(proof.position + 1, (), ())
        archived: list[LabelledEvent] = []
        while row is not None and row.stored.position == following:
            archived.append(row)
            row = await rows.following()
        logged: Sequence[Stored] = ()
        if left and left[-1] == following:
            logged = stream[left.pop()]
        stored = proof.at(following, archived, logged)
        if stored is not None and following >= first:
            proved[following] = stored
    await rows.finish()
    proof.end()
    return proved


class _Rows:
    """The archive's rows, one at a time."""

    def __init__(self, rows: AsyncIterator[LabelledEvent]) -> None:
        self.last = 0
        self.strays: list[int] = []
        self._rows = rows

    async def following(self) -> LabelledEvent | None:
        """The next row; None at the end."""
        async for row in self._rows:
            position = row.stored.position
            if position < 1:
                self.strays.append(position)
                continue
            self.last = max(self.last, position)
            return row
        return None

    async def finish(self) -> None:
        """Reads the remaining rows."""
        while await self.following() is not None:
            pass


async def _none() -> AsyncIterator[LabelledEvent]:
    nothing: tuple[LabelledEvent, ...] = ()
    for row in nothing:
        yield row


def stream_of(entries: Sequence[RawEntry], end: int | None) -> Events:
    """The events of a stream, up to a position if given."""
    events: Events = {}
    for entry in entries:
        for stored in stored_in(entry):
            if stored.position > 0 and (end is None or stored.position <= end):
                events.setdefault(stored.position, []).append(stored)
    return events


async def _vouched(work: LogRebuild, meta: Meta, entries: Sequence[RawEntry]) -> int:
    """The end of the log: its mark, unless the head of an order names a position in an entry beyond
    it.
    """
    end = meta.position or 0
    beyond = [e for e in entries if not e.fault and e.batch is not None and e.batch.last > end]
    if not meta.there or not beyond:
        return end
    placed = await work.placed(
        {_order_of(stored) for entry in beyond for stored in stored_in(entry)}
    )
    named = [e.batch.last for e in beyond if e.batch is not None and _named(e, placed)]
    return max([end, *named])


def _order_of(stored: Stored) -> str:
    try:
        return stored.record.event().order_id
    except msgspec.DecodeError:
        return ""


def _named(entry: RawEntry, placed: Mapping[str, Sequence[int]]) -> bool:
    return any(stored.position in placed.get(_order_of(stored), ()) for stored in stored_in(entry))


async def _same(snapshot: Snapshot, stream: Events) -> bool | None:
    """Whether the newest event that both have is identical; None: they have none in common."""
    if not stream:
        return None
    for archived in await snapshot.newest(min(stream), max(stream)):
        logged = stream.get(archived.position, [])
        if logged:
            return any(stored.record == archived.record for stored in logged)
    return None


async def _problems(log: EventLog, archive: Archive) -> list[Problem]:
    """The problems that an audit reports; none where it cannot read the stores."""
    try:
        return (await verify(archive, log, columns)).problems
    except _UNREADABLE as error:
        return [Problem(0, "", "unreadable", str(error))]
