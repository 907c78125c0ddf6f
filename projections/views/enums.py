"""The named enumerations of the public interfaces: each is one schema, which fields refer to. Pure.

An enumeration may gain values in a later build: clients treat one that they do not know as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from events.order import STAGES, wait_reasons
from events.order.order_types import ORDER_TYPES
from events.reasons import REASONS
from events.status import EngineStatus, Status
from events.token_warnings import TEXTS
from events.types import FACTS
from projections.views.parking import PARKED

REF = "#/components/schemas/{name}"


class Enumeration(NamedTuple):
    """What a set of values is about, and each value with its meaning (empty: its name says it)."""

    description: str
    meanings: Mapping[str, str]


def _plain(values: Iterable[object]) -> dict[str, str]:
    return {str(value): "" for value in values}


FOLLOW_CODES = {
    "malformed-message": "The message is not a JSON object with an `orderId`.",
    "malformed-order-id": "The order id is not a UUID.",
    "unknown-order": "There is no such order.",
    "too-many-orders": "The socket follows as many orders as one socket may.",
    "log-unavailable": "The log cannot be reached: follow the order again later.",
    "archive-unavailable": "The archive cannot be reached: follow the order again later.",
    "history-lost": "Part of the order's history is in neither log nor archive.",
}
LOST_CODES = {
    "epoch-changed": "The log was replaced by another one.",
    "log-regressed": "The log was restored from an earlier state.",
    "ahead-of-log": "The cursor is of a position that the log does not have yet.",
    "events-lost": "Events between the cursor and the log are in neither log nor archive.",
}

TIMES_IN_FORCE = {
    "GTC": "Until it is filled or cancelled.",
    "GTT": "Until `expiresAt`.",
    "IOC": "One attempt, at once.",
    "FOK": "One attempt, at once; the same as IOC, because a swap is never partial.",
}

ENUMS: dict[str, Enumeration] = {
    "OrderStatus": Enumeration("Where an order stands.", _plain(Status)),
    "EngineStatus": Enumeration("Whether an operator halted the engine.", _plain(EngineStatus)),
    "EventStatus": Enumeration(
        "The status after an event: of the order, or of the engine.",
        _plain([*Status, *EngineStatus]),
    ),
    "EventType": Enumeration("The name of an event.", _plain(sorted(FACTS))),
    "OrderType": Enumeration("The type of an order.", _plain(ORDER_TYPES)),
    "SwapMode": Enumeration(
        "Which side of the swap is exact.",
        {"exactIn": "The input is exact.", "exactOut": "The output is exact."},
    ),
    "TimeInForce": Enumeration("How long an order is tried.", TIMES_IN_FORCE),
    "WaitingTimeInForce": Enumeration(
        "How long an order waits.", {name: TIMES_IN_FORCE[name] for name in ("GTC", "GTT")}
    ),
    "ImmediateTimeInForce": Enumeration(
        "One attempt only.", {name: TIMES_IN_FORCE[name] for name in ("IOC", "FOK")}
    ),
    "FailureReason": Enumeration(
        "Why an order failed, is tried again, waits again or is in doubt.",
        {code: reason.sentence for code, reason in REASONS.items()},
    ),
    "ParkedCode": Enumeration(
        "Why the engine stopped work on an order until an operator decides.",
        {code: kind.sentence for code, kind in PARKED.items()},
    ),
    "StageName": Enumeration(
        "A stage of the pipeline, or what acted in its place.",
        _plain([*STAGES, "operator", "repair"]),
    ),
    "WaitReason": Enumeration(
        "Why work on an order does not continue now.",
        {str(reason): text for reason, text in wait_reasons.TEXTS.items()},
    ),
    "TokenWarningCode": Enumeration("What the issuer of a token may do to it.", dict(TEXTS)),
    "TriggerCause": Enumeration(
        "What triggered an order.",
        _plain(["tick", "pool-created", "pool-opened", "liquidity-added"]),
    ),
    "BatchStatus": Enumeration(
        "The status of an order of a batch; `rejected` where it was not taken.",
        _plain([*Status, "rejected"]),
    ),
    "TestOutcome": Enumeration(
        "What would become of an order now.",
        {
            "routed": "It would be executed over the route in `best`.",
            "waiting": "It would wait for its price or its pool, for the reason given.",
            "delayed": "No venue answers now: it would be tried again.",
            "failed": "It would fail, for the reason given.",
        },
    ),
    "ListSort": Enumeration("Which orders of a list come first.", _plain(["newest", "oldest"])),
    "CancelStatus": Enumeration(
        "The status after a cancel; `unknown` where it is not known.", _plain([*Status, "unknown"])
    ),
    "FollowErrorCode": Enumeration("Why a message of a client was refused.", FOLLOW_CODES),
    "LostCode": Enumeration("Why events cannot be delivered any more.", LOST_CODES),
    "ReadinessStatus": Enumeration(
        "Whether orders are accepted.",
        {
            "ready": "Orders are accepted.",
            "degraded": "Orders are accepted, and something is wrong.",
            "unavailable": "No order can be accepted now.",
        },
    ),
    "LogStatus": Enumeration(
        "The state of the log.", _plain(["ok", "full", "suspended", "unsafe", "unavailable"])
    ),
    "ArchiveStatus": Enumeration(
        "The state of the archive.", _plain(["ok", "halted", "unavailable"])
    ),
    "Consensus": Enumeration("The consensus of the cluster.", _plain(["alpenglow", "tower"])),
    "Commitment": Enumeration(
        "From which commitment on a transaction counts as a fill.",
        _plain(["confirmed", "finalized"]),
    ),
}


def named(name: str) -> Meta:
    """The reference of a field to an enumeration."""
    return Meta(extra_json_schema={"$ref": REF.format(name=name)})


OrderStatus = Annotated[str, named("OrderStatus")]
EngineState = Annotated[str, named("EngineStatus")]
EventStatus = Annotated[str, named("EventStatus")]
EventType = Annotated[str, named("EventType")]
OrderType = Annotated[str, named("OrderType")]
SwapMode = Annotated[str, named("SwapMode")]
TimeInForce = Annotated[str, named("TimeInForce")]
FailureReason = Annotated[str, named("FailureReason")]
"""One of `events.reasons`."""
ParkedCode = Annotated[str, named("ParkedCode")]
StageName = Annotated[str, named("StageName")]
TokenWarningCode = Annotated[str, named("TokenWarningCode")]
WaitReason = Annotated[str, named("WaitReason")]
TriggerCause = Annotated[str, named("TriggerCause")]
BatchStatus = Annotated[str, named("BatchStatus")]
TestOutcome = Annotated[str, named("TestOutcome")]
CancelStatus = Annotated[str, named("CancelStatus")]
FollowErrorCode = Annotated[str, named("FollowErrorCode")]
LostCode = Annotated[str, named("LostCode")]
ReadinessStatus = Annotated[str, named("ReadinessStatus")]
LogStatus = Annotated[str, named("LogStatus")]
ArchiveStatus = Annotated[str, named("ArchiveStatus")]
Consensus = Annotated[str, named("Consensus")]
Commitment = Annotated[str, named("Commitment")]


def enum_schema(description: str, meanings: Mapping[str, str]) -> dict[str, Any]:
    """The schema of an enumeration; `x-meanings` says what its values mean."""
    schema: dict[str, Any] = {
        "description": description,
        "type": "string",
        "enum": list(meanings),
    }
    if any(meanings.values()):
        schema["x-meanings"] = dict(meanings)
    return schema


def enum_schemas() -> dict[str, Any]:
    """The schema of each enumeration, by name."""
    return {name: enum_schema(*enumeration) for name, enumeration in ENUMS.items()}
