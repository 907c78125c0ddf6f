"""The counts of a log are the same however it is cut."""

from __future__ import annotations

import pytest

from projections.counts.counter import UNKNOWN, count
from tests.unit.projections.test_spans import EVENTS, UNREADABLE


@pytest.mark.parametrize("cut", range(7))
def test_counts_add_up(cut: int) -> None:
    assert count(EVENTS[:cut]) + count(EVENTS[cut:]) == count(EVENTS)


def test_an_event_of_a_newer_build_is_counted_as_unknown() -> None:
    counts = count([*EVENTS, UNREADABLE])
    assert (counts["OrderConfirmed"], counts[UNKNOWN], counts.total()) == (1, 1, 7)
