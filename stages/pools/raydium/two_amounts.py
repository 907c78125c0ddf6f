"""Swap data of a tag and two amounts, as CPMM and AMM v4 have it.

Exact in: amount, least out. Exact out: most in, amount.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from stages.pools.contract import Instruction, Parsed, SwapAccounts, SwapTerms


class TwoAmounts(NamedTuple):
    """How a program's swap lies: its tags, and where the accounts are that say whose it is."""

    layout: Struct
    exact_in: int | bytes
    exact_out: int | bytes
    accounts: int
    """The least number of accounts."""
    pool: int
    token_in: int
    token_out: int
    owner: int

    def data(self, terms: SwapTerms) -> bytes:
        """The data of the instruction."""
        if terms.exact_out:
            return self.layout.pack(self.exact_out, terms.threshold, terms.amount)
        return self.layout.pack(self.exact_in, terms.amount, terms.threshold)

    def parse(self, instruction: Instruction) -> Parsed | None:
        """Reads a swap; None if it is another instruction, or too short to be one."""
        data, accounts = instruction.data, instruction.accounts
        if len(data) < self.layout.size or len(accounts) < self.accounts:
            return None
        tag, first, second = self.layout.unpack_from(data)
        if tag == self.exact_in:
            terms = SwapTerms(exact_out=False, amount=first, threshold=second)
        elif tag == self.exact_out:
            terms = SwapTerms(exact_out=True, amount=second, threshold=first)
        else:
            return None
        owner, paid = accounts[self.owner].address, accounts[self.token_in].address
        use = SwapAccounts(owner, paid, accounts[self.token_out].address)
        return Parsed(accounts[self.pool].address, terms, use)
