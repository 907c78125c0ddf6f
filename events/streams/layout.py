"""Encodes the states of the engine switch and the API keys in the layout of an order.

Rule of this file: heads and rows outlive builds. The first builds stored these states as orders
with a status of their own; those bytes are still read, and written the same way today.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events import order as orders
from events.order import Order
from events.status import EngineStatus
from events.streams.state import ApiKey, EngineState, KeyRing

_ENGINE, _KEYS = "engine", "keys"
"""The order types of the two states."""
_FIELDS = Order.__struct_fields__


def laid_out(state: EngineState | KeyRing) -> Order:
    """The state as an order, only for storage: real orders do not have its status."""
    fields: dict[str, Any] = {
        "version": state.version,
        "status": state.status,
        "created_at_us": state.created_at_us,
        "updated_at_us": state.updated_at_us,
    }
    if isinstance(state, EngineState):
        fields |= {"type": _ENGINE, "reason": state.reason}
    else:
        fields |= {"type": _KEYS, "reserved": state.keys}
    return Order(state.id, account=state.account, **fields)


def encode(state: EngineState | KeyRing) -> bytes:
    """The bytes of a state in heads and in the `orders` table."""
    return orders.encode(laid_out(state))


class _Stored(msgspec.Struct):
    """The fields of the layout that these states use."""

    id: str
    account: str
    version: int
    status: EngineStatus
    type: str
    created_at_us: int
    updated_at_us: int
    reason: str
    reserved: tuple[ApiKey, ...] = ()


def decode(body: bytes) -> EngineState | KeyRing:
    """Inverse of `encode`. Raises `msgspec.DecodeError`."""
    values = msgspec.msgpack.decode(body, type=list[Any])
    read = msgspec.convert(dict(zip(_FIELDS, values, strict=False)), _Stored)
    common = (read.id, read.account, read.version, read.created_at_us, read.updated_at_us)
    if read.type == _ENGINE:
        return EngineState(*common, status=read.status, reason=read.reason)
    if read.type == _KEYS:
        return KeyRing(*common, keys=read.reserved)
    raise msgspec.ValidationError(f"a stream of the type {read.type!r} is not known")
