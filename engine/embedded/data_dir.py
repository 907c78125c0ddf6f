"""DATA_DIR: who holds it, what is in it, and what runs in it.

The lock is inherited by Valkey and Postgres: it can be taken only once every process is gone
that may still write the files, however its engine ended. The kernel keeps that record.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from engine.processes import parent_death
from engine.processes.program import StartError

LAYOUT = 1  # raised when the files below change in a way that older code cannot read


class Layout(msgspec.Struct, frozen=True):
    """What the files of the folder were made by (`layout.json`, written once)."""

    layout: int
    postgres: str = ""  # major version of the cluster, empty while there is none
    postgres_user: str = (
        parent_death.SELF
    )  # who Postgres runs as, see `parent_death`: the owner of its files


class RunState(msgspec.Struct, frozen=True):
    """What runs in the folder now (`backends.json`, gone after a clean stop)."""

    layout: int
    redis_url: str
    database_url: str
    gateway_url: str = ""
    pids: dict[str, int] = {}
    versions: dict[str, str] = {}
    solana_rpc_url: str = ""  # of the local chain, where there is one
    venues: tuple[str, ...] = ()  # what it trades on
    restarts: dict[str, int] = {}  # by process, of those that were restarted


class Folder:
    """An open and locked DATA_DIR; leave the `with` block to give it back."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.lock = -1

    def __enter__(self) -> Self:
        try:
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            why = f"{error.filename or self.path}: {error.strerror}"
            msg = f"DATA_DIR={self.path} cannot be used ({why}): name a writable folder"
            raise StartError(msg) from None
        try:
            self._take(patience_s=10)
            self._check_layout()
        except BaseException:
            os.close(self.lock)
            raise
        self._write("backends.json", None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write("backends.json", None)
        os.close(self.lock)

    def layout(self) -> Layout | None:
        """Returns what made the files, None in a new folder."""
        try:
            return msgspec.json.decode((self.path / "layout.json").read_bytes(), type=Layout)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            msg = f"{self.path / 'layout.json'} cannot be read: {error}"
            raise StartError(msg) from None

    def settle(self, layout: Layout) -> None:
        """Writes down what made the files."""
        self._write("layout.json", layout)

    def record(self, record: RunState) -> None:
        """Writes down what runs, for other commands to find."""
        self._write("backends.json", record)

    def _take(self, patience_s: float) -> None:
        """Locks the folder; waits only for the children of an engine that was killed."""
        deadline = time.monotonic() + patience_s
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            holder = os.pread(self.lock, 32, 0).decode().strip()
            if _alive(holder) or time.monotonic() > deadline:
                msg = f"{self.path} is in use by another engine (process {holder or 'unknown'})"
                raise StartError(msg)
            time.sleep(0.05)
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, f"{os.getpid()}\n".encode(), 0)

    def _check_layout(self) -> None:
        layout = self.layout()
        if layout and layout.layout != LAYOUT:
            detail = f"layout {layout.layout}, this one reads {LAYOUT}"
            msg = f"{self.path} was made by another version of the engine ({detail})"
            raise StartError(msg)

    def _write(self, name: str, content: msgspec.Struct | None) -> None:
        """Replaces a file in one step, or removes it."""
        path = self.path / name
        if content is None:
            path.unlink(missing_ok=True)
            return
        fresh = path.with_name(f".{name}.new")
        try:
            fresh.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
            fresh.replace(path)
        except OSError as error:
            msg = f"{path} cannot be written: {error.strerror}"
            raise StartError(msg) from None


def holds_engine(path: Path) -> bool:
    """Tell whether an engine keeps, or kept, its files in a folder."""
    return _held(path) or (path / "layout.json").is_file()


def restarts(path: Path) -> dict[str, int] | None:
    """How often each process of the engine of this DATA_DIR was restarted, by its name; None where
    no `engine up` runs them, or its record cannot be read.
    """
    try:
        return msgspec.json.decode((path / "backends.json").read_bytes(), type=RunState).restarts
    except (OSError, msgspec.DecodeError):
        return None


def running(path: Path, patience_s: float = 5) -> RunState | None:
    """Returns what runs in a folder, None if nothing does; waits for one that is starting."""
    deadline = time.monotonic() + patience_s
    while _held(path):
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode((path / "backends.json").read_bytes(), type=RunState)
        if time.monotonic() > deadline:
            msg = f"the engine in {path} is starting or stopping; try again"
            raise StartError(msg)
        time.sleep(0.05)
    return None


def _held(path: Path) -> bool:
    try:
        lock = os.open(path / "lock", os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
