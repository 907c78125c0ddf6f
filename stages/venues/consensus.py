"""How the chains of this machine come to an agreement: after how many blocks one is final."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Consensus = Literal["alpenglow", "tower"]


class Depth(NamedTuple):
    """The number of blocks on top of a block at each commitment."""

    confirmed: int
    finalized: int


DEPTHS: Mapping[Consensus, Depth] = {"alpenglow": Depth(1, 1), "tower": Depth(1, 32)}
"""Alpenglow: `confirmed` and `finalized` report the same block, and only the newest one can still
be dropped. TowerBFT: confirmed blocks can be dropped until 32 stand on them."""
AT_ONCE: Mapping[Consensus, Depth] = {"alpenglow": Depth(0, 0), "tower": Depth(0, 32)}
"""Where transactions do not wait for a slot (SLOT_MS=0)."""
assert DEPTHS.keys() == AT_ONCE.keys() == set(get_args(Consensus)), "each consensus has its depths"
