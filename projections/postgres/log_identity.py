"""Whether a log is the one that was archived."""

from __future__ import annotations

from hashlib import sha256

from events.archive import Checkpoint
from events.log import EventLog, LogReader


async def why_different_log(log: EventLog, reader: LogReader, at: Checkpoint) -> str:
    """Why the log does not hold what stood there when the checkpoint was written; empty: it does.

    Raises LogError.
    """
    if at.epoch != log.epoch:
        return f"the log is of epoch {log.epoch}, the archive of {at.epoch}"
    head = await log.position()
    if head < at.position:
        return f"the log ends at position {head}, the archive at {at.position}"
    if at.position:
        entry = await reader.entry_at(at.position)
        if entry is None:
            return f"the log no longer holds position {at.position}"
        if sha256(entry.data).digest() != at.digest:
            return f"the log differs from the archive at position {at.position}"
    return ""
