"""The front of all events: the union of their structs, the envelope, and the codec.

Each struct stands in a file of its own, with its transitions and its fold: `events.order.events`
for orders, `events.streams.events` for the engine switch and the API keys. The values that they
share stand in `events.quote` and `events.status`.

Rule of this file: stored events are permanent. A tag is never reused, and a renamed event
leaves its old one in `events.former_names`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import msgspec

from events.event import Envelope, Fact
from events.former_names import FORMER_NAMES, current_name, under_current_name
from events.money import U64_MAX
from events.order.events import ORDER_EVENTS
from events.order.events.attempt_failed import AttemptFailed
from events.order.events.order_amended import OrderAmended
from events.order.events.order_armed import OrderArmed
from events.order.events.order_cancelled import OrderCancelled
from events.order.events.order_confirmed import OrderConfirmed
from events.order.events.order_expired import OrderExpired
from events.order.events.order_failed import OrderFailed
from events.order.events.order_parked import OrderParked
from events.order.events.order_rearmed import OrderRearmed
from events.order.events.order_requeued import OrderRequeued
from events.order.events.order_routed import OrderRouted
from events.order.events.order_submitted import OrderSubmitted
from events.order.events.order_triggered import OrderTriggered
from events.order.events.routing_started import RoutingStarted
from events.order.events.transaction_built import TransactionBuilt
from events.order.events.transaction_expired import TransactionExpired
from events.order.events.transaction_in_doubt import TransactionInDoubt
from events.order.events.transaction_recovered import TransactionRecovered
from events.order.events.transaction_submitted import TransactionSubmitted
from events.quote import Fill, Leg, Quote, TokenWarning
from events.secret import restored, stored
from events.status import TERMINAL, EngineStatus, Status, StreamStatus
from events.streams.damage import UNDECODABLE
from events.streams.events import ENGINE_EVENTS, KEY_EVENTS
from events.streams.events.engine_halted import EngineHalted
from events.streams.events.engine_resumed import EngineResumed
from events.streams.events.key_created import KeyCreated
from events.streams.events.key_revoked import KeyRevoked
from events.streams.events.key_rotated import KeyRotated

__all__ = [
    "FACTS",
    "FORMER_NAMES",
    "TERMINAL",
    "U64_MAX",
    "AnyFact",
    "AttemptFailed",
    "EngineHalted",
    "EngineResumed",
    "EngineStatus",
    "Event",
    "Fact",
    "Fill",
    "KeyCreated",
    "KeyRevoked",
    "KeyRotated",
    "Leg",
    "OrderAmended",
    "OrderArmed",
    "OrderCancelled",
    "OrderConfirmed",
    "OrderExpired",
    "OrderFailed",
    "OrderParked",
    "OrderRearmed",
    "OrderRequeued",
    "OrderRouted",
    "OrderSubmitted",
    "OrderTriggered",
    "Quote",
    "RoutingStarted",
    "Status",
    "StreamStatus",
    "TokenWarning",
    "TransactionBuilt",
    "TransactionExpired",
    "TransactionInDoubt",
    "TransactionRecovered",
    "TransactionSubmitted",
    "current_name",
    "decode",
    "decode_many",
    "encode",
]

AnyFact = (
    OrderSubmitted
    | RoutingStarted
    | OrderRouted
    | TransactionBuilt
    | TransactionSubmitted
    | TransactionExpired
    | TransactionInDoubt
    | OrderConfirmed
    | OrderFailed
    | OrderExpired
    | AttemptFailed
    | OrderParked
    | OrderRequeued
    | TransactionRecovered
    | OrderArmed
    | OrderTriggered
    | OrderRearmed
    | OrderAmended
    | OrderCancelled
    | EngineHalted
    | EngineResumed
    | KeyCreated
    | KeyRotated
    | KeyRevoked
)

FACTS: dict[str, type[Fact]] = {fact.__name__: fact for fact in get_args(AnyFact)}
"""The name of each event -> its struct."""

assert set(FACTS.values()) == set(Fact.__subclasses__()), "every fact is in the union"
assert set(FACTS.values()) == {
    event.fact for events in (ORDER_EVENTS, ENGINE_EVENTS, KEY_EVENTS) for event in events
}, "every fact has its transitions and its fold"


class Event(Envelope, frozen=True, array_like=True):
    """A fact about one order or other stream, as it is logged."""

    fact: AnyFact


_encoder = msgspec.msgpack.Encoder(enc_hook=stored)
_decoder = msgspec.msgpack.Decoder(Event, dec_hook=restored)
_many_decoder = msgspec.msgpack.Decoder(list[Event], dec_hook=restored)
_raw_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])


encode: Callable[[Event], bytes] = _encoder.encode
"""The exact bytes that are hashed, logged and archived."""


def decode(body: bytes | msgspec.Raw) -> Event:
    """Inverse of `encode`. Raises `msgspec.DecodeError` for bytes that are not a known event."""
    try:
        return _decode(body)
    except UNDECODABLE as error:
        raise msgspec.DecodeError(str(error)) from None


def decode_many(bodies: bytes) -> list[Event]:
    """The events of a msgpack array. Raises `msgspec.DecodeError` where one cannot be read."""
    try:
        return _decode_many(bodies)
    except UNDECODABLE as error:
        raise msgspec.DecodeError(str(error)) from None


def _decode(body: bytes | msgspec.Raw) -> Event:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        renamed = under_current_name(body)
        if renamed is None:
            raise
        return _decoder.decode(renamed)


def _decode_many(bodies: bytes) -> list[Event]:
    try:
        return _many_decoder.decode(bodies)
    except msgspec.ValidationError:  # one of them may have a former name
        return [decode(body) for body in _raw_decoder.decode(bodies)]
