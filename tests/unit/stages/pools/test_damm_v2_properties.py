"""What holds for every DAMM v2 pool and swap, vectors or not. Each run tries the same cases."""

from collections.abc import Callable

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stages.pools.contract import PPB, Clock, Rejected, Swap, impact_ppm
from stages.pools.meteora.damm_v2.limiter import Limiter
from stages.pools.meteora.damm_v2.maths import product_price, range_reserves
from stages.pools.meteora.damm_v2.pool import DammPool
from stages.pools.meteora.damm_v2.schedule import (
    Decay,
    FlatFee,
    MarketCapSchedule,
    Schedule,
    TimeSchedule,
)
from stages.pools.meteora.damm_v2.terms import Collected, DammKeys, DammTerms
from stages.pools.meteora.damm_v2.volatility import Volatility, VolatilityTerms

LOW, HIGH = 4295048016, 79226673521066979257578248091
NOW = Clock(1_000, 1_000)
KEYS = DammKeys("pool", "program", "a", "b", "vault_a", "vault_b", "token", "token")
MOVING = VolatilityTerms(14_460_000, 1_900, 1, 10, 120, 5_000, 1844674407370955)
AMOUNTS = st.one_of(st.integers(1, 2_000), st.integers(1, 10**13), st.integers(1, 2**64 - 1))
FEES = st.integers(100_000, 500_000_000)
checked = settings(derandomize=True, deadline=None, max_examples=100)


@st.composite
def schedules(draw: st.DrawFn, sqrt_price: int) -> Schedule:
    cliff = draw(FEES)
    exponential, steps = draw(st.booleans()), draw(st.integers(1, 120))
    reduction = draw(st.integers(1, 10_000 if exponential else cliff // steps))
    decay = Decay(cliff, reduction, steps, exponential)
    by_price = MarketCapSchedule(decay, draw(st.integers(LOW, sqrt_price + 1)), 200, 2_000)
    each: list[Schedule] = [FlatFee(cliff), TimeSchedule(decay, 0, 60), by_price]
    return draw(st.sampled_from(each))


@st.composite
def pools(draw: st.DrawFn) -> DammPool:
    """A pool in any fee mode, holding at least what its range says."""
    compounds = draw(st.booleans())
    sqrt_price = draw(st.integers(2**54, 2**74))
    low, high = draw(st.integers(LOW, sqrt_price)), draw(st.integers(sqrt_price, HIGH))
    liquidity = draw(st.integers(10**3, 10**15)) << 64
    if compounds:
        reserve_a, reserve_b = draw(st.integers(1, 10**15)), draw(st.integers(1, 10**15))
        sqrt_price = product_price(reserve_a, reserve_b)
    else:
        held_a, held_b = range_reserves(liquidity, sqrt_price, low, high)
        reserve_a, reserve_b = held_a + 1, held_b + 1
        assume(reserve_a < 2**62 and reserve_b < 2**62)
    volatile = draw(st.booleans())
    terms = DammTerms(
        enabled=True,
        activation=0,
        by_time=draw(st.booleans()),
        sqrt_min=low,
        sqrt_max=high,
        collects_b=compounds or draw(st.booleans()),
        compounding_bps=draw(st.integers(1, 10_000)) if compounds else 0,
        compounds=compounds,
        protocol_percent=draw(st.sampled_from((0, 20))),
        highest_fee=500_000_000,
        schedule=draw(schedules(sqrt_price)),
        limiter=None,
        volatility=MOVING if volatile else None,
    )
    none = Collected(0, 0, 0, 0)
    seen = Volatility(draw(st.integers(800, 1_000)), sqrt_price, draw(st.integers(0, 10**7)), 0)
    volatility = seen if volatile else None
    return DammPool(
        KEYS, terms, liquidity, sqrt_price, reserve_a, reserve_b, none, none, volatility
    )


def tried(quote: Callable[[int, bool, Clock], Swap], amount: int, a_to_b: bool) -> Swap:
    """The swap; one that is refused is another matter."""
    try:
        return quote(amount, a_to_b, NOW)
    except Rejected:
        assume(False)
        raise


def after(swap: Swap) -> DammPool:
    assert isinstance(swap.after, DammPool)
    return swap.after


def assert_nothing_leaks(pool: DammPool, swap: Swap, a_to_b: bool) -> None:
    """The invariant grows or stays, and every unit is in a reserve, a fee or the wallet."""
    then = after(swap)
    if pool.terms.compounds:
        assert then.reserve_a * then.reserve_b >= pool.reserve_a * pool.reserve_b
        assert then.sqrt_price == product_price(then.reserve_a, then.reserve_b)
    else:
        held = range_reserves(
            pool.liquidity, then.sqrt_price, pool.terms.sqrt_min, pool.terms.sqrt_max
        )
        assert then.reserve_a >= held[0]
        assert then.reserve_b >= held[1]
        assert pool.terms.sqrt_min <= then.sqrt_price <= pool.terms.sqrt_max
    paid_a, paid_b = (
        (swap.amount_in, -swap.amount_out) if a_to_b else (-swap.amount_out, swap.amount_in)
    )
    a, b = then.collected_a, then.collected_b
    providers = swap.fee - a.protocol - b.protocol
    assert a.providers_ever + b.providers_ever == providers
    compounded = providers * pool.terms.compounding_bps // 10_000
    assert then.reserve_a - pool.reserve_a + a.protocol + a.providers_ever == paid_a
    assert then.reserve_b - pool.reserve_b + b.protocol + b.providers_ever == paid_b + compounded


@checked
@given(pools(), AMOUNTS, st.booleans())
def test_no_swap_leaks_value(pool: DammPool, amount: int, a_to_b: bool) -> None:
    for quote in (pool.exact_in, pool.partial_fill, pool.exact_out):
        try:
            swap = quote(amount, a_to_b, NOW)
        except Rejected:
            continue
        assert_nothing_leaks(pool, swap, a_to_b)
        assert swap.amount_out >= 0
        assert swap.fee >= 0
        assert 0 <= impact_ppm(swap, pool.spot(a_to_b)) <= 1_000_000


@checked
@given(pools(), AMOUNTS, AMOUNTS, st.booleans())
def test_more_in_never_pays_less_out(pool: DammPool, first: int, second: int, a_to_b: bool) -> None:
    less, more = sorted((first, second))
    swap = tried(pool.exact_in, more, a_to_b)
    assert pool.exact_in(less, a_to_b, NOW).amount_out <= swap.amount_out


@checked
@given(pools(), AMOUNTS, st.booleans())
def test_an_output_costs_at_most_the_input_that_pays_it(
    pool: DammPool, amount: int, a_to_b: bool
) -> None:
    paid = tried(pool.exact_in, amount, a_to_b).amount_out
    assume(paid)
    assert pool.exact_out(paid, a_to_b, NOW).amount_in <= amount


@checked
@given(pools(), AMOUNTS, st.booleans())
def test_swaps_there_and_back_never_gain(pool: DammPool, amount: int, a_to_b: bool) -> None:
    there = tried(pool.exact_in, amount, a_to_b)
    assume(there.amount_out)
    back = tried(after(there).exact_in, there.amount_out, not a_to_b)
    assert back.amount_out <= amount


@checked
@given(pools(), AMOUNTS, st.booleans())
def test_a_partial_fill_is_the_whole_swap_or_stops_at_the_limit(
    pool: DammPool, amount: int, a_to_b: bool
) -> None:
    filled = tried(pool.partial_fill, amount, a_to_b)
    assert filled.amount_in <= amount
    if filled.amount_in == amount:
        return
    limit = pool.terms.sqrt_min if a_to_b else pool.terms.sqrt_max
    assert after(filled).sqrt_price == limit


@checked
@given(pools(), st.booleans())
def test_the_fee_rate_is_what_a_swap_pays(pool: DammPool, a_to_b: bool) -> None:
    rate = pool.fee_ppb(a_to_b, NOW)
    swap = tried(pool.exact_in, 10**9, a_to_b)
    charged = swap.amount_out + swap.fee if swap.fee_on_output else swap.amount_in
    assert swap.fee == -(-charged * rate // PPB)


@st.composite
def limiters(draw: st.DrawFn) -> Limiter:
    cliff, increment = draw(st.integers(10**6, 10**8)), draw(st.integers(1, 300)) * 100_000
    highest = draw(st.integers(cliff // 10**5 + 1, 9_900)) * 100_000
    reference = draw(st.integers(1, 10**9))
    brackets = (highest - cliff) // increment
    return Limiter(cliff, increment, brackets, highest, reference, 0, 2_000)


def charge(limiter: Limiter, amount: int) -> int:
    """The sum over brackets, one after the other, times 1e9."""
    total, rate, bracket = 0, limiter.cliff, 0
    while amount > 0 and bracket <= limiter.brackets:
        within = min(amount, limiter.reference)
        total, amount = total + within * rate, amount - within
        rate, bracket = rate + limiter.increment, bracket + 1
    return total + amount * limiter.highest


@checked
@given(limiters(), st.integers(1, 10**6))
def test_a_limited_purchase_pays_each_bracket_its_rate(limiter: Limiter, parts: int) -> None:
    amount = limiter.reference * parts // 10**3 + 1
    rate = limiter.of_included(amount)
    exact = charge(limiter, amount)
    assert exact <= rate * amount  # never less than the brackets say
    assert rate * amount < exact + PPB + amount  # and at most what rounding adds


@checked
@given(limiters(), st.integers(1, 10**6))
def test_a_limited_input_leaves_enough_and_hardly_more(limiter: Limiter, parts: int) -> None:
    net = limiter.reference * parts // 10**4 + 1
    low, high = net, net * 200
    while low < high:
        middle = (low + high) // 2
        if middle * PPB - charge(limiter, middle) >= net * PPB:
            high = middle
        else:
            low = middle + 1
    paid = -(-net * PPB // (PPB - limiter.of_excluded(net)))
    # The first part's net is rounded twice, to a unit and to 1e-9, and so is the whole.
    rounded = (4 * PPB + 2 * paid) // (PPB - limiter.highest) + 2
    assert low <= paid <= low + rounded
