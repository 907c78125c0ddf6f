"""Counts the events of the log by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from events.log import Stored
from projections.feed.history_reader import HistoryReader

UNKNOWN = "Unknown"
"""Events that only a newer build can read."""


def count(events: Sequence[Stored]) -> Counter[str]:
    """The number of events of each kind. Pure."""
    return Counter(_name(stored) for stored in events)


def _name(stored: Stored) -> str:
    try:
        return stored.record.event().name
    except msgspec.DecodeError:
        return UNKNOWN


async def follow(past: HistoryReader) -> Counter[str]:
    """Counts from the first event to the newest.

    Raises LogError, ArchiveUnavailable, HistoryGap.
    """
    counts, after = Counter[str](), 0
    while events := await past.page(after):
        counts += count(events)
        after = events[-1].position
    return counts
