"""Whether a log is still the one that was read before.

Rule of this file: pure, except for the read that the caller passes in. A log differs by its epoch,
by an earlier end, or by the entry at a position that was read before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import NamedTuple


class LogIdentity(Enum):
    """How a log compares with the one that was read before."""

    SAME = auto()
    EPOCH_CHANGED = auto()
    REGRESSED = auto()
    """It ends before the position."""
    TRIMMED = auto()
    """It no longer holds the position, so the entries cannot be compared."""
    REPLACED = auto()
    """It holds a different entry at the position."""


class Continuity(NamedTuple):
    """How far a log was read."""

    epoch: int
    position: int
    digest: bytes | None
    """The digest of the entry at `position`; None where it is unknown and not compared."""

    def check(self, epoch: int, head: int) -> LogIdentity:
        """Compares the epoch and the newest position of a log."""
        if epoch != self.epoch:
            return LogIdentity.EPOCH_CHANGED
        return LogIdentity.REGRESSED if head < self.position else LogIdentity.SAME

    def check_digest(self, digest: bytes | None) -> LogIdentity:
        """Compares the digest of a log's entry at the position; None: the log lacks it."""
        if self.digest is None:
            return LogIdentity.SAME
        if digest is None:
            return LogIdentity.TRIMMED
        return LogIdentity.SAME if digest == self.digest else LogIdentity.REPLACED


async def check_continuity(
    read: Continuity, epoch: int, head: int, digest_at: Callable[[int], Awaitable[bytes | None]]
) -> LogIdentity:
    """Both checks; `digest_at` is awaited only where the second one needs it.

    Raises what `digest_at` raises.
    """
    identity = read.check(epoch, head)
    if identity is LogIdentity.SAME and read.digest is not None:
        return read.check_digest(await digest_at(read.position))
    return identity
