"""What a transaction of a kind may consume, by what others of it did."""

from __future__ import annotations

from stages.venues.solana.budget.consumption import (
    KEPT,
    KEPT_MS,
    KINDS_MAX,
    Consumption,
    Measurement,
)


def test_the_largest_of_the_last_measurements_counts() -> None:
    consumption = Consumption()
    for time_ms, units in enumerate([90, *[50] * (KEPT - 1)]):
        consumption.record("a", Measurement(units, 0, time_ms))
    assert consumption.expected("a", 0, 10) == 90
    consumption.record("a", Measurement(50, 0, KEPT))
    assert consumption.expected("a", 0, 10) == 50


def test_more_ticks_are_added_and_fewer_take_nothing_away() -> None:
    consumption = Consumption()
    consumption.record("a", Measurement(100, 20, 0))
    assert [consumption.expected("a", crossed, 1) for crossed in (0, 20, 25)] == [100, 100, 105]


def test_an_unknown_and_a_forgotten_kind_and_an_old_measurement_are_not_known() -> None:
    consumption = Consumption()
    consumption.record("a", Measurement(100, 0, 0))
    consumption.record("b", Measurement(100, 0, 0))
    consumption.forget("b", 0)
    assert consumption.expected("b", 0, 1) is None
    assert consumption.expected("c", 0, 1) is None
    assert consumption.expected("a", 0, KEPT_MS - 1) == 100
    assert consumption.expected("a", 0, KEPT_MS) is None
    assert consumption.changed == {"a", "b"}


def test_a_failure_outweighs_what_was_measured_before_it_and_nothing_else() -> None:
    consumption = Consumption()
    old = Measurement(100, 0, 1)
    consumption.record("a", old)
    consumption.forget("a", 5)
    consumption.merge("a", [old, Measurement(100, 0, 5)])  # of a process that does not know of it
    assert consumption.expected("a", 0, 6) is None
    assert consumption.age_ms("a", 6) is None
    assert consumption.of("a") == (Measurement(0, 0, 5),)
    consumption.record("a", Measurement(70, 0, 6))
    assert consumption.expected("a", 0, 6) == 70
    for time_ms in range(7, 7 + KEPT):
        consumption.record("a", Measurement(70, 0, time_ms))
    consumption.merge("a", [old])
    assert consumption.expected("a", 0, 20) == 70, "the failure is pushed out by newer ones only"


def test_a_measurement_that_comes_twice_counts_once() -> None:
    consumption = Consumption()
    consumption.merge("a", [Measurement(100, 0, 0)] * 2)
    consumption.merge("a", [Measurement(100, 0, 0), Measurement(90, 0, 1)])
    assert consumption.of("a") == (Measurement(100, 0, 0), Measurement(90, 0, 1))


def test_the_kinds_that_were_not_used_for_longest_are_dropped() -> None:
    consumption = Consumption()
    for number in range(KINDS_MAX + 1):
        consumption.record(f"kind {number}", Measurement(1, 0, number))
        consumption.record("kind 0", Measurement(1, 0, number))
    assert consumption.of("kind 0")
    assert not consumption.of("kind 1")
    assert consumption.of(f"kind {KINDS_MAX}")
