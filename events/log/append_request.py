"""The requests of an append and their results.

A request is one atomic unit: it is written as a whole or not, and refused where the version that it
expects is old (optimistic concurrency).
"""

from __future__ import annotations

from enum import Enum

import msgspec

from events.order.wait_reasons import WaitReason

Note = tuple[dict[str, int], str]
"""Counters, and the label of the one that a written unit increments."""

WAIT_MAX_MS = 86_400_000
"""The longest stay in the due-set; an order with a longer wait is delivered in between."""

assert WAIT_MAX_MS < 2**32, "a wait has four bytes"


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One order of one inbox entry, which a unit settles."""

    stage: int
    """1-based number of the stage in STAGES."""
    entry: bytes
    size: int
    """How many orders the entry names."""
    place: int
    """The order's index in the entry."""


class Idempotency(msgspec.Struct, frozen=True, gc=False):
    """The client's names for an order: a creation registers them, and their window starts with the
    end of the order.
    """

    keys: tuple[str, ...]
    """Full Redis keys."""
    value: bytes = b""
    """Only for a creation: the order id and the digest of the request."""


class AppendRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """New events of one order, and everything that changes with them."""

    order_id: str
    old: bytes
    """The head prefix that the log must hold; empty to create the order."""
    new: bytes
    """The new head without its positions."""
    owes: int
    events: int
    records: bytes
    """The joined records of these events."""
    delivery: Delivery | None = None
    wake: bool = True
    """Deliver the order to the stage of its next event."""
    wait_ms: int = 0
    """Deliver it only after this time."""
    wait_reason: WaitReason | None = None
    """Why, for people: stored with the delay. One of `events.order.wait_reasons.STORED`."""
    not_after_ms: int = 0
    """Refuse the unit (`late`) after this server time; 0: never."""
    idempotency: Idempotency | None = None
    sends: bool = False
    """It sends a transaction or triggers the order: refused while the log is `suspended` or
    `halted`."""
    halts: bool | None = None
    """Sends are refused after this unit (True) or accepted again (False)."""
    expires_ms: int | None = None
    """The order's expiry, where this unit changes it or ends the order; 0: no expiry."""
    note: Note | None = None
    """The counter that it increments. This and the fields below are for metrics only."""
    stage: int = 0
    """The stage whose event this is, by the code in the old head."""
    since_us: int = 0
    """The time of the previous event."""


class AppendStatus(Enum):
    """The result of a unit."""

    CREATED = "created"
    EXISTS = "exists"
    """It was written by an earlier call whose reply was lost."""
    CONFLICT = "conflict"
    LATE = "late"
    UNVERIFIED = "unverified"
    """The server was restarted or promoted and its log is not yet compared with the archive."""
    SUSPENDED = "suspended"
    """New orders and sends are refused."""
    HALTED = "halted"
    """An operator halted sends and triggers."""
    DUPLICATE = "duplicate"
    """The client's key already names an order."""
    AMBIGUOUS = "ambiguous"
    """The client's keys name two orders."""


class AppendResult(msgspec.Struct, frozen=True, gc=False):
    """The result of a unit."""

    status: AppendStatus
    position: int = 0
    """The position of the unit's last event, where it was created or exists."""
    duplicate_of: bytes = b""
    """The stored value of the client's key; of two keys, that of the later one."""


def ack_only(
    order_id: str, delivery: Delivery, *, wait_ms: int = 0, wait_reason: WaitReason | None = None
) -> AppendRequest:
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
        wait_reason=wait_reason,
    )
