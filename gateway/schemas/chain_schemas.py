"""What /readyz reports of the cluster that orders trade on."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from projections.views.enums import Commitment, Consensus
from projections.views.schemas import Shape


class NodeState(Shape):
    """A node of SOLANA_RPC_URL, as this gateway sees it."""

    host: str
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
        Annotated[int, Meta(ge=0, description="The newest; null while nodes name none.")]
        | UnsetType
        | None
    ) = UNSET
    nodes: list[NodeState] | UnsetType = UNSET
