"""The engine's halt: reason, actor, time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from events.archive import ArchiveUnavailable
from events.ids import ENGINE_STREAM_ID
from events.log import EventLog, Stored, engine_in
from events.types import EngineHalted, EngineResumed
from projections.feed.history_reader import Archive
from projections.views.formats import timestamp

ARCHIVE_S = 0.3
"""How long the archive may take to return the actor; readiness does not depend on it."""

NEVER_HALTED = {"status": "running", "reason": None, "actor": None, "since": None}


async def engine_view(log: EventLog, archive: Archive) -> dict[str, Any]:
    """The engine's state by its newest event; the actor is null while it cannot be read. Raises
    LogError.
    """
    head = (await log.load([ENGINE_STREAM_ID]))[0]
    if head is None:
        return NEVER_HALTED
    engine = engine_in(head)
    return {
        "status": engine.status,
        "reason": engine.reason or None,
        "actor": await _actor(log, archive, head.positions[-1]),
        "since": timestamp(engine.updated_at_us),
    }


async def _actor(log: EventLog, archive: Archive, position: int) -> str | None:
    """The actor of the event at a position that the log may have trimmed."""
    try:
        events: Sequence[Stored] = await log.history([position])
        if not events:
            async with asyncio.timeout(ARCHIVE_S):
                events = await archive.read(position - 1, 1)
        for stored in events:
            fact = stored.record.event().fact
            if stored.position == position and isinstance(fact, EngineHalted | EngineResumed):
                return fact.actor
    except (ArchiveUnavailable, TimeoutError, msgspec.DecodeError):
        pass
    return None
