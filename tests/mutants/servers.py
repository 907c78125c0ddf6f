"""One Valkey and one Postgres for all runs: starting them took longer than most tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import redis

from engine.embedded import databases


class Servers:
    """What the tests of every run use, as `tests/conftest.py` does where it is told to."""

    def __init__(self, redis_url: str, database_url: str) -> None:
        self.environment = {
            "TEST_BACKEND": "external",
            "TEST_REDIS_URL": redis_url,
            "TEST_DATABASE_URL": database_url,
        }
        self._redis_url = redis_url

    def reset(self) -> None:
        """Undoes what a test that was cut off may have left behind in Valkey."""
        with redis.Redis.from_url(self._redis_url) as client:
            client.config_set("maxmemory", 0)
            client.flushall()
            client.function_flush()


@contextlib.contextmanager
def shared(folder: Path) -> Iterator[Servers]:
    """Runs them for the length of a block, by code without any bug. Call it in the main thread."""
    path = folder / "servers"
    path.mkdir()
    with databases.started(path, databases.FAST) as running:
        yield Servers(running.redis_url, running.database_url)
