"""The log of a child: what it prints, one JSON object a line, in files of bounded size.

Lines of LOG_LEVEL and above also go to stderr. Children write to a pipe, so that their files
can be renamed while they run.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine.processes.program import last_error_line
from engine.telemetry import foreign_lines, logging

LINE_BYTES = 256 * 1024
"""A longer line is cut into several."""
TAIL_BYTES = 8192

IN_A_LOOP = frozenset(
    {
        "process_started", "process_ready", "setting_without_effect", "exception_uncaught",
        "library_message", foreign_lines.OUTPUT,
    }
)  # fmt: skip
"""Lines of each start, which a program that dies again and again repeats."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Rotation(NamedTuple):
    """The bounds of a log: `NAME.log`, and `NAME.log.1` (newest) to `NAME.log.<files>`."""

    bytes_max: int = 8 * 1024 * 1024
    """The size from which a file is renamed; a line is never split between two files."""
    files: int = 4
    """How many older files are kept."""


DEFAULT = Rotation()


class ChildLog:
    """The files of one child."""

    def __init__(
        self,
        path: Path,
        rotation: Rotation = DEFAULT,
        forward: Callable[[dict[str, Any]], None] = logging.forward,
    ) -> None:
        self.path = path
        self._rotation = rotation
        self._forward = forward
        self._size = path.stat().st_size if path.exists() else 0
        self.brief = False
        """Whether lines of `IN_A_LOOP` stay in the file."""
        self._tail = b""
        """The end of this run's output, which a full disk would keep from the file."""

    def mark(self) -> None:
        """Marks the beginning of a new run."""
        self._tail = b""

    def last_words(self) -> str:
        """Returns the line of this run's output that explains best why it ended."""
        line = last_error_line(self._tail.decode(errors="replace"))
        return foreign_lines.text_of(self.path.stem, line)

    async def pump(self, name: str, source: int) -> None:
        """Reads the pipe `source` until its writers are gone, and closes it."""
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb", 0)
        )
        rest = b""
        try:
            while chunk := await reader.read(LINE_BYTES):
                self._tail = (self._tail + chunk)[-TAIL_BYTES:]
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) >= LINE_BYTES:
                    lines, rest = [*lines, rest], b""
                self._take(name, lines)
        finally:
            self._take(name, [rest])
            transport.close()

    def absorb(self, name: str, raw: Path) -> None:
        """Moves what a program printed into a file here, one JSON object a line."""
        with contextlib.suppress(OSError):  # a log is not worth more than what wrote it
            self._take(name, raw.read_bytes().split(b"\n"))
            raw.unlink()

    def _take(self, name: str, lines: list[bytes]) -> None:
        written = []
        for line in lines:
            if not line.strip():
                continue
            fields = foreign_lines.parse(name, line)
            if fields["event"] == foreign_lines.OUTPUT:
                fields = logging.stamped(fields)
                written.append(logging.scrubbed(_encode(fields)))
            else:
                written.append(line.rstrip(b"\r"))
            if not self._stays(fields["event"]):
                self._forward(fields)
        if written:
            self._write(b"\n".join(written) + b"\n")

    def _stays(self, event: str) -> bool:
        """Whether a line is in the file alone. Why a child ended is logged by its supervisor."""
        return event == "process_failed" or (self.brief and event in IN_A_LOOP)

    def _write(self, chunk: bytes) -> None:
        # A full disk loses log lines; it must not stop the reader, or children block on the pipe.
        with contextlib.suppress(OSError):
            if self._size >= self._rotation.bytes_max:
                self._rotate()
            with self.path.open("ab") as file:
                file.write(chunk)
            self._size += len(chunk)

    def _rotate(self) -> None:
        older = [self.path, *(self._numbered(n) for n in range(1, self._rotation.files + 1))]
        for newer, name in reversed([*itertools.pairwise(older)]):
            if newer.exists():
                newer.replace(name)
        if self._rotation.files == 0:
            self.path.unlink(missing_ok=True)
        self._size = 0

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
