"""The tick at a price, and the price at a tick."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.pools.raydium.clmm.ticks import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    Q64,
    sqrt_price_at,
    tick_at,
)

TICKS = st.integers(MIN_TICK, MAX_TICK - 1)


def test_the_prices_of_the_lowest_middle_and_highest_tick_equal_those_of_the_program() -> None:
    assert sqrt_price_at(0) == Q64
    assert MIN_SQRT_PRICE == 4_295_048_016
    assert MAX_SQRT_PRICE == 79_226_673_521_066_979_257_578_248_091


@settings(derandomize=True, database=None, max_examples=300, deadline=None)
@given(TICKS)
def test_a_tick_begins_at_its_price_and_ends_below_the_next(tick: int) -> None:
    assert tick_at(sqrt_price_at(tick)) == tick
    assert tick_at(sqrt_price_at(tick + 1) - 1) == tick


@settings(derandomize=True, database=None, max_examples=300, deadline=None)
@given(st.integers(MIN_SQRT_PRICE, MAX_SQRT_PRICE - 1))
def test_a_price_lies_between_its_tick_and_the_next(price: int) -> None:
    assert sqrt_price_at(tick_at(price)) <= price < sqrt_price_at(tick_at(price) + 1)


@settings(derandomize=True, database=None, max_examples=300, deadline=None)
@given(TICKS)
def test_the_price_is_the_power_to_ten_digits(tick: int) -> None:
    """price² / 2^128 is 1.0001^tick: checked against exact integers, not floats."""
    power, inverse = 10_001 ** abs(tick % 997), 10_000 ** abs(tick % 997)
    near = tick % 997
    got, want = sqrt_price_at(near) ** 2 * inverse, power << 128
    assert abs(got - want) * 10**10 < want


@pytest.mark.parametrize("price", [MIN_SQRT_PRICE - 1, MAX_SQRT_PRICE])
def test_a_price_out_of_range_has_no_tick(price: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        tick_at(price)


@pytest.mark.parametrize("tick", [MIN_TICK - 1, MAX_TICK + 1])
def test_a_tick_out_of_range_has_no_price(tick: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        sqrt_price_at(tick)
