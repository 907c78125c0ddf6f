"""Events of the archive that are lost for good, and whose loss a person accepted. Pure.

An accepted loss names one position and the digest of what stands there. It covers nothing else: an
event that continues its order is never lost, and a row that changed again is a new loss. The last
loss of an order keeps the state from which the order goes on.
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
    """What an order goes on from, as its row or its head had it."""

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
    """One position whose event was given up."""

    position: int
    order_id: str
    """Empty where nothing tells it."""
    digest: bytes
    """Of the row that stands there; empty where none does."""
    detail: str
    by: str
    at_us: int
    reason: str
    resumed: Resumed | None = None
    """From what the order goes on behind this position."""


class Losses:
    """All accepted losses, by position."""

    def __init__(self, losses: Iterable[Loss] = ()) -> None:
        self.all = sorted(losses, key=lambda loss: loss.position)
        self._at = {loss.position: loss for loss in self.all}
        last = {loss.order_id: loss for loss in self.all if loss.order_id}
        self.forgotten = frozenset(i for i, loss in last.items() if loss.resumed is None)
        """Orders of which no state is left: nothing is known of them from the loss on."""

    def __bool__(self) -> bool:
        return bool(self.all)

    def at(self, position: int) -> Loss | None:
        """The accepted loss at a position."""
        return self._at.get(position)

    def between(self, first: int, last: int) -> Iterator[Loss]:
        """Those of a range of positions, in order."""
        start = bisect_left(self.all, first, key=lambda loss: loss.position)
        stop = bisect_right(self.all, last, key=lambda loss: loss.position)
        return iter(self.all[start:stop])

    def of(self, order_id: str) -> list[Loss]:
        """Those of one order."""
        return [loss for loss in self.all if loss.order_id == order_id]

    def parts(self, page: Page) -> Iterator[Page]:
        """A page, cut wherever a lost event stood between two of its events."""
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
    """What an accepted loss keeps of the rows at its position; empty: there is none."""
    if not rows:
        return b""
    results = [
        (event.stored.time_us, event.order_id, event.version, event.name,
         event.stored.record.hash, bytes(event.stored.record.body))
        for event in rows
    ]  # fmt: skip
    return sha256(msgspec.msgpack.encode(results)).digest()
