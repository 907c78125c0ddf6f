"""Orders whose outcome no node tells: they wait, and an operator may end them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from engine.doctor.findings import Finding, warning
from engine.terminal.counts import counted
from events.archive import Archive, ArchiveUnavailable
from events.commands import doubts
from events.secret import SecretUrl


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
        detail = f"the outcome of {least}{counted(len(doubted.orders), 'sent order')} is unknown"
        yield warning("in doubt", detail, "engine doubts list")
