"""Signs of life: one file for each process of a DATA_DIR, touched while its event loop turns.

A file is named `<process>@<host>.<pid>` and locked for as long as its process exists, so that a
process that hangs (locked, not touched) is told from one that was killed (not locked). Processes of
one kind never share a file: one of ten that hangs is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from engine.settings import Settings

BEATS = 3
"""A process that missed so many heartbeats shows no life."""


class Sign(NamedTuple):
    """The sign of life of one process."""

    process: str
    """Its kind: gateway, projector, tracer, localnet, or its stages joined by `-`."""
    host: str
    pid: int
    """In the namespace of its host."""
    age_s: float
    """Time since it last showed life."""
    exists: bool
    """Whether the process exists, hung or not."""

    def is_alive(self, settings: Settings) -> bool:
        """Whether it showed life within its last heartbeats."""
        return self.exists and self.age_s < BEATS * settings.heartbeat_ms / 1000


def kind_of(process: str) -> str:
    """The kind of a process by its words, as `stage names joined by spaces`."""
    return process.replace(" ", "-")


def sign_file(settings: Settings, process: str, pid: int) -> Path:
    """The file that a process of this host touches."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "_", socket.gethostname())
    return _folder(settings) / f"{kind_of(process)}@{host}.{pid}"


def signs(settings: Settings) -> list[Sign]:
    """The signs of all processes of this DATA_DIR, those of killed processes included."""
    return sorted(sign for path in _folder(settings).glob("*@*.*") if (sign := _read(path)))


class Heart:
    """The sign of life of this process. Its age is known in memory too, for /healthz."""

    def __init__(self) -> None:
        self.beats = 0
        self._every_s = 0.0
        self._beaten_at = 0.0

    def is_beating(self) -> bool:
        """Whether the event loop turned within the last heartbeats; false before the first."""
        return time.monotonic() - self._beaten_at < BEATS * self._every_s

    async def beat(self, settings: Settings, process: str) -> None:
        """Counts, and touches the file, again and again until cancelled; then removes the file.

        Only the count is of the event loop. The file is touched in a thread, one at a time: a disk
        that hangs does not stop the loop, and is not taken for a loop that hangs.
        """
        self._every_s = settings.heartbeat_ms / 1000
        file = _SignFile(sign_file(settings, process, os.getpid()))
        touch: asyncio.Task[None] | None = None
        try:
            while True:
                self.beats += 1
                self._beaten_at = time.monotonic()
                if touch is None or touch.done():
                    touch = asyncio.create_task(asyncio.to_thread(file.touch))
                await asyncio.sleep(self._every_s)
        finally:
            if touch is not None:
                await asyncio.wait({touch})
            await asyncio.to_thread(file.remove)


HEART = Heart()
"""Of this process, which has one event loop."""


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "alive"


class _SignFile:
    """The file of this process, and its lock. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def touch(self) -> None:
        """Touches the file; creates it where there is none, also where it was removed since."""
        # A full disk must not end a process that can still finish orders.
        with contextlib.suppress(OSError):
            file = self._file
            if file is None or not _is_at(self._path, file):
                self._close()
                _sweep(self._path.parent)
                file = self._file = _locked(self._path)
            os.utime(file)

    def remove(self) -> None:
        """Removes the file, and releases its lock."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _is_at(path: Path, file: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _locked(path: Path) -> int:
    """Creates a file and holds its lock. Another process may sweep it in between: then again.

    Raises OSError, also where another process holds the lock, which it does for a moment.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if _is_at(path, file):
                return file
        except OSError:
            os.close(file)
            raise
        os.close(file)


def _sweep(folder: Path) -> None:
    """Removes the files of processes that are gone, and those that earlier builds left."""
    for path in folder.glob("*"):
        with contextlib.suppress(OSError), _unlocked(path) as gone:
            if gone:
                path.unlink()


def _read(path: Path) -> Sign | None:
    process, _, where = path.name.rpartition("@")
    host, _, pid = where.rpartition(".")
    try:
        with _unlocked(path) as gone:
            age_s = time.time() - path.stat().st_mtime
    except OSError:  # it ended meanwhile
        return None
    return Sign(process, host, int(pid), age_s, not gone) if pid.isdigit() else None


@contextlib.contextmanager
def _unlocked(path: Path) -> Iterator[bool]:
    """Whether no process holds the lock of a file, which stays so for the length of the block."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)
