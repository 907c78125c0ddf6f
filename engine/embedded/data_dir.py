"""DATA_DIR: who holds it, what is in it, and what runs in it.

The lock is inherited by Valkey and Postgres: it can be taken only once every process is gone
that may still write the files, however its engine ended. The kernel keeps that record.

Cleaners of temporary files may remove what lies here. systemd-tmpfiles leaves a folder alone that
is locked, as this one is; what others removed is written again, unless it was the data.
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
        self._itself = -1
        self._contents: dict[str, msgspec.Struct] = {}

    def __enter__(self) -> Self:
        try:
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._itself = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.lock = self._open_lock()
        except OSError as error:
            why = f"{error.filename or self.path}: {error.strerror}"
            msg = f"DATA_DIR={self.path} cannot be used ({why}): name a writable folder"
            raise StartError(msg) from None
        with contextlib.suppress(OSError):  # a folder of a network may know no locks of folders
            fcntl.flock(self._itself, fcntl.LOCK_SH | fcntl.LOCK_NB)
        try:
            self._take(self.lock, patience_s=10)
            self._check_layout()
        except BaseException:
            self._close()
            raise
        self._write("backends.json", None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # the folder may be gone
            self._write("backends.json", None)
        self._close()

    def lock_id(self) -> tuple[int, int]:
        """Names the file that is locked. A server that inherited another one has to inherit it."""
        held = os.fstat(self.lock)
        return held.st_dev, held.st_ino

    def restore(self) -> None:
        """Writes again what was removed while we hold the folder: the lock, and the small files.

        Raises StartError where the folder itself is gone, or another engine took it; OSError.
        """
        if not _leads_to(self.path, self._itself):
            msg = f"DATA_DIR={self.path} was removed or moved while the engine ran: restore it"
            raise StartError(msg)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        if not _leads_to(self.path / "lock", self.lock):
            fresh = self._open_lock()
            try:
                self._take(fresh, patience_s=0)
                os.dup2(fresh, self.lock, inheritable=False)
            finally:
                os.close(fresh)
        for name, content in self._contents.items():
            if not (self.path / name).exists():
                with contextlib.suppress(StartError):  # a full disk does not end the engine
                    self._write(name, content)

    def _open_lock(self) -> int:
        return os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _close(self) -> None:
        os.close(self.lock)
        os.close(self._itself)

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

    def _take(self, lock: int, patience_s: float) -> None:
        """Locks the folder; waits only for the children of an engine that was killed."""
        deadline = time.monotonic() + patience_s
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            holder = os.pread(lock, 32, 0).decode().strip()
            if _alive(holder) or time.monotonic() > deadline:
                msg = f"{self.path} is in use by another engine (process {holder or 'unknown'})"
                raise StartError(msg)
            time.sleep(0.05)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)

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
            self._contents.pop(name, None)
            path.unlink(missing_ok=True)
            return
        self._contents[name] = content
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


def _leads_to(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except (FileNotFoundError, NotADirectoryError):
        return False


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
