"""A child program: its command line, its end, and how its readiness is detected."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from engine.processes import parent_death


class StartError(Exception):
    """The engine cannot start before an operator changes something; the message is one line."""


def _at_once(_pid: int) -> bool:
    return True


def _nothing() -> None:
    pass


def _intact() -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A row of the table of what runs.

    `ready(pid)` answers within milliseconds. `stop` asks it to end. `death` is the signal that the
    kernel sends when the supervisor dies: SIGKILL, or a softer one where files have to be closed.
    `keep` are file descriptors that it inherits. `cwd` is the folder it starts in; None: that of
    the supervisor. `hopeless` is the exit code that no restart mends.
    `alive(pid)` is a file that it touches again and again while its loop turns; `hung_s` after the
    last time it is taken to hang. `tells`: it logs its own start and stop.
    `answers()` tells whether a server without such a file responds; it is asked in a thread, once
    it is ready, and taken to hang after `hung_s` without a response. It ends with its children.
    `prepare()` is called before each start. `lost()` is called once a second while it runs, answers
    within milliseconds, and tells why it cannot be reached any more; empty: it can. It is asked to
    end then, and started again. Both may raise OSError; StartError ends the engine.
    """

    name: str
    argv: Sequence[str | Path]
    ready: Callable[[int], bool] = _at_once
    stop: signal.Signals = signal.SIGTERM
    death: signal.Signals = signal.SIGKILL
    user: str = parent_death.SELF
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    keep: tuple[int, ...] = ()
    cwd: Path | None = None
    hopeless: int | None = None
    alive: Callable[[int], Path] | None = None
    answers: Callable[[], bool] | None = None
    hung_s: float = 30.0
    prepare: Callable[[], None] = _nothing
    lost: Callable[[], str] = _intact
    tells: bool = False

    def spawn(self, output: int | IO[bytes]) -> subprocess.Popen[bytes]:
        """Starts it, from the main thread, in a session of its own, which Ctrl-C does not reach."""
        return subprocess.Popen(
            parent_death.command(self.argv, self.death, self.user),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(self.environ),
            pass_fds=self.keep,
            cwd=self.cwd,
            start_new_session=True,
        )


def signal_group(pid: int, what: signal.Signals) -> None:
    """Signals a program and what it started; one that is gone already is ignored.

    Raises ValueError for 0, which to the kernel is the group of the caller.
    """
    if pid <= 0:
        raise ValueError(f"no process has the id {pid}")
    try:
        os.killpg(pid, what)
    except ProcessLookupError:
        pass
    except PermissionError:
        os.kill(pid, what)


def kill_tree(pid: int) -> None:
    """Kills a program that hangs, and its children, which may have sessions of their own."""
    children = _children(pid)
    signal_group(pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(child, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """The processes that a process started and that exist."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text(errors="replace").rpartition(")")[2].split()[1]
            if int(parent) == pid:
                children.append(int(stat.parent.name))
    return children


def last_words(log: Path) -> str:
    """Returns the line of a log that explains best why its program ended."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        text = ""
    return last_error_line(text)


def _fields(line: str) -> dict[str, Any]:
    """The fields of a JSON line; those of any other line have its text."""
    if line.startswith("{"):
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(line, type=dict[str, Any])
    return {"text": line}


def last_error_line(text: str) -> str:
    """Returns the line of an output that explains best why its program ended."""
    lines = [_fields(line.strip()) for line in text.splitlines() if line.strip()]
    for fields in reversed(lines):
        if fields.get("event") == "process_failed" and fields.get("error"):
            return str(fields["error"])
    texts = [
        str(next((fields[name] for name in ("error", "text", "event") if fields.get(name)), fields))
        for fields in lines
    ]
    words = ("no space", "fatal", "error", "can't", "cannot", "denied", "failed")
    for line in reversed(texts):
        if any(word in line.lower() for word in words):
            return line
    return texts[-1] if texts else "no output"
