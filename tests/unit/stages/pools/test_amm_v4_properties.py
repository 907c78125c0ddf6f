"""Raydium AMM v4: no pool, fee and amount lets value leak."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.pools.contract import Pool
from stages.pools.raydium.amm_v4 import FAMILY
from tests.support.pools import constant_product as law
from tests.support.pools import raydium_bytes as raw

AMOUNTS = st.one_of(st.integers(1, 10_000), st.integers(1, law.BIG))


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Any pool that trades."""
    denominator = draw(st.sampled_from((1_000, 10_000, 1_000_000)))
    described = {
        "status": 6,
        "coin_decimals": 9,
        "pc_decimals": 6,
        "swap_fee_numerator": draw(st.one_of(st.just(0), st.integers(1, denominator - 1))),
        "swap_fee_denominator": denominator,
        "need_take_pnl_coin": draw(st.integers(0, 1_000)),
        "need_take_pnl_pc": draw(st.integers(0, 1_000)),
        "pool_open_time": 0,
        "coin_vault_amount": draw(AMOUNTS),
        "pc_vault_amount": draw(AMOUNTS),
    }
    return FAMILY.decode(raw.POOL, raw.amm_v4(described))


EACH = settings(derandomize=True, max_examples=300, deadline=None)


@EACH
@given(pools(), AMOUNTS, st.booleans(), st.booleans())
def test_no_swap_leaks_value(pool: Pool, amount: int, a_to_b: bool, exact_out: bool) -> None:
    if swap := law.swapped(pool, amount, a_to_b, exact_out=exact_out):
        law.assert_never_leaks(pool, swap, a_to_b)


@EACH
@given(pools(), AMOUNTS, AMOUNTS, st.booleans())
def test_more_in_brings_more_out(pool: Pool, first: int, second: int, a_to_b: bool) -> None:
    law.assert_monotone(pool, min(first, second), max(first, second), a_to_b)


@EACH
@given(pools(), AMOUNTS, st.booleans())
def test_a_round_trip_yields_no_profit(pool: Pool, amount: int, a_to_b: bool) -> None:
    law.assert_round_trip_gains_nothing(pool, amount, a_to_b)


@EACH
@given(pools(), AMOUNTS, st.booleans())
def test_the_stated_fee_rate_is_the_one_that_is_paid(pool: Pool, amount: int, a_to_b: bool) -> None:
    law.assert_fee_rate_covers(pool, amount, a_to_b)
