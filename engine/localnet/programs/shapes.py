"""The layout of pool accounts and swap instructions, by family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.localnet.state.addresses import text


class Shape(NamedTuple):
    """Offsets of 32-byte addresses in the pool account."""

    mint_a: int
    mint_b: int
    vault_a: int
    vault_b: int
    fixed: int
    """Accounts of a swap instruction before its tick or bin arrays."""
    units: int
    """Compute units of a swap that crosses nothing."""
    units_step: int = 0
    """Compute units for each tick (CLMM) or bin (DLMM) crossed; measured in the vectors, as above.

    The CLMM's steps to an edge of its dynamic fee and its fills of orders count as much.
    """
    funds_code: int = 0
    """The program's error where the wallet has too little; 0: that of the token program."""
    takes_first: bool = False
    """Whether it takes the input before it checks the threshold."""
    anchor: bool = True

    def vaults(self, data: bytes, a_to_b: bool) -> tuple[str, str]:
        """The vault that receives and the vault that pays."""
        a = text(data[self.vault_a : self.vault_a + 32])
        b = text(data[self.vault_b : self.vault_b + 32])
        return (a, b) if a_to_b else (b, a)


SHAPES: Mapping[str, Shape] = {
    "raydium-cpmm": Shape(168, 200, 72, 104, 13, 33_000),
    "raydium-amm-v4": Shape(
        400, 432, 336, 368, 8, 16_700, funds_code=40, takes_first=True, anchor=False
    ),
    "raydium-clmm": Shape(73, 105, 137, 169, 13, 56_200, 16_000, takes_first=True),
    "meteora-dlmm": Shape(88, 120, 152, 184, 16, 43_200, 5_600),
    "meteora-damm-v2": Shape(168, 200, 232, 264, 14, 16_600),
}
