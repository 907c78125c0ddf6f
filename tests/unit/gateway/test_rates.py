"""Rate limits: what is promised is kept, to the single request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.middleware.rate_limit import Rates

PAUSES = st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=20)


@given(st.sampled_from([0.3, 1, 2.5, 7]), st.integers(1, 6), PAUSES)
def test_as_many_requests_remain_as_are_allowed_at_once(
    per_s: float, burst: int, pauses: list[float]
) -> None:
    rates, now_s = Rates(per_s, burst), 0.0
    for pause_s in pauses:
        now_s += pause_s
        taken = rates.take("key", now_s)
        probe = Rates(per_s, burst)
        probe._buckets.update(rates._buckets)
        allowed = 0
        while probe.take("key", now_s).allowed:
            allowed += 1
        assert taken.remaining == allowed
        assert f"r={allowed};" in rates.headers(taken)["RateLimit"]


@given(st.sampled_from([0.3, 1, 2.5, 7]), st.integers(1, 6), PAUSES)
def test_a_request_is_allowed_after_the_reset_and_the_burst_bounds_the_bucket(
    per_s: float, burst: int, pauses: list[float]
) -> None:
    rates, now_s = Rates(per_s, burst), 0.0
    for pause_s in pauses:
        now_s += pause_s
        taken = rates.take("key", now_s)
        assert 0 <= taken.remaining < burst
        if not taken.allowed:
            assert rates.take("key", now_s + taken.reset_s).allowed
            now_s += taken.reset_s


def test_each_key_has_a_separate_bucket() -> None:
    rates = Rates(1, 1)
    assert rates.take("one", 0).allowed
    assert not rates.take("one", 0).allowed
    assert rates.take("two", 0).allowed


def test_a_refused_key_stays_refused_while_others_are_admitted() -> None:
    rates = Rates(1, 2)
    assert [rates.take("one", 0).allowed for _ in range(3)] == [True, True, False]
    assert rates.take("two", 0).allowed
    assert not rates.take("one", 0).allowed


def test_only_full_buckets_are_dropped_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.middleware.rate_limit.CALLERS_MAX", 2)
    rates = Rates(1, 2)
    assert [rates.take("one", 0).allowed for _ in range(3)] == [True, True, False]
    assert rates.take("two", 0).allowed
    assert rates.take("three", 0.5).allowed
    assert not rates.take("one", 0.5).allowed
    assert rates.take("four", 60).allowed
    assert len(rates._buckets) == 1
    assert rates.take("five", 60).allowed
    assert rates.take("six", 120).allowed
    assert len(rates._buckets) == 1  # never more than there may be, where any is full again


def test_a_bucket_is_kept_for_as_long_as_it_takes_to_fill_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.middleware.rate_limit.CALLERS_MAX", 1)
    rates = Rates(0.5, 4)  # full after 8 s
    assert [rates.take("one", 100).remaining for _ in range(4)] == [3, 2, 1, 0]
    assert rates.take("two", 105).allowed
    assert rates.take("one", 105).remaining == 1


def test_a_retry_after_exactly_the_returned_wait_is_not_refused_by_rounding() -> None:
    rates = Rates(0.5, 1)
    assert rates.take("one", 0.3).allowed
    assert rates.take("one", 0.3).reset_s == 2
    assert rates.take("one", 2.3).allowed  # 2.3 - 0.3 is a little less than 2


def test_the_headers_have_the_policy_the_remaining_requests_and_the_reset() -> None:
    rates = Rates(0.5, 4)
    headers = [rates.headers(rates.take("one", 0)) for _ in range(5)]
    assert {item["RateLimit-Policy"] for item in headers} == {'"default";q=4;w=8'}
    assert [item["RateLimit"] for item in headers] == [
        f'"default";r={remaining};t={reset_s}'
        for remaining, reset_s in ((3, 2), (2, 4), (1, 6), (0, 2), (0, 2))
    ]
