"""A command in a terminal of its own, as a person sees it: a pty, and pyte to read it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pyte

from tests.support.waits import until


class Terminal:
    """What stands on the screen, and who writes there."""

    def __init__(self, columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.process: asyncio.subprocess.Process | None = None

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read(self, fd: int) -> None:
        """Takes what was written; nothing once the other side has gone."""
        with contextlib.suppress(OSError):
            self._stream.feed(os.read(fd, 1 << 16))

    async def until(self, value: str | Callable[[str], bool]) -> None:
        """Waits until it stands there."""
        true = value if callable(value) else (lambda text: value in text)
        try:
            await until(lambda: true(self.text))
        except AssertionError:
            raise AssertionError(f"never on the screen: {value}\n{self.text}") from None

    async def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return await self.process.wait()


@contextlib.asynccontextmanager
async def terminal(
    command: Sequence[str], env: Mapping[str, str], *, columns: int = 120, rows: int = 24
) -> AsyncIterator[Terminal]:
    """Runs it for the length of a block."""
    terminal = Terminal(columns, rows)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    results = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}
    try:
        terminal.process = await asyncio.create_subprocess_exec(
            *command, stdin=theirs, stdout=theirs, stderr=theirs, env={**env, **results}
        )
    finally:
        os.close(theirs)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, terminal.read, ours)
    try:
        yield terminal
    finally:
        if terminal.process.returncode is None:
            terminal.process.kill()
            await terminal.process.wait()
        loop.remove_reader(ours)
        os.close(ours)
