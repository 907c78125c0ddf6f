"""The shape of /readyz: the log, Postgres, what waits, and the cluster that orders trade on."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from gateway.http.readiness_reasons import REASONS
from projections.views.enums import (
    REF,
    ArchiveStatus,
    Commitment,
    Consensus,
    LogStatus,
    ReadinessStatus,
    enum_schema,
)
from projections.views.schemas import Count, Position, Shape, Time

READINESS_CODE = "ReadinessCode"
ReadinessCode = Annotated[str, Meta(extra_json_schema={"$ref": REF.format(name=READINESS_CODE)})]


class ArchiveState(Shape):
    """Postgres, as far as it answers."""

    status: ArchiveStatus
    detail: str | UnsetType = UNSET
    position: Position | UnsetType = UNSET


class NodeState(Shape):
    """A node of SOLANA_RPC_URL, as this gateway sees it."""

    host: Annotated[str, Meta(description="Host name of its URL.")]
    detail: Annotated[str, Meta(description="Why it is not asked now; null where it is.")] | None


class ChainState(Shape):
    """What is known of the cluster: the newest version of transactions that it takes and its
    consensus, null before a node has answered, the version that is built, the commitment from which
    on a transaction counts as a fill, and the length of a slot: set for the local chain, measured
    on others.
    """

    transaction_version: (
        Annotated[int, Meta(ge=0, description="The newest that the cluster takes.")] | None
    )
    builds_version: Annotated[int, Meta(ge=0, description="Of the transactions that are built.")]
    consensus: Consensus | None
    commitment: Commitment
    slot_ms: Annotated[int, Meta(ge=0, description="Length of a slot in milliseconds.")]
    slot: (
        Annotated[int, Meta(ge=0, description="The newest slot; null while nodes name none.")]
        | UnsetType
        | None
    ) = UNSET
    nodes: (
        Annotated[list[NodeState], Meta(description="Those of SOLANA_RPC_URL, in its order.")]
        | UnsetType
    ) = UNSET
    wallet_lamports: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="SOL of the wallet in lamports; null while it is not known, absent"
                " without SOLANA_WALLET.",
            ),
        ]
        | UnsetType
        | None
    ) = UNSET


class Halt(Shape):
    """A halt that lasts."""

    reason: str | None
    actor: str | None
    since: Time | None


class LogState(Shape):
    """The log, as far as it answers."""

    status: LogStatus
    detail: str | UnsetType = UNSET
    durability: str | UnsetType = UNSET
    epoch: Count | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    foreign_entries: (
        Annotated[
            int,
            Meta(ge=0, description="Entries that the log did not write: no reader accepts them."),
        ]
        | UnsetType
    ) = UNSET
    damaged_heads: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="Open orders whose heads are not what their events add up to, as far"
                " as they were looked at.",
            ),
        ]
        | UnsetType
    ) = UNSET


class StageLag(Shape):
    """What a stage has not done yet."""

    orders: Count
    waiting: Annotated[
        int, Meta(ge=0, description="Those of them that are delayed: paced, halted, tried again.")
    ]
    seconds: (
        Annotated[
            float,
            Meta(
                ge=0,
                description="How long the oldest has waited for this stage; 0 without orders, null"
                " where it is not known.",
            ),
        ]
        | None
    )
    reasons: Annotated[
        dict[str, int], Meta(description="How many wait for what: a reason of `Waiting`.")
    ]


class ProjectionLag(Shape):
    """What the projector has not archived yet."""

    events: Count
    seconds: Annotated[float, Meta(ge=0)] | None


class Lag(Shape):
    """Null where it is unknown."""

    stages: dict[str, StageLag] | None
    projection: ProjectionLag | None


class Readiness(Shape):
    """Each backend and each lag; `reasons` says by part what is not as it should be."""

    status: ReadinessStatus
    reasons: dict[str, str]
    codes: Annotated[
        dict[
            str, Annotated[str, Meta(extra_json_schema={"$ref": REF.format(name=READINESS_CODE)})]
        ],
        Meta(description="The same as codes; an alert rule exists for each."),
    ]
    halted: Halt | None
    chain: ChainState | None
    log: LogState
    postgres: ArchiveState
    lag: Lag
    resting: Count | None
    parked: Count | None
    version: Annotated[str, Meta(description="Of the engine that answers.")]
    restarts: (
        Annotated[
            dict[str, int],
            Meta(description="By process: how often `engine up` restarted it; null without it."),
        ]
        | None
    )


def readiness_codes() -> dict[str, Any]:
    """The schema of the codes of what is wrong."""
    return enum_schema(
        "What is wrong with a part of the engine; an alert rule exists for each.",
        {code: row.text for code, row in REASONS.items()},
    )
