"""Iterates over the log's entries and the archive's rows, event by event, whatever their damage.

Each walk reports what does not belong and continues after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable

from events.archive.losses import NONE, Losses, digest_of
from events.archive.page import LabelledEvent
from events.audit.archive_columns import Clock, label_faults
from events.audit.problems import ARCHIVE, LOG
from events.log import Damaged, LogReader, RawEntry, Stored, batch_of, foreign_id
from events.positions import span

ENTRIES_AT_ONCE = 20

Report = Callable[[int, str, str, str, str], None]
"""Position, code, detail, store, key."""


class LogWalk:
    """The events of the log up to its position."""

    def __init__(self, reader: LogReader, report: Report, end: int) -> None:
        self.held_from = 0
        """The first position that the log holds; it grows when the log is trimmed meanwhile."""
        self.last = 0
        """The position of the last entry that was read."""
        self.damaged: set[int] = set()
        """Positions of entries that cannot be decoded."""
        self._reader = reader
        self._report = report
        self._end = end
        self._after = ""
        self._events: deque[Stored] = deque()
        self._over = False

    async def following(self) -> Stored | None:
        """The next event; None at the end."""
        while not self._events and not self._over:
            entries = await self._reader.raw(self._after, count=ENTRIES_AT_ONCE)
            self._over = not entries
            for entry in entries:
                self._after = entry.id
                if entry.position > self._end:
                    self._over = True
                    if await self._trimmed():
                        self.last = self.held_from = self._end
                    break
                if entry.own:
                    await self._take(entry)
                else:
                    told = foreign_id(entry)
                    self._report(entry.position, told.reason, told.detail, LOG, entry.id)
        return self._events.popleft() if self._events else None

    async def _take(self, entry: RawEntry) -> None:
        first = self.last + 1 if self.held_from else entry.position
        try:
            batch = batch_of(entry)
        except Damaged as error:
            self._report(first, "damaged", str(error), LOG, entry.id)
            self.damaged.update(range(first, entry.position + 1))
            self.held_from = self.held_from or first
            self.last = entry.position
            return
        self.held_from = self.held_from or batch.first
        if self.last and batch.first <= self.last:
            where = span(batch.first, min(self.last, batch.last))
            detail = f"it holds {where} once more"
            self._report(batch.first, "overlap", detail, LOG, entry.id)
        elif self.last and batch.first > self.last + 1 and await self._trimmed():
            self.held_from = batch.first
        for position, record in enumerate(batch.records, batch.first):
            if position > self.last:
                self._events.append(Stored(position, batch.time_us, record))
        self.last = batch.last

    async def _trimmed(self) -> bool:
        """Whether the missing events may have been trimmed during the audit, so that there is a gap
        but no hole.
        """
        first, last = await self._reader.bounds()
        return self.last + 1 < first <= last


class ArchiveWalk:
    """The rows of `events`; compares the columns beside the body."""

    def __init__(
        self,
        rows: AsyncIterator[LabelledEvent],
        report: Report,
        clock: Clock,
        losses: Losses = NONE,
    ) -> None:
        self._rows = rows
        self._losses = losses
        self._report = report
        self._clock = clock
        self._last = 0

    async def following(self) -> LabelledEvent | None:
        """The next row with a valid, unique position; None at the end."""
        async for row in self._rows:
            position = row.stored.position
            if position < 1:
                self._report(position, "row", "no log has such a position", ARCHIVE, "events")
                continue
            if position == self._last:
                self._report(position, "duplicate", "it has two rows", ARCHIVE, "events")
                continue
            self._last = position
            if self.is_accepted(row):
                return row
            for name, detail in label_faults(row):
                self._report(position, "column", detail, ARCHIVE, f"events.{name}")
            if detail := self._clock.fault(row.stored.time_us):
                self._report(position, "time", detail, ARCHIVE, "events.time_us")
            return row
        return None

    def is_accepted(self, row: LabelledEvent) -> bool:
        """Whether the row is unchanged since its loss was accepted."""
        loss = self._losses.at(row.stored.position)
        return loss is not None and loss.digest == digest_of([row])


async def no_rows() -> AsyncIterator[LabelledEvent]:
    """The rows of a missing table."""
    nothing: tuple[LabelledEvent, ...] = ()
    for row in nothing:
        yield row


class Holes:
    """The positions that one store lacks and the other has, reported as ranges."""

    def __init__(self, store: str, other: str) -> None:
        self._store = store
        self._other = other
        self._first, self._last = 0, -1

    def add(self, position: int, report: Report) -> None:
        """Adds a position, in ascending order."""
        if self._last != position - 1:
            self.close(report)
            self._first = position
        self._last = position

    def close(self, report: Report) -> None:
        """Reports the current range."""
        if self._first:
            where = span(self._first, self._last)
            detail = f"it lacks {where}, which the {self._other} has"
            report(self._first, "hole", detail, self._store, "")
        self._first, self._last = 0, -1
