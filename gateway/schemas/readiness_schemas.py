"""What /readyz reports of Postgres, and of the cluster that orders trade on."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from projections.views.enums import ArchiveStatus, Commitment, Consensus
from projections.views.schemas import Position, Shape


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
