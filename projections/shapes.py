"""The shape of what `views` and `feed` show: one struct an object, one a frame.

Rule of this file: types only, and none of them is on the way of an order: the documents are made
from them, and the test suite holds everything that leaves a gateway against them. A field without
a default is always there; one with UNSET is there where it says something. Objects that are
answered may gain fields: clients skip what they do not know.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from events import types as t
from events.order import NEXT
from events.types import FACTS, TERMINAL, Fact, Status
from projections.frames import UNKNOWN

_ENGINES = (Status.HALTED, Status.RUNNING)

ORDER_STATUSES = [str(status) for status in Status if status not in _ENGINES]
ENDED_STATUSES = [str(status) for status in Status if status in TERMINAL]
UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
DECIMAL = r"^\d+(\.\d+)?$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"

OrderId = Annotated[str, Meta(pattern=UUID, extra_json_schema={"format": "uuid"})]
Amount = Annotated[str, Meta(pattern=DECIMAL, description="Whole tokens, exact.")]
Price = Annotated[str, Meta(pattern=DECIMAL, description="tokenOut for one tokenIn.")]
Bps = Annotated[str, Meta(pattern=r"^-?\d+(\.\d+)?$", description="Basis points, exact.")]
Time = Annotated[
    str,
    Meta(pattern=TIME, description="UTC, to the µs.", extra_json_schema={"format": "date-time"}),
]
Cursor = Annotated[str, Meta(description="Where to go on; opaque.")]
Position = Annotated[int, Meta(ge=0, description="Place in the log: ascending, without gaps.")]
Count = Annotated[int, Meta(ge=0)]
OrderStatus = Annotated[str, Meta(extra_json_schema={"enum": ORDER_STATUSES})]
AnyStatus = Annotated[str, Meta(extra_json_schema={"enum": [str(one) for one in Status]})]


class Shape(msgspec.Struct, rename="camel"):
    """Base of all shapes."""


class Links(Shape):
    """Where to read an order, its events, and where to follow it."""

    self: str
    events: str
    stream: str


class Leg(Shape):
    """One swap of a route, through one pool."""

    dex: str
    family: Annotated[str, Meta(description="The pool program, such as `raydium-clmm`.")]
    pool: str
    token_in: str
    token_out: str
    amount_in: Amount
    amount_out: Amount
    fee: Amount
    fee_token: str
    price_impact_bps: Bps


class Quote(Shape):
    """What one route through a venue would give, or why it cannot be used."""

    dex: str
    pool: str
    error: Annotated[str, Meta(description="The stable code of a refusal.")] | UnsetType = UNSET
    amount_in: Amount | UnsetType = UNSET
    amount_out: Amount | UnsetType = UNSET
    fee: Amount | UnsetType = UNSET
    cost: (
        Annotated[
            str,
            Meta(
                pattern=DECIMAL,
                description="Of the transaction: in tokenOut, or in tokenIn for exactOut.",
            ),
        ]
        | UnsetType
    ) = UNSET
    price_impact_bps: Bps | UnsetType = UNSET
    slot: Count | UnsetType = UNSET
    legs: list[Leg] | UnsetType = UNSET


class Terms(Shape):
    """What was asked for."""

    type: Annotated[str, Meta(extra_json_schema={"enum": ["market", "limit", "sniper"]})]
    token_in: str
    token_out: str
    amount: Annotated[
        str, Meta(pattern=DECIMAL, description="Of tokenIn, or of tokenOut for exactOut.")
    ]
    swap_mode: Annotated[str, Meta(extra_json_schema={"enum": ["exactIn", "exactOut"]})]
    max_amount_in: Amount | None
    slippage_bps: Count
    min_amount_out: Amount | None
    expires_at: Time | None
    client_order_id: str | None
    target_price: Price | None
    time_in_force: str | None
    min_liquidity: Amount | None
    max_price: Annotated[str, Meta(pattern=DECIMAL, description="tokenIn for one tokenOut.")] | None


class Order(Terms):
    """An order as it is now. Every field is always there; null is "not yet" or "none"."""

    order_id: OrderId
    status: OrderStatus
    amount_in: Amount | None
    dex: str | None
    legs: list[Leg]
    price: Price | None
    executed_price: Price | None
    amount_out: Amount | None
    signature: str | None
    tx_hash: Annotated[str, Meta(description="The signature, once confirmed.")] | None
    fee_lamports: Count | None
    attempts: Count
    next_attempt_at: Time | None
    in_doubt: Annotated[bool, Meta(description="The chain cannot say what became of it yet.")]
    parked: Annotated[str, Meta(description="Why it waits for an operator.")] | None
    reason: str | None
    failed_stage: str | None
    account: str
    created_at: Time
    updated_at: Time
    version: Annotated[int, Meta(ge=1)]
    links: Links


# ---------------------------------------------------------------------------------------------
# Frames: what a subscriber gets, and a history shows.


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


class TransactionInDoubtAdded(Shape):
    """Adds why nobody knows."""

    in_doubt: bool
    signature: str
    reason: str


class OrderConfirmedAdded(Shape):
    """Adds what was executed, and what it cost."""

    tx_hash: str
    executed_price: Price
    amount_out: Amount
    slot: Count
    amount_in: Amount | UnsetType = UNSET
    fee_lamports: Count | UnsetType = UNSET
    rent_lamports: Count | UnsetType = UNSET


class OrderFailedAdded(Shape):
    """Adds where and why."""

    stage: str
    reason: str
    attempts: Count
    detail: str
    fee_lamports: Count | UnsetType = UNSET
    actor: str | UnsetType = UNSET


class OrderExpiredAdded(Shape):
    """Adds where and why."""

    stage: str
    reason: str
    attempts: Count


class AttemptFailedAdded(Shape):
    """Adds what went wrong, and when it is tried again."""

    stage: str
    attempt: Count
    error: str
    detail: str
    next_attempt_at: Time | None


class OrderParkedAdded(Shape):
    """Adds where, why and by whom."""

    stage: str
    reason: str
    actor: str


class ActAdded(Shape):
    """Adds why and by whom."""

    reason: str
    actor: str


class OrderRestedAdded(Shape):
    """Adds the slot from which on prices and pools count."""

    slot: Count


class OrderTriggeredAdded(Shape):
    """Adds the tick or the pool event that did it."""

    cause: Annotated[
        str, Meta(extra_json_schema={"enum": ["tick", "pool-created", "liquidity-added"]})
    ]
    dex: str
    pool: str
    slot: Count
    price: Price
    liquidity: Amount | None


class OrderRetreatedAdded(Shape):
    """Adds why, what was offered, and from which slot on prices count again."""

    stage: str
    reason: str
    slot: Count
    quotes: list[Quote]
    amount_out: Amount | None
    min_amount_out: Amount
    fee_lamports: Count | UnsetType = UNSET


class OrderAmendedAdded(Shape):
    """Adds the terms that hold from now on."""

    actor: str
    target_price: str
    expires_at: Time | None


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
    t.OrderReplayed: ActAdded,
    t.OrderRested: OrderRestedAdded,
    t.OrderTriggered: OrderTriggeredAdded,
    t.OrderRetreated: OrderRetreatedAdded,
    t.OrderAmended: OrderAmendedAdded,
    t.OrderCancelled: ActAdded,
    t.EngineHalted: ActAdded,
    t.EngineResumed: ActAdded,
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

REF = "#/components/schemas/{name}"


def event_schemas() -> dict[str, Any]:
    """The schema of each event's frame, by its name, and of all that they refer to."""
    added = {shape.__name__ for shape in ADDS.values()}
    _, parts = msgspec.json.schema_components(
        [Frame, *ADDS.values(), UnknownFrame], ref_template=REF
    )
    named = {}
    for name, fact in FACTS.items():
        schema = _joined(parts["Frame"], parts[ADDS[fact].__name__])
        schema["properties"]["status"] = {"type": "string", "enum": statuses_after(fact)}
        named[name] = named_event(schema, name, fact.__doc__ or "")
    unknown = named_event(parts["UnknownFrame"], UNKNOWN, UnknownFrame.__doc__ or "")
    taken = added | {"Frame", "UnknownFrame"}
    others = {name: part for name, part in parts.items() if name not in taken}
    return others | named | {UNKNOWN: unknown}


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {
        "properties": first["properties"] | second["properties"],
        "required": first["required"] + second["required"],
    }


def said_schemas() -> dict[str, Any]:
    """The schema of each frame that is no event."""
    _, parts = msgspec.json.schema_components(
        [shape for _, shape in SAID.values()], ref_template=REF
    )
    return {
        name: named_event(parts[shape.__name__], event, shape.__doc__ or "")
        for name, (event, shape) in SAID.items()
    }


def named_event(schema: dict[str, Any], event: str, meaning: str) -> dict[str, Any]:
    """The schema of the frame in which `event` has this value."""
    fields = schema["properties"] | {"event": {"type": "string", "const": event}}
    return {
        "title": event,
        "description": " ".join(meaning.split()),
        "type": "object",
        "properties": fields,
        "required": schema["required"],
    }


def statuses_after(fact: type[Fact]) -> list[str]:
    """Every status that an order may have after the fact."""
    return sorted({str(row[fact]) for row in NEXT.values() if fact in row})


def added_fields(fact: type[Fact]) -> list[str]:
    """What the fact's frame has besides the common fields."""
    return list(ADDS[fact].__struct_encode_fields__)
