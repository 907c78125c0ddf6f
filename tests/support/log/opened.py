"""One log, opened and closed by a test, and what a test opens on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from events.log import EventLog, PairLeases


@contextlib.asynccontextmanager
async def opened_log(redis_url: str, build: str = "test") -> AsyncIterator[EventLog]:
    """An event log on an empty Redis; created where it is not there."""
    log = EventLog(redis_url, build=build)
    await log.open()
    yield log
    await log.close()


@contextlib.asynccontextmanager
async def opened_leases(log: EventLog) -> AsyncIterator[PairLeases]:
    """The pair leases of a watcher whose leases last for the whole test."""
    pair_leases = log.watches("one", lease_ms=60_000)
    yield pair_leases
    await pair_leases.close()
