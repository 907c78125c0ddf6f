"""Raydium CLMM: the instruction swap_v2, written and read."""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct

from stages.pools.contract import AccountUse, Instruction, Parsed, Rejected, SwapAccounts, SwapTerms
from stages.pools.raydium.clmm.accounts import UNEXTENDED_SPACING
from stages.pools.raydium.clmm.addresses import PROGRAMS, array_address, extension_address
from stages.pools.raydium.clmm.bitmap import number_of
from stages.pools.raydium.clmm.pool import ClmmPool

_DISCRIMINATOR = bytes.fromhex("2b04ed0b1ac91e62")
# amount, threshold, sqrt price limit, whether the amount is the input's.
_SWAP = Struct("<8sQQ16s?")
_NO_LIMIT = bytes(16)
_TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - a program id
_TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105 - a program id
_MEMO = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
_FIXED_ACCOUNTS = 13
# As many tick arrays are named even if fewer are crossed: the price moves until the swap runs.
_ARRAYS_AT_LEAST = 3


def instruction(pool: ClmmPool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts) -> Instruction:
    """swap_v2 without a price limit, with the tick arrays that it crosses from where `pool` is."""
    mints, vaults = (pool.mint_a, pool.mint_b), (pool.vault_a, pool.vault_b)
    token_in, token_out = (0, 1) if a_to_b else (1, 0)
    accounts = (
        AccountUse(use.owner, signer=True),
        AccountUse(pool.config),
        AccountUse(pool.address, writable=True),
        AccountUse(use.token_in, writable=True),
        AccountUse(use.token_out, writable=True),
        AccountUse(vaults[token_in], writable=True),
        AccountUse(vaults[token_out], writable=True),
        AccountUse(pool.observation, writable=True),
        AccountUse(_TOKEN),
        AccountUse(_TOKEN_2022),
        AccountUse(_MEMO),
        AccountUse(mints[token_in]),
        AccountUse(mints[token_out]),
        *_extension(pool),
        *(AccountUse(address, writable=True) for address in arrays(pool, a_to_b, terms)),
    )
    data = _SWAP.pack(_DISCRIMINATOR, terms.amount, terms.threshold, _NO_LIMIT, not terms.exact_out)
    return Instruction(pool.program, accounts, data)


def arrays(pool: ClmmPool, a_to_b: bool, terms: SwapTerms) -> list[str]:
    """The tick arrays that a swap reads, in its order, and up to three if they exist."""
    here = number_of(pool.tick, pool.spacing)
    if a_to_b:
        ahead = [number for number in reversed(pool.arrays) if number <= here]
    else:
        ahead = [number for number in pool.arrays if number >= here]
    crossed = max(_ARRAYS_AT_LEAST, _reached(pool, a_to_b, terms, ahead))
    return [
        array_address(pool.program, pool.address, number, pool.spacing)
        for number in ahead[:crossed]
    ]


def parse(instruction: Instruction) -> Parsed | None:
    """Reads a swap_v2 back; None for any other instruction, and for one with a price limit."""
    if instruction.program not in PROGRAMS.values() or len(instruction.data) != _SWAP.size:
        return None
    discriminator, amount, threshold, limit, exact_in = _SWAP.unpack(instruction.data)
    named = instruction.accounts
    if discriminator != _DISCRIMINATOR or limit != _NO_LIMIT or len(named) < _FIXED_ACCOUNTS:
        return None
    return Parsed(
        pool=named[2].address,
        terms=SwapTerms(not exact_in, amount, threshold),
        accounts=SwapAccounts(named[0].address, named[3].address, named[4].address),
    )


def _extension(pool: ClmmPool) -> tuple[AccountUse, ...]:
    """The extension of the bitmap: a fill that empties an array beyond the pool's own clears a bit.

    An account that does not exist would end the list: the program would see no tick arrays.
    """
    if pool.spacing >= UNEXTENDED_SPACING or not pool.extended:
        return ()
    return (AccountUse(extension_address(pool.program, pool.address), writable=True),)


def _reached(pool: ClmmPool, a_to_b: bool, terms: SwapTerms, ahead: list[int]) -> int:
    """How many of the arrays ahead the swap reads: up to that of the first tick not crossed."""
    return max(_reached_at(time_s, pool, a_to_b, terms, ahead) for time_s in _times(pool))


def _times(pool: ClmmPool) -> tuple[int, ...]:
    """Unix times between which a dynamic fee takes the swap least and furthest."""
    fee = pool.dynamic
    if fee is None:
        return (0,)
    return (fee.updated_s, fee.updated_s + fee.filter_s, fee.updated_s + fee.decay_s)


def _reached_at(
    time_s: int, pool: ClmmPool, a_to_b: bool, terms: SwapTerms, ahead: list[int]
) -> int:
    try:
        tick = pool.walked(terms.amount, a_to_b, time_s, out=terms.exact_out).at.tick
    except Rejected:
        return len(ahead)
    ticks = pool.depth.ticks
    last = bisect_right(ticks, tick) - a_to_b
    last = min(max(last, 0), len(ticks) - 1)
    return ahead.index(number_of(ticks[last], pool.spacing)) + 1
