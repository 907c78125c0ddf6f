"""Processes of the benchmark: each dies with us, and is ended by its pid."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine.processes import parent_death

ROOT = Path(__file__).resolve().parents[2]


def spawn(
    argv: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    environ: Mapping[str, str] | None = None,
    errors: Path | None = None,
) -> subprocess.Popen[str]:
    """Start a program; what it prints is ours to read."""
    with contextlib.ExitStack() as stack:
        return subprocess.Popen(
            parent_death.command(argv, signal.SIGTERM),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stack.enter_context(errors.open("ab")) if errors else None,
            cwd=cwd,
            env=environ,
            text=True,
            start_new_session=True,
        )


def own(module: str, *words: object) -> list[str]:
    """Return the command that runs a module of this folder."""
    return [sys.executable, "-m", f"tests.bench.{module}", *map(str, words)]


def end(process: subprocess.Popen[str], patience_s: float = 10) -> bool:
    """Ask a program to end, and make it end; False where it had to be killed."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    finally:
        if process.stdout is not None:
            process.stdout.close()
    return True


@contextlib.contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Have a program for the length of a block."""
    try:
        yield process
    finally:
        end(process)


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a program prints."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        msg = f"{process.args!r} ended without output (exit code {process.wait(5)})"
        raise RuntimeError(msg)
    return line
