"""The shape of frames: what a subscriber gets and a history shows, and their schemas.

Rule of this file: as of `shapes`. Types, and what is read off them.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from events import types as t
from events.types import Fact
from projections.shapes import (
    Amount,
    AnyStatus,
    Bps,
    Count,
    Cursor,
    FailureReason,
    Fill,
    Leftover,
    Leg,
    OrderId,
    Position,
    Price,
    Quote,
    Rent,
    Shape,
    Terms,
    Time,
    TokenWarning,
)

Fee = Annotated[int, Meta(ge=0, description="Lamports: network fee of this transaction.")]


class Frame(Shape):
    """What every event has."""

    order_id: OrderId
    status: AnyStatus
    event: str
    version: Annotated[int, Meta(ge=1, description="Of the order: 1, 2, … without gaps.")]
    position: Position
    cursor: Cursor
    timestamp: Time
    account: str
    build: Annotated[str, Meta(description="Of the engine that wrote it.")]
    hash: Annotated[
        str, Meta(pattern="^[0-9a-f]+$", description="The link of the hash chain, hex.")
    ]


class Nothing(Shape):
    """Adds nothing."""


class OrderRoutedAdded(Shape):
    """Adds the route, all quotes, and the bound that is fixed from here on."""

    dex: str
    pool: str
    price: Price
    quotes: list[Quote]
    min_amount_out: Amount
    amount_out: Amount
    why: str | UnsetType = UNSET
    price_impact_bps: Bps | UnsetType = UNSET
    legs: list[Leg] | UnsetType = UNSET
    warnings: list[TokenWarning] | UnsetType = UNSET
    amount_in: Amount | UnsetType = UNSET
    max_amount_in: Amount | UnsetType = UNSET


class TransactionBuiltAdded(Shape):
    """Adds the signed transaction's signature and until when it can land."""

    signature: str
    last_valid_height: Count
    attempt: Count


class TransactionSubmittedAdded(Shape):
    """Adds what is about to be sent."""

    signature: str
    attempt: Count


class TransactionExpiredAdded(Shape):
    """Adds the proof."""

    signature: str
    attempt: Count
    last_valid_height: Count
    finalized_height: Count
    handed_over: (
        Annotated[bool, Meta(description="False: no node took it; no attempt is spent.")]
        | UnsetType
    ) = UNSET


class TransactionInDoubtAdded(Shape):
    """Adds why nobody knows."""

    in_doubt: bool
    signature: str
    reason: FailureReason
    detail: Annotated[str, Meta(description="What is missing, in words.")] | UnsetType = UNSET


class OrderConfirmedAdded(Shape):
    """Adds what was executed, and what it cost."""

    tx_hash: str
    executed_price: Price
    amount_out: Amount
    slot: Count
    amount_in: Amount | UnsetType = UNSET
    fee_lamports: Fee | UnsetType = UNSET
    rent_lamports: Rent | UnsetType = UNSET
    fills: list[Fill] | UnsetType = UNSET
    leftovers: list[Leftover] | UnsetType = UNSET
    explorer_url: Annotated[str, Meta(description="For people.")] | UnsetType = UNSET


class OrderFailedAdded(Shape):
    """Adds where and why."""

    stage: str
    reason: FailureReason
    attempts: Count
    detail: str
    fee_lamports: Fee | UnsetType = UNSET
    actor: str | UnsetType = UNSET


class OrderExpiredAdded(Shape):
    """Adds where and why."""

    stage: str
    reason: FailureReason
    attempts: Count


class AttemptFailedAdded(Shape):
    """Adds what went wrong, and when it is tried again."""

    stage: str
    attempt: Count
    error: FailureReason
    detail: str
    next_attempt_at: Time | None


class OrderParkedAdded(Shape):
    """Adds where, why and by whom."""

    stage: str
    reason: str
    actor: str


class TransactionRecoveredAdded(Shape):
    """Adds by which transaction an operator closes a parked order, why and who."""

    signature: str
    reason: str
    actor: str
    dex: str | None
    pool: str | None
    others: Annotated[list[str], Meta(description="Further transactions that executed the order.")]


class ActAdded(Shape):
    """Adds why and by whom."""

    reason: str
    actor: str


class OrderArmedAdded(Shape):
    """Adds the slot from which on prices and pools count."""

    slot: Count


TRIGGER_CAUSES = ["tick", "pool-created", "pool-opened", "liquidity-added"]


class OrderTriggeredAdded(Shape):
    """Adds the tick or the pool event that did it."""

    cause: Annotated[str, Meta(extra_json_schema={"enum": TRIGGER_CAUSES})]
    dex: str
    pool: str
    slot: Count
    price: Price
    liquidity: Amount | None


class OrderRearmedAdded(Shape):
    """Adds why, what was offered, and from which slot on prices count again.

    Until `pausedUntilSlot`, where it is there, a price that neither left nor rose since does not.
    """

    stage: str
    reason: FailureReason
    slot: Count
    quotes: list[Quote]
    amount_out: Amount | None
    min_amount_out: Amount
    fee_lamports: Fee | UnsetType = UNSET
    paused_until_slot: (
        Annotated[
            int, Meta(ge=0, description="Until this slot a price that stays does not trigger.")
        ]
        | UnsetType
    ) = UNSET


class OrderAmendedAdded(Shape):
    """Adds the terms that hold from now on."""

    actor: str
    target_price: str
    expires_at: Time | None


class KeyCreatedAdded(Shape):
    """Adds what an API key is good for; never its secret. Of no order."""

    key_id: str
    key_account: str
    scopes: list[str]
    label: str
    expires_at: Time | None
    actor: str


class KeyRotatedAdded(Shape):
    """Adds until when the secret before is good."""

    key_id: str
    old_until: Time | None
    actor: str


class KeyRevokedAdded(Shape):
    """Adds why and by whom."""

    key_id: str
    reason: str
    actor: str


class UnknownFrame(Shape):
    """An event that only a newer build can read: positions have no gaps."""

    order_id: str
    status: str
    event: str
    version: Count
    position: Position
    cursor: Cursor
    timestamp: Time
    hash: str


ADDS: dict[type[Fact], type[Shape]] = {
    t.OrderSubmitted: Terms,
    t.RoutingStarted: Nothing,
    t.OrderRouted: OrderRoutedAdded,
    t.TransactionBuilt: TransactionBuiltAdded,
    t.TransactionSubmitted: TransactionSubmittedAdded,
    t.TransactionExpired: TransactionExpiredAdded,
    t.TransactionInDoubt: TransactionInDoubtAdded,
    t.OrderConfirmed: OrderConfirmedAdded,
    t.OrderFailed: OrderFailedAdded,
    t.OrderExpired: OrderExpiredAdded,
    t.AttemptFailed: AttemptFailedAdded,
    t.OrderParked: OrderParkedAdded,
    t.OrderRequeued: ActAdded,
    t.TransactionRecovered: TransactionRecoveredAdded,
    t.OrderArmed: OrderArmedAdded,
    t.OrderTriggered: OrderTriggeredAdded,
    t.OrderRearmed: OrderRearmedAdded,
    t.OrderAmended: OrderAmendedAdded,
    t.OrderCancelled: ActAdded,
    t.EngineHalted: ActAdded,
    t.EngineResumed: ActAdded,
    t.KeyCreated: KeyCreatedAdded,
    t.KeyRotated: KeyRotatedAdded,
    t.KeyRevoked: KeyRevokedAdded,
}
"""What each fact adds to the common fields, as `views` shows it."""


class Heartbeat(Shape):
    """The connection lives, and everything up to `position` was sent."""

    event: str
    head: Annotated[int, Meta(ge=0, description="The newest position of the log.")]
    position: Position
    cursor: Cursor
    timestamp: Time
    log: Annotated[str, Meta(description="`unavailable` while it does not answer.")] | UnsetType = (
        UNSET
    )


class Lost(Shape):
    """What cannot be given any more. It goes on behind `position`; what came after it is void."""

    event: str
    code: Annotated[str, Meta(extra_json_schema={"enum": [
        "epoch-changed", "log-regressed", "ahead-of-log", "events-lost",
    ]})]  # fmt: skip
    recovered: bool
    position: Position
    cursor: Cursor
    timestamp: Time


class Shutdown(Shape):
    """The gateway restarts: resume from the last cursor."""

    event: str
    code: Annotated[str, Meta(extra_json_schema={"enum": ["shutdown"]})]
    message: str


class FollowFault(Shape):
    """A message of the client that could not be heeded."""

    event: str
    code: Annotated[str, Meta(extra_json_schema={"enum": [
        "malformed-message", "malformed-order-id", "unknown-order", "too-many-orders",
        "log-unavailable", "archive-unavailable", "history-lost",
    ]})]  # fmt: skip
    order_id: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


SAID: dict[str, tuple[str, type[Shape]]] = {
    "Heartbeat": ("heartbeat", Heartbeat),
    "Lost": ("notice", Lost),
    "Shutdown": ("notice", Shutdown),
    "FollowFault": ("error", FollowFault),
}
"""What a socket says besides events: the value of `event`, and the shape."""
