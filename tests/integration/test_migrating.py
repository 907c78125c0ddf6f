"""A process that migrates ends when it is stopped, and connects again where Postgres is silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from projections.postgres import migrate as migrations
from projections.postgres.migrate import available, migrated
from tests.support.processes.proxied import Proxy, proxied
from tests.support.waits import HANG_S, until

LOCKS = "SELECT pg_advisory_lock($1), 'by another process'"
ASKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND query LIKE '%advisory_lock($1)'"
)
WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND query LIKE '%LOCK TABLE held%'"
)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The connection of another process."""
    connection = await asyncpg.connect(database_url)
    yield connection
    connection.terminate()


@contextlib.asynccontextmanager
async def through_a_proxy(database_url: str) -> AsyncIterator[tuple[Proxy, str]]:
    url = urlsplit(database_url)
    folder = parse_qs(url.query)["host"][0]
    async with proxied(f"unix://{folder}/.s.PGSQL.5432") as proxy:
        place = urlsplit(proxy.url).netloc
        yield proxy, f"postgresql://postgres@{place}{url.path}?sslmode=disable"


async def ended(work: asyncio.Task[None]) -> None:
    async with asyncio.timeout(HANG_S):
        await work


async def applied(connection: asyncpg.Connection) -> set[str]:
    if not await connection.fetchval("SELECT to_regclass('migrations') IS NOT NULL"):
        return set()
    return {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}


async def asked(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(ASKED))


async def test_a_stop_ends_the_wait_for_another_process(
    database_url: str, other: asyncpg.Connection
) -> None:
    await other.execute(LOCKS, migrations._LOCK)
    stop = asyncio.Event()
    work = asyncio.create_task(migrated(database_url, stop))
    watch = await asyncpg.connect(database_url)
    await until(lambda: asked(watch), "the lock is asked for")
    stop.set()
    await ended(work)
    assert await applied(watch) == set()
    await watch.close()


async def test_a_stop_ends_the_wait_on_a_silent_connection(
    database_url: str, other: asyncpg.Connection
) -> None:
    await other.execute(LOCKS, migrations._LOCK)
    stop = asyncio.Event()
    watch = await asyncpg.connect(database_url)
    async with through_a_proxy(database_url) as (proxy, url):
        work = asyncio.create_task(migrated(url, stop))
        await until(lambda: asked(watch), "the lock is asked for")
        proxy.mode = "hang"
        stop.set()
        await ended(work)
    await watch.close()


async def test_a_stop_ends_a_long_migration_which_is_rolled_back(
    database_url: str, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {"001.sql": "CREATE TABLE made (); LOCK TABLE held"}
    monkeypatch.setattr(migrations, "available", lambda: slow)
    await other.execute("CREATE TABLE held ()")
    watch = await asyncpg.connect(database_url)
    stop = asyncio.Event()
    async with other.transaction():
        await other.execute("LOCK TABLE held")
        work = asyncio.create_task(migrated(database_url, stop))

        async def waits() -> bool:

            return bool(await watch.fetchval(WAITS))

        await until(waits, "the migration is under way")
        stop.set()
        await ended(work)
    assert await applied(watch) == set()
    assert not await watch.fetchval("SELECT to_regclass('made') IS NOT NULL")
    await watch.close()


async def test_a_connection_that_falls_silent_is_replaced(
    database_url: str, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Exception] = []

    class Outages:
        def failed(self, error: Exception) -> None:
            failures.append(error)

        def over(self) -> None: ...

    monkeypatch.setattr(migrations, "ARCHIVE", Outages())
    monkeypatch.setattr(migrations, "ANSWER_S", 0.5)
    await other.execute(LOCKS, migrations._LOCK)
    watch = await asyncpg.connect(database_url)
    async with through_a_proxy(database_url) as (proxy, url):
        work = asyncio.create_task(migrated(url, asyncio.Event()))
        await until(lambda: asked(watch), "the lock is asked for")
        failures.clear()
        proxy.mode = "hang"
        await until(lambda: failures, "the silence is noticed")
        proxy.cut("pass")
        await other.execute("SELECT pg_advisory_unlock($1)", migrations._LOCK)
        await ended(work)
    assert await applied(watch) == set(available())
    await watch.close()
