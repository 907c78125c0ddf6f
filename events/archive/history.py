"""The complete history: all events since the first, from the archive, then from the log.

The archive lags the log, and the log is trimmed after archiving: together they hold all events. A
reader that falls behind the trimming returns to the archive.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from events.archive import Archive, ArchiveUnavailable, Checkpoint, Page
from events.archive.losses import NONE, Loss, Losses
from events.hash_chain import GENESIS, follows
from events.log import Batch, EventLog, LogReader, LogTruncated, Stored
from events.positions import spans

LOG_BATCHES = 50


class Gap(Exception):
    """An event is missing in the archive and the log, or does not continue the hash chain."""

    def __init__(self, position: int) -> None:
        super().__init__(f"nothing holds the event at position {position}")
        self.position = position


class GivenUp(Gap):
    """Events of an order are permanently lost, and an operator accepted the loss."""

    def __init__(self, order_id: str, losses: Sequence[Loss], left: Sequence[Stored]) -> None:
        super().__init__(losses[0].position)
        self.losses = losses
        self.left = left
        """The events that are not lost."""
        at = spans([loss.position for loss in losses])
        by = losses[-1].by or "an operator"
        self.args = (f"events of order {order_id} at {at} are lost, accepted as lost by {by}",)


class Histories(Protocol):
    """The part of the archive that is read for the history of one order."""

    async def history(self, order_id: str) -> Sequence[Stored]:
        """All archived events of an order, in order."""
        ...

    async def checkpoint(self) -> Checkpoint | None:
        """The projector's checkpoint; None before its first run."""
        ...

    async def losses(self) -> Losses:
        """All accepted losses."""
        ...


async def order_history(archive: Histories, log: EventLog, order_id: str) -> list[Stored]:
    """All events of an order, in order; empty for an unknown one.

    Only events that continue the order's hash chain are returned; where log and archive differ, the
    copy that does. Raises Gap, LogError or ArchiveUnavailable, the latter also while the archive
    lacks the older events of a long history. Raises GivenUp where events are accepted losses.
    """
    head = (await log.load([order_id]))[0]
    logged = [] if head is None else await log.history(head.positions)
    if head is not None and len(logged) == head.version and _first_unchained(logged) is None:
        return logged
    if losses := (await archive.losses()).of(order_id):
        given_up = {loss.position for loss in losses}
        rows = [s for s in await archive.history(order_id) if s.position not in given_up]
        raise GivenUp(order_id, losses, rows)
    if head is None:
        return _chained([], await archive.history(order_id))
    checkpoint = await archive.checkpoint()  # first: the events it covers are then archived
    archived = [s for s in await archive.history(order_id) if s.position <= head.positions[-1]]
    positions = {stored.position for stored in (*archived, *logged)}
    for position in head.positions:
        if position not in positions:
            raise Gap(position)
    if len(positions) < head.version:
        before = head.positions[0] - 1
        if checkpoint is not None and checkpoint.position >= before:
            raise Gap(before)
        raise ArchiveUnavailable("the archive is behind: it lacks the older events of this order")
    return _chained(logged, archived)


def _first_unchained(history: Sequence[Stored]) -> int | None:
    """The position of the first event that does not continue the one before it."""
    digest = GENESIS
    for stored in history:
        if not follows(digest, bytes(stored.record.body), stored.record.hash):
            return stored.position
        digest = stored.record.hash
    return None


def _chained(logged: Sequence[Stored], archived: Sequence[Stored]) -> list[Stored]:
    """The copy at each position that continues the chain. Raises Gap where neither does."""
    copies: dict[int, list[Stored]] = {}
    for stored in (*logged, *archived):
        copies.setdefault(stored.position, []).append(stored)
    history: list[Stored] = []
    digest = GENESIS
    for position in sorted(copies):
        for stored in copies[position]:
            if follows(digest, bytes(stored.record.body), stored.record.hash):
                history.append(stored)
                digest = stored.record.hash
                break
        else:
            raise Gap(position)
    return history


async def everything(
    archive: Archive,
    log: EventLog,
    after: int = 0,
    until: int | None = None,
    losses: Losses = NONE,
) -> AsyncGenerator[Page]:
    """All events after a position, up to `until` or the newest position at the call, in pages,
    without those whose loss was accepted.

    Raises Gap, LogError or ArchiveUnavailable.
    """
    end = await log.position()
    end = end if until is None else min(until, end)
    archived, lost = min(end, await archive.position()), losses.positions
    async with aclosing(archive.pages(after, archived, without=lost)) as pages:
        async for page in pages:
            yield page
            after = page.positions[-1]
    while after < archived and losses.at(after + 1) is not None:
        after += 1
    reader = log.reader("history")
    try:
        while after < end:
            async with aclosing(_logged(archive, reader, after)) as pages:
                async for page in pages:
                    yield page
                    after = page.positions[-1]
                    if after >= end:
                        break
    finally:
        await reader.close()


async def _logged(archive: Archive, reader: LogReader, after: int) -> AsyncGenerator[Page]:
    """The next pages of the log, or of the archive where the log was trimmed."""
    try:
        batches = await reader.read(after, batches=LOG_BATCHES)
    except LogTruncated:
        batches = []
    for batch in batches:
        yield page_of(batch, after)
    if batches:
        return
    events = await archive.read(after, 1000)
    if not events or events[0].position != after + 1:
        raise Gap(after + 1)
    yield Page.of(events)


def page_of(batch: Batch, after: int) -> Page:
    """A log entry as a page, without the events up to `after`."""
    start = max(after + 1, batch.first)
    records = batch.records[start - batch.first :]
    return Page.of([Stored(start + i, batch.time_us, record) for i, record in enumerate(records)])
