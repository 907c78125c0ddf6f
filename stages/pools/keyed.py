"""Pools that keep their addresses together, apart from what a swap changes."""

from __future__ import annotations

from typing import Any


class Keyed:
    """The addresses of a pool, read from `keys`, each family's own struct."""

    __slots__ = ()

    keys: Any

    @property
    def address(self) -> str:
        """Base58."""
        return str(self.keys.address)

    @property
    def program(self) -> str:
        """The program that owns it, base58."""
        return str(self.keys.program)

    @property
    def mint_a(self) -> str:
        """The program's first token, base58."""
        return str(self.keys.mint_a)

    @property
    def mint_b(self) -> str:
        """The program's second token, base58."""
        return str(self.keys.mint_b)
