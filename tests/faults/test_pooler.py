"""Through a pooler in session mode the engine works as without one.

No package of Python has PgBouncer, so that a machine without it skips this test.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.embedded import databases
from engine.processes import parent_death
from projections.postgres.rebuild import rebuild
from tests.support.processes.engine_up import engine_up
from tests.support.waits import until, until_blocking

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = pytest.mark.skipif(not PGBOUNCER, reason="this machine has no PgBouncer")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.fixture
def pooled_url(short_path: Path) -> Iterator[str]:
    """A database behind PgBouncer, which refuses `jit` and `synchronous_commit` at connecting."""
    server, port = free_port(), free_port()
    config = short_path / "pgbouncer.ini"
    config.write_text(
        f"[databases]\npostgres = host=127.0.0.1 port={server} dbname=postgres user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = session\ndefault_pool_size = 20\n"
    )
    reached = {"listen_addresses": "127.0.0.1", "port": str(server)}
    options = databases.Options(
        servers=("postgres",), postgres={**databases.FAST.postgres, **reached}
    )
    unprivileged = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [str(PGBOUNCER), *unprivileged, str(config)]
    with databases.started(short_path / "p", options):
        pooler = subprocess.Popen(parent_death.command(command, signal.SIGTERM))
        try:
            until_blocking(lambda: accepts(port), "PgBouncer listens")
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            pooler.terminate()
            pooler.wait()


async def test_orders_are_archived_listed_and_rebuilt_through_a_pooler(
    short_path: Path, pooled_url: str
) -> None:
    async with engine_up(short_path / "d", database_url=pooled_url, venue_latency_ms=0) as engine:
        ids = await engine.submit_many(20)
        assert set((await engine.ended(ids)).values()) == {"confirmed"}

        async def archived() -> bool:
            lag = (await engine.get("/readyz")).body["lag"]["projection"]
            return bool(lag) and lag["events"] == 0

        await until(archived)
        for path in ("/api/orders", "/api/orders?status=confirmed", f"/api/orders/{ids[0]}/events"):
            assert (await engine.get(path)).status == 200
        assert (await rebuild(pooled_url)).orders == len(ids)
        await engine.assert_each_ended_exactly_once()
