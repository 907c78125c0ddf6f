"""Claim: which of the loaded orders this stage owes their next event.

Rule of this file: pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from events.log import DAMAGED, OrderHead, order_in
from stages.runtime.work import Named, WorkItem


class Unreadable(NamedTuple):
    """An order of this stage whose head this build cannot read."""

    named: Named
    head: OrderHead
    error: msgspec.DecodeError


class Claimed(NamedTuple):
    """Orders by what is done with them."""

    owed: list[WorkItem]
    others: list[Named]
    """Nothing is owed here: they are settled without an event."""
    gone: list[str]
    """Of these, the ones whose head is missing or damaged."""
    unreadable: list[Unreadable]


def claim(named: Sequence[Named], heads: Sequence[OrderHead | None], number: int) -> Claimed:
    """Pure. `number` is the stage's in heads."""
    claimed = Claimed([], [], [], [])
    for (order_id, delivery), head in zip(named, heads, strict=True):
        if head is None or head.owes != number:
            claimed.others.append((order_id, delivery))
            if head is None or head.owes == DAMAGED:
                claimed.gone.append(order_id)
            continue
        try:
            claimed.owed.append(WorkItem(delivery, order_id, head, order_in(head, order_id)))
        except msgspec.DecodeError as error:
            claimed.unreadable.append(Unreadable((order_id, delivery), head, error))
    return claimed
