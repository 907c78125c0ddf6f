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
        """Touches the file again and again, until cancelled; then removes it."""
        self._every_s = settings.heartbeat_ms / 1000
        path = sign_file(settings, process, os.getpid())
        file: int | None = None
        try:
            while True:
                self.beats += 1
                self._beaten_at = time.monotonic()
                # A full disk must not end a process that can still finish orders.
                with contextlib.suppress(OSError):
                    if file is None:
                        _sweep(path.parent)
                        file = _locked(path)
                    os.utime(file)
                await asyncio.sleep(self._every_s)
        finally:
            if file is not None:
                with contextlib.suppress(OSError):
                    path.unlink()
                os.close(file)


HEART = Heart()
"""Of this process, which has one event loop."""


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "alive"


def _locked(path: Path) -> int:
    """Creates a file and holds its lock. Another process may sweep it in between: then again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
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
