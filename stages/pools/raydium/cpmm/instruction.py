"""CPMM's swap instruction, written and read: data and order of accounts as its IDL has them."""

from __future__ import annotations

from struct import Struct

from stages.pools.contract import AccountUse, Instruction, SwapAccounts, SwapTerms
from stages.pools.raydium.cpmm.pool import CpmmPool
from stages.pools.raydium.reading import authority
from stages.pools.raydium.two_amounts import TwoAmounts

_SWAP = TwoAmounts(
    Struct("<8s2Q"),
    bytes.fromhex("8fbe5adac41e33de"),
    bytes.fromhex("37d96256a34ab4ad"),
    accounts=13,
    pool=3,
    token_in=4,
    token_out=5,
    owner=0,
)
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
    return Instruction(keys.program, accounts, _SWAP.data(terms))


parse_swap = _SWAP.parse
