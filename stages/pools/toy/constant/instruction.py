"""The swap instruction: a tag, amount and threshold; written and read."""

from __future__ import annotations

from struct import Struct

from stages.pools.contract import AccountUse, Instruction, Parsed, SwapAccounts, SwapTerms
from stages.pools.mints import TOKEN_PROGRAM
from stages.pools.toy.constant.pool import ConstantPool

_SWAP = Struct("<8s2Q")
_EXACT_IN, _EXACT_OUT = b"exact-in", b"exactout"
_ACCOUNTS = 7


def write_swap(pool: ConstantPool, _: bool, terms: SwapTerms, use: SwapAccounts) -> Instruction:
    """The swap as the program takes it; the direction follows from the mint of `use.token_in`."""
    accounts = (
        AccountUse(TOKEN_PROGRAM),
        AccountUse(pool.address, writable=True),
        AccountUse(pool.vault_a, writable=True),
        AccountUse(pool.vault_b, writable=True),
        AccountUse(use.token_in, writable=True),
        AccountUse(use.token_out, writable=True),
        AccountUse(use.owner, signer=True),
    )
    data = _SWAP.pack(_EXACT_OUT if terms.exact_out else _EXACT_IN, terms.amount, terms.threshold)
    return Instruction(pool.program, accounts, data)


def parse_swap(instruction: Instruction) -> Parsed | None:
    """Reads a swap; None for any other instruction."""
    data, accounts = instruction.data, instruction.accounts
    if len(data) != _SWAP.size or len(accounts) < _ACCOUNTS:
        return None
    tag, amount, threshold = _SWAP.unpack(data)
    if tag not in (_EXACT_IN, _EXACT_OUT):
        return None
    _, pool, _, _, token_in, token_out, owner = (use.address for use in accounts[:_ACCOUNTS])
    terms = SwapTerms(tag == _EXACT_OUT, amount, threshold)
    return Parsed(pool, terms, SwapAccounts(owner, token_in, token_out))
