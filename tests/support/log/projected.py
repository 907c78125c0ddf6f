"""A log, an archive and a projector between them, for the length of a test's block."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from events.archive import Archive, ArchiveUnavailable
from events.log import EventLog
from projections.postgres.projector import run_projector
from tests.support.waits import until

BUILD = "0.1.0+test"
NOT_YET = (ArchiveUnavailable,)
"""What a condition on the archive raises before the projector has migrated it, or in an outage."""


@contextlib.asynccontextmanager
async def opened(
    redis_url: str, database_url: str, *, chain: str = ""
) -> AsyncIterator[tuple[EventLog, Archive]]:
    """An open log and an archive."""
    log = EventLog(redis_url, build=BUILD, chain=chain)
    archive = await Archive.open(database_url)
    try:
        await log.open()
        yield log, archive
    finally:
        await archive.close()
        await log.close()


@contextlib.asynccontextmanager
async def projecting(
    redis_url: str, database_url: str, *, chain: str = "", retain_events: int = 10_000
) -> AsyncIterator[None]:
    """A projector runs until the block ends; its own fault ends the test."""
    log = EventLog(redis_url, build=BUILD, chain=chain)
    await log.open()
    stop = asyncio.Event()
    work = asyncio.create_task(
        run_projector(log, database_url, retain_events=retain_events, stop=stop)
    )
    try:
        yield
        assert not work.done(), work
    finally:
        stop.set()
        await work
        await log.close()


async def projected(log: EventLog, archive: Archive) -> int:
    """Waits until everything in the log is projected; the position."""
    end = await log.position()

    async def reached() -> bool:
        return await archive.position() >= end

    await until(reached, f"projecting to {end}", ignoring=NOT_YET)
    return end
