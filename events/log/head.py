"""The head of an order: what an append checks, and the order folded so far.

Bytes: version u32 BE | hash 32 | who owes the next event u8 | positions u64 BE x version | Order.
The function reads the fixed part and never the Order, so a head can be parked that cannot be read.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from events import order as orders
from events.chain import GENESIS
from events.order import STAGES, Order, owed_by

_FIXED = struct.Struct(">I32sB")
PREFIX_LENGTH = 36
NOBODY = 0
PARKED = 255

STAGE_NUMBER = {stage: number for number, stage in enumerate(STAGES, start=1)}


class Head(NamedTuple):
    """A head as loaded. `body` is the encoded Order; decoding it may fail for a foreign build."""

    version: int
    hash: bytes
    owes: int
    positions: tuple[int, ...]
    body: bytes

    @property
    def order(self) -> Order:
        """The folded order. Raises `msgspec.DecodeError`."""
        return orders.decode(self.body)

    @property
    def prefix(self) -> bytes:
        """What an append expects to find."""
        return prefix(self.version, self.hash)


def new_order(order_id: str, account: str) -> Order:
    """The order before its first event."""
    return Order(order_id, account=account)


def prefix(version: int, digest: bytes) -> bytes:
    """The checked part of a head; empty for an order that does not exist yet."""
    return version.to_bytes(4) + digest if version else b""


def owes_number(order: Order) -> int:
    """Who owes the next event, as the head stores it."""
    if order.parked and not order.terminal:
        return PARKED
    stage = owed_by(order)
    return STAGE_NUMBER[stage] if stage else NOBODY


def decode_head(data: bytes) -> Head:
    """Inverse of what the append function writes."""
    version, digest, owes = _FIXED.unpack_from(data)
    end = _FIXED.size + 8 * version
    positions = struct.unpack_from(f">{version}Q", data, _FIXED.size)
    return Head(version, digest, owes, positions, data[end:])


EMPTY = Head(0, GENESIS, NOBODY, (), b"")
