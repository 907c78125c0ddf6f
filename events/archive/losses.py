"""Events of the archive that are permanently lost, and whose loss an operator accepted. Pure.

An accepted loss names one position and the digest of its row. It covers nothing else: an event that
continues its order is never lost, and a row that changes again is a new loss. The last loss of an
order has the state from which the order continues.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from events import streams
from events.archive.page import LabelledEvent, Page
from events.streams import State


class Resumed(NamedTuple):
    """The state from which an order continues, taken from its row or its head."""

    version: int
    hash: bytes
    positions: tuple[int, ...]
    state: bytes

    @property
    def order(self) -> State:
        """The folded order, or the state of another stream. Raises `msgspec.DecodeError`."""
        return streams.decode(self.state)

    def fits(self, order_id: str, position: int) -> bool:
        """Whether this is the state of an order after its event at a position."""
        if not self.positions or self.positions[-1] != position or len(self.hash) != 32:
            return False
        try:
            order = self.order
        except msgspec.DecodeError:
            return False
        return (order.id, order.version) == (order_id, self.version)


class Loss(NamedTuple):
    """A position whose event is lost."""

    position: int
    order_id: str
    """Empty where it is not known."""
    digest: bytes
    """The digest of the row at the position; empty without a row."""
    detail: str
    by: str
    at_us: int
    reason: str
    resumed: Resumed | None = None
    """The state from which the order continues after this position."""


class Losses:
    """All accepted losses, by position."""

    def __init__(self, losses: Iterable[Loss] = ()) -> None:
        self.all = sorted(losses, key=lambda loss: loss.position)
        self._at = {loss.position: loss for loss in self.all}
        last = {loss.order_id: loss for loss in self.all if loss.order_id}
        self.forgotten = frozenset(i for i, loss in last.items() if loss.resumed is None)
        """Orders without a state to continue from: they are unknown after the loss."""

    def __bool__(self) -> bool:
        return bool(self.all)

    def at(self, position: int) -> Loss | None:
        """The accepted loss at a position."""
        return self._at.get(position)

    def between(self, first: int, last: int) -> Iterator[Loss]:
        """The losses in a range of positions, in order."""
        start = bisect_left(self.all, first, key=lambda loss: loss.position)
        stop = bisect_right(self.all, last, key=lambda loss: loss.position)
        return iter(self.all[start:stop])

    def of(self, order_id: str) -> list[Loss]:
        """The losses of one order."""
        return [loss for loss in self.all if loss.order_id == order_id]

    def parts(self, page: Page) -> Iterator[Page]:
        """A page, split at each lost event between two of its events."""
        positions, start = page.positions, 0
        for loss in self.between(positions[0], positions[-1]):
            at = bisect_left(positions, loss.position)
            if at > start:
                yield page.cut(start, at)
                start = at
        yield page.cut(start, len(positions)) if start else page

    @property
    def positions(self) -> list[int]:
        """All positions, in order."""
        return list(self._at)


NONE = Losses()


def digest_of(rows: Sequence[LabelledEvent]) -> bytes:
    """The digest of the rows at a position; empty without rows."""
    if not rows:
        return b""
    values = [
        (event.stored.time_us, event.order_id, event.version, event.name,
         event.stored.record.hash, bytes(event.stored.record.body))
        for event in rows
    ]  # fmt: skip
    return sha256(msgspec.msgpack.encode(values)).digest()
