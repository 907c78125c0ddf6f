"""AMM v4's swap instruction without a market, written and read, as its clients send it."""

from __future__ import annotations

import struct

from stages.venues.mints import TOKEN_PROGRAM
from stages.venues.pool import AccountUse, Instruction, Parsed, SwapAccounts, SwapTerms
from stages.venues.raydium.amm_v4.pool import AmmV4Pool
from stages.venues.raydium.reading import authority

_EXACT_IN, _EXACT_OUT = 16, 17
_ARGUMENTS = struct.Struct("<B2Q")
_ACCOUNTS = 8
_POOL, _TOKEN_IN, _TOKEN_OUT, _OWNER = 1, 5, 6, 7
_AUTHORITY_SEED = b"amm authority"


def write_swap(pool: AmmV4Pool, _: bool, terms: SwapTerms, use: SwapAccounts) -> Instruction:
    """The swap as the program takes it; it sees the way by the mint of `use.token_in`."""
    keys = pool.keys
    accounts = (
        AccountUse(TOKEN_PROGRAM),
        AccountUse(keys.address, writable=True),
        AccountUse(authority(keys.program, _AUTHORITY_SEED)),
        AccountUse(keys.vault_a, writable=True),
        AccountUse(keys.vault_b, writable=True),
        AccountUse(use.token_in, writable=True),
        AccountUse(use.token_out, writable=True),
        AccountUse(use.owner, signer=True),
    )
    return Instruction(keys.program, accounts, _data(terms))


def _data(terms: SwapTerms) -> bytes:
    if terms.exact_out:
        return _ARGUMENTS.pack(_EXACT_OUT, terms.threshold, terms.amount)
    return _ARGUMENTS.pack(_EXACT_IN, terms.amount, terms.threshold)


def parse_swap(instruction: Instruction) -> Parsed | None:
    """Read a swap; None if it is another instruction, or too short to be one."""
    data, accounts = instruction.data, instruction.accounts
    if len(data) < _ARGUMENTS.size or len(accounts) < _ACCOUNTS:
        return None
    tag, first, second = _ARGUMENTS.unpack_from(data)
    if tag == _EXACT_IN:
        terms = SwapTerms(exact_out=False, amount=first, threshold=second)
    elif tag == _EXACT_OUT:
        terms = SwapTerms(exact_out=True, amount=second, threshold=first)
    else:
        return None
    owner, token_in, token_out = accounts[_OWNER], accounts[_TOKEN_IN], accounts[_TOKEN_OUT]
    use = SwapAccounts(owner.address, token_in.address, token_out.address)
    return Parsed(accounts[_POOL].address, terms, use)
