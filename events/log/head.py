"""The head of an order: what an append compares, and the folded order.

Bytes: version u32 BE | hash 32 | next stage code u8 | Order | positions u64 BE of the newest
events, POSITIONS_KEPT at most, since an order may be rearmed without end. Older positions are in
the archive. The writer supplies all but the positions, which only the append function knows. That
function reads the fixed part and not the Order, so an order with an unreadable head can be parked.
"""

from __future__ import annotations

import struct

import msgspec

from events import streams
from events.hash_chain import GENESIS
from events.order import STAGES, Order, next_stage
from events.streams import EngineState, S, State
from events.streams.damage import UNDECODABLE
from events.types import Status

_FIXED = struct.Struct(">I32sB")
PREFIX_LENGTH = _FIXED.size - 1
"""Version and hash, which an append compares. The next byte is the next stage code."""
NO_STAGE = 0
PARKED = 255
RESTING = 254
"""The order waits in a book for a price or a pool; no stage works on it."""

DAMAGED = 253
"""The code of a head that cannot be parsed: no stage works on the order before a repair."""

POSITIONS_KEPT = 128
"""One kilobyte; most orders have fewer than ten events."""

STAGE_NUMBER = {stage: number for number, stage in enumerate(STAGES, start=1)}

assert min(STAGE_NUMBER.values()) > NO_STAGE
assert max(STAGE_NUMBER.values()) < DAMAGED < RESTING < PARKED < 2**8, "one byte, all different"
assert 4 + len(GENESIS) == PREFIX_LENGTH, "a version and a hash"


class OrderHead(msgspec.Struct, frozen=True, gc=False):
    """A loaded head. `body` is the encoded Order, which another build may have written."""

    version: int
    hash: bytes
    owes: int
    positions: tuple[int, ...]
    """The positions of its newest events, POSITIONS_KEPT at most."""
    body: bytes

    @property
    def order(self) -> Order:
        """The folded order. Raises `msgspec.DecodeError`."""
        return streams.decode_order(self.body)

    @property
    def state(self) -> State:
        """The folded state of any stream. Raises `msgspec.DecodeError`."""
        return streams.decode(self.body)

    @property
    def prefix(self) -> bytes:
        """The prefix that an append expects in the log."""
        return prefix(self.version, self.hash)


def new_order(order_id: str, account: str) -> Order:
    """The order before its first event."""
    return Order(order_id, account=account)


def prefix(version: int, digest: bytes) -> bytes:
    """The compared part of a head; empty for an order without events."""
    return version.to_bytes(4) + digest if version else b""


def next_stage_code(order: State) -> int:
    """The code in the head: a stage's number, NO_STAGE, PARKED or RESTING."""
    if type(order) is not Order:
        return NO_STAGE
    if order.parked and not order.terminal:
        return PARKED
    if order.status is Status.WATCHING:
        return RESTING
    stage = next_stage(order)
    return STAGE_NUMBER[stage] if stage else NO_STAGE


def owes_of(data: bytes | None) -> int | None:
    """The next stage code of a stored head; None without a head or code."""
    return data[PREFIX_LENGTH] if data and len(data) > PREFIX_LENGTH else None


def decode_head(data: bytes) -> OrderHead:
    """Parses a head that the append function wrote; `UNREADABLE` for other bytes, so that callers
    that load many orders can continue with the others.
    """
    if len(data) < _FIXED.size:
        return UNREADABLE
    version, digest, owes = _FIXED.unpack_from(data)
    kept = min(version, POSITIONS_KEPT)
    first = len(data) - 8 * kept
    if not version or first < _FIXED.size:
        return UNREADABLE
    positions = struct.unpack_from(f">{kept}Q", data, first)
    body = data[_FIXED.size : first]
    if version > kept and not _is_one_value(body):  # layout 2 kept all positions
        body = data[_FIXED.size : len(data) - 8 * version]
    return OrderHead(version, digest, owes, positions, body)


def _is_one_value(body: bytes) -> bool:
    try:
        _value.decode(body)
    except (msgspec.DecodeError, *UNDECODABLE):
        return False
    return True


_value = msgspec.msgpack.Decoder(msgspec.Raw)


def encode_head(version: int, digest: bytes, owes: int, body: bytes) -> bytes:
    """A head without its positions."""
    return _FIXED.pack(version, digest, owes) + body


def head_of(new: bytes) -> OrderHead:
    """The head that a unit writes, without its positions: appends do not need them."""
    version, digest, owes = _FIXED.unpack_from(new)
    return OrderHead(version, digest, owes, (), new[_FIXED.size :])


def order_in(head: OrderHead, order_id: str) -> Order:
    """The order of a head that was loaded under this id. Raises as `state_in`, and for the state
    of another stream.
    """
    return _checked(head, head.order, order_id)


def state_in(head: OrderHead, stream_id: str) -> State:
    """The state of a head that was loaded under this id. Raises `msgspec.DecodeError` where the
    head belongs to another stream or version: an append to it would write a wrong event.
    """
    return _checked(head, head.state, stream_id)


def engine_in(head: OrderHead) -> EngineState:
    """The engine's state in its head. Raises `msgspec.DecodeError`."""
    state = head.state
    if not isinstance(state, EngineState):
        raise msgspec.DecodeError("the head of the engine's switch holds another stream")
    return state


def _checked(head: OrderHead, state: S, stream_id: str) -> S:
    if state.id != stream_id:
        raise msgspec.DecodeError(f"the head is of order {state.id}")
    if state.version != head.version and head.owes != PARKED:  # a parked order's body may be older
        raise msgspec.DecodeError(f"the head is at version {head.version}, its order another")
    return state


EMPTY = OrderHead(0, GENESIS, NO_STAGE, (), b"")

UNREADABLE = OrderHead(0, GENESIS, DAMAGED, (), b"")
"""The result for bytes that are not a head. Its `order` raises `msgspec.DecodeError`."""
