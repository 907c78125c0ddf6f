"""What a node must have seen for a signature that it does not know to be dead. Pure."""

from __future__ import annotations

from stages.venues.solana.rpc.answers import EpochInfo

LIFETIME_BLOCKS = 150
"""A blockhash is valid for so many blocks: a transaction landed within them, or never will."""
SLOTS_A_BLOCK_MAX = 2
"""For a transaction of which no earliest slot is known: slots may pass without a block, by far not
every second one, unless the cluster stood still for long."""
FORK_SLOTS = 32
"""A blockhash of a confirmed block may be of a fork. The other one is no deeper than a root."""

DOUBT_AFTER_S = 60.0
"""A transaction that is absent for so long, while its death cannot be proved, is in doubt."""


def is_overdue(submitted_at_us: int, now_s: float) -> bool:
    """Whether it was sent so long ago that it should have landed or be dead; 0: not sent.

    Sent as far in the future, it was sent by another clock.
    """
    return bool(submitted_at_us) and abs(now_s - submitted_at_us / 1_000_000) > DOUBT_AFTER_S


def may_prove(finalized: EpochInfo | None, last_valid_height: int) -> bool:
    """Whether a signature that is absent now may be dead: it is worth asking closely."""
    return finalized is not None and finalized.block_height > last_valid_height


def oldest_slot_needed(finalized: EpochInfo, last_valid_height: int, least_slot: int = 0) -> int:
    """The oldest slot in which a transaction of this last valid height may have landed, with a
    margin: a node that is believed has the blocks from there on.

    `least_slot` is that of the answer with its blockhash; 0: not known, so that blocks are counted.
    """
    if least_slot:
        return max(0, least_slot - FORK_SLOTS)
    blocks = finalized.block_height - last_valid_height + LIFETIME_BLOCKS
    return max(0, finalized.absolute_slot - SLOTS_A_BLOCK_MAX * blocks)


def proved_height(finalized: EpochInfo, slot: int, first_slot: int, oldest_slot: int) -> int:
    """The finalized height below which an unknown signature is in no block; 0: nothing is proved.

    `slot` is where the node stood when it was asked, after `finalized` was read. `first_slot` is
    that of the oldest block which the same node still has (0: it has them all), `oldest_slot` that
    of the oldest one needed. A node that was restored from a snapshot knows nothing of the blocks
    before it, and does not say so.
    """
    if slot < finalized.absolute_slot:
        return 0
    if first_slot > oldest_slot:
        return 0
    return finalized.block_height
