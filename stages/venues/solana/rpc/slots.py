"""The newest slot that nodes have named, by commitment: what another node must have reached."""

from __future__ import annotations

import time
from collections.abc import Callable

from stages.venues.solana.rpc.options import Commitment

FORGOTTEN_S = 5.0
"""A slot that nothing has followed for so long binds no node: the chain stands still or began
again, and the remaining nodes are all there is."""


class Newest:
    """One slot a commitment. `clock_s` is monotonic."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._known: dict[Commitment, tuple[int, float]] = {}

    def take(self, commitment: Commitment, slot: int) -> None:
        """An answer held for this slot."""
        known = self.of(commitment)
        if known is None or slot > known:
            self._known[commitment] = slot, self._clock_s()

    def of(self, commitment: Commitment) -> int | None:
        """The newest slot; None where none is known, or none came for too long."""
        slot, at_s = self._known.get(commitment, (0, float("-inf")))
        return slot if self._clock_s() - at_s <= FORGOTTEN_S else None
