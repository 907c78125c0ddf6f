"""Builds hashed records from facts: the hash chain of the events of a stream.

Rule of this file: pure. `hash = SHA-256(previous hash || exact stored bytes)`; the previous hash of
the first event is 32 zero bytes. For an event whose bytes stay inside the engine it is
`SHA-256(previous hash || SHA-256(bytes))`, so that a third party can check the link without them. A
record is the msgpack array `[hash, event]`, a batch an array of records.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Generic

import msgspec

from events import types
from events.streams import S, advance, copied, status_after
from events.streams.damage import UNDECODABLE
from events.types import Event, Fact, TransactionBuilt

GENESIS = bytes(32)
REDACTED_EVENTS = frozenset({TransactionBuilt})
"""Events with the bytes of a signed transaction, which anyone could broadcast."""
_RECORD_PREFIX = b"\x92\xc4\x20"  # an array of two, the first of them 32 bytes

assert _RECORD_PREFIX[-1] == len(GENESIS) == sha256().digest_size


class HashedEvent(msgspec.Struct, frozen=True, array_like=True):
    """A stored event: its hash and its exact bytes."""

    hash: bytes
    body: msgspec.Raw

    def event(self) -> Event:
        """Decodes the event. Raises `msgspec.DecodeError`."""
        return decode_event(self.body)


def decode_event(body: bytes | msgspec.Raw) -> Event:
    """Decodes an event. Raises `msgspec.DecodeError`."""
    return types.decode(body)


_batch_decoder = msgspec.msgpack.Decoder(list[HashedEvent])


def decode_batch(data: bytes) -> list[HashedEvent]:
    """Decodes the records of one log entry. Raises `msgspec.DecodeError`."""
    try:
        return _batch_decoder.decode(data)
    except UNDECODABLE as error:
        raise msgspec.DecodeError(str(error)) from None


def encode_record(digest: bytes, body: bytes) -> bytes:
    """The bytes of a record in a batch."""
    return _RECORD_PREFIX + digest + body


def link(previous: bytes, body: bytes, *, withheld: bool = False) -> bytes:
    """The hash of the event with these bytes after the hash `previous`."""
    return sha256(previous + (sha256(body).digest() if withheld else body)).digest()


def follows(previous: bytes, body: bytes, digest: bytes) -> bool:
    """Whether `digest` is the hash by either rule: older builds used only the plain one."""
    return digest == link(previous, body) or digest == link(previous, body, withheld=True)


class EventBatch(msgspec.Struct, Generic[S], gc=False):
    """New events of one stream for one append: their records, and the state after them."""

    order: S
    hash: bytes
    time_us: int
    build: str
    records: list[bytes]
    events: list[Event]

    def extend(self, facts: Sequence[Fact]) -> None:
        """Adds all facts, or none where encoding one raises.

        The previous state object is not changed.
        """
        order, previous = copied(self.order), self.hash
        records: list[bytes] = []
        events: list[Event] = []
        for fact in facts:
            event = Event(
                order.id,
                order.version + 1,
                self.time_us,
                status_after(order, fact),
                order.account,
                self.build,
                fact,  # type: ignore[arg-type]  # every Fact is a member of AnyFact, the union pins it
            )
            body = types.encode(event)
            previous = link(previous, body, withheld=type(fact) in REDACTED_EVENTS)
            records.append(_RECORD_PREFIX + previous + body)
            events.append(event)
            advance(order, event)
        self.order, self.hash = order, previous
        self.records += records
        self.events += events


def new_events(
    order: S, previous: bytes, facts: Sequence[Fact], *, time_us: int, build: str
) -> EventBatch[S]:
    """The events of `facts` that continue a stream (version 0: a new one) and its chain.

    Time never decreases within a stream, even if the writer's clock does.
    """
    batch = EventBatch(order, previous, max(time_us, order.updated_at_us), build, [], [])
    batch.extend(facts)
    return batch
