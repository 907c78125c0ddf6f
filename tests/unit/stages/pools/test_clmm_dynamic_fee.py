"""A dynamic fee of the CLMM: what it is at a moment, and that no walk through it is endless."""

import msgspec
import pytest

from stages.pools.contract import PPM, Clock, Rejected
from stages.pools.raydium.clmm.accounts import ARRAYS_EACH_WAY
from stages.pools.raydium.clmm.bitmap import TICKS_PER_ARRAY
from stages.pools.raydium.clmm.dynamic_fee import GROUP_VOLATILITY, DynamicFee, DynamicRate
from stages.pools.raydium.clmm.general_walk import OUT_OF_COMPUTE, STEPS_MAX
from stages.pools.raydium.clmm.instruction import _times
from stages.pools.raydium.clmm.ticks import sqrt_price_at
from stages.pools.raydium.clmm.walk import Depth
from tests.support.pools.clmm_chain import CLOCK, pool_of

FEE = DynamicFee(
    filter_s=10,
    decay_s=100,
    reduction=5_000,
    control=20_000,
    volatility_max=4_000_000,
    group=0,
    reference=30_000,
    volatility=60_000,
    updated_s=1_000,
)


@pytest.mark.parametrize(
    ("time_s", "volatility"),
    [(0, 50_000), (1_009, 50_000), (1_010, 30_000), (1_099, 30_000), (1_100, 0), (2_000, 0)],
)
def test_the_fee_now_follows_the_chains_clock(time_s: int, volatility: int) -> None:
    """In the filter period the reference stays; then half of the volatility; then nothing."""
    base = pool_of("clmm-pool-18")
    pool = msgspec.structs.replace(base, dynamic=FEE._replace(group=base.tick // base.spacing - 2))
    risen = -(-20_000 * (volatility * pool.spacing) ** 2 // 10**13)
    rate = min(100_000, pool.rates.fee + risen)
    clock = Clock(1, time_s)
    assert pool.fee_ppb(False, clock) == rate * 1_000
    pool = msgspec.structs.replace(pool, open_time=0)
    if time_s:
        swap = pool.exact_in(10**6, False, clock)
        assert swap.fee - -(-swap.amount_in * rate // PPM) in (0, 1)


def test_a_walk_at_the_greatest_fee_keeps_its_volatility_even_towards_the_reference() -> None:
    """Such a step is not cut into groups; what it passes on the way is not looked at again."""
    fee = FEE._replace(group=1_000, reference=0, volatility_max=100_000)
    walk = DynamicRate(fee, 400, 10, tick=0, a_to_b=False)
    goal = sqrt_price_at(9_950)
    assert walk.begin(goal, liquidity=1) == goal
    walk.end(9_950)
    left = walk.state()
    assert left is not None
    assert left.volatility == 100_000
    walk.begin(goal, liquidity=1)
    left = walk.state()
    assert left is not None
    assert left.volatility == 50_000


def test_a_pool_that_would_take_too_many_steps_is_refused_in_bounded_time() -> None:
    """Spacing 1, a fee that never stops rising, and an empty range as wide as there is."""
    ticks = (-400_000, 400_000)
    prices = tuple(map(sqrt_price_at, ticks))
    pool = msgspec.structs.replace(
        pool_of("clmm-pool-18"),
        spacing=1,
        dynamic=FEE._replace(volatility_max=(1 << 32) - 1),
        depth=Depth(ticks, prices, (1 << 64, -1 << 64), False, False),
        outside=((0, 0), (0, 0)),
        orders={},
        liquidity=1 << 64,
        sqrt_price=sqrt_price_at(0),
        tick=0,
        balance_a=1 << 63,
        balance_b=1 << 63,
    )
    for a_to_b in (True, False):
        assert pool.exact_in(1 << 58, a_to_b, CLOCK).steps <= STEPS_MAX
        for quote in (pool.exact_in, pool.exact_out):
            with pytest.raises(Rejected, match=OUT_OF_COMPUTE):
                quote(1 << 62, a_to_b, CLOCK)


def test_the_longest_swap_of_a_pool_stays_within_the_step_limit() -> None:
    """Its greatest volatility, times the greatest tick spacing (1,000), must stay a u32.

    So the fee stops rising 430 groups away from its reference, either way.
    """
    groups = ((1 << 32) - 1) // 1_000 // GROUP_VOLATILITY + 1
    ticks = TICKS_PER_ARRAY * 2 * (ARRAYS_EACH_WAY + 1)
    assert 2 * groups + 2 * ticks < STEPS_MAX


def test_the_fee_depends_on_its_age_in_three_ways_only() -> None:
    """So that the tick arrays of the three times that `instruction` looks at are all there are."""
    for filter_s, decay_s in ((0, 1), (1, 120), (30, 120), (120, 30), (50, 50)):
        fee = DynamicFee(filter_s, decay_s, 5_000, 1_000, 100_000, 3, 20_000, 70_000, CLOCK.time_s)
        pool = msgspec.structs.replace(pool_of("clmm-new-30"), dynamic=fee)
        looked_at = {fee.at(9, time_s)[:-1] for time_s in _times(pool)}
        ages = range(-1, filter_s + decay_s + 2)
        assert {fee.at(9, CLOCK.time_s + age)[:-1] for age in ages} <= looked_at
