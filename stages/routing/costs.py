"""The cost of a transaction, in lamports and in the token in which routes are compared.

A signature costs 5,000 lamports. The limit of compute units is paid for, used or not, even where
the transaction fails.
"""

from __future__ import annotations

from typing import NamedTuple

from stages.routing.pool_graph import PoolGraph

SIGNATURE_LAMPORTS = 5_000
OVERHEAD_CU = 60_000
"""Compute units for creating token accounts, wrapping and unwrapping SOL, and the memo."""
MICRO = 1_000_000


class Costs(NamedTuple):
    """The price of compute units, and the mints by which costs are converted."""

    cu_price_micro_lamports: int
    sol: str
    """The mint of wrapped SOL."""
    middles: tuple[str, ...]
    """Mints that routes may go through."""

    def lamports(self, compute_units: int) -> int:
        """The cost of a transaction whose swaps have this limit of compute units."""
        units = compute_units + OVERHEAD_CU
        return SIGNATURE_LAMPORTS - (-units * self.cu_price_micro_lamports // MICRO)

    def worth(self, graph: PoolGraph, lamports: int, mint: str) -> int:
        """Lamports in base units of a mint, at the spot price of the deepest pools, rounded up.

        0: no pool has a price, and routes are compared without costs.
        """
        if mint == self.sol:
            return lamports
        direct = graph.rate(self.sol, mint)
        if direct is not None:
            return -(-lamports * direct[0] // direct[1])
        for middle in self.middles:
            first, second = graph.rate(self.sol, middle), graph.rate(middle, mint)
            if first is not None and second is not None:
                return -(-lamports * first[0] * second[0] // (first[1] * second[1]))
        return 0
