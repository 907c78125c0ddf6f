"""What the operators' commands read: log and archive, wherever they are."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import asyncpg
import msgspec
from redis.exceptions import ResponseError

from engine.composition.log import make_log
from engine.embedded.backends import backends
from engine.processes.lifecycle import fast_loop
from engine.processes.program import StartError
from engine.settings import Settings
from events.archive import Archive, ArchiveUnavailable
from events.archive.history import Gap
from events.log import EventLog, LogError, Missing, Unsuitable
from projections.postgres.migrate import MigrationError

UNREADABLE = 2
"""Exit code: the records cannot be read."""


@contextlib.asynccontextmanager
async def records(
    settings: Settings, *, opened: bool = True, chain: str = ""
) -> AsyncIterator[tuple[EventLog, Archive]]:
    """Yield log and archive, starting the embedded servers where the engine is down."""
    async with backends(settings) as (redis_url, database_url):
        log = make_log(
            msgspec.structs.replace(settings, redis_url=redis_url, database_url=database_url),
            chain=chain,
        )
        archive = await Archive.open(database_url)
        try:
            if opened:
                with contextlib.suppress(Missing):  # an archive alone can be read, too
                    await log.open(create=False)
            yield log, archive
        finally:
            await archive.close()
            await log.close()


@contextlib.contextmanager
def gc_disabled() -> Iterator[None]:
    """Folding millions of events makes no garbage that refers to itself; looking for it is slow."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def reading(work: Callable[[], Awaitable[int]]) -> int:
    """Run a command; say in one line what cannot be read."""

    async def run() -> int:
        return await work()

    try:
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            return runner.run(run())
    except StartError as error:
        print(f"engine: {error}", file=sys.stderr)
    except (LogError, ArchiveUnavailable, Gap) as error:
        print(f"engine: cannot read: {error}", file=sys.stderr)
    except asyncpg.PostgresError as error:
        print(f"engine: cannot read: Postgres: {error}", file=sys.stderr)
    except ResponseError as error:
        print(f"engine: cannot read: log server: {error}", file=sys.stderr)
    except (Unsuitable, MigrationError) as error:
        print(f"engine: cannot read: {error}", file=sys.stderr)
    except msgspec.DecodeError as error:
        print(f"engine: damaged, or written by a newer build: {error}", file=sys.stderr)
    return UNREADABLE
