"""Names that events had in earlier builds. Stored bytes keep them, since hashes cover the bytes."""

from __future__ import annotations

import msgspec

FORMER_NAMES = {
    "OrderRested": "OrderArmed",
    "OrderRetreated": "OrderRearmed",
    "OrderReplayed": "OrderRequeued",
}
"""The tag in stored bytes -> the name of the event now. A tag is never reused."""


def current_name(name: str) -> str:
    """The name that an event has now, given that or a former one."""
    return FORMER_NAMES.get(name, name)


class _Tag(msgspec.Struct, array_like=True):
    name: str


class _Tagged(msgspec.Struct, array_like=True):
    order_id: msgspec.Raw
    version: msgspec.Raw
    time_us: msgspec.Raw
    status: msgspec.Raw
    account: msgspec.Raw
    build: msgspec.Raw
    fact: _Tag


_tag_decoder = msgspec.msgpack.Decoder(_Tagged)


def under_current_name(body: bytes | msgspec.Raw) -> bytes | None:
    """The bytes of an event with its current tag; None where the tag is not a former one.

    Raises `msgspec.DecodeError` for bytes that are not an event.
    """
    name = _tag_decoder.decode(body).fact.name
    if name not in FORMER_NAMES:
        return None
    *envelope, [_, *fields] = msgspec.msgpack.decode(body)
    return msgspec.msgpack.encode([*envelope, [FORMER_NAMES[name], *fields]])
