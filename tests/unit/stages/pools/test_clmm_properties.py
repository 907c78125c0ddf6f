"""Whatever the pool and the swaps: it never owes more than it holds, and more in is more out."""

from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.pools.contract import PPB, Rejected, Swap, impact_ppm
from stages.pools.raydium.clmm.dynamic_fee import DynamicFee
from stages.pools.raydium.clmm.general_walk import Conditions, walk_through
from stages.pools.raydium.clmm.orders import Orders
from stages.pools.raydium.clmm.pool import ClmmPool
from stages.pools.raydium.clmm.ticks import sqrt_price_at, tick_at
from stages.pools.raydium.clmm.walk import U128_MAX, Depth, Position, Rates, Walked, limit_of, walk
from tests.support.pools.clmm_chain import CLOCK, pool_of

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


DYNAMIC = st.builds(
    DynamicFee,
    filter_s=st.integers(1, 60),
    decay_s=st.just(120),
    reduction=st.integers(1, 9_999),
    control=st.sampled_from([1, 1_000, 99_999]),
    volatility_max=st.sampled_from([100_000, 4_000_000]),
    group=st.integers(-4_040, 4_040),
    reference=st.integers(0, 100_000),
    volatility=st.integers(0, 100_000),
    updated_s=st.integers(CLOCK.time_s - 130, CLOCK.time_s + 1),
)
PARTS = st.integers(1, (1 << 64) - 1)


@st.composite
def plain_worlds(draw: st.DrawFn) -> World:
    """Liquidity alone, with the fee on the input."""
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
    return World(funded(owned, {}, price, spacing, rates), owned)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """With limit orders, a dynamic fee, and the fee on either side: any of them, or none."""
    pool, owned = draw(plain_worlds())
    first, last = pool.depth.ticks[0], pool.depth.ticks[-1]
    places = st.integers(first // pool.spacing - 2, last // pool.spacing + 2)
    ticks = draw(st.lists(places.map(lambda number: number * pool.spacing), max_size=6))
    orders = {tick: draw(resting()) for tick in ticks}
    pool = funded(owned, orders, pool.sqrt_price, pool.spacing, pool.rates)
    dynamic = draw(st.none() | DYNAMIC)
    fee_on = draw(st.integers(0, 2))
    return World(msgspec.structs.replace(pool, dynamic=dynamic, fee_on=fee_on), owned)


@st.composite
def resting(draw: st.DrawFn) -> Orders:
    """Limit orders at a tick: some open, some filled in part, or both."""
    opened, part = draw(SHARES), draw(SHARES)
    kept = draw(st.sampled_from([(opened, 0), (0, part), (opened, part)]))
    return Orders(draw(st.integers(0, 9)), *kept, draw(PARTS), alone=True)


def funded(
    owned: list[Owned], orders: dict[int, Orders], price: int, spacing: int, rates: Rates
) -> ClmmPool:
    """A pool that holds just what its liquidity and its orders are worth, and not a unit more."""
    nets = dict.fromkeys(orders, 0)
    for item in owned:
        nets[item.lower] = nets.get(item.lower, 0) + item.liquidity
        nets[item.upper] = nets.get(item.upper, 0) - item.liquidity
    ends = {end for each in owned for end in (each.lower, each.upper)}
    ticks, tick = tuple(sorted(nets)), tick_at(price)
    prices = tuple(map(sqrt_price_at, ticks))
    depth = Depth(ticks, prices, tuple(nets[t] for t in ticks), False, False)
    worth_a, worth_b = worth(owned, price)
    sells_a = sum(left.total for at, left in orders.items() if at > tick)
    sells_b = sum(left.total for at, left in orders.items() if at <= tick)
    return msgspec.structs.replace(
        pool_of("clmm-pool-18"),
        spacing=spacing,
        rates=rates,
        depth=depth,
        orders={at: left._replace(alone=at not in ends) for at, left in orders.items()},
        sqrt_price=price,
        tick=tick,
        liquidity=sum(each.liquidity for each in owned if each.lower <= tick < each.upper),
        outside=((0, 0),) * len(ticks),
        balance_a=-(-worth_a.numerator // worth_a.denominator) + sells_a,
        balance_b=-(-worth_b.numerator // worth_b.denominator) + sells_b,
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
    """Owed: positions and orders at the new price, all fees of providers, protocol and fund."""
    before, owned = world
    pool, earned, stretches = before, [0, 0], 0
    for a_to_b, out, share in swaps:
        if swap := swapped(pool, a_to_b, out, sized(pool, a_to_b, out, share)):
            done = after(swap)
            taken = sum(fees_taken(done)) - sum(fees_taken(pool))
            earned[a_to_b == swap.fee_on_output] += swap.fee - taken
            stretches += 2 * (swap.steps + 1)
            pool = done
            inside = (item.liquidity for item in owned if item.lower <= pool.tick < item.upper)
            assert pool.liquidity == sum(inside)
            owed_a, owed_b = worth(owned, pool.sqrt_price)
            makers_a, makers_b = makers(before, pool)
            assert pool.reserve_a >= owed_a + makers_a + earned[0]
            assert pool.reserve_b >= owed_b + makers_b + earned[1]
    # A stretch of the walk loses less than one unit of growth to rounding.
    lost = stretches * ((sum(item.liquidity for item in owned) >> 64) + 1) + len(owned)
    for claimed, all_of_it in zip(claims(pool, owned), earned, strict=True):
        assert all_of_it - lost <= claimed <= all_of_it


def makers(before: ClmmPool, now: ClmmPool) -> tuple[Fraction, Fraction]:
    """What limit orders are owed: what they have not sold, and the price of what they have."""
    owed_a = owed_b = Fraction(0)
    for tick, orders in before.orders.items():
        left = now.orders[tick].total if tick in now.orders else 0
        sold, price = orders.total - left, Fraction(sqrt_price_at(tick) ** 2, 1 << 128)
        if tick > before.tick:
            owed_a, owed_b = owed_a + left, owed_b + sold * price
        else:
            owed_a, owed_b = owed_a + sold / price, owed_b + left
    return owed_a, owed_b


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
def test_an_exact_output_costs_no_more_than_the_input_that_yields_it(
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
def test_a_swap_and_its_reverse_never_gain(world: World, a_to_b: bool, share: int) -> None:
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
    # An order may rest at the price itself.
    assert limit <= price <= pool.sqrt_price if a_to_b else limit >= price >= pool.sqrt_price
    filled = swap.amount_out if out else swap.amount_in
    assert filled == amount or (filled < amount and price == limit)


@REPEATED
@given(plain_worlds(), st.booleans(), st.booleans(), SHARES, st.none() | st.integers(-45, 45))
def test_both_walks_are_the_same_where_both_can_walk(
    world: World, a_to_b: bool, out: bool, share: int, number: int | None
) -> None:
    pool = world.pool
    at = 0 if number is None else sqrt_price_at(pool.tick + number * pool.spacing)
    start = Position(pool.sqrt_price, pool.tick, pool.liquidity, pool.growth_a)
    conditions = Conditions(pool.depth, pool.rates, {}, pool.spacing, None, True)
    amount = sized(pool, a_to_b, out, share)
    answers: list[Walked | str | None] = []
    for general in (False, True):
        try:
            limit = limit_of(at, pool.sqrt_price, a_to_b)
            answers.append(
                walk_through(conditions, start, amount, a_to_b=a_to_b, out=out, limit=limit)
                if general
                else walk(
                    pool.depth, pool.rates, {}, start, amount, a_to_b=a_to_b, out=out, limit=limit
                )
            )
        except Rejected as refused:
            answers.append(refused.error)
    plain, full = answers
    if isinstance(plain, Walked) and isinstance(full, Walked):
        # The end of a price limit is a step of the one walk and none of the other.
        full = full._replace(steps=plain.steps)
    assert plain == full


@REPEATED
@given(worlds(), st.booleans(), st.booleans(), SHARES)
def test_a_swap_price_is_never_better_than_the_spot_price_with_fee(
    world: World, a_to_b: bool, out: bool, share: int
) -> None:
    """And a small swap pays about that."""
    pool = world.pool
    swap = swapped(pool, a_to_b, out, sized(pool, a_to_b, out, share))
    if swap is None:
        return
    spot_out, spot_in = pool.spot(a_to_b)
    gross = swap.amount_out + swap.fee * swap.fee_on_output
    net = swap.amount_in - swap.fee * (not swap.fee_on_output)
    assert gross * spot_in <= net * spot_out
    assert 0 <= impact_ppm(swap, (spot_out, spot_in)) <= 1_000_000
    if swap.steps == 0:
        charged = gross if swap.fee_on_output else swap.amount_in
        rate = pool.fee_ppb(a_to_b, CLOCK)
        assert swap.fee >= charged * rate // PPB
        if out != swap.fee_on_output:  # else what rounding leaves is fee too
            assert swap.fee <= charged * rate // PPB + 2
