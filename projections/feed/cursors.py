"""Cursors (resume tokens): the place from which a subscriber resumes.

A cursor is opaque to clients. It holds epoch, partition and position, so that a place in this log
is told from one in a log that was lost. A plain position is accepted as well, for people.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CURSOR = re.compile(r"e(\d{1,10})\.p(\d{1,4})\.(\d{1,19})", re.ASCII)
_POSITION = re.compile(r"\d{1,19}", re.ASCII)


class CursorError(ValueError):
    """Text that is neither a cursor nor a position."""


class Cursor(NamedTuple):
    """Everything up to `position` was delivered. `epoch` is None for a plain position."""

    position: int
    partition: int = 0
    epoch: int | None = None


def cursor_prefix(epoch: int, partition: int = 0) -> str:
    """The text before the position in every cursor of this log."""
    return f"e{epoch}.p{partition}."


def parse_cursor(text: str) -> Cursor:
    """A cursor or a plain position. Raises CursorError."""
    if _POSITION.fullmatch(text):
        return Cursor(int(text))
    if match := _CURSOR.fullmatch(text):
        epoch, partition, position = match.groups()
        return Cursor(int(position), int(partition), int(epoch))
    raise CursorError(f"{text[:80]!r} is neither a cursor nor a position")
