"""The indexes of open orders that the log server keeps beside the events. Pure.

`events/log/redis/functions.lua` maintains them on append. A rebuild writes them and the audit
compares them from the tables here, so that a new sorted set is one row of SORTED_SETS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from events.log import NEVER_MS, PARKED, RESTING, Keys
from events.order import STAGES


class OpenOrder(NamedTuple):
    """The properties of an open order that decide in which indexes it is."""

    order_id: str
    owes: int
    """The number of the stage that owes it the next event, PARKED or RESTING."""
    created_ms: int
    changed_ms: int
    expires_ms: int | None
    """None: it does not expire."""


class SortedSet(NamedTuple):
    """A sorted set of the ids of open orders."""

    key: Callable[[Keys], str]
    score: Callable[[OpenOrder], int | None]
    """None for an order that is not a member."""
    missing: str
    """The problem of an order that ought to be a member."""
    unexpected: str = ""
    """The problem of an open order that ought not to be a member."""
    score_max: float = float("inf")
    too_high: str = ""
    """The problem of a member whose score is above `score_max`."""

    def fault(self, order: OpenOrder, members: dict[str, float]) -> str:
        """The problem of an order in this set; empty: none."""
        score = members.get(order.order_id)
        if self.score(order) is None:
            return "" if score is None else self.unexpected
        if score is None:
            return self.missing
        return self.too_high if score > self.score_max else ""


SORTED_SETS = (
    SortedSet(
        key=lambda keys: keys.open,
        score=lambda order: order.created_ms,
        missing="it is open, and in no list of open orders",
    ),
    SortedSet(
        key=lambda keys: keys.parked,
        score=lambda order: order.changed_ms if order.owes == PARKED else None,
        missing="it is parked, and in no list of those",
        unexpected="it is not parked, and listed so",
    ),
    SortedSet(
        key=lambda keys: keys.expiry,
        score=lambda order: order.expires_ms,
        missing="it is open, and in no list of those that expire",
        unexpected="it expires never, and is in the list of those that do",
        score_max=NEVER_MS,
        too_high="it is listed to expire at a time that never comes",
    ),
)

COUNTED = {**dict(enumerate(STAGES, start=1)), RESTING: "books"}
"""The fields of the counters `owed`, and who has the orders that a field counts."""


def stage_of(owes: int) -> str | None:
    """The stage that has the order in its inbox or its due set; None: no stage."""
    return STAGES[owes - 1] if 1 <= owes <= len(STAGES) else None


def count_owed(owes: Iterable[int]) -> dict[int, int]:
    """The counters `owed` of orders: field -> number of orders."""
    counts = dict.fromkeys(COUNTED, 0)
    for field in owes:
        if field in counts:
            counts[field] += 1
    return counts


def keys_of_indexes(keys: Keys) -> list[str]:
    """The keys that a rebuild deletes, because it derives them from the orders."""
    return [*(index.key(keys) for index in SORTED_SETS), keys.owed, keys.book, *keys.stages]
