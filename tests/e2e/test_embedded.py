"""Embedded Valkey and Postgres: data survives, folders are exclusive, faults are one line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import redis

from engine.embedded import databases
from engine.embedded.backends import backends
from engine.embedded.data_dir import LAYOUT, Folder, Layout, RunState, running
from engine.processes.program import StartError
from engine.settings import Settings
from events.secret import SecretUrl
from tests.support.waits import until_blocking

HOLD = """
import sys, time
from pathlib import Path
from engine.embedded import databases
with databases.started(Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[RunState]:
    """Run the servers in a process of their own, which is killed at the end."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "up\n"
            state = running(folder)
            assert state
            yield state
        finally:
            process.kill()


def until_free(folder: Path) -> None:
    """Wait until the servers are gone: they hold the lock of the folder, too."""
    until_blocking(lambda: not running(folder, patience_s=1), "the servers are gone")


async def test_data_survives_kill_9_and_nothing_is_left_running(short_path: Path) -> None:
    folder = short_path / "with a space"
    for turn in range(3):
        with held(folder) as state:
            with redis.Redis.from_url(state.redis_url) as client:
                assert client.incr("turns") == turn + 1
            postgres = await asyncpg.connect(state.database_url)
            await postgres.execute("CREATE TABLE IF NOT EXISTS turns AS SELECT 1 AS n")
            await postgres.execute("INSERT INTO turns VALUES (1)")
            assert await postgres.fetchval("SELECT count(*) FROM turns") == turn + 2
            await postgres.close()
        until_free(folder)


def test_a_new_engine_waits_for_the_servers_of_a_killed_one(short_path: Path) -> None:
    for _ in range(3):
        with held(short_path / "d"):
            pass  # killed, and at once started again


async def test_a_command_finds_the_running_servers_or_starts_them(short_path: Path) -> None:
    settings = Settings(data_dir=short_path / "d")
    with pytest.raises(StartError, match="holds no engine"):
        async with backends(settings):
            pass
    assert not settings.data_dir.exists()
    with Folder(settings.data_dir) as folder:
        folder.settle(Layout(LAYOUT))
    async with backends(settings) as (redis_url, _):  # noqa: SIM117
        async with backends(settings) as (again, _):
            assert again == redis_url
    assert running(settings.data_dir) is None
    async with backends(
        Settings(redis_url=SecretUrl("redis://a"), database_url=SecretUrl("postgresql://b"))
    ) as urls:
        assert urls == (SecretUrl("redis://a"), SecretUrl("postgresql://b"))


def test_a_folder_belongs_to_one_engine(tmp_path: Path) -> None:
    began = time.monotonic()
    refused = pytest.raises(StartError, match=f"in use.*process {os.getpid()}")
    with Folder(tmp_path), refused, Folder(tmp_path):
        pass
    assert time.monotonic() - began < 1
    with Folder(tmp_path):
        pass


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_bytes(msgspec.json.encode({"layout": 99}))
    with pytest.raises(StartError, match=r"another version.*layout 99"), Folder(tmp_path):
        pass
    (tmp_path / "layout.json").write_bytes(msgspec.json.encode({"layout": 1, "postgres": "9"}))
    with Folder(tmp_path) as folder, pytest.raises(StartError, match="was made by Postgres 9"):
        databases.prepare(folder, databases.FAST)
    (tmp_path / "layout.json").write_text("{")
    with pytest.raises(StartError, match="cannot be read"), Folder(tmp_path):
        pass


def test_only_the_missing_server_is_started(short_path: Path) -> None:
    with databases.started(short_path, databases.Options(servers=["valkey"])) as servers:
        assert servers.redis_url
        assert not servers.database_url
        assert not (short_path / "postgres").exists()


def test_sockets_have_short_paths_however_long_the_folder_is(short_path: Path) -> None:
    folder = short_path / ("long" * 20) / ("name" * 20)
    only = databases.Options(servers=["valkey"])
    with databases.started(folder, only) as servers:
        sockets = (folder / "run").readlink()
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()
    assert not sockets.exists()


def test_a_server_that_cannot_start_is_reported_in_one_line(short_path: Path) -> None:
    broken = databases.Options(servers=["valkey"], valkey={"appendonly": "perhaps"})
    refused = pytest.raises(StartError, match="valkey does not start: ")
    with refused, databases.started(short_path, broken):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
def test_postgres_runs_as_nobody_where_namespaces_are_forbidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.processes.parent_death.namespaces_allowed", lambda: False)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # the user `nobody` has to reach the data
        folder = Path(name) / "d"
        only = databases.Options(servers=["postgres"], postgres=databases.FAST.postgres)
        with databases.started(folder, only):
            state = running(folder)
            assert state
            assert Path(f"/proc/{state.pids['postgres']}").stat().st_uid == 65534
            os.kill(state.pids["postgres"], signal.SIGKILL)
