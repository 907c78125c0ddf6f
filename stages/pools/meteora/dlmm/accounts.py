"""Meteora DLMM: which accounts a quote needs, and the pool that they are."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from itertools import islice

from stages.pools.contract import Accounts
from stages.pools.meteora.dlmm import layout
from stages.pools.meteora.dlmm.addresses import array_address, extension_address
from stages.pools.meteora.dlmm.bins import BINS_PER_ARRAY, Bins
from stages.pools.meteora.dlmm.bitmap import arrays_from, extension_bits, own_bits
from stages.pools.meteora.dlmm.pair import Pair
from stages.pools.meteora.dlmm.pair_layout import read_pair
from stages.pools.meteora.dlmm.pool import DlmmPool
from stages.pools.meteora.dlmm.volatility import Volatility
from stages.pools.mints import check_mints

ARRAYS_EITHER_WAY = 3
"""Beside the active bin's: more bins than a transaction has compute units for."""
_VAULT_AMOUNT = slice(64, 72)


def needs(address: str, accounts: Accounts) -> Sequence[str]:
    """The pair, then its extension, vaults, mints and the nearest bin arrays with liquidity."""
    account = accounts.get(address)
    if account is None or not layout.is_pair(account.data):
        return [address]
    pair = _pair(address, accounts)
    below, above = _outward(pair, _active_id(account.data))
    arrays = [*islice(below, ARRAYS_EITHER_WAY + 1), *islice(above, ARRAYS_EITHER_WAY)]
    return [
        address,
        extension_address(pair.program, address),
        pair.reserve_x,
        pair.reserve_y,
        pair.mint_x,
        pair.mint_y,
        *(array_address(pair.program, address, index) for index in arrays),
    ]


def decode(address: str, accounts: Accounts) -> DlmmPool:
    """The pool. Raises Unsupported by name, ValueError for other bytes."""
    pair = _pair(address, accounts)
    check_mints(accounts, pair.mint_x, pair.mint_y)
    data = accounts[address].data
    fee_x, fee_y = layout.PROTOCOL_FEES.unpack_from(data, layout.PROTOCOL_FEES_AT)
    return DlmmPool(
        pair,
        _active_id(data),
        Volatility(*layout.VOLATILITY.unpack_from(data, layout.VOLATILITY_AT)),
        fee_x,
        fee_y,
        _vault_amount(accounts, pair.reserve_x),
        _vault_amount(accounts, pair.reserve_y),
        dict(_arrays(pair, _active_id(data), accounts)),
    )


def write(after: DlmmPool, accounts: MutableMapping[str, bytearray]) -> None:
    """Writes a pair and the bins that were read. Rewards and oracle stay as they are."""
    pair, fees = after.pair, (after.protocol_fee_x, after.protocol_fee_y)
    layout.write_pair(accounts[pair.address], after.active_id, after.volatility, *fees)
    for index, bins in after.arrays.items():
        array = accounts.get(array_address(pair.program, pair.address, index))
        if array is not None:
            layout.write_bins(array, bins)


def _pair(address: str, accounts: Accounts) -> Pair:
    account = accounts.get(address)
    if account is None or not layout.is_pair(account.data):
        raise ValueError(f"{address} is not a DLMM pair")
    data, extension = account.data, extension_address(account.owner, address)
    bits, extension_account = own_bits(data[layout.BITMAP]), accounts.get(extension)
    if extension_account is not None:
        bits |= _extension_bits(extension_account.data, address)
    return read_pair(address, account.owner, data, extension if extension_account else None, bits)


def _extension_bits(data: bytes, pair: str) -> int:
    if (
        len(data) != layout.EXTENSION_SIZE
        or not data.startswith(layout.EXTENSION_MARK)
        or layout.key(data, layout.EXTENSION_PAIR_AT) != pair
    ):
        raise ValueError(f"no bitmap extension of {pair}")
    return extension_bits(data[layout.EXTENSION_ABOVE], data[layout.EXTENSION_BELOW])


def _active_id(data: bytes) -> int:
    active_id: int = layout.ACTIVE.unpack_from(data, layout.ACTIVE_AT)[0]
    return active_id


def _outward(pair: Pair, active_id: int) -> tuple[Iterator[int], Iterator[int]]:
    """Arrays with liquidity from the active bin's own down, and from the one above it up."""
    here = active_id // BINS_PER_ARRAY
    return (
        arrays_from(pair.bitmap, here, down=True),
        arrays_from(pair.bitmap, here + 1, down=False),
    )


def _arrays(pair: Pair, active_id: int, accounts: Accounts) -> Iterator[tuple[int, Bins]]:
    """All arrays that exist, in each direction up to the first that does not."""
    for way in _outward(pair, active_id):
        for index in way:
            account = accounts.get(array_address(pair.program, pair.address, index))
            if account is None:
                break
            yield index, layout.read_bins(account.data, pair.address, index)


def _vault_amount(accounts: Accounts, address: str) -> int | None:
    account = accounts.get(address)
    return int.from_bytes(account.data[_VAULT_AMOUNT], "little") if account else None
