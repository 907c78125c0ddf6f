"""What the nodes' answers prove about a sent transaction: executed, dead, or neither. Pure.

`verdict_of_status` judges the answer of one node. A signature that this node does not know, and
whose last valid height has passed, is `Expired`: every node is asked, and `verdict_of_witnesses`
judges their answers. `finality.py` has the proof of a single node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from events.reason_codes import ReasonCode
from stages.venues.solana.outcomes.finality import may_prove, proved_height
from stages.venues.solana.rpc.answers import EpochInfo, SignatureStatus

RANK = {"processed": 0, "confirmed": 1, "finalized": 2}


class Landed(NamedTuple):
    """Executed, with success or not. Its amounts and fees are still to be read."""

    status: SignatureStatus


class Dead(NamedTuple):
    """In no block up to this finalized height, and too old for a later block."""

    finalized_height: int


class Unknown(NamedTuple):
    """The nodes cannot tell, and asking them again does not help by itself."""

    why: ReasonCode
    detail: str = ""


class Pending(NamedTuple):
    """Neither landed for good nor proved dead."""


class Expired(NamedTuple):
    """Absent beyond its last valid height: dead if enough nodes agree."""


class Witness(NamedTuple):
    """The answer of one node about one signature."""

    slot: int
    """The slot at which the node was."""
    first_slot: int
    """The oldest slot of which the node still has the block; 0: it has all blocks."""
    status: SignatureStatus | None


def verdict_of_status(
    status: SignatureStatus | None,
    *,
    finalized: EpochInfo | None,
    last_valid_height: int,
    commitment: str,
) -> Landed | Pending | Expired:
    """The verdict of one node, asked after `finalized` was read.

    A fill counts at `commitment`, a failure only once it is finalized.
    """
    if status is None:
        return Expired() if may_prove(finalized, last_valid_height) else Pending()
    rank = _rank(status)
    if status.err is None and rank >= RANK[commitment]:
        return Landed(status)
    if status.err is not None and rank >= RANK["finalized"]:
        return Landed(status)
    return Pending()


def verdict_of_witnesses(
    witnesses: Sequence[Witness],
    *,
    finalized: EpochInfo,
    oldest_slot: int,
    quorum: int,
    refusals: Sequence[str] = (),
) -> Dead | Unknown | Pending:
    """The verdict of all nodes that answered, which is at least one.

    A node that knows the signature outweighs all others. Otherwise `quorum` nodes have to prove its
    absence: a node may have a gap in its history that it does not report. `oldest_slot` is the
    first slot in which the transaction may have landed; `refusals` say why other nodes gave no
    answer.
    """
    heights = [
        proved_height(finalized, witness.slot, witness.first_slot, oldest_slot)
        for witness in witnesses
        if witness.status is None
    ]
    proved = [height for height in heights if height]
    unanimous = len(heights) == len(witnesses)
    if unanimous and len(proved) >= quorum:
        return Dead(min(proved))
    # Waiting brings no older blocks.
    short = [
        f"blocks begin at slot {first_slot}, slot {oldest_slot} is needed"
        for first_slot in sorted({witness.first_slot for witness in witnesses})
        if first_slot > oldest_slot
    ]
    if unanimous and proved:
        return Unknown("too-few-witnesses", "; ".join([*refusals, *short]))
    if all(witness.first_slot > oldest_slot for witness in witnesses):
        return Unknown("history-too-short", short[0])
    return Pending()


def _rank(status: SignatureStatus) -> int:
    if status.confirmation_status is None:  # old nodes report it in the number alone
        return RANK["finalized"] if status.confirmations is None else RANK["processed"]
    return RANK.get(status.confirmation_status, RANK["processed"])
