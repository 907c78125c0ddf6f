"""Money is exact, or an error."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.money import (
    AmountError,
    Token,
    amount_at,
    amount_for,
    by_name,
    max_amount_in,
    min_amount_out,
    price,
    price_units,
    to_base_units,
    to_price,
    to_tokens,
)
from events.types import U64_MAX

DECIMALS = st.integers(0, 18)


@given(st.integers(1, U64_MAX), DECIMALS)
def test_an_amount_round_trips_through_its_decimal_text(units: int, decimals: int) -> None:
    assert to_base_units(to_tokens(units, decimals), decimals) == units


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NaN", "amount-malformed"),
        ("-Infinity", "amount-malformed"),
        ("one", "amount-malformed"),
        ("", "amount-malformed"),
        ("0", "amount-not-positive"),
        ("0.000", "amount-not-positive"),
        ("-1", "amount-not-positive"),
        ("1.0000000001", "too-many-decimals"),
        ("1e-400", "too-many-decimals"),
        ("1e400", "amount-too-large"),
        ("1e999999999", "amount-too-large"),
        ("18446744073.709551616", "amount-too-large"),
        ("1.00000000000000000000000000000000000001", "too-many-decimals"),
    ],
)
def test_an_invalid_amount_has_a_code(text: str, code: str) -> None:
    with pytest.raises(AmountError) as raised:
        to_base_units(text, 9)
    assert raised.value.code == code
    assert " " in str(raised.value)  # it says why in words


def test_the_largest_amount_is_all_of_a_u64() -> None:
    assert to_base_units("18446744073.709551615", 9) == U64_MAX


def test_trailing_zeros_do_not_count_as_decimals() -> None:
    assert to_base_units("1.5000000000000", 9) == to_base_units(Decimal("1.5"), 9) == 1_500_000_000


@given(st.integers(1, U64_MAX), st.integers(1, U64_MAX), DECIMALS, DECIMALS)
def test_a_price_is_never_above_the_true_ratio(out: int, in_: int, d_out: int, d_in: int) -> None:
    shown = Decimal(price(out, d_out, in_, d_in))
    true_times_in = Decimal(out).scaleb(d_in - d_out)
    assert shown * in_ <= true_times_in
    assert shown * in_ > true_times_in * Decimal("0.99999999998")


@given(st.integers(1, U64_MAX), st.integers(0, 5000))
def test_the_most_is_the_least_amount_that_holds_all_of_the_slippage(in_: int, bps: int) -> None:
    most = max_amount_in(in_, bps)
    assert most * 10_000 >= in_ * (10_000 + bps)
    assert (most - 1) * 10_000 < in_ * (10_000 + bps)


@given(st.integers(1, U64_MAX), st.integers(0, 5000))
def test_the_minimum_is_at_least_one_and_at_most_the_quote(out: int, bps: int) -> None:
    least = min_amount_out(out, bps)
    assert 1 <= least <= out
    assert least * 10_000 <= max(out * (10_000 - bps), 10_000)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NaN", "price-malformed"),
        ("x", "price-malformed"),
        ("0", "price-not-positive"),
        ("-1", "price-not-positive"),
        ("1e-25", "price-out-of-range"),
        ("1e24", "price-out-of-range"),
        ("1e999999999", "price-out-of-range"),
        ("1.0000000000000000000000001", "too-many-decimals"),
        ("1.00000000000000000000000000000000000001", "too-many-decimals"),
    ],
)
def test_a_price_that_cannot_be_taken_has_a_code(text: str, code: str) -> None:
    with pytest.raises(AmountError) as raised:
        to_price(text)
    assert raised.value.code == code
    assert " " in str(raised.value)  # it says why in words


@pytest.mark.parametrize(
    ("text", "plain"),
    [("1.50e2", "150"), ("0.00100", "0.001"), ("7", "7"), ("1e-24", f"{0:.23f}1")],
)
def test_a_price_has_one_form(text: str, plain: str) -> None:
    assert to_price(text) == plain
    assert price_units(plain) == Decimal(text).scaleb(24)


@given(st.integers(1, 10**15), st.integers(1, 10**30), DECIMALS, DECIMALS)
def test_the_least_output_at_a_price_pays_it_and_one_unit_less_would_not(
    amount_in: int, units: int, decimals_in: int, decimals_out: int
) -> None:
    least = amount_at(amount_in, decimals_in, units, decimals_out)
    paid = Fraction(least, 10**decimals_out) / Fraction(amount_in, 10**decimals_in)
    assert paid >= Fraction(units, 10**24)
    less = Fraction(least - 1, 10**decimals_out) / Fraction(amount_in, 10**decimals_in)
    assert less < Fraction(units, 10**24) or least == 1


@given(st.integers(1, 10**15), st.integers(1, 10**30), DECIMALS, DECIMALS)
def test_the_least_output_for_a_highest_price_never_costs_more(
    amount_in: int, units: int, decimals_in: int, decimals_out: int
) -> None:
    least = amount_for(amount_in, decimals_in, units, decimals_out)
    cost = Fraction(amount_in, 10**decimals_in) / Fraction(least, 10**decimals_out)
    assert cost <= Fraction(units, 10**24)


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [
        (1_500_000_000, 9, "1.5"), (10**9, 9, "1"), (100 * 10**6, 6, "100"), (5, 9, "0.000000005"),
        (0, 6, "0"), (1200, 0, "1200"), (1_000_000_010, 9, "1.00000001"),
    ],
)  # fmt: skip
def test_an_amount_is_written_in_its_shortest_form(units: int, decimals: int, text: str) -> None:
    assert to_tokens(units, decimals) == text


@pytest.mark.parametrize(
    ("amount_out", "amount_in", "text"),
    [
        (150 * 10**6, 10**9, "150"), (100_500_000, 10**9, "100.5"), (10**6, 2 * 10**9, "0.5"),
        (1, 3 * 10**9, "0.000000333333333333"), (7, 0, "0"), (2 * 10**15, 10**9, "2000000000"),
    ],
)  # fmt: skip
def test_a_price_is_written_in_its_shortest_form(
    amount_out: int, amount_in: int, text: str
) -> None:
    assert price(amount_out, 6, amount_in, 9) == text


@pytest.mark.parametrize(("amount_out", "text"), [(150, "0.15"), (1000, "1"), (1200, "1.2")])
def test_a_price_of_a_token_with_more_decimals_has_no_zeros_at_its_end(
    amount_out: int, text: str
) -> None:
    assert price(amount_out, 9, 1, 6) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [("10", "10"), ("100.0", "100"), ("1.50", "1.5"), ("0.10", "0.1"), ("1.50e2", "150")],
)
def test_a_price_is_normalised_to_its_shortest_form(text: str, plain: str) -> None:
    assert to_price(text) == plain


def test_the_least_output_for_any_price_is_one_unit() -> None:
    dear = price_units("1000000")
    assert amount_for(1, 9, dear, 6) == 1
    assert amount_at(1, 9, 1, 6) == 1


def test_a_token_is_named_by_its_symbol_and_by_its_mint() -> None:
    sol, test = Token("SOL", 9, "So11"), Token("TEST", 6)
    assert by_name([sol, test]) == {"SOL": sol, "So11": sol, "TEST": test}
