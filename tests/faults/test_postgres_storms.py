"""A Postgres that ends sessions again and again, or that becomes a standby: orders continue."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import asyncpg
import pytest

from engine.embedded import databases
from engine.embedded.data_dir import Folder
from tests.support.processes.engine_up import Engine, engine_up
from tests.support.waits import until, until_blocking


class Server:
    """A Postgres that can be started again as a standby."""

    def __init__(self, folder: Folder) -> None:
        options = databases.Options(
            servers=("postgres",),
            postgres={**databases.FAST.postgres, "wal_level": "replica", "hot_standby": "on"},
        )
        self.url = (servers := databases.prepare(folder, options)).database_url
        [self._program] = servers.programs
        self._servers = servers
        self._log = folder.logs / "postgres.log"
        self._signal = folder.path / "postgres" / "standby.signal"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process: subprocess.Popen[bytes] = self._program.spawn(output)
        until_blocking(self._accepts, "Postgres takes connections")

    def _accepts(self) -> bool:
        pid_file = self._signal.with_name("postmaster.pid")
        with contextlib.suppress(OSError):
            lines = pid_file.read_text().splitlines()
            return len(lines) >= 8 and lines[7].strip() in ("ready", "standby")
        return False

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        self._servers.clean()

    def demote(self) -> None:
        """Starts it again as a hot standby, of a primary that is away."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        self._signal.touch()
        os.chown(self._signal, *self._owner())
        self.start()

    def _owner(self) -> tuple[int, int]:
        info = self._signal.parent.stat()
        return info.st_uid, info.st_gid

    async def sql(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


class Setup(NamedTuple):
    engine: Engine
    server: Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Folder(tmp_path_factory.mktemp("p")) as folder:
        server = Server(folder)
        yield server
        server.stop()


@pytest.fixture(scope="module")
async def setup(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setup]:
    await server.sql("CREATE ROLE desk LOGIN", "CREATE DATABASE engine OWNER desk")
    url = server.url.replace("postgres@/postgres?", "desk@/engine?")
    folder = tmp_path_factory.mktemp("d")
    async with engine_up(folder, database_url=url, venue_latency_ms=0) as engine:
        yield Setup(engine, server)
        await engine.assert_each_ended_exactly_once()


READS = ("/api/orders", "/api/orders?status=confirmed", "/readyz", "/metrics")


async def traded(engine: Engine) -> None:
    """Orders are accepted and confirmed, and no answer is a 500."""
    ids = await engine.submit_many(5)
    for path in (*READS, f"/api/orders/{ids[0]}", f"/api/orders/{ids[0]}/events"):
        async with engine.http.get(engine.url + path) as answer:
            text = await answer.text()
            assert answer.status in (200, 503), (path, text)
            assert answer.status == 200 or "archive-unavailable" in text, (path, text)
    assert set((await engine.ended(ids)).values()) == {"confirmed"}


async def healed(engine: Engine) -> bool:
    ready = (await engine.get("/readyz")).body
    lag = ready["lag"]["projection"]
    return (ready["status"], lag and lag["events"]) == ("ready", 0)


ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'desk'"


async def test_sessions_ended_in_a_storm_delay_the_archive_alone(setup: Setup) -> None:
    over = asyncio.Event()

    async def storm() -> None:
        while not over.is_set():
            await setup.server.sql(ENDED)
            await asyncio.sleep(0)

    storming = asyncio.create_task(storm())
    for _ in range(3):
        await traded(setup.engine)
    over.set()
    await storming
    await until(lambda: healed(setup.engine))


@pytest.mark.parametrize(
    "limit",
    ["idle_session_timeout = '20ms'", "statement_timeout = '1ms'",
     "idle_in_transaction_session_timeout = '1ms'", "lock_timeout = '1ms'"],
)  # fmt: skip
async def test_a_limit_of_the_role_delays_the_archive_alone(setup: Setup, limit: str) -> None:
    name = limit.partition(" ")[0]
    await setup.server.sql(f"ALTER ROLE desk SET {limit}", ENDED)
    for _ in range(3):
        await traded(setup.engine)
    await setup.server.sql(f"ALTER ROLE desk RESET {name}", ENDED)
    await until(lambda: healed(setup.engine))


async def test_all_connections_of_the_server_are_taken(setup: Setup) -> None:
    async with contextlib.AsyncExitStack() as stack:
        first = await asyncpg.connect(setup.server.url)
        stack.push_async_callback(first.close)
        while await first.fetchval("SELECT count(*) FROM pg_stat_activity WHERE usename = 'desk'"):
            await first.execute(ENDED)
            with contextlib.suppress(asyncpg.TooManyConnectionsError):
                while True:
                    connection = await asyncpg.connect(setup.server.url)
                    stack.push_async_callback(connection.close)
        for _ in range(3):
            await traded(setup.engine)
        assert (await setup.engine.get("/readyz")).body["status"] == "degraded"
    await until(lambda: healed(setup.engine))


async def test_a_primary_that_becomes_a_standby_is_waited_for(setup: Setup) -> None:
    await asyncio.to_thread(setup.server.demote)
    for _ in range(2):
        await traded(setup.engine)

    async def behind() -> bool:
        lag = (await setup.engine.get("/readyz")).body["lag"]["projection"]
        return bool(lag and lag["events"])

    await until(behind)
    assert (await setup.engine.get("/api/orders")).status == 200, "a standby can be read"
    await setup.server.sql("SELECT pg_promote()")
    await until(lambda: healed(setup.engine))
