"""Past events, from the live log and, where that is trimmed, from the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from events.archive import Filters
from events.archive.history import Gap, GivenUp, Histories, order_history
from events.log import Batch, EventLog, LogTruncated, Stored
from events.order import Order
from projections.feed.ownership import owns

ARCHIVE_PAGE = 1000
"""Events read from the archive at once."""

LOG_PAGE = 20
"""Log entries read at once. An entry holds up to 500 events, and a page is in memory."""


class HistoryGap(Exception):
    """Neither log nor archive has the events after a position."""

    def __init__(self, after: int, resume_after: int, detail: str = "") -> None:
        text = detail or f"nothing holds the events after {after} up to {resume_after}"
        super().__init__(text)
        self.resume_after = resume_after
        """The first position after which events exist again."""


class Archive(Histories, Protocol):
    """The long-term store of events. Every call may raise `events.archive.ArchiveUnavailable`."""

    async def read(self, after: int, limit: int) -> Sequence[Stored]:
        """The events after a position, in order."""
        ...

    async def order(self, order_id: str) -> Order | None:
        """The order as projected."""
        ...

    async def find(
        self, filters: Filters, *, limit: int, cursor: str | None = None
    ) -> tuple[list[Order], str | None]:
        """Orders, newest first, and the cursor of the next page. Raises BadCursor."""
        ...


class HistoryReader:
    """Reads past events, one page per call. Shared by all readers of a process."""

    def __init__(self, log: EventLog, archive: Archive) -> None:
        self._log = log
        self._archive = archive
        self._reader = log.reader("past")

    async def page(self, after: int) -> list[Stored]:
        """The next events after a position; none at the end of the log.

        Raises LogError, ArchiveUnavailable or HistoryGap.
        """
        try:
            batches = await self._reader.read(after, batches=LOG_PAGE)
            if not batches:
                if after >= await self._log.position():
                    return []
                # Appended since, or trimmed: only another read can tell.
                batches = await self._reader.read(after, batches=LOG_PAGE)
        except LogTruncated as error:  # trimmed past `after`, or damaged there
            return await self._archived(after, error.resume_after)
        return flatten(batches, after) if batches else await self._archived(after)

    async def _archived(self, after: int, resume_after: int = 0) -> list[Stored]:
        """The next page of the archive. `resume_after`: where the log resumes; 0: unknown."""
        rows = await self._archive.read(after, ARCHIVE_PAGE)
        losses = await self._archive.losses()
        events = [stored for stored in rows if losses.at(stored.position) is None]
        if losses and events and events[0].position > after + 1:
            raise HistoryGap(after, events[0].position - 1)
        for offset, stored in enumerate(events):
            if stored.position != after + 1 + offset:
                del events[offset:]
                break
        if not events:
            if resume_after <= after:
                first, last = await self._log.bounds()
                behind = first - 1 if last else 0
                resume_after = behind if behind > after else await self._log.position()
            raise HistoryGap(after, resume_after)
        return events

    async def order(self, order_id: str) -> list[Stored]:
        """Every event of an order, in order; empty for an unknown order.

        Raises LogError, ArchiveUnavailable or HistoryGap.
        """
        try:
            return await order_history(self._archive, self._log, order_id)
        except Gap as gap:
            detail = str(gap) if isinstance(gap, GivenUp) else ""
            raise HistoryGap(gap.position - 1, gap.position, detail) from gap

    async def owns(self, account: str, order_id: str) -> bool:
        """Whether an order belongs to an account. Raises LogError or ArchiveUnavailable."""
        return await owns(self._log, self._archive, account, order_id)

    async def close(self) -> None:
        """Closes the connection."""
        await self._reader.close()


def flatten(batches: Sequence[Batch], after: int) -> list[Stored]:
    """The events of batches after a position, each with its own position."""
    return [
        Stored(position, batch.time_us, record)
        for batch in batches
        for position, record in enumerate(batch.records, start=batch.first)
        if position > after
    ]
