"""The swap2 instruction of DAMM v2, written and read (accounts: the published IDL).

Data: discriminator, amount u64, threshold u64, mode u8. Pools with a rate limiter check that they
are swapped with once in a transaction, and want the instructions sysvar after the other accounts.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from solders.pubkey import Pubkey

from stages.pools.contract import AccountUse, Instruction, Parsed, SwapAccounts, SwapTerms
from stages.pools.meteora.damm_v2.pool import DammPool

_DATA = struct.Struct("<8sQQB")
_SWAP2 = bytes.fromhex("414b3f4ceb5b5b88")
_EXACT_IN, _EXACT_OUT = 0, 2
_SYSVAR_INSTRUCTIONS = "Sysvar1nstructions1111111111111111111111111"
_POOL, _TOKEN_IN, _TOKEN_OUT, _PAYER = 1, 2, 3, 8
_ACCOUNTS = 14


def write_swap(
    pool: DammPool,
    a_to_b: bool,  # noqa: ARG001 - the program sees it in the mint of token_in
    terms: SwapTerms,
    use: SwapAccounts,
) -> Instruction:
    """The swap as the program takes it. At least 1 must come out: the program would pay 0."""
    keys = pool.keys
    mode = _EXACT_OUT if terms.exact_out else _EXACT_IN
    threshold = terms.threshold if terms.exact_out else max(1, terms.threshold)
    accounts: tuple[AccountUse, ...] = (
        AccountUse(_derived(keys.program, b"pool_authority")),
        AccountUse(keys.address, writable=True),
        AccountUse(use.token_in, writable=True),
        AccountUse(use.token_out, writable=True),
        AccountUse(keys.vault_a, writable=True),
        AccountUse(keys.vault_b, writable=True),
        AccountUse(keys.mint_a),
        AccountUse(keys.mint_b),
        AccountUse(use.owner, signer=True),
        AccountUse(keys.token_program_a),
        AccountUse(keys.token_program_b),
        AccountUse(keys.program),  # no referral
        AccountUse(_derived(keys.program, b"__event_authority")),
        AccountUse(keys.program),
    )
    if pool.terms.limiter is not None:
        accounts += (AccountUse(_SYSVAR_INSTRUCTIONS),)
    return Instruction(keys.program, accounts, _DATA.pack(_SWAP2, terms.amount, threshold, mode))


def parse_swap(instruction: Instruction) -> Parsed | None:
    """Reads a swap2; None for other instructions and for partial fills, which are never sent."""
    accounts, data = instruction.accounts, instruction.data
    if len(data) != _DATA.size or len(accounts) < _ACCOUNTS:
        return None
    discriminator, amount, threshold, mode = _DATA.unpack(data)
    if discriminator != _SWAP2 or mode not in (_EXACT_IN, _EXACT_OUT):
        return None
    return Parsed(
        pool=accounts[_POOL].address,
        terms=SwapTerms(mode == _EXACT_OUT, amount, threshold),
        accounts=SwapAccounts(
            owner=accounts[_PAYER].address,
            token_in=accounts[_TOKEN_IN].address,
            token_out=accounts[_TOKEN_OUT].address,
        ),
    )


@lru_cache(maxsize=16)
def _derived(program: str, seed: bytes) -> str:
    """The program's address for a seed."""
    return str(Pubkey.find_program_address([seed], Pubkey.from_string(program))[0])
