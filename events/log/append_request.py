"""The requests of an append and their results. A request is one unit: written as a whole or not."""

from __future__ import annotations

from enum import Enum

import msgspec

Note = tuple[dict[str, int], str]
"""Counts, and which of them a unit adds 1 to once it is written."""

WAIT_MAX_MS = 86_400_000
"""Longest stay in the due-set: who has to wait longer is looked at on the way."""

assert WAIT_MAX_MS < 2**32, "a wait has four bytes"


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One order of one inbox entry: what a unit settles."""

    stage: int
    """1-based number of the stage in STAGES."""
    entry: bytes
    size: int
    """How many orders the entry names."""
    place: int


class Idempotency(msgspec.Struct, frozen=True, gc=False):
    """The client's names for an order: those that a creation registers, or whose window begins with
    the end of the order.
    """

    keys: tuple[str, ...]
    """Full Redis keys."""
    value: bytes = b""
    """Of a creation: the order id and the digest of the request."""


class AppendRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """New events of one order, and everything that changes with them."""

    order_id: str
    old: bytes
    """The head prefix that the log must hold; empty to create the order."""
    new: bytes
    """The new head, less its positions."""
    owes: int
    events: int
    records: bytes
    """As many records, joined."""
    delivery: Delivery | None = None
    wake: bool = True
    """Hand the order to the stage that owes it the next event."""
    wait_ms: int = 0
    """Hand it over only after this long."""
    not_after_ms: int = 0
    """Refuse (`late`) when the server's clock is past this; 0 is never."""
    idempotency: Idempotency | None = None
    sends: bool = False
    """A transaction may land after it, or comes nearer to that: refused (`suspended`, `halted`)
    while the log is."""
    halts: bool | None = None
    """Sends are refused after this unit (True), or taken again (False)."""
    expires_ms: int | None = None
    """When the order expires, where this unit changes that or ends the order; 0: no more."""
    note: Note | None = None
    """The counter it adds to. This and the fields below are for counting only."""
    stage: int = 0
    """The stage that owed the next event before, as its head names it."""
    since_us: int = 0
    """When the event before these was written."""


class AppendStatus(Enum):
    """The result of a unit."""

    CREATED = "created"
    EXISTS = "exists"
    """It had been written by an earlier call whose answer was lost."""
    CONFLICT = "conflict"
    LATE = "late"
    UNVERIFIED = "unverified"
    """The server has started, or took over, and its log was not compared with the archive yet."""
    SUSPENDED = "suspended"
    """Neither new orders nor sends are taken now."""
    HALTED = "halted"
    """An operator stopped sends and triggers."""
    DUPLICATE = "duplicate"
    """The client's key already names an order."""
    AMBIGUOUS = "ambiguous"
    """The client's keys name two orders."""


class AppendResult(msgspec.Struct, frozen=True, gc=False):
    """The answer to a unit."""

    status: AppendStatus
    position: int = 0
    """Of the last event of the unit, where it was created or exists."""
    duplicate_of: bytes = b""
    """The value kept under the client's key, the later one of two."""


def ack_only(order_id: str, delivery: Delivery, *, wait_ms: int = 0) -> AppendRequest:
    """Returns a unit without events: it acks a delivery, or moves the order to the due-set."""
    wake = wait_ms > 0
    wait_ms = min(wait_ms, WAIT_MAX_MS)
    return AppendRequest(
        order_id=order_id,
        old=b"",
        new=b"",
        owes=delivery.stage,
        events=0,
        records=b"",
        delivery=delivery,
        wake=wake,
        wait_ms=wait_ms,
    )
