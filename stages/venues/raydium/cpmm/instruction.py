"""CPMM's swap instruction, written and read: data and order of accounts as its IDL has them."""

from __future__ import annotations

import struct

from stages.venues.pool import AccountUse, Instruction, Parsed, SwapAccounts, SwapTerms
from stages.venues.raydium.cpmm.pool import CpmmPool
from stages.venues.raydium.reading import authority

_EXACT_IN = bytes.fromhex("8fbe5adac41e33de")
_EXACT_OUT = bytes.fromhex("37d96256a34ab4ad")
_ARGUMENTS = struct.Struct("<8s2Q")
_ACCOUNTS = 13
_POOL, _TOKEN_IN, _TOKEN_OUT = 3, 4, 5
_AUTHORITY_SEED = b"vault_and_lp_mint_auth_seed"


def write_swap(pool: CpmmPool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts) -> Instruction:
    """The swap as the program takes it."""
    keys = pool.keys
    a = (keys.vault_a, keys.token_program_a, keys.mint_a)
    b = (keys.vault_b, keys.token_program_b, keys.mint_b)
    (vault_in, program_in, mint_in), (vault_out, program_out, mint_out) = (
        (a, b) if a_to_b else (b, a)
    )
    accounts = (
        AccountUse(use.owner, signer=True),
        AccountUse(authority(keys.program, _AUTHORITY_SEED)),
        AccountUse(keys.config),
        AccountUse(keys.address, writable=True),
        AccountUse(use.token_in, writable=True),
        AccountUse(use.token_out, writable=True),
        AccountUse(vault_in, writable=True),
        AccountUse(vault_out, writable=True),
        AccountUse(program_in),
        AccountUse(program_out),
        AccountUse(mint_in),
        AccountUse(mint_out),
        AccountUse(keys.observation, writable=True),
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
    owner, token_in, token_out = accounts[0], accounts[_TOKEN_IN], accounts[_TOKEN_OUT]
    use = SwapAccounts(owner.address, token_in.address, token_out.address)
    return Parsed(accounts[_POOL].address, terms, use)
