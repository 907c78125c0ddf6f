"""Meteora DLMM: the instructions `swap2` and `swap_exact_out2`, written and read."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from stages.pools.contract import AccountUse, Instruction, Parsed, SwapAccounts, SwapTerms
from stages.pools.meteora.dlmm.addresses import PROGRAMS, array_address, event_authority
from stages.pools.meteora.dlmm.bins import BINS_PER_ARRAY, Bin, Bins, layers_of
from stages.pools.meteora.dlmm.bitmap import arrays_from
from stages.pools.meteora.dlmm.fill import amount_in
from stages.pools.meteora.dlmm.maths import MAX_FEE_RATE, fee_upon, price_at
from stages.pools.meteora.dlmm.pool import DlmmPool

_SWAP = bytes.fromhex("414b3f4ceb5b5b88")
_SWAP_EXACT_OUT = bytes.fromhex("2bd7f784893cf351")
_DATA = Struct("<8sQQI")
"""Mark, (in, least out) or (most in, out), number of slices of further accounts."""
_MEMO = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
_FIXED_ACCOUNTS = 16
_SPARE_ARRAYS = 1


def write_swap(pool: DlmmPool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts) -> Instruction:
    """The swap, with the bin arrays that it crosses at today's price and one further."""
    pair = pool.pair
    program = pair.program
    mark, first, second = _SWAP, terms.amount, terms.threshold
    if terms.exact_out:
        mark, first, second = _SWAP_EXACT_OUT, terms.threshold, terms.amount
    accounts = (
        AccountUse(pair.address, writable=True),
        AccountUse(pair.extension or program, writable=pair.extension is not None),
        AccountUse(pair.reserve_x, writable=True),
        AccountUse(pair.reserve_y, writable=True),
        AccountUse(use.token_in, writable=True),
        AccountUse(use.token_out, writable=True),
        AccountUse(pair.mint_x),
        AccountUse(pair.mint_y),
        AccountUse(pair.oracle, writable=True),
        AccountUse(program),  # no host that shares the fee
        AccountUse(use.owner, signer=True),
        AccountUse(pair.token_program_x),
        AccountUse(pair.token_program_y),
        AccountUse(_MEMO),
        AccountUse(event_authority(program)),
        AccountUse(program),
    )
    arrays = tuple(
        AccountUse(array_address(program, pair.address, index), writable=True)
        for index in arrays_crossed(pool, a_to_b, terms)
    )
    return Instruction(program, accounts + arrays, _DATA.pack(mark, first, second, 0))


def parse_swap(instruction: Instruction) -> Parsed | None:
    """Reads a swap instruction back; None if it is another one."""
    data, accounts = instruction.data, instruction.accounts
    if instruction.program not in PROGRAMS.values() or len(accounts) < _FIXED_ACCOUNTS:
        return None
    if len(data) < _DATA.size or data[:8] not in (_SWAP, _SWAP_EXACT_OUT):
        return None
    mark, first, second, _ = _DATA.unpack_from(data)
    exact_out = mark == _SWAP_EXACT_OUT
    terms = SwapTerms(exact_out, second, first) if exact_out else SwapTerms(False, first, second)
    use = SwapAccounts(accounts[10].address, accounts[4].address, accounts[5].address)
    return Parsed(accounts[0].address, terms, use)


def arrays_crossed(pool: DlmmPool, a_to_b: bool, terms: SwapTerms) -> list[int]:
    """The bin arrays that a swap crosses and one further, for when the price has moved.

    The fee depends on the clock of the block, so it is left out where that lets a swap go
    further, and taken at its cap where it makes a swap sell more.
    """
    left = terms.amount
    if terms.exact_out and pool.pair.fee_on_y and a_to_b:
        left += fee_upon(left, MAX_FEE_RATE)
    crossed: list[int] = []
    spare = _SPARE_ARRAYS
    for index in arrays_from(pool.pair.bitmap, pool.active_id // BINS_PER_ARRAY, a_to_b):
        bins = pool.arrays.get(index)
        if left <= 0 or bins is None:
            spare -= 1
        if spare < 0:
            break
        crossed.append(index)
        left -= _holds(pool, index, bins or (), a_to_b, terms.exact_out)
    return crossed


def _holds(pool: DlmmPool, index: int, bins: Bins, for_y: bool, output: bool) -> int:
    """The amount that an array's bins sell from the active bin on, or its cost without fees."""
    pair, total = pool.pair, 0
    for bin_id, place in _ahead(pool, index, bins, for_y):
        price = place.price or price_at(bin_id, pair.bin_step)
        for layer in layers_of(place, for_y, pair.takes_orders):
            total += layer if output else amount_in(layer, price, for_y)
    return total


def _ahead(pool: DlmmPool, index: int, bins: Bins, for_y: bool) -> Iterator[tuple[int, Bin]]:
    for bin_id, place in enumerate(bins, index * BINS_PER_ARRAY):
        if bin_id <= pool.active_id if for_y else bin_id >= pool.active_id:
            yield bin_id, place
