"""Whether a log is the one that was archived."""

from __future__ import annotations

from hashlib import sha256
from typing import assert_never

from events.archive import Checkpoint
from events.log import Continuity, EventLog, LogIdentity, LogReader, check_continuity


async def why_different_log(log: EventLog, reader: LogReader, at: Checkpoint) -> str:
    """Returns why the log is not the one that the checkpoint was taken of; empty: it is.

    Raises LogError.
    """

    async def digest_at(position: int) -> bytes | None:
        entry = await reader.entry_at(position)
        return None if entry is None else sha256(entry.data).digest()

    archived = Continuity(at.epoch, at.position, at.digest if at.position else None)
    head = await log.position()
    match await check_continuity(archived, log.epoch, head, digest_at):
        case LogIdentity.SAME:
            return ""
        case LogIdentity.EPOCH_CHANGED:
            return f"the log is of epoch {log.epoch}, the archive of {at.epoch}"
        case LogIdentity.REGRESSED:
            return f"the log ends at position {head}, the archive at {at.position}"
        case LogIdentity.TRIMMED:
            return f"the log no longer holds position {at.position}"
        case LogIdentity.REPLACED:
            return f"the log differs from the archive at position {at.position}"
        case identity:
            assert_never(identity)
