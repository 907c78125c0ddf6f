"""AMM v4's swap instruction without a market, written and read, as its clients send it."""

from __future__ import annotations

from struct import Struct

from stages.pools.contract import AccountUse, Instruction, SwapAccounts, SwapTerms
from stages.pools.mints import TOKEN_PROGRAM
from stages.pools.raydium.amm_v4.pool import AmmV4Pool
from stages.pools.raydium.reading import authority
from stages.pools.raydium.two_amounts import TwoAmounts

_SWAP = TwoAmounts(Struct("<B2Q"), 16, 17, accounts=8, pool=1, token_in=5, token_out=6, owner=7)
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
    return Instruction(keys.program, accounts, _SWAP.data(terms))


parse_swap = _SWAP.parse
