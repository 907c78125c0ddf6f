"""Log, archive and tables: whether all of them say the same, and which command heals them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
from msgspec.structs import replace
from redis.exceptions import ResponseError

from engine.composition.log import make_log
from engine.doctor import newest
from engine.doctor.findings import Finding, failed, ok, skipped
from engine.recovery import Words, diagnose, plan
from engine.settings import Settings
from events.archive import Archive, ArchiveUnavailable
from events.archive.snapshot import SchemaDamaged
from events.log import LogError
from events.secret import SecretUrl

NAME = "records"
EVENTS_MAX = 300_000
"""More take longer than somebody waits who wants to know whether the engine is well: of those the
newest are looked at."""


async def look(
    settings: Settings, redis_url: SecretUrl, database_url: SecretUrl, *, chain: str
) -> AsyncIterator[Finding]:
    """One finding, whose mend is one command. A server that is not there is named elsewhere."""
    log = make_log(replace(settings, redis_url=redis_url, database_url=database_url), chain=chain)
    archive = await Archive.open(database_url, connections=2)
    try:
        async with archive.snapshot() as snapshot:
            missing = await snapshot.missing_tables()
            many = "events" not in missing and await snapshot.more_than(EVENTS_MAX)
            looked = await newest.look(log, snapshot) if many and not missing else None
        if looked is not None:
            yield _told(looked)
            return
        diagnosis = await diagnose(log, archive)
        todo = plan(diagnosis, chain, Words())
        if not todo.faults:
            end = diagnosis.proof.proved_end
            yield ok(NAME, f"log, archive and tables agree, through position {end:,}")
        elif todo.command:
            yield failed(NAME, todo.why, todo.command, todo.command)
        else:
            yield failed(
                NAME, todo.why, "`engine repair` lists it; docs/guide/recovery.md explains it"
            )
    except SchemaDamaged as error:
        mend = "restore that table from a backup: docs/guide/deployment.md"
        yield failed(NAME, f"the archive's schema is damaged: {error}", mend)
    except (LogError, ArchiveUnavailable, ResponseError, asyncpg.PostgresError, OSError) as error:
        yield skipped(NAME, f"not looked at: {error}")
    finally:
        await archive.close()
        await log.close()


def _told(looked: newest.Newest) -> Finding:
    """Of many events: what was looked at, and what was not."""
    where = f"positions {looked.first:,} to {looked.last:,}"
    if looked.faults:
        more = f" (and {len(looked.faults) - 1} more)" if len(looked.faults) > 1 else ""
        return failed(NAME, looked.faults[0] + more, "`engine repair` tells all of it")
    older = "the older were not looked at: `engine audit verify` does"
    return ok(NAME, f"log, archive and tables agree at {where}; {older}")
