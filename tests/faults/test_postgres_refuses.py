"""A Postgres that answers and refuses: orders continue, and each state heals by itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from engine.embedded import databases
from tests.support.processes.engine_up import Engine, engine_up
from tests.support.processes.proxied import Proxy, proxied
from tests.support.waits import until

PASSWORD = "desk-secret"
READS = ("/api/orders", "/api/orders?status=confirmed", "/metrics", "/readyz", "/api/tokens")


class Server:
    """A Postgres of its own, with a role and a database for the engine."""

    def __init__(self, embedded: databases.Embedded, data: Path) -> None:
        self.admin_url = embedded.database_url
        self.folder = parse_qs(urlsplit(embedded.database_url).query)["host"][0]
        self._hba = data / "pg_hba.conf"

    async def sql(self, *statements: str, database: str = "postgres") -> None:
        """Executes statements as the administrator."""
        url = urlsplit(self.admin_url)._replace(path=f"/{database}").geturl()
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def let_in(self, *lines: str) -> None:
        """Replaces the rules of who may log in, and ends the sessions of the engine."""
        self._hba.write_text("\n".join(["local all postgres trust", *lines, ""]))
        await self.sql("SELECT pg_reload_conf()", ENDED)


ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'desk'"
WITH_PASSWORD = "local all desk scram-sha-256"


class Setup(NamedTuple):
    """An engine, its Postgres and the network between them."""

    engine: Engine
    server: Server
    proxy: Proxy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("pg")
    options = databases.Options(servers=("postgres",), postgres=databases.FAST.postgres)
    with databases.started(folder, options) as embedded:
        yield Server(embedded, folder / "postgres")


@pytest.fixture(scope="module")
async def setup(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setup]:
    await server.sql(
        f"CREATE ROLE desk LOGIN PASSWORD '{PASSWORD}'", "CREATE DATABASE engine OWNER desk"
    )
    await server.let_in(WITH_PASSWORD)
    async with proxied(f"unix://{server.folder}/.s.PGSQL.5432") as proxy:
        place = urlsplit(proxy.url).netloc
        url = f"postgresql://desk:{PASSWORD}@{place}/engine?sslmode=disable"
        folder = tmp_path_factory.mktemp("d")
        async with engine_up(folder, database_url=url, venue_latency_ms=0) as engine:
            yield Setup(engine, server, proxy)
            await engine.assert_each_ended_exactly_once()


Act = Callable[[Setup], Awaitable[object]]


class State(NamedTuple):
    """How Postgres refuses, and how it is mended."""

    name: str
    broken: Act
    mended: Act
    lists: bool = False
    """Whether lists can still be read."""


def sql(*statements: str, database: str = "postgres") -> Act:
    return lambda setup: setup.server.sql(*statements, database=database)


FULL_DISK = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
"""


async def silent(setup: Setup) -> None:
    setup.proxy.mode = "hang"  # connections stay, and nothing passes: also in the middle of a COPY


async def cut(setup: Setup) -> None:
    setup.proxy.cut("refuse")


async def restored(setup: Setup) -> None:
    setup.proxy.cut("pass")


STATES = (
    State(
        "the password was rotated",
        sql("ALTER ROLE desk PASSWORD 'rotated'", ENDED),
        sql(f"ALTER ROLE desk PASSWORD '{PASSWORD}'"),
    ),
    State(
        "the login is taken",
        sql("ALTER ROLE desk NOLOGIN", ENDED),
        sql("ALTER ROLE desk LOGIN"),
    ),
    State(
        "TLS is required",
        lambda setup: setup.server.let_in("hostssl all desk all scram-sha-256"),
        lambda setup: setup.server.let_in(WITH_PASSWORD),
    ),
    State(
        "the role has no connections left",
        sql("ALTER ROLE desk CONNECTION LIMIT 0", ENDED),
        sql("ALTER ROLE desk CONNECTION LIMIT -1"),
    ),
    State(
        "the database takes no connections",
        sql("ALTER DATABASE engine ALLOW_CONNECTIONS false", ENDED),
        sql("ALTER DATABASE engine ALLOW_CONNECTIONS true"),
    ),
    State(
        "the database has another name",
        sql("ALTER DATABASE engine ALLOW_CONNECTIONS false", ENDED,
            "ALTER DATABASE engine RENAME TO moved"),
        sql("ALTER DATABASE moved RENAME TO engine",
            "ALTER DATABASE engine ALLOW_CONNECTIONS true"),
    ),
    State(
        "nothing may be read",
        sql("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM desk", database="engine"),
        sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO desk", database="engine"),
    ),
    State(
        "the schema may not be used",
        sql("REVOKE ALL ON SCHEMA public FROM public, desk, pg_database_owner", database="engine"),
        sql("GRANT ALL ON SCHEMA public TO public, desk, pg_database_owner", database="engine"),
    ),
    State(
        "nothing may be written",
        sql("REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM desk",
            database="engine"),
        sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO desk", database="engine"),
        lists=True,
    ),
    State(
        "the server is read-only",
        sql("ALTER DATABASE engine SET default_transaction_read_only = on", ENDED),
        sql("ALTER DATABASE engine RESET default_transaction_read_only", ENDED),
        lists=True,
    ),
    State(
        "the disk is full",
        sql(FULL_DISK, "CREATE TRIGGER full_disk BEFORE INSERT ON events"
            " EXECUTE FUNCTION full_disk()", database="engine"),
        sql("DROP FUNCTION full_disk CASCADE", database="engine"),
        lists=True,
    ),
    State("the network refuses", cut, restored),
    State("the network is silent", silent, restored),
)  # fmt: skip


async def lag(engine: Engine) -> int | None:
    """The events behind which the archive is; None while it is not known."""
    projection = (await engine.get("/readyz")).body["lag"]["projection"]
    return projection and int(projection["events"])


async def is_noticed(setup: Setup, state: State) -> bool:
    """Whether the archive is behind, or cannot be read."""
    if state.lists:
        return bool(await lag(setup.engine))
    return (await setup.engine.get("/api/orders")).status == 503


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
async def test_while_postgres_refuses_orders_continue_and_later_all_is_archived(
    setup: Setup, state: State
) -> None:
    engine = setup.engine
    resting = await engine.submit_many(1, type="limit", targetPrice="1000000")
    await state.broken(setup)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(state.mended, setup)
        ids = await engine.submit_many(3)
        await until(lambda: is_noticed(setup, state))
        ids += await engine.submit_many(3)
        assert set((await engine.ended(ids)).values()) == {"confirmed"}
        async with engine.http.delete(f"{engine.url}/api/orders/{resting[0]}") as answer:
            assert answer.status in (200, 202), await answer.text()
        ready = await engine.get("/readyz")
        assert ready.status == 200
        if not state.lists:
            assert ready.body["status"] == "degraded"
            assert "Postgres" in ready.body["reasons"]["postgres"]
        for path in (*READS, f"/api/orders/{ids[-1]}", f"/api/orders/{ids[0]}/events"):
            async with engine.http.get(engine.url + path) as read:
                text = await read.text()
                assert read.status in (200, 503), (path, text)
                assert read.status == 200 or "archive-unavailable" in text, (path, text)
    await until(lambda: healed(engine))
    assert (await engine.get(f"/api/orders/{ids[-1]}")).body["status"] == "confirmed"
    assert (await engine.get(f"/api/orders/{resting[0]}")).body["status"] == "cancelled"


async def healed(engine: Engine) -> bool:
    """Whether everything is archived and nothing is reported."""
    ready = await engine.get("/readyz")
    lists = await engine.get("/api/orders")
    return (ready.body["status"], await lag(engine), lists.status) == ("ready", 0, 200)
