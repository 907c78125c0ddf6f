"""Raydium CLMM: which accounts a pool is made of, the pool from their bytes, and back."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from itertools import islice

from stages.venues.mints import check_mints
from stages.venues.pool import Accounts, RawAccount, Unsupported
from stages.venues.raydium.clmm import layout
from stages.venues.raydium.clmm.addresses import array_address, extension_address
from stages.venues.raydium.clmm.bitmap import downwards, number_of, upwards
from stages.venues.raydium.clmm.layout import PoolFlags, ReadArray, raw128, u128
from stages.venues.raydium.clmm.pool import ClmmPool
from stages.venues.raydium.clmm.ticks import sqrt_price_at
from stages.venues.raydium.clmm.walk import Depth, Rates

# Initialised tick arrays asked for either way, besides the one that the price is in.
ARRAYS_EACH_WAY = 3
# From this spacing on, the pool's own bitmap covers every tick.
UNEXTENDED_SPACING = 15


def needs(address: str, accounts: Accounts) -> Sequence[str]:
    """The pool; then what it names; then the initialised tick arrays nearest to its price."""
    if address not in accounts:
        return [address]
    account = accounts[address]
    flags = layout.flags(_pool_bytes(account.data))
    wanted = [address, *layout.keys(account.data)[:5]]
    if flags.spacing < UNEXTENDED_SPACING:
        extension = extension_address(account.owner, address)
        wanted.append(extension)
        if wanted[1] not in accounts and extension not in accounts:
            return wanted  # the next call knows which arrays lie in the extension
    below, above = _arrays(address, accounts, flags)
    near = [*islice(below, ARRAYS_EACH_WAY + 1), *islice(above, ARRAYS_EACH_WAY)]
    wanted += [array_address(account.owner, address, number, flags.spacing) for number in near]
    return wanted


def decode(address: str, accounts: Accounts) -> ClmmPool:
    """The pool. Raises Unsupported, and ValueError for bytes that are no such pool."""
    account = _account(accounts, address)
    data = _pool_bytes(account.data)
    flags = layout.flags(data)
    _refuse(flags)
    keys = layout.keys(data)
    check_mints(accounts, keys.mint_a, keys.mint_b)
    liquidity, sqrt_price, tick = layout.POSITION.unpack_from(data, layout.POSITION_AT)
    growths = layout.GROWTHS.unpack_from(data, layout.GROWTHS_AT)
    fund_fees = layout.FUND_FEES.unpack_from(data, layout.FUND_FEES_AT)
    arrays, depth, outside = _depth(address, accounts, flags)
    return ClmmPool(
        address=address,
        program=account.owner,
        **keys._asdict(),
        spacing=flags.spacing,
        status=flags.status,
        open_time=flags.open_time,
        rates=Rates(*layout.config_rates(_account(accounts, keys.config).data)),
        depth=depth,
        arrays=arrays,
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
        outside=outside,
    )


def write(after: ClmmPool, accounts: MutableMapping[str, bytearray]) -> None:
    """Write a pool and the ticks that were crossed. Rewards, oracle and vaults stay as they are."""
    data = accounts[after.address]
    position = (raw128(after.liquidity), raw128(after.sqrt_price), after.tick)
    layout.POSITION.pack_into(data, layout.POSITION_AT, *position)
    fees = (after.protocol_fees_a, after.protocol_fees_b)
    growths = (raw128(after.growth_a), raw128(after.growth_b))
    layout.GROWTHS.pack_into(data, layout.GROWTHS_AT, *growths, *fees)
    layout.FUND_FEES.pack_into(data, layout.FUND_FEES_AT, after.fund_fees_a, after.fund_fees_b)
    for number in after.crossed:
        tick = after.depth.ticks[number]
        home = number_of(tick, after.spacing)
        array = accounts[array_address(after.program, after.address, home, after.spacing)]
        outside = (raw128(growth) for growth in after.outside[number])
        layout.OUTSIDE.pack_into(array, layout.outside_at(array, tick, after.spacing), *outside)


def _pool_bytes(data: bytes) -> bytes:
    layout.expect(data, layout.POOL_DISCRIMINATOR, layout.POOL_SIZE, "a pool")
    return data


def _account(accounts: Accounts, address: str) -> RawAccount:
    if address not in accounts:
        raise ValueError(f"account {address} was not read")
    return accounts[address]


def _refuse(flags: PoolFlags) -> None:
    """Raise Unsupported for what the release of May 2026 lets a pool do."""
    if flags.fee_on:
        raise Unsupported("fee-on-output-pool", f"fee_on {flags.fee_on}")
    if flags.dynamic_fee:
        raise Unsupported("dynamic-fee-pool")


def _arrays(
    address: str, accounts: Accounts, flags: PoolFlags
) -> tuple[Iterator[int], Iterator[int]]:
    """The pool's initialised tick arrays: from that of its price down, and those above."""
    account = accounts[address]
    extension = accounts.get(extension_address(account.owner, address))
    bits = layout.bitmap(account.data, extension.data if extension else None)
    _liquidity, _price, tick = layout.POSITION.unpack_from(account.data, layout.POSITION_AT)
    here = number_of(tick, flags.spacing)
    return downwards(bits, here), upwards(bits, here)


def _depth(
    address: str, accounts: Accounts, flags: PoolFlags
) -> tuple[tuple[int, ...], Depth, tuple[tuple[int, int], ...]]:
    """The tick arrays that were read without a gap, their ticks, and their growths outside."""
    program = accounts[address].owner
    found: dict[int, ReadArray] = {}
    more = []
    for way in _arrays(address, accounts, flags):
        gap = False
        for number in way:
            array = accounts.get(array_address(program, address, number, flags.spacing))
            if gap := array is None:
                break
            found[number] = layout.tick_array(array.data)
        more.append(gap)
    if any(array.orders for array in found.values()):
        raise Unsupported("limit-order-pool")
    arrays = tuple(sorted(found))
    ticks = [tick for number in arrays for tick in found[number].ticks]
    depth = Depth(
        ticks=tuple(tick.tick for tick in ticks),
        prices=tuple(sqrt_price_at(tick.tick) for tick in ticks),
        nets=tuple(tick.net for tick in ticks),
        more_below=more[0],
        more_above=more[1],
    )
    return arrays, depth, tuple((tick.outside_a, tick.outside_b) for tick in ticks)
