"""How far the archive is behind the log, and whether it answers."""

from __future__ import annotations

import asyncio
from typing import Any

from events.archive import ArchiveUnavailable
from events.log import EventLog, LogError
from events.telemetry.server_clock import CLOCK
from projections.feed.history_reader import Archive

ASK_S = 1.5
"""How long /readyz waits for a backend."""


async def archive_state(archive: Archive) -> dict[str, Any]:
    """`postgres` of /readyz."""
    try:
        checkpoint = await archive.checkpoint()
    except ArchiveUnavailable as error:
        return {"status": "unavailable", "detail": str(error)}
    if checkpoint is None:
        return {"status": "ok", "position": 0}
    position = {"position": checkpoint.position}
    if checkpoint.halted:
        return {"status": "halted", "detail": checkpoint.halted} | position
    return {"status": "ok"} | position


async def projection_lag(
    log: EventLog, head: int | None, archived: dict[str, Any]
) -> dict[str, Any] | None:
    """The lag of the projector; None while it is unknown. `head`: the newest position of the log;
    `archived`: the state of the archive.
    """
    projected = archived.get("position")
    if head is None or projected is None:
        return None
    if head <= projected:
        return {"events": 0, "seconds": 0.0}
    try:
        async with asyncio.timeout(ASK_S):
            oldest = await log.history([projected + 1])
    except (LogError, TimeoutError):
        oldest = []
    seconds = max(0.0, CLOCK.now_us() / 1e6 - oldest[0].time_us / 1e6) if oldest else None
    return {"events": head - projected, "seconds": seconds and round(seconds, 3)}
