"""Raydium CPMM: no pool, fee and amount lets value leak."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.pools.contract import Pool
from stages.pools.raydium.cpmm import FAMILY
from stages.pools.raydium.cpmm.pool import CpmmPool
from tests.support.pools import constant_product as law
from tests.support.pools import raydium_bytes as raw

AMOUNTS = st.one_of(st.integers(1, 10_000), st.integers(1, law.BIG))
RATES = st.one_of(st.just(0), st.integers(1, 499_999))
SHARES = st.integers(0, 500_000)


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Any pool that trades, with and without creator fees, in all modes."""
    described = {
        "vault_0_amount": draw(AMOUNTS),
        "vault_1_amount": draw(AMOUNTS),
        "creator_fee_on": draw(st.sampled_from((0, 1, 2))),
        "enable_creator_fee": draw(st.booleans()),
    }
    creator = draw(RATES)
    config = {
        # With a creator fee there is a trade fee: the program cannot divide a fee of 0.
        "trade_fee_rate": max(draw(RATES), min(creator, 1)),
        "protocol_fee_rate": draw(SHARES),
        "fund_fee_rate": draw(SHARES),
        "creator_fee_rate": creator,
    }
    return FAMILY.decode(raw.POOL, raw.cpmm(described, config))


EACH = settings(derandomize=True, max_examples=300, deadline=None)


@EACH
@given(pools(), AMOUNTS, st.booleans(), st.booleans())
def test_no_swap_leaks_value(pool: Pool, amount: int, a_to_b: bool, exact_out: bool) -> None:
    if swap := law.swapped(pool, amount, a_to_b, exact_out=exact_out):
        law.assert_never_leaks(pool, swap, a_to_b)


def vaults(pool: Pool) -> list[int]:
    assert isinstance(pool, CpmmPool)
    sides = ((pool.reserve_a, pool.owed_a), (pool.reserve_b, pool.owed_b))
    return [reserve + owed.protocol + owed.fund + owed.creator for reserve, owed in sides]


@EACH
@given(pools(), AMOUNTS, st.booleans(), st.booleans())
def test_the_vaults_move_by_what_the_wallet_pays_and_gets(
    pool: Pool, amount: int, a_to_b: bool, exact_out: bool
) -> None:
    if swap := law.swapped(pool, amount, a_to_b, exact_out=exact_out):
        moved = [now - then for now, then in zip(vaults(swap.after), vaults(pool), strict=True)]
        assert moved[:: 1 if a_to_b else -1] == [swap.amount_in, -swap.amount_out]


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
