"""Embedded Valkey and Postgres: data survives, folders are exclusive, faults are one line."""

from __future__ import annotations

import asyncio
import contextlib
import json
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

from engine.embedded import databases, sockets
from engine.embedded.backends import backends
from engine.embedded.data_dir import LAYOUT, Folder, Layout, RunState, running
from engine.processes import parent_death
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


def test_a_folder_belongs_to_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = pytest.raises(StartError, match=f"in use.*process {os.getpid()}")
    with monkeypatch.context() as patch, Folder(tmp_path):
        patch.setattr(time, "sleep", lambda _: pytest.fail("it waits for an engine that lives"))
        with refused, Folder(tmp_path):
            pass
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


@pytest.mark.parametrize("name", ["a, b", "a%20b", "q?x=1&y#z", "ünder", 'quo"te', "a'b", "x" * 90])
def test_both_servers_are_reached_in_a_folder_of_any_name(short_path: Path, name: str) -> None:
    with databases.started(short_path / name / ".data", databases.FAST) as servers:
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()
        assert asyncio.run(_asked(servers.database_url)) == 1


async def _asked(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT 1"))
    finally:
        await connection.close()


def test_sockets_lie_in_another_short_folder_where_the_temporary_one_is_long_too(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = short_path / ("t" * 100)
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (short_path / ("d" * 100)).mkdir()
    path = short_path / ("d" * 100) / "run"
    place = sockets.make(path, parent_death.SELF)
    assert path.readlink() == place
    assert len(str(place)) < sockets.SOCKET_PATH_MAX
    sockets.remove(path)
    assert not place.exists()


def test_a_path_too_long_for_sockets_is_named_where_no_folder_serves(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_elsewhere", lambda: iter(["/nowhere"]))
    with pytest.raises(StartError, match=f"{short_path}/d+/run is too long"):
        sockets.make(short_path / ("d" * 100) / "run", parent_death.SELF)


def test_a_folder_that_cannot_be_written_is_named(short_path: Path) -> None:
    (short_path / "file").write_text("")
    refused = pytest.raises(StartError, match=f"DATA_DIR={short_path}/file/d cannot be used")
    with refused, Folder(short_path / "file" / "d"):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
def test_postgres_as_another_user_runs_below_a_private_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.processes.parent_death.namespaces_allowed", lambda: False)
    with tempfile.TemporaryDirectory() as name:  # which is 0700
        only = databases.Options(servers=["postgres"], postgres=databases.FAST.postgres)
        for _ in ("created", "opened again"):
            with databases.started(Path(name) / "d", only) as servers:
                assert asyncio.run(_asked(servers.database_url)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another user")
def test_a_folder_from_a_machine_with_namespaces_is_adopted_by_one_without(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = databases.Options(servers=["postgres"], postgres=databases.FAST.postgres)
    for allowed in (True, False):
        monkeypatch.setattr(
            "engine.processes.parent_death.namespaces_allowed", lambda allowed=allowed: allowed
        )
        with databases.started(short_path / "d", only) as servers:
            assert asyncio.run(_asked(servers.database_url)) == 1


NAMELESS = ("unshare", "--user", "--map-user=54321", "--map-group=54321")
"""Runs a command as a user without an entry in /etc/passwd, who keeps this one's files."""


def nameless(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if subprocess.run([*NAMELESS, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no user namespaces here")
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DATA_DIR": str(folder)}
    return subprocess.run(
        [*NAMELESS, sys.executable, "-I", "-c", code],
        capture_output=True, text=True, env=environ, check=False, timeout=120,
    )  # fmt: skip


STARTS = """
import os, pathlib
from engine.embedded import databases
only = databases.Options(servers=["postgres"], postgres=databases.FAST.postgres)
for _ in ("created", "opened again"):
    with databases.started(pathlib.Path(os.environ["DATA_DIR"]), only):
        print(os.geteuid())
"""


def test_a_user_without_a_name_has_a_cluster_of_its_own(short_path: Path) -> None:
    run = nameless(STARTS, short_path / "d")
    assert run.stdout.split() == ["54321", "54321"], run.stderr
    assert (short_path / "d" / "postgres").stat().st_uid == os.geteuid()


def test_a_user_without_a_name_where_namespaces_are_forbidden_is_told_what_to_do(
    short_path: Path,
) -> None:
    forbid = "from engine.processes import parent_death as p; p.namespaces_allowed = lambda: False"
    run = nameless(forbid + STARTS, short_path / "d")
    assert run.stderr.splitlines()[-1] == (
        "engine.processes.program.StartError: the user 54321 has no entry in /etc/passwd, and"
        " initdb needs one: add one, run as a user with an entry, or set DATABASE_URL"
    )
    doctor = f"""{forbid}
import os, pathlib
from engine.doctor import machine
from engine.settings_loader import load
settings = load({{"DATA_DIR": os.environ["DATA_DIR"]}}, None)
for finding in machine.look(settings, runs=False, apart=False):
    if finding.name == "user of Postgres":
        print(finding.mend)
"""
    told = nameless(doctor, short_path / "e")
    assert told.stdout == "add one, run as a user with an entry, or set DATABASE_URL\n", told.stderr


def test_too_few_files_are_named_and_the_soft_limit_is_raised() -> None:
    code = (
        "import resource\n"
        "from engine.processes import file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))\n"
        "file_limit.prepare()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "try: file_limit.prepare()\n"
        "except Exception as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = run.stdout.splitlines()
    assert first == "(300, 300)"
    assert second == "a process may open 64 files here, 256 are needed: ulimit -n 1024"


def test_a_server_that_cannot_start_is_reported_in_one_line(short_path: Path) -> None:
    broken = databases.Options(servers=["valkey"], valkey={"appendonly": "perhaps"})
    refused = pytest.raises(StartError, match="valkey does not start: ")
    with refused, databases.started(short_path, broken):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
def test_postgres_runs_as_another_user_where_namespaces_are_forbidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.processes.parent_death.namespaces_allowed", lambda: False)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # the unprivileged user has to reach the data
        folder = Path(name) / "d"
        only = databases.Options(servers=["postgres"], postgres=databases.FAST.postgres)
        with databases.started(folder, only):
            state = running(folder)
            assert state
            assert Path(f"/proc/{state.pids['postgres']}").stat().st_uid == 65534
            os.kill(state.pids["postgres"], signal.SIGKILL)


def test_logs_of_servers_that_a_command_starts_are_json_and_keep_what_was_there(
    short_path: Path,
) -> None:
    for _ in range(2):
        with databases.started(short_path, databases.FAST):
            pass
    logs = short_path / "logs"
    assert not list(logs.glob("*.out"))
    for name, starts in (("valkey", 2), ("postgres", 2), ("initdb", 1)):
        lines = [json.loads(line) for line in (logs / f"{name}.log").read_text().splitlines()]
        assert {(line["process"], line["event"]) for line in lines} == {(name, "process_output")}
        assert all({"level", "timestamp", "text"} <= line.keys() for line in lines)
        first = {"valkey": "Ready to accept", "postgres": "ready to accept", "initdb": "creating"}
        told = [line for line in lines if first[name] in line["text"]]
        assert len(told) >= starts
