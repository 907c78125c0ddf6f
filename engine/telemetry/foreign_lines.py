"""Turns a line that a child process printed into the fields of a log line. Pure.

Processes of the engine print JSON. Valkey, Postgres, Python's interpreter and libraries do not;
what they print becomes the `text` of an event `process_output` with the level that it had there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

OUTPUT = "process_output"


class _Format(NamedTuple):
    """How a program marks the level of a line."""

    line: re.Pattern[str]
    """Its groups `mark` and `text`."""
    levels: Mapping[str, str]


_FORMATS: Mapping[str, _Format] = {
    # 4711:M 01 Dec 2026 01:02:03.456 * Ready to accept connections
    "valkey": _Format(
        re.compile(r"^\d+:[A-Z] .+? (?P<mark>[.\-*#]) (?P<text>.*)$"),
        {".": "debug", "-": "debug", "*": "debug", "#": "warning"},
    ),
    # 2026-12-01 01:02:03.456 UTC [4711] LOG:  database system is ready to accept connections
    "postgres": _Format(
        re.compile(r"^[\d-]+ [\d:.]+ \S+ \[\d+\] .*?(?P<mark>[A-Z]+)\d?:\s+(?P<text>.*)$"),
        # A failed statement, or the end of one connection: whose it was tries again and says more.
        {"WARNING": "warning", "ERROR": "warning", "FATAL": "warning", "PANIC": "critical"},
    ),
}
"""By the name of the program. A mark without a level is that program's routine: `debug`."""

_ROUTINE = (re.compile(r"is now ready to exit"),)
"""Text that its program marks as more than it is: that of a stop as asked."""

_TROUBLE = (
    (re.compile(r"^engine: "), "error"),  # why one of our commands ended
    (re.compile(r"\b(\w*Error|\w*Exception|Traceback|fatal|panic)\b", re.IGNORECASE), "error"),
    (re.compile(r"warning\b", re.IGNORECASE), "warning"),
)
"""Text of other programs, and of this engine where logging is not set up."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def parse(process: str, line: bytes) -> dict[str, Any]:
    """Returns the fields of a line that a child printed, always with `event` and `level`."""
    if line.startswith(b"{"):
        try:
            fields = _decode(line)
        except msgspec.DecodeError:
            pass
        else:
            if isinstance(fields.get("event"), str) and isinstance(fields.get("level"), str):
                return fields
    level, text = _text(process, line.decode(errors="replace").rstrip())
    return {"event": OUTPUT, "process": process, "level": level, "text": text}


def _text(process: str, text: str) -> tuple[str, str]:
    if (format_ := _FORMATS.get(process)) is not None:
        if (match := format_.line.match(text)) is None:
            return "debug", text
        if any(pattern.search(text) for pattern in _ROUTINE):
            return "debug", match["text"]
        return format_.levels.get(match["mark"], "debug"), match["text"]
    for pattern, level in _TROUBLE:
        if pattern.search(text):
            return level, text
    return "info", text


def text_of(process: str, line: str) -> str:
    """What a line of a child says, without the marks and the time of its program."""
    return str(parse(process, line.encode()).get("text", line))
