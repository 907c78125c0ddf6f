"""Servers killed under the projector, under load: it continues, and applies nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from engine.embedded import databases
from engine.embedded.data_dir import Folder
from events.audit.verify import verify
from projections.postgres.copy_watchdog import aborting_on_disconnect
from projections.postgres.order_rows import columns
from tests.support.log.played import Play
from tests.support.log.projected import opened, projected, projecting
from tests.support.processes.proxied import proxied
from tests.support.waits import HANG_S, holds, pace, until, until_blocking

GROWTH = 60
"""Orders between two kills."""


class Killable:
    """Valkey and Postgres of one test, which can be killed and started again."""

    def __init__(self, servers: databases.Embedded, logs: Path) -> None:
        self.servers = servers
        self._logs = logs
        self._programs = {program.name: program for program in servers.programs}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Blocks until it is ready; a Postgres that was killed may need more than one try."""
        program = self._programs[name]

        def ready() -> bool:
            process = self._running.get(name)
            if process is None or process.poll() is not None:
                with (self._logs / f"{name}.log").open("ab") as output:
                    process = self._running[name] = program.spawn(output)
            return program.ready(process.pid)

        until_blocking(ready, f"{name} is ready")

    def kill(self, name: str) -> None:
        """Kill -9 the server and all its children at once, as a power cut would."""
        process = self._running.pop(name)
        for pid in [process.pid, *children(process.pid)]:
            os.kill(pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in tuple(self._running):
            self.kill(name)


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


@pytest.fixture
def killable(short_path: Path) -> Iterator[Killable]:
    with Folder(short_path) as folder:
        servers = databases.prepare(folder)  # as durable as in production
        machine = Killable(servers, folder.logs)
        try:
            for program in servers.programs:
                machine.start(program.name)
            yield machine
        finally:
            machine.stop()
            servers.clean()


@pytest.mark.parametrize("victim", ["postgres", "valkey"])
async def test_a_server_killed_under_load_delays_orders_and_loses_none(
    killable: Killable, victim: str
) -> None:
    redis_url, database_url = killable.servers.redis_url, killable.servers.database_url
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url, retain_events=5000),
    ):
        play = Play(log)
        stop = asyncio.Event()
        orders: list[str] = []

        async def live() -> None:
            while not stop.is_set():
                orders.extend(await play.live(20))

        async def grown() -> None:
            """Waits until some more orders have come and ended."""
            enough = len(orders) + GROWTH
            await until(lambda: work.done() or len(orders) >= enough)
            assert not work.done(), work

        work = asyncio.create_task(live())
        for down_s in (0.0, 1.0):
            await grown()
            killable.kill(victim)
            await pace(down_s)
            killable.start(victim)
        await grown()
        stop.set()
        await work
        end = await projected(log, archive)
        verdict = await verify(archive, log, columns)
        assert verdict.problems == []
        assert verdict.archived == end >= 6 * 3 * GROWTH
        connection = await asyncpg.connect(database_url)
        rows = await connection.fetch("SELECT position FROM events ORDER BY position")
        parked = await connection.fetch("SELECT FROM projection_parked")
        await connection.close()
    assert [row["position"] for row in rows] == list(range(1, end + 1))
    assert parked == []


async def test_a_postgres_killed_during_a_copy_ends_the_copy_with_an_error(
    killable: Killable,
) -> None:
    connection = await asyncpg.connect(killable.servers.database_url)
    backend = connection.get_server_pid()
    await connection.execute("CREATE TEMP TABLE copied (body bytea)")
    stuck = asyncio.Event()

    def rows() -> Iterator[tuple[bytes]]:
        for number in range(100_000):
            if number == 1000:  # from here on nothing is taken any more, and the socket fills up
                os.kill(backend, signal.SIGSTOP)
                stuck.set()
            yield (b"x" * 300,)

    async def copy() -> None:
        async with aborting_on_disconnect(connection):
            await connection.copy_records_to_table("copied", records=rows(), columns=["body"])

    copying = asyncio.create_task(copy())
    await stuck.wait()
    await holds(lambda: not copying.done(), 0.2)
    os.kill(backend, signal.SIGKILL)
    await asyncio.wait({copying}, timeout=HANG_S)
    assert copying.done()
    assert isinstance(copying.exception(), (ConnectionError, asyncpg.PostgresError))


async def test_a_copy_on_a_connection_that_falls_silent_ends_with_an_error(
    killable: Killable,
) -> None:
    folder = parse_qs(urlsplit(killable.servers.database_url).query)["host"][0]
    async with proxied(f"unix://{folder}/.s.PGSQL.5432") as proxy:
        place = urlsplit(proxy.url).netloc
        connection = await asyncpg.connect(
            f"postgresql://postgres@{place}/postgres?sslmode=disable"
        )
        await connection.execute("CREATE TEMP TABLE copied (body bytea)")

        def rows() -> Iterator[tuple[bytes]]:
            for number in range(100_000):
                if number == 1000:  # both ends stay open, and nothing passes any more
                    proxy.mode = "hang"
                yield (b"x" * 300,)

        async def copy() -> None:
            async with aborting_on_disconnect(connection, within_s=0.5):
                await connection.copy_records_to_table("copied", records=rows(), columns=["body"])
                await asyncio.Event().wait()  # a reply that never comes

        with pytest.raises((ConnectionError, asyncpg.PostgresError)):
            async with asyncio.timeout(HANG_S):
                await copy()
