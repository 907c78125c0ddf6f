"""What an audit keeps of each order: all of one under way, digests of one that has ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from events import streams
from events.streams import State
from events.streams.older_builds import basis


class Open:
    """An order under way."""

    __slots__ = ("hash", "order", "positions")

    def __init__(self, order: State, digest: bytes, positions: list[int]) -> None:
        self.order = order
        self.hash = digest
        self.positions = positions


class Ended(NamedTuple):
    """All that is kept of an order that ended: an audit of years has to fit into memory."""

    version: int
    position: int
    summary: bytes
    head: bytes
    """The same of its head, which has the newest positions only."""
    added: tuple[Any, ...]
    """Its fields that older builds did not store; they are no part of the summaries."""


def normal(state: bytes) -> bytes | None:
    """An encoded order as this build encodes it, see `basis`: an older one knew fewer fields."""
    try:
        return basis(streams.decode(state))
    except msgspec.DecodeError:
        return None


def summary(version: int, digest: bytes, positions: Sequence[int], state: bytes) -> bytes:
    """Of an order as a head or a row has it."""
    return _digest(version, digest, positions, normal(state) or b"unreadable")


def summary_of(seen: Open, newest: int = 0) -> bytes:
    """With all its positions, or so many of the newest."""
    positions = seen.positions[-newest:]
    return _digest(seen.order.version, seen.hash, positions, basis(seen.order))


def _digest(version: int, digest: bytes, positions: Sequence[int], state: bytes) -> bytes:
    return sha256(msgspec.msgpack.encode((version, digest, list(positions), state))).digest()
