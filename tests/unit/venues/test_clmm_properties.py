"""Whatever the pool and the swaps: it never owes more than it holds, and more in is more out."""

from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.venues.pool import Rejected, Swap
from stages.venues.raydium.clmm.pool import ClmmPool
from stages.venues.raydium.clmm.ticks import sqrt_price_at, tick_at
from stages.venues.raydium.clmm.walk import U128_MAX, Depth, Rates
from tests.unit.venues.clmm_chain import CLOCK, pool_of

REPEATED = settings(derandomize=True, database=None, max_examples=250, deadline=None)
# Of what a pool can pay, in 2^-40: from dust to all of it.
SHARES = st.integers(0, 40).flatmap(lambda bits: st.integers(1 << bits, (2 << bits) - 1))
SWAPS = st.lists(st.tuples(st.booleans(), st.booleans(), SHARES), min_size=1, max_size=8)


class Owned(NamedTuple):
    """A liquidity position: from a lower to an upper tick."""

    lower: int
    upper: int
    liquidity: int


class World(NamedTuple):
    """A pool, and who owns its liquidity."""

    pool: ClmmPool
    owned: list[Owned]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    spacing = draw(st.sampled_from([1, 10, 60]))
    centre = draw(st.integers(-4000, 4000)) * spacing
    ends = st.integers(-40, 40).map(lambda number: centre + number * spacing)
    pairs = draw(st.lists(st.tuples(ends, ends, st.integers(1, 1 << 72)), min_size=1, max_size=6))
    owned = [Owned(min(a, b), max(a, b), size) for a, b, size in pairs if a != b]
    owned = owned or [Owned(centre - spacing, centre + spacing, 1 << 40)]
    low, high = min(o.lower for o in owned), max(o.upper for o in owned)
    price = draw(st.integers(sqrt_price_at(low), sqrt_price_at(high) - 1))
    rates = Rates(
        draw(st.sampled_from([1, 100, 2500, 500_000])),
        *draw(st.sampled_from([(0, 0), (120_000, 40_000), (999_999, 1)])),
    )
    return World(funded(owned, price, spacing, rates), owned)


def funded(owned: list[Owned], price: int, spacing: int, rates: Rates) -> ClmmPool:
    """A pool that holds just what its liquidity is worth, and not a unit more."""
    nets: dict[int, int] = {}
    for one in owned:
        nets[one.lower] = nets.get(one.lower, 0) + one.liquidity
        nets[one.upper] = nets.get(one.upper, 0) - one.liquidity
    ticks, tick = tuple(sorted(nets)), tick_at(price)
    prices = tuple(map(sqrt_price_at, ticks))
    depth = Depth(ticks, prices, tuple(nets[t] for t in ticks), False, False)
    worth_a, worth_b = worth(owned, price)
    return msgspec.structs.replace(
        pool_of("clmm-pool-18"),
        spacing=spacing,
        rates=rates,
        depth=depth,
        sqrt_price=price,
        tick=tick,
        liquidity=sum(one.liquidity for one in owned if one.lower <= tick < one.upper),
        outside=((0, 0),) * len(ticks),
        balance_a=-(-worth_a.numerator // worth_a.denominator),
        balance_b=-(-worth_b.numerator // worth_b.denominator),
    )


def worth(owned: list[Owned], price: int) -> tuple[Fraction, Fraction]:
    """The exact amounts that positions hold at a price: L·Δ(1/√P) and L·Δ√P of their ranges."""
    total_a = total_b = Fraction(0)
    for lower, upper, liquidity in owned:
        low, high = sqrt_price_at(lower), sqrt_price_at(upper)
        at = min(max(price, low), high)
        total_a += Fraction(liquidity * (high - at) << 64, at * high)
        total_b += Fraction(liquidity * (at - low), 1 << 64)
    return total_a, total_b


def sized(pool: ClmmPool, a_to_b: bool, out: bool, share: int) -> int:
    """A share of what the pool holds of the output, or of that at the spot price in the input."""
    held = pool.reserve_b if a_to_b else pool.reserve_a
    for_one, of_one = pool.spot(a_to_b)
    return max(1, (held if out else held * of_one // for_one) * share >> 40)


def swapped(pool: ClmmPool, a_to_b: bool, out: bool, amount: int) -> Swap | None:
    """The swap; None if the pool cannot. It never fails for want of what it should hold."""
    try:
        return (pool.exact_out if out else pool.exact_in)(amount, a_to_b, CLOCK)
    except Rejected as refused:
        assert refused.error in (
            "TooSmallInputOrOutputAmount",
            "LiquidityInsufficient",
            "MaxTokenOverflow",
            "CalculateOverflow",
            "SqrtPriceLimitOverflow",
        )
        return None


def after(swap: Swap) -> ClmmPool:
    assert isinstance(swap.after, ClmmPool)
    return swap.after


@REPEATED
@given(worlds(), SWAPS)
def test_the_pool_holds_what_it_owes_after_any_swaps(
    world: World, swaps: list[tuple[bool, bool, int]]
) -> None:
    """Owed: the positions at the new price, all fees of the providers, protocol and fund."""
    pool, owned = world
    earned_a = earned_b = 0
    for a_to_b, out, share in swaps:
        if swap := swapped(pool, a_to_b, out, sized(pool, a_to_b, out, share)):
            done = after(swap)
            taken = sum(fees_taken(done)) - sum(fees_taken(pool))
            earned_a += swap.fee - taken if a_to_b else 0
            earned_b += 0 if a_to_b else swap.fee - taken
            pool = done
            inside = (one.liquidity for one in owned if one.lower <= pool.tick < one.upper)
            assert pool.liquidity == sum(inside)
            owed_a, owed_b = worth(owned, pool.sqrt_price)
            assert pool.reserve_a >= owed_a + earned_a
            assert pool.reserve_b >= owed_b + earned_b
    # A stretch of the walk loses less than one unit of growth to rounding.
    stretches = len(swaps) * (len(pool.depth.ticks) + 1)
    lost = stretches * ((sum(one.liquidity for one in owned) >> 64) + 1) + len(owned)
    claimed_a, claimed_b = claims(pool, owned)
    assert earned_a - lost <= claimed_a <= earned_a
    assert earned_b - lost <= claimed_b <= earned_b


def fees_taken(pool: ClmmPool) -> tuple[int, ...]:
    return (pool.protocol_fees_a, pool.protocol_fees_b, pool.fund_fees_a, pool.fund_fees_b)


def claims(pool: ClmmPool, owned: list[Owned]) -> tuple[int, int]:
    """What the positions may collect: growth inside a range is all, less below, less above."""
    claimed = [0, 0]
    for lower, upper, liquidity in owned:
        for token, growth in enumerate((pool.growth_a, pool.growth_b)):
            far_lower = pool.outside[pool.depth.ticks.index(lower)][token]
            far_upper = pool.outside[pool.depth.ticks.index(upper)][token]
            below = far_lower if pool.tick >= lower else growth - far_lower
            above = far_upper if pool.tick < upper else growth - far_upper
            claimed[token] += ((growth - below - above) & U128_MAX) * liquidity >> 64
    return claimed[0], claimed[1]


@REPEATED
@given(worlds(), st.booleans(), st.lists(SHARES, min_size=2, max_size=6))
def test_more_in_is_not_less_out_and_more_out_is_not_less_in(
    world: World, a_to_b: bool, shares: list[int]
) -> None:
    pool = world.pool
    for out in (False, True):
        amounts = sorted(sized(pool, a_to_b, out, share) for share in shares)
        swaps = [swap for amount in amounts if (swap := swapped(pool, a_to_b, out, amount))]
        for less, more in pairwise(swaps):
            assert less.amount_in <= more.amount_in
            assert less.amount_out <= more.amount_out


@REPEATED
@given(worlds(), st.booleans(), SHARES)
def test_what_came_out_costs_no_more_than_what_went_in(
    world: World, a_to_b: bool, share: int
) -> None:
    amount = sized(world.pool, a_to_b, False, share)
    if there := swapped(world.pool, a_to_b, False, amount):
        again = swapped(world.pool, a_to_b, True, there.amount_out)
        assert again is not None
        assert again.amount_out == there.amount_out
        assert again.amount_in <= there.amount_in == amount


@REPEATED
@given(worlds(), st.booleans(), SHARES)
def test_there_and_back_is_never_a_gain(world: World, a_to_b: bool, share: int) -> None:
    amount = sized(world.pool, a_to_b, False, share)
    if there := swapped(world.pool, a_to_b, False, amount):
        back = swapped(after(there), not a_to_b, False, there.amount_out)
        assert not back or back.amount_out <= amount


@REPEATED
@given(worlds(), st.booleans(), st.booleans(), SHARES, st.integers(-45, 45))
def test_a_price_limit_is_where_the_swap_stops(
    world: World, a_to_b: bool, out: bool, share: int, number: int
) -> None:
    pool = world.pool
    amount = sized(pool, a_to_b, out, share)
    limit = sqrt_price_at(pool.tick + number * pool.spacing)
    try:
        swap = (pool.exact_out if out else pool.exact_in)(amount, a_to_b, CLOCK, limit)
    except Rejected:
        return
    price = after(swap).sqrt_price
    assert limit <= price < pool.sqrt_price if a_to_b else limit >= price > pool.sqrt_price
    filled = swap.amount_out if out else swap.amount_in
    assert filled == amount or (filled < amount and price == limit)
