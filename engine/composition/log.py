"""The event log of a process: built from the settings, and opened once the log server answers."""

from __future__ import annotations

import asyncio
import gc

import structlog
from redis.exceptions import ResponseError

from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.telemetry.build import build_id
from events.archive import Archive, ArchiveRejected, ArchiveUnavailable
from events.log import (
    INBOX_ORDERS,
    ClusterMismatch,
    EventLog,
    Full,
    LogTruncated,
    Missing,
    OutcomeUnknown,
    Rejected,
    Unavailable,
    Unsuitable,
    is_permanent,
)
from events.telemetry.outages import LOG

RETRY_S = 0.1
QUIET_S = 3.0
"""So long the wait is logged as information only: at a start all processes wait for each other."""

_PASSING = (Unavailable, OutcomeUnknown, Full, LogTruncated, ArchiveUnavailable)
"""What is waited for. `Full`: a server at its limit loads no functions of a new build; workers
drain it. Whether another reply passes is the matter of `is_permanent`."""


def make_log(settings: Settings, *, chain: str = "", linger_s: float = 0.0) -> EventLog:
    """Returns the log, not opened yet. `chain` is the one its orders trade on; empty for a reader,
    which takes any.

    `linger_s`: how long an append waits for others to share its round trip, for a process whose
    callers append one order each.
    """
    # With few permits, an inbox entry names no more orders than can be in venue calls at once,
    # or one worker would sit on what others could do.
    inbox_orders = min(INBOX_ORDERS, settings.concurrency or INBOX_ORDERS)
    return EventLog(
        settings.redis_url,
        build=build_id(),
        chain=chain,
        inbox_orders=inbox_orders,
        idempotency_window_s=settings.idempotency_window_s,
        linger_s=linger_s,
    )


async def open_log(settings: Settings, log: EventLog, stop: asyncio.Event) -> bool:
    """Opens the log, waiting as long as it takes. Returns False when stopped.

    A server without a log is new only if the archive is empty too; otherwise it has lost all its
    data, and a new log would forget orders that may have been sent. Raises SettingsError where the
    orders of the log trade on another chain, and where a server refuses what no retry changes: a
    login, a permission, a database.
    """
    waited = ""
    began = asyncio.get_running_loop().time()
    while not stop.is_set():
        try:
            await _open(settings, log)
        except ClusterMismatch as error:
            raise SettingsError(str(error)) from None
        except (Rejected, Unsuitable) as error:
            raise SettingsError(f"REDIS_URL: {error}") from None
        except ArchiveRejected as error:
            raise SettingsError(f"DATABASE_URL: {error}") from None
        except (*_PASSING, ResponseError) as error:
            if is_permanent(error):
                raise SettingsError(f"REDIS_URL: {error}") from None
            quiet = asyncio.get_running_loop().time() - began < QUIET_S
            if quiet and str(error) != waited:
                structlog.get_logger().info("log_awaited", error=str(error))
            elif not quiet:
                LOG.failed(error)
            waited = str(error)
            await asyncio.sleep(RETRY_S)
        else:
            LOG.over()
            if waited:
                structlog.get_logger().info("log_opened", epoch=log.epoch)
            return True
    return False


async def _open(settings: Settings, log: EventLog) -> None:
    """Opens the log; creates it where neither the server nor the archive has events."""
    try:
        await log.open(create=False)
    except Missing:
        position = await _archived_position(settings)
        if position:
            msg = f"the log is gone, the archive has {position} events: `engine repair`"
            raise LogTruncated(msg) from None
        await log.open(create=True)


async def _archived_position(settings: Settings) -> int:
    archive = await Archive.open(settings.database_url, connections=1)
    try:
        return await archive.position()
    finally:
        await archive.close()


def tune() -> None:
    """Freezes what lives as long as the process, and lets the garbage collector run less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
