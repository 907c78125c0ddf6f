"""What an audit keeps of each order: all of an open order, digests of one that has ended. Pure.

The order's next event and its head are compared with that here.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from events import streams
from events.hash_chain import GENESIS, follows
from events.log import NO_STAGE, PARKED, POSITIONS_KEPT, OrderHead, next_stage_code
from events.streams import State, may_follow
from events.streams.older_builds import added, adds, basis
from events.types import Event


class Open:
    """An open order."""

    __slots__ = ("hash", "order", "positions")

    def __init__(self, order: State, digest: bytes, positions: list[int]) -> None:
        self.order = order
        self.hash = digest
        self.positions = positions


class Ended(NamedTuple):
    """The digests of an order that has ended: the audit of a long log has to fit into memory."""

    version: int
    position: int
    summary: bytes
    head: bytes
    """The summary with the positions that the head keeps, which are the newest only."""
    added: tuple[Any, ...]
    """The fields that older builds did not store; they are not part of the summaries."""


def fault_after_end(ended: Ended, event: Event) -> tuple[str, str]:
    """Why an event may not follow the end of its order: code and detail."""
    if event.version <= ended.version:
        return "duplicate", f"version {event.version} once more, after the order's end"
    return "transition", f"{type(event.fact).__name__} after the order's end"


def event_fault(
    seen: Open | None, digest: bytes, body: bytes, event: Event
) -> tuple[str, str] | None:
    """Why an event does not continue its order: code and detail; None: it does.

    `seen` is None for the first event of an order. `digest` is the hash stored with `body`.
    """
    kind = type(event.fact)
    version = seen.order.version if seen else 0
    if 0 < event.version <= version:
        return "duplicate", f"version {event.version} once more, it follows {version}"
    if event.version != version + 1:
        return "version", f"version {event.version} follows {version}"
    if not follows(seen.hash if seen else GENESIS, body, digest):
        return "hash", f"version {event.version} is not what was hashed"
    if not may_follow(seen.order if seen else None, event.order_id, kind):
        before = seen.order.status if seen else "nothing"
        return "transition", f"{kind.__name__} does not follow {before}"
    if seen and event.time_us < seen.order.updated_at_us:
        return "time", f"{event.time_us} is before {seen.order.updated_at_us}"
    return None


def head_fault(seen: Open, head: OrderHead) -> str:
    """The difference between an open order and its head; empty: none."""
    order = seen.order
    if head.version != order.version:
        return f"its head is at version {head.version}, the log at {order.version}"
    if head.hash != seen.hash:
        return "its head has another hash"
    if head.positions != tuple(seen.positions[-POSITIONS_KEPT:]):
        return "its head names other positions"
    if head.owes == PARKED and normal(head.body) is None:
        return ""  # parked because its body cannot be read: an operator's replay rewrites it
    if normal(head.body) != basis(order) or not adds(head.body, added(order)):
        return "its head is not what its events add up to"
    if head.owes != next_stage_code(order):
        return f"its head says that stage {head.owes} is next, not {next_stage_code(order)}"
    return ""


def ended_head_fault(ended: Ended, head: OrderHead) -> str:
    """The difference between an order that has ended and its head; empty: none."""
    digest = summary(head.version, head.hash, head.positions, head.body)
    if ended.head != digest or not adds(head.body, ended.added):
        return "its head is not what its events add up to"
    return "it has ended, and its head says otherwise" if head.owes != NO_STAGE else ""


def normal(state: bytes) -> bytes | None:
    """An encoded order as this build encodes it, since older builds knew fewer fields; None:
    unreadable.
    """
    try:
        return basis(streams.decode(state))
    except msgspec.DecodeError:
        return None


def summary(version: int, digest: bytes, positions: Sequence[int], state: bytes) -> bytes:
    """The digest of an order as a head or a row has it."""
    return _digest(version, digest, positions, normal(state) or b"unreadable")


def summary_of(seen: Open, newest: int = 0) -> bytes:
    """The digest of an open order with all its positions, or with the `newest` ones."""
    positions = seen.positions[-newest:]
    return _digest(seen.order.version, seen.hash, positions, basis(seen.order))


def _digest(version: int, digest: bytes, positions: Sequence[int], state: bytes) -> bytes:
    return sha256(msgspec.msgpack.encode((version, digest, list(positions), state))).digest()
