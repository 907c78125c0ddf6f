"""Real servers for tests: one Valkey and one Postgres a session, clean for each test.

TEST_BACKEND chooses where they come from: `embedded` (the default: the wheels), `docker`
(testcontainers) or `external` (TEST_REDIS_URL and TEST_DATABASE_URL; the Redis database named
there is emptied, so never name the engine's).
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis
from hypothesis import settings

from engine.embedded import databases
from engine.processes import fast_imports
from tests.support import order
from tests.support.processes import cluster

# As the processes do, and before structlog is imported: what is logged of an exception is a few
# lines then. To draw every variable of every frame takes a second, in which no test runs.
fast_imports.load()

# A shell ignores SIGINT for what it runs in the background. Commands that tests interrupt would
# inherit that, and never end.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Most tests are about the log and the stages; those of the chain say so.
os.environ["VENUES"] = "simulated"

# A slow machine is not a bug: speed is measured in tests/bench and nowhere else.
settings.register_profile("engine", deadline=None, print_blob=True)
settings.load_profile("engine")


def pytest_configure(config: pytest.Config) -> None:
    """Adds the hooks that order the tests."""
    config.pluginmanager.register(order)


class Servers(NamedTuple):
    """Where the servers of the session are reached."""

    redis_url: str
    database_url: str


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that a test runs in its own process sets up how that process logs.

    Loggers keep nothing of it: one that did would keep writing into the closed files of that test.
    """
    import structlog

    configure = structlog.configure
    monkeypatch.setattr(structlog, "configure", partial(_configured, configure))
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(handler)


def _configured(configure: Callable[..., None], **options: Any) -> None:
    configure(**(options | {"cache_logger_on_first_use": False}))


@pytest.fixture(scope="session", autouse=True)
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Engines of this lane start on copies of one cluster."""
    cluster.keep_in(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Run the servers for the session. Sync: their parent has to be the main thread."""
    backend = os.environ.get("TEST_BACKEND", "embedded")
    with contextlib.ExitStack() as stack:
        match backend:
            case "embedded":
                folder = tmp_path_factory.mktemp("servers")
                cluster.lay(folder)
                own = stack.enter_context(databases.started(folder, databases.FAST))
                yield Servers(own.redis_url, own.database_url)
            case "docker":
                yield _containers(stack)
            case "external":
                yield Servers(os.environ["TEST_REDIS_URL"], os.environ["TEST_DATABASE_URL"])
            case other:
                pytest.exit(f"TEST_BACKEND={other}: expected embedded, docker or external", 2)


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """Return the URL of an empty Redis."""
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushdb()
    return servers.redis_url


@pytest.fixture
async def database_url(servers: Servers) -> AsyncIterator[str]:
    """Yield the URL of a new, empty database."""
    name = f"test_{secrets.token_hex(6)}"
    server = await asyncpg.connect(servers.database_url)
    try:
        await server.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(servers.database_url)._replace(path=f"/{name}"))
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await server.close()


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of this test with a short path, such as sockets want."""
    return tmp_path_factory.mktemp("t")


def _containers(stack: contextlib.ExitStack) -> Servers:
    # Importing takes half a second, and constructing a container raises without a daemon, or
    # hangs with a silent one: so ask the daemon first, briefly.
    import docker
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.community.valkey import ValkeyContainer

    try:
        docker.from_env(timeout=2).ping()
    except Exception as error:  # noqa: BLE001, RUF100 - whatever it is, there is no daemon
        pytest.exit(f"TEST_BACKEND=docker: no Docker daemon answers ({error})", 2)
    valkey = stack.enter_context(ValkeyContainer("valkey/valkey:9.1-alpine"))
    postgres = stack.enter_context(PostgresContainer("postgres:18-alpine", driver=None))
    host, port = valkey.get_host(), valkey.get_exposed_port()
    return Servers(f"redis://{host}:{port}/0", postgres.get_connection_url())
