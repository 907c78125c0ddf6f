"""Raydium CLMM: which accounts a pool is made of, and the pool from their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from stages.pools.contract import Accounts, RawAccount
from stages.pools.mints import check_mints
from stages.pools.raydium.clmm import layout
from stages.pools.raydium.clmm.addresses import array_address, extension_address
from stages.pools.raydium.clmm.bitmap import downwards, number_of, upwards
from stages.pools.raydium.clmm.layout import PoolFlags, ReadTick, u128
from stages.pools.raydium.clmm.pool import ClmmPool
from stages.pools.raydium.clmm.ticks import sqrt_price_at
from stages.pools.raydium.clmm.walk import Depth, Rates

# Initialised tick arrays asked for either way, besides the one that the price is in.
ARRAYS_EACH_WAY = 3
# From this spacing on, the pool's own bitmap covers every tick.
UNEXTENDED_SPACING = 15


class ReadArrays(NamedTuple):
    """The tick arrays round the price that were read."""

    numbers: tuple[int, ...]
    ticks: list[ReadTick]
    more_below: bool
    """Whether there are initialised arrays below that were not read."""
    more_above: bool

    def depth(self) -> Depth:
        """The part of the ticks that no swap changes."""
        return Depth(
            ticks=tuple([tick.tick for tick in self.ticks]),
            prices=tuple([sqrt_price_at(tick.tick) for tick in self.ticks]),
            nets=tuple([tick.net for tick in self.ticks]),
            more_below=self.more_below,
            more_above=self.more_above,
        )


def needs(address: str, accounts: Accounts) -> Sequence[str]:
    """The pool; then what it names; then the initialised tick arrays nearest to its price."""
    if address not in accounts:
        return [address]
    account = accounts[address]
    flags = layout.flags(_pool_bytes(account.data))
    addresses = [address, *layout.keys(account.data)[:5]]
    if flags.spacing < UNEXTENDED_SPACING:
        extension = extension_address(account.owner, address)
        addresses.append(extension)
        if addresses[1] not in accounts and extension not in accounts:
            return addresses  # the next call knows which arrays lie in the extension
    below, above = _arrays(address, accounts, flags)
    near = [*islice(below, ARRAYS_EACH_WAY + 1), *islice(above, ARRAYS_EACH_WAY + 1)]
    addresses += [
        array_address(account.owner, address, number, flags.spacing)
        for number in dict.fromkeys(near)
    ]
    return addresses


def decode(address: str, accounts: Accounts) -> ClmmPool:
    """The pool. Raises Unsupported, and ValueError for other bytes."""
    account = _account(accounts, address)
    data = _pool_bytes(account.data)
    flags = layout.flags(data)
    keys = layout.keys(data)
    check_mints(accounts, keys.mint_a, keys.mint_b)
    liquidity, sqrt_price, tick = layout.POSITION.unpack_from(data, layout.POSITION_AT)
    growths = layout.GROWTHS.unpack_from(data, layout.GROWTHS_AT)
    fund_fees = layout.FUND_FEES.unpack_from(data, layout.FUND_FEES_AT)
    arrays = _read_arrays(address, accounts, flags)
    return ClmmPool(
        address=address,
        program=account.owner,
        **keys._asdict(),
        spacing=flags.spacing,
        status=flags.status,
        open_time=flags.open_time,
        # The program takes a side that it does not know for the input.
        fee_on=flags.fee_on if flags.fee_on in (1, 2) else 0,
        extended=extension_address(account.owner, address) in accounts,
        rates=Rates(*layout.config_rates(_account(accounts, keys.config).data)),
        dynamic=layout.dynamic_fee(data),
        depth=arrays.depth(),
        arrays=arrays.numbers,
        orders={tick.tick: tick.orders for tick in arrays.ticks if tick.orders},
        balance_a=layout.token_amount(_account(accounts, keys.vault_a).data),
        balance_b=layout.token_amount(_account(accounts, keys.vault_b).data),
        sqrt_price=u128(sqrt_price),
        tick=tick,
        liquidity=u128(liquidity),
        growth_a=u128(growths[0]),
        growth_b=u128(growths[1]),
        protocol_fees_a=growths[2],
        protocol_fees_b=growths[3],
        fund_fees_a=fund_fees[0],
        fund_fees_b=fund_fees[1],
        outside=tuple([(tick.outside_a, tick.outside_b) for tick in arrays.ticks]),
    )


def _pool_bytes(data: bytes) -> bytes:
    layout.expect(data, layout.POOL_DISCRIMINATOR, layout.POOL_SIZE, "a pool")
    return data


def _account(accounts: Accounts, address: str) -> RawAccount:
    if address not in accounts:
        raise ValueError(f"account {address} was not read")
    return accounts[address]


def _arrays(
    address: str, accounts: Accounts, flags: PoolFlags
) -> tuple[Iterator[int], Iterator[int]]:
    """The pool's initialised tick arrays, downwards and upwards, each from that of its price."""
    account = accounts[address]
    extension = accounts.get(extension_address(account.owner, address))
    bits = layout.bitmap(account.data, extension.data if extension else None)
    _liquidity, _price, tick = layout.POSITION.unpack_from(account.data, layout.POSITION_AT)
    here = number_of(tick, flags.spacing)
    return downwards(bits, here), upwards(bits, here - 1)


def _read_arrays(address: str, accounts: Accounts, flags: PoolFlags) -> ReadArrays:
    """The initialised tick arrays next to the price, either way up to the first that is missing."""
    program = accounts[address].owner
    read: dict[int, tuple[ReadTick, ...]] = {}
    more = []
    for way in _arrays(address, accounts, flags):
        gap = False
        for number in way:
            array = accounts.get(array_address(program, address, number, flags.spacing))
            if gap := array is None or not layout.is_array_data(array.data):
                break
            read[number] = layout.tick_array(array.data)
        more.append(gap)
    numbers = tuple(sorted(read))
    ticks = [tick for number in numbers for tick in read[number]]
    return ReadArrays(numbers, ticks, more_below=more[0], more_above=more[1])
