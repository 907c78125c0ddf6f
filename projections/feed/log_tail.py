"""The tail of the log: pages of events, across outages, trimming and a log that was replaced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple, assert_never

from events.archive import ArchiveUnavailable
from events.log import (
    Continuity,
    EventLog,
    LogError,
    LogIdentity,
    LogTruncated,
    Missing,
    Stored,
    check_continuity,
)
from projections.feed.history_reader import HistoryGap, HistoryReader, flatten

RETRY_S = (0.05, 1.0)
"""First and longest wait while the log does not answer."""

ARCHIVE_RETRY_S = 0.5

EPOCH_CHANGED = "epoch-changed"
REGRESSED = "log-regressed"
LOST = "events-lost"


class Gap(NamedTuple):
    """Events that cannot be delivered."""

    resume_after: int
    """The position after which events can be delivered again."""
    code: str
    replaced: bool = False
    """Whether events up to `resume_after` may be of another log as well."""


class LogTail:
    """Reads the log after `position`, which its caller advances."""

    def __init__(self, log: EventLog, past: HistoryReader, *, block_ms: int) -> None:
        self.position = 0
        """Everything up to here was delivered."""
        self.epoch = 0
        """The epoch of the log that `position` belongs to."""
        self._log = log
        self._past = past
        self._reader = log.reader("feed")
        self._block_ms = block_ms
        self._hash: bytes | None = None
        """Of the event at `position`; None where it was not read."""
        self._in_doubt = False
        """Whether the log is to be checked before more of it is delivered."""

    async def start(self) -> None:
        """Begins at the end of the log. Raises LogError."""
        self.position, self.epoch = await self._log.position(), self._log.epoch
        self._hash = None

    async def close(self) -> None:
        """Closes the connection."""
        await self._reader.close()

    def advance(self, position: int, digest: bytes | None = None) -> None:
        """Moves to a position whose event has the hash `digest`, if it was read."""
        self.position, self._hash = position, digest

    async def newest(self, count: int) -> AsyncGenerator[list[Stored]]:
        """Yields the last `count` events up to `position`, as far as the log holds them."""
        after = max(0, self.position - count)
        with contextlib.suppress(LogTruncated):
            while batches := await self._reader.read(after):
                stored = [s for s in flatten(batches, after) if s.position <= self.position]
                if not stored:
                    break
                yield stored
                after = stored[-1].position

    async def head(self) -> int | None:
        """The newest position; None where the log does not answer or is of another epoch.

        A log that cannot be the one delivered so far is checked before the next page.
        """
        try:
            epoch, head = await self._log.epoch_and_position()
        except LogError:
            return None
        known = epoch == self.epoch
        self._in_doubt = self._in_doubt or not known or head < self.position
        return head if known else None

    async def pages(self, needed: Callable[[], bool]) -> AsyncGenerator[list[Stored] | Gap]:
        """Yields what follows `position`, empty pages included, while `needed()`.

        Outages of the log are waited out. What the log no longer holds comes from the archive.
        """
        first, longest = RETRY_S
        delay_s = first
        while needed():
            try:
                if gap := await self._check():
                    yield gap
                async with contextlib.aclosing(self._live(needed)) as live:
                    async for page in live:
                        delay_s = first
                        yield page
            except LogTruncated:
                yield await self._archived()
            except LogError:
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, longest)

    async def _live(self, needed: Callable[[], bool]) -> AsyncGenerator[list[Stored]]:
        """Yields what the log holds until it has to be checked again. Raises LogError."""
        tail = self._reader.tail(self.position, block_ms=self._block_ms)
        async with contextlib.aclosing(tail):
            async for batches in tail:
                if not self._log.joined or self._log.epoch != self.epoch:
                    return  # these batches may be of another epoch
                yield flatten(batches, self.position)
                if self._in_doubt or not needed():
                    return

    async def _check(self) -> Gap | None:
        """Checks that the log is the one delivered so far. Raises LogError."""
        self._in_doubt = False
        epoch, head = await self._log.epoch_and_position()
        if not epoch or epoch != self._log.epoch:
            raise Missing("the log is not there, or not opened yet")
        delivered = Continuity(self.epoch, self.position, self._hash)
        match await check_continuity(delivered, epoch, head, self._hash_at):
            case LogIdentity.SAME | LogIdentity.TRIMMED:
                return None
            case LogIdentity.EPOCH_CHANGED:
                self.epoch = epoch
                return Gap(min(self.position, self._log.base or head), EPOCH_CHANGED)
            case LogIdentity.REGRESSED:
                return Gap(head, REGRESSED)
            case LogIdentity.REPLACED:
                return Gap(head, REGRESSED, replaced=True)
            case identity:
                assert_never(identity)

    async def _hash_at(self, position: int) -> bytes | None:
        batch = await self._reader.entry_at(position)
        return None if batch is None else batch.records[position - batch.first].hash

    async def _archived(self) -> list[Stored] | Gap:
        """The next page where the log was trimmed past `position`, or is damaged there."""
        try:
            return await self._past.page(self.position)
        except HistoryGap as gap:
            return Gap(gap.resume_after, LOST)
        except (LogError, ArchiveUnavailable):
            await asyncio.sleep(ARCHIVE_RETRY_S)
            return []
