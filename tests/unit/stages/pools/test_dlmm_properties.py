"""What holds for every DLMM swap, on random pools with and without limit orders."""

from __future__ import annotations

from functools import partial

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stages.pools.contract import Clock, Rejected, Swap
from stages.pools.meteora.dlmm.bins import BINS_PER_ARRAY, Bin
from stages.pools.meteora.dlmm.fill import Terms, fill
from stages.pools.meteora.dlmm.maths import FEE_UNIT, MAX_FEE_RATE, price_at, protocol_fee
from stages.pools.meteora.dlmm.pool import DlmmPool
from stages.pools.meteora.dlmm.volatility import Volatility
from tests.support.pools.dlmm import after, changed, pool_of

random_cases = partial(settings, derandomize=True, deadline=None)
CLOCK = Clock(0, 1_760_000_000)
AMOUNTS = st.one_of(st.integers(0, 30), st.integers(0, 10**6), st.integers(0, 10**12))
RATES = st.integers(1, MAX_FEE_RATE)
PRICES = st.integers(1 << 44, 1 << 84)


@st.composite
def pools(draw: st.DrawFn) -> DlmmPool:
    """A pool of a few bins around a random price; the others of its arrays are empty."""
    base = pool_of("dlmm-pool-27")
    step = draw(st.sampled_from((1, 10, 100, 400)))
    active = draw(st.integers(-3_000 // step, 3_000 // step))
    pair = msgspec.structs.replace(
        base.pair,
        bin_step=step,
        bitmap=(1 << 2_000) - 1 << 5_656,
        base_rate=draw(RATES),
        variable_fee_control=draw(st.integers(0, 10**7)),
        fee_on_y=draw(st.booleans()),
        takes_orders=draw(st.booleans()),
        protocol_share_bps=draw(st.integers(0, 2_500)),
    )
    first = active // BINS_PER_ARRAY - 1
    bins = [
        _bin(draw, bin_id, step, active)
        if abs(bin_id - active) < 6
        else Bin(0, 0, price_at(bin_id, step), 0, 0, 0, 0)
        for bin_id in range(first * BINS_PER_ARRAY, (first + 3) * BINS_PER_ARRAY)
    ]
    arrays = {
        first + at: tuple(bins[at * BINS_PER_ARRAY : (at + 1) * BINS_PER_ARRAY]) for at in range(3)
    }
    updated_s = CLOCK.time_s - draw(st.sampled_from((0, 60, 3_600)))
    volatility = Volatility(draw(st.integers(0, 350_000)), 0, active, updated_s)
    return DlmmPool(pair, active, volatility, 0, 0, None, None, arrays)


def _bin(draw: st.DrawFn, bin_id: int, step: int, active: int) -> Bin:
    x = draw(AMOUNTS) if bin_id >= active else 0
    y = draw(AMOUNTS) if bin_id <= active else 0
    remaining, opened = draw(AMOUNTS), draw(AMOUNTS)
    ask = int(bin_id > active)
    return Bin(x, y, price_at(bin_id, step), opened, remaining, remaining, ask)


def attempt(pool: DlmmPool, amount: int, way: bool, exact_out: bool = False) -> Swap | None:
    try:
        return (pool.exact_out if exact_out else pool.exact_in)(amount, way, CLOCK)
    except Rejected:
        return None


@random_cases(max_examples=400)
@given(
    st.lists(AMOUNTS, min_size=3, max_size=3),
    st.integers(1, 10**13),
    PRICES,
    RATES,
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.integers(0, 2_500),
)
def test_a_bin_never_sells_more_than_its_price_and_every_unit_is_booked_once(
    layers: list[int], left: int, price: int, rate: int, ways: tuple[bool, bool, bool], share: int
) -> None:
    assume(any(layers))
    terms = Terms(ways[0], ways[1], ways[1] and ways[2])
    try:
        paid, got, fee, spare, ins, outs = fill(left, layers, price, rate, terms)
    except Rejected as rejected:
        assert terms.exact_out and rejected.error == "UndeterminedError"
        return
    for layer, sold, bought in zip(layers, outs, ins, strict=True):
        assert 0 <= sold <= layer
        worth = bought * price >= sold << 64 if terms.for_y else bought << 64 >= sold * price
        assert worth
    if terms.fee_on_output:
        assert (paid, sum(outs)) == (sum(ins), got + fee + spare)
    else:
        assert paid == sum(ins) + fee
        assert (0 if terms.exact_out else sum(outs)) <= got <= sum(outs)
    charged = sum(outs) if terms.fee_on_output else paid
    assert fee * FEE_UNIT >= charged * rate - FEE_UNIT
    assert got <= left if terms.exact_out else paid <= left
    assert 0 <= protocol_fee(fee, ins[0], sum(ins[1:]), share) <= fee


@random_cases(max_examples=150)
@given(pools(), st.integers(1, 10**13), st.booleans(), st.booleans())
def test_no_bin_loses_value_and_the_pool_gives_only_what_it_was_paid_for(
    pool: DlmmPool, amount: int, way: bool, exact_out: bool
) -> None:
    """At its own price, what the makers of a bin own never shrinks; nor do all tokens together."""
    swap = attempt(pool, amount, way, exact_out)
    assume(swap)
    assert swap
    now = after(swap)
    for bin_id, place in changed(pool, now).items():
        was = pool.arrays[bin_id // BINS_PER_ARRAY][bin_id % BINS_PER_ARRAY]
        assert place.x * place.price + (place.y << 64) >= was.x * was.price + (was.y << 64)
        assert min(place) >= 0
    sold = pool.reserve_b - now.reserve_b if way else pool.reserve_a - now.reserve_a
    kept = swap.fee if swap.fee_on_output else 0
    assert sold >= swap.amount_out + kept
    assert now.protocol_fee_x + now.protocol_fee_y <= swap.fee + sold - swap.amount_out - kept
    taken = _makers(now, way) - _makers(pool, way)
    assert taken + (0 if swap.fee_on_output else swap.fee) <= swap.amount_in


def _makers(pool: DlmmPool, of_x: bool) -> int:
    places = (place for bins in pool.arrays.values() for place in bins)
    return sum(place.x if of_x else place.y for place in places)


@random_cases(max_examples=150)
@given(pools(), st.integers(1, 10**13), st.integers(1, 10**6), st.booleans())
def test_more_in_never_gives_less_out(pool: DlmmPool, amount: int, more: int, way: bool) -> None:
    less = attempt(pool, amount, way)
    assume(less)
    assert less
    bigger = attempt(pool, amount + more, way)
    assert bigger is None or bigger.amount_out >= less.amount_out


@random_cases(max_examples=200)
@given(pools(), st.integers(1, 10**13), st.booleans())
def test_an_exact_output_costs_no_more_than_the_input_that_yields_it(
    pool: DlmmPool, amount: int, way: bool
) -> None:
    bought = attempt(pool, amount, way)
    assume(bought)
    assert bought
    try:
        cost = pool.exact_out(bought.amount_out, way, CLOCK)
    except Rejected as rejected:
        # Only where limit orders lie behind makers in one bin, and then the program refuses too.
        assert rejected.error == "UndeterminedError" and pool.pair.takes_orders
        return
    assert cost.amount_in <= amount
    assert cost.amount_out == bought.amount_out
