"""The log of a child: what it prints goes to a file of bounded size, its troubles to our stderr."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from engine.processes.program import last_error_line

ROTATE_BYTES = 8 * 1024 * 1024
LINE_BYTES = 1024 * 1024
TAIL_BYTES = 8192
TROUBLE = tuple(
    f'"level":{space}"{level}"'.encode()
    for space in ("", " ")
    for level in ("warning", "error", "critical")
)


class ChildLog:
    """`NAME.log` and, once that is full, `NAME.log.1`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = path.stat().st_size if path.exists() else 0
        self._tail = b""
        """The end of this run's output, which a full disk would keep from the file."""

    def mark(self) -> None:
        """Marks the beginning of a new run."""
        self._tail = b""

    def last_words(self) -> str:
        """Returns the line of this run's output that explains best why it ended."""
        return last_error_line(self._tail.decode(errors="replace"))

    async def pump(self, name: str, source: int) -> None:
        """Reads the pipe `source` until its writers are gone, and closes it."""
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb", 0)
        )
        try:
            while chunk := await reader.read(LINE_BYTES):
                self._write(chunk)
                self._tail = (self._tail + chunk)[-TAIL_BYTES:]
                for line in chunk.splitlines():
                    if any(mark in line for mark in TROUBLE):
                        print(f"[{name}] {line.decode(errors='replace')}", file=sys.stderr)
        finally:
            transport.close()

    def _write(self, chunk: bytes) -> None:
        # A full disk loses log lines; it must not stop the reader, or children block on the pipe.
        with contextlib.suppress(OSError):
            if self._size > ROTATE_BYTES:
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                self._size = 0
            with self.path.open("ab") as file:
                file.write(chunk)
            self._size += len(chunk)
