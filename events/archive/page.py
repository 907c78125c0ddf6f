"""A page of the history: the bytes of many events, decoded on demand. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from events.hash_chain import HashedEvent
from events.log import Stored
from events.streams.damage import UNDECODABLE
from events.types import Event, decode_many


class LabelledEvent(NamedTuple):
    """A row of the archive, including the columns beside the body."""

    stored: Stored
    order_id: str
    version: int
    name: str


class Page(NamedTuple):
    """Events in order, not yet decoded."""

    positions: tuple[int, ...]
    times: tuple[int, ...]
    hashes: bytes
    """All hashes, 32 bytes each, joined."""
    bodies: bytes
    """The msgpack array of all events."""

    def events(self) -> list[Event]:
        """Decodes the events. Raises `msgspec.DecodeError`."""
        return decode_many(self.bodies)

    def hash(self, at: int) -> bytes:
        """The hash of the `at`th event."""
        return self.hashes[32 * at : 32 * at + 32]

    def stored(self) -> list[Stored]:
        """The events with their exact bytes. Raises `msgspec.DecodeError` for other bytes."""
        try:
            bodies = _raws.decode(self.bodies)
        except UNDECODABLE as error:
            raise msgspec.DecodeError(str(error)) from None
        records = map(HashedEvent, map(self.hash, range(len(self.positions))), bodies)
        return [Stored(*row) for row in zip(self.positions, self.times, records, strict=True)]

    def until_time(self, time_us: int) -> Page:
        """The events before the first one that is later than `time_us`."""
        for number, written_us in enumerate(self.times):
            if written_us > time_us:
                return Page.of(self.stored()[:number])
        return self

    def cut(self, start: int, stop: int) -> Page:
        """The events from index `start` to `stop`, exclusive."""
        return Page.of(self.stored()[start:stop])

    @staticmethod
    def of(events: Sequence[Stored]) -> Page:
        """A page of these events."""
        return Page(
            tuple(e.position for e in events),
            tuple(e.time_us for e in events),
            b"".join(e.record.hash for e in events),
            array(len(events)) + b"".join(bytes(e.record.body) for e in events),
        )


def array(size: int) -> bytes:
    """The header of a msgpack array."""
    return b"\xdd" + size.to_bytes(4)


_raws = msgspec.msgpack.Decoder(list[msgspec.Raw])
