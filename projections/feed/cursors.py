"""Cursors: how a subscriber names the place up to which it has everything.

A cursor is opaque to clients. It carries the epoch, the partition and the position, so that a
reader can tell a place in this log from a place in one that was lost. A plain position is taken
as well, for people.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CURSOR = re.compile(r"e(\d{1,10})\.p(\d{1,4})\.(\d{1,19})", re.ASCII)
_POSITION = re.compile(r"\d{1,19}", re.ASCII)


class CursorError(ValueError):
    """Text that is neither a cursor nor a position."""


class Cursor(NamedTuple):
    """Delivered through `position`. `epoch` is None where the client gave a plain position."""

    position: int
    partition: int = 0
    epoch: int | None = None


def cursor_prefix(epoch: int, partition: int = 0) -> str:
    """What stands before the position in every cursor of this log."""
    return f"e{epoch}.p{partition}."


def parse_cursor(text: str) -> Cursor:
    """A cursor or a plain position. Raises CursorError."""
    if _POSITION.fullmatch(text):
        return Cursor(int(text))
    if match := _CURSOR.fullmatch(text):
        epoch, partition, position = match.groups()
        return Cursor(int(position), int(partition), int(epoch))
    raise CursorError(f"{text[:80]!r} is neither a cursor nor a position")
