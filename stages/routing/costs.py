"""What a transaction costs, in lamports and in the token that it is compared in.

Source: a signature costs 5,000 lamports, compute units their price, used or not, landed or failed.
"""

from __future__ import annotations

from typing import NamedTuple

from stages.routing.pool_graph import PoolGraph

SIGNATURE_LAMPORTS = 5_000
OVERHEAD_CU = 60_000
"""Token accounts made, SOL wrapped and unwrapped, memo."""
MICRO = 1_000_000


class Costs(NamedTuple):
    """The price of compute units, and the mints that everything is worth something in."""

    cu_price_micro_lamports: int
    sol: str
    """The mint of wrapped SOL."""
    middles: tuple[str, ...]
    """Mints that routes may go through."""

    def lamports(self, compute_units: int) -> int:
        """Of one transaction whose swaps take so many compute units."""
        units = compute_units + OVERHEAD_CU
        return SIGNATURE_LAMPORTS - (-units * self.cu_price_micro_lamports // MICRO)

    def worth(self, board: PoolGraph, lamports: int, mint: str) -> int:
        """Lamports in base units of a mint, at the deepest pools' spot price; rounded up.

        0 where no pool tells: then nothing is compared by costs that nobody knows.
        """
        if mint == self.sol:
            return lamports
        direct = board.rate(self.sol, mint)
        if direct is not None:
            return -(-lamports * direct[0] // direct[1])
        for middle in self.middles:
            first, second = board.rate(self.sol, middle), board.rate(middle, mint)
            if first is not None and second is not None:
                return -(-lamports * first[0] * second[0] // (first[1] * second[1]))
        return 0
