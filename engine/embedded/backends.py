"""Where a single command finds Redis and Postgres."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from engine.embedded import databases
from engine.embedded.data_dir import holds_engine, running
from engine.processes.program import StartError
from engine.settings import Settings
from events.secret import SecretUrl


@contextlib.asynccontextmanager
async def backends(settings: Settings) -> AsyncIterator[tuple[SecretUrl, SecretUrl]]:
    """Yields (redis_url, database_url) to reach the engine's data.

    What is set wins; else those of the engine that runs in DATA_DIR; else, with the engine down,
    both are started for as long as the block takes. Enter it in the main thread.

    Raises StartError for a folder that holds no engine: it may be a typing error, and must not
    become a new engine's.
    """
    redis_url, database_url = settings.redis_url, settings.database_url
    with contextlib.ExitStack() as stack:
        if not (redis_url and database_url):
            check_holds_engine(settings)
            state = running(settings.data_dir) or stack.enter_context(
                databases.started(settings.data_dir, options(settings))
            )
            redis_url = redis_url or SecretUrl(state.redis_url)
            database_url = database_url or SecretUrl(state.database_url)
        yield redis_url, database_url


def check_holds_engine(settings: Settings) -> None:
    """Raises StartError where no engine has ever been in DATA_DIR; nothing is created."""
    if not holds_engine(settings.data_dir):
        msg = (
            f"DATA_DIR={settings.data_dir.absolute()} holds no engine: name the folder of one,"
            " or start one there (`make run`, `engine up`)"
        )
        raise StartError(msg)


def missing(settings: Settings) -> list[str]:
    """Returns the servers that have no URL in the settings: the engine starts these."""
    urls = {"valkey": settings.redis_url, "postgres": settings.database_url}
    return [name for name, url in urls.items() if not url]


def options(settings: Settings) -> databases.Options:
    """Returns how the embedded servers run."""
    maxmemory = f"{settings.valkey_maxmemory_mb}mb"
    return databases.Options(servers=missing(settings), valkey={"maxmemory": maxmemory})
