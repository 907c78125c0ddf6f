"""Orders that wait for an operator: those that are parked, and those whose outcome is unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec.structs import replace
from redis.exceptions import ResponseError

from engine.composition.log import make_log
from engine.doctor.findings import Finding, warning
from engine.settings import Settings
from engine.terminal.counts import counted
from events.archive import Archive, ArchiveUnavailable
from events.commands import doubts
from events.log import LogError
from events.secret import SecretUrl
from projections.views.formats import timestamp


async def look(database_url: SecretUrl) -> AsyncIterator[Finding]:
    """A finding where there are some. An archive that does not answer is named elsewhere."""
    archive = await Archive.open(database_url, connections=1)
    try:
        doubted = await doubts.in_doubt(archive)
    except ArchiveUnavailable:
        return
    finally:
        await archive.close()
    if doubted.orders:
        least = "" if doubted.all_seen else "at least "
        since = timestamp(min(order.updated_at_us for order in doubted.orders))
        detail = f"the outcome of {least}{counted(len(doubted.orders), 'sent order')} is unknown"
        detail += f", of the oldest since {since}"
        yield warning("in doubt", detail, "engine doubts list")


async def parked(settings: Settings, redis_url: SecretUrl) -> AsyncIterator[Finding]:
    """A finding where orders are parked. A log that does not answer is named elsewhere."""
    log = make_log(replace(settings, redis_url=redis_url))
    try:
        number, oldest = await log.parked_orders(), await log.parked(1)
    except (LogError, ResponseError, OSError):
        return
    finally:
        await log.close()
    if number and oldest:
        since = timestamp(oldest[0][1] * 1000)
        detail = f"the engine could not continue {counted(number, 'order')}, the oldest at {since}"
        yield warning("parked", detail, "engine parked list")
