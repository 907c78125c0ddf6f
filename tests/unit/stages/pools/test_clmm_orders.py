"""Limit orders never make a pool unquotable, and are quoted to the last unit."""

from pathlib import Path
from struct import Struct

import msgspec
import pytest

from stages.pools.contract import Clock, RawAccount, Rejected, SwapAccounts, SwapTerms
from stages.pools.raydium.clmm import FAMILY
from stages.pools.raydium.clmm.bitmap import number_of
from stages.pools.raydium.clmm.orders import Orders, fill
from stages.pools.raydium.clmm.pool import ClmmPool
from stages.pools.raydium.clmm.ticks import sqrt_price_at
from stages.pools.raydium.clmm.walk import Depth, Rates
from tests.support.pools.clmm_chain import (
    CLOCK,
    MAINNET,
    as_read,
    chain_of,
    decoded,
    pool_of,
    read,
    recorded_chain,
    written,
)
from tests.support.pools.vector_sets import COMMITTED

# Every fourth of the recorded swaps of mainnet SOL/USDC.
RECORDED = sorted((COMMITTED / "mainnet_clmm_swaps").glob("swap_*.json"))[::4]
TICKS, TICK_SIZE, TICKS_AT = 60, 168, 44
OPEN, PART = 124, 132
AMOUNT = Struct("<Q")
TICK_NUMBER = Struct("<i")
RATE = 400


# -- one unit on any tick: the pool stays quotable -------------------------------------------------


def arrays_of(chain: dict[str, RawAccount], pool: ClmmPool) -> dict[str, int]:
    """The tick arrays that were read, and the tick that each begins with."""
    starts = {
        each: int.from_bytes(account.data[40:44], "little", signed=True)
        for each, account in chain.items()
        if each != pool.address and len(account.data) == 10_240
    }
    return {e: s for e, s in starts.items() if number_of(s, pool.spacing) in pool.arrays}


def with_a_unit(
    chain: dict[str, RawAccount], pool: ClmmPool, array: str, tick: int, kind: int
) -> ClmmPool:
    """The pool with one unit resting on a tick; `kind` is where the bytes of the tick tell it."""
    data = bytearray(chain[array].data)
    start = int.from_bytes(data[40:44], "little", signed=True)
    at = TICKS_AT + TICK_SIZE * ((tick - start) // pool.spacing)
    TICK_NUMBER.pack_into(data, at, tick)
    AMOUNT.pack_into(data, at + kind, 1)
    return read(pool.address, chain | {array: RawAccount(MAINNET, bytes(data))})


def swap_over(pool: ClmmPool, tick: int, out: bool, limit: int, amount: int) -> tuple[int, int]:
    """What goes in and out without limit orders: at `tick` the walk pauses, for one unit there."""
    a_to_b = tick <= pool.tick
    quote = pool.exact_out if out else pool.exact_in
    first = quote(amount, a_to_b, CLOCK, sqrt_price_at(tick))
    assert isinstance(first.after, ClmmPool)
    left = amount - (first.amount_out if out else first.amount_in)
    unit = Orders(0, 1, 0, 0, alone=True)
    sold = fill(unit, sqrt_price_at(tick), left, RATE, a_to_b=a_to_b, out=out, on_input=True)
    left -= sold.got if out else sold.paid + sold.fee
    on = first.after.exact_out if out else first.after.exact_in
    second = on(left, a_to_b, CLOCK, limit)
    return (
        first.amount_in + sold.paid + sold.fee + second.amount_in,
        first.amount_out + sold.got + second.amount_out,
    )


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_unit_on_any_tick_of_any_array_leaves_the_pool_quotable_and_exact(file: Path) -> None:
    """The recorded swap, and swaps over the tick either way."""
    address, chain, order = recorded_chain(file)
    plain = read(address, chain)
    amount, a_to_b = order["amount"], order["zero_for_one"]
    recorded = plain.exact_in(amount, a_to_b, CLOCK)
    last, passed, over = recorded.after, 0, 0
    assert isinstance(last, ClmmPool)
    for array, start in arrays_of(chain, plain).items():
        for number in range(TICKS):
            tick = start + number * plain.spacing
            pool = with_a_unit(chain, plain, array, tick, PART if number % 2 else OPEN)
            assert set(pool.orders) == {tick}
            assert pool.spot(True) == plain.spot(True)
            swap = pool.exact_in(amount, a_to_b, CLOCK)
            want = recorded.amount_in, recorded.amount_out
            if last.tick < tick <= plain.tick or plain.tick < tick <= last.tick:
                want = swap_over(plain, tick, False, 0, amount)
                passed += 1
            assert (swap.amount_in, swap.amount_out) == want, tick
            over += exact_over(pool, plain, tick)
    print(f"{file.stem}: a unit on {over // 2} ticks, {passed} of them passed by the recorded swap")
    assert over > TICKS


def exact_over(pool: ClmmPool, plain: ClmmPool, tick: int) -> int:
    """Compare swaps that end one spacing beyond the tick; how many there are."""
    down = tick <= plain.tick
    limit = sqrt_price_at(tick - plain.spacing if down else tick + plain.spacing)
    if not plain.depth.ticks[0] < tick < plain.depth.ticks[-1]:
        return 0
    for out in (False, True):
        quote = pool.exact_out if out else pool.exact_in
        got = quote(1 << 60, down, CLOCK, limit)
        assert (got.amount_in, got.amount_out) == swap_over(plain, tick, out, limit, 1 << 60), tick
    return 2


# -- where nothing but orders fills ----------------------------------------------------------------


def orders_alone(tick: int = 0) -> ClmmPool:
    """A pool without liquidity: something sold above the price, something below."""
    ticks = (-120, 60)
    depth = Depth(ticks, tuple(map(sqrt_price_at, ticks)), (0, 0), False, False)
    return msgspec.structs.replace(
        pool_of("clmm-pool-18"),
        spacing=60,
        rates=Rates(2_500, 120_000, 40_000),
        depth=depth,
        arrays=(-1, 0),
        outside=((0, 0), (0, 0)),
        orders={-120: Orders(1, 10**6, 0, 0, True), 60: Orders(1, 10**6, 10**5, 1 << 62, True)},
        liquidity=0,
        sqrt_price=sqrt_price_at(tick),
        tick=tick,
        balance_a=10**7,
        balance_b=10**7,
    )


@pytest.mark.parametrize(("a_to_b", "at"), [(True, -120), (False, 60)])
def test_the_spot_price_without_liquidity_is_that_of_the_first_order(a_to_b: bool, at: int) -> None:
    pool = orders_alone()
    square = sqrt_price_at(at) ** 2
    assert pool.spot(a_to_b) == ((square, 1 << 128) if a_to_b else (1 << 128, square))
    swap = pool.exact_in(10_000, a_to_b, CLOCK)
    spot_out, spot_in = pool.spot(a_to_b)
    assert swap.amount_out == (10_000 - 25) * spot_out // spot_in
    assert swap.fee == 25
    # Without liquidity, all of the fee but the fund's is the protocol's.
    after = swap.after
    assert isinstance(after, ClmmPool)
    assert (after.growth_a, after.growth_b) == (pool.growth_a, pool.growth_b)
    protocol = after.protocol_fees_a - pool.protocol_fees_a if a_to_b else after.protocol_fees_b
    assert protocol == 24


def test_orders_that_are_all_filled_leave_no_tick_and_no_array() -> None:
    pool = orders_alone()
    swap = pool.exact_out(1_100_000, False, CLOCK)
    after = swap.after
    assert isinstance(after, ClmmPool)
    assert (after.depth.ticks, after.arrays) == ((-120,), (-1,))
    assert (set(after.orders), after.tick) == ({-120}, 60)
    assert after.filled[60] == Orders(2, 0, 0, 0, True)
    assert after.spot(False) == (1 << 128, after.sqrt_price**2)
    with pytest.raises(Rejected, match="LiquidityInsufficient"):
        after.exact_in(10_000, False, CLOCK)


@pytest.mark.parametrize("name", ["clmm-new-11", "clmm-new-24", "clmm-new-36"])
def test_many_swaps_may_be_written_at_once(name: str) -> None:
    """There and back, until the orders on both sides are gone, and not written in between."""
    chain = chain_of(name)
    pool = start = pool_of(name)
    for number, tick in enumerate((*start.depth.ticks[1:-1], *start.depth.ticks[-2:0:-1])):
        a_to_b = tick < pool.tick
        clock = Clock(1, CLOCK.time_s + number)
        try:
            swap = pool.exact_in(1 << 62, a_to_b, clock, sqrt_price_at(tick))
        except Rejected as refused:
            assert refused.error in ("SqrtPriceLimitOverflow", "TooSmallInputOrOutputAmount")
            continue
        assert isinstance(swap.after, ClmmPool)
        pool = swap.after
    assert pool.filled
    assert len(pool.orders) < len(start.orders)
    assert decoded(pool.address, written(pool, chain)) == as_read(pool)


def test_a_bit_of_the_extension_is_cleared_where_the_array_is_emptied() -> None:
    """No set has orders so far out: one that rests in array 600 is written, taken, and gone."""
    chain, base = chain_of("clmm-new-24"), pool_of("clmm-new-24")
    number, far = 600, 600 * 60
    assert base.spacing == 1
    extension = FAMILY.needs(base.address, chain)[6]
    bits = bytearray(chain[extension].data)
    bits[40 + (number - 512) // 8] |= 1 << (number - 512) % 8
    array = bytearray(chain[next(a for a in chain if len(chain[a].data) == 10_240)].data)
    array[TICKS_AT : TICKS_AT + TICKS * TICK_SIZE] = bytes(TICKS * TICK_SIZE)
    TICK_NUMBER.pack_into(array, 40, far)
    TICK_NUMBER.pack_into(array, TICKS_AT, far)
    AMOUNT.pack_into(array, TICKS_AT + OPEN, 10**6)
    array[TICKS_AT + TICKS * TICK_SIZE] = 1
    chain[extension] = RawAccount(MAINNET, bytes(bits))
    address = FAMILY.needs(base.address, chain)[-1]
    assert address not in chain
    chain[address] = RawAccount(MAINNET, bytes(array))
    pool = decoded(base.address, chain)
    assert pool.arrays[-1] == number
    after = pool.exact_in(1 << 62, False, CLOCK, sqrt_price_at(far)).after
    assert isinstance(after, ClmmPool)
    assert after.arrays == pool.arrays[:-1] == base.arrays
    later = written(after, chain)
    assert later[extension].data == chain_of("clmm-new-24")[extension].data
    assert decoded(pool.address, later) == as_read(after)
    use = SwapAccounts("owner", "paying", "paid")
    named = FAMILY.instruction(pool, False, SwapTerms(False, 10**6, 0), use).accounts
    assert [each.writable for each in named if each.address == extension] == [True]
