"""A log, an archive and a projector between them, for the length of a test's block."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from events.archive import Archive, ArchiveUnavailable
from events.log import EventLog
from projections.projector import run_projector

BUILD = "0.1.0+test"


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


async def until(
    reached: Callable[[], Awaitable[bool]], *, within_s: float = 60, what: str = "it"
) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(ArchiveUnavailable):
            if await reached():
                return
        assert time.monotonic() < deadline, f"{what} did not happen within {within_s} s"
        await asyncio.sleep(0.02)


async def projected(log: EventLog, archive: Archive, *, within_s: float = 60) -> int:
    """Waits until everything in the log is projected; the position."""
    end = await log.position()

    async def reached() -> bool:
        return await archive.position() >= end

    await until(reached, within_s=within_s, what=f"projecting to {end}")
    return end
