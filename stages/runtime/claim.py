"""Claim: which of the loaded orders this stage owes their next event.

Rule of this file: pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from events.log import DAMAGED, OrderHead, order_in
from stages.runtime.work import OrderDelivery, WorkItem


class Unreadable(NamedTuple):
    """An order of this stage whose head this build cannot read."""

    delivery: OrderDelivery
    head: OrderHead
    error: msgspec.DecodeError


class Claimed(NamedTuple):
    """The loaded orders, by what is done with them."""

    owed: list[WorkItem]
    others: list[OrderDelivery]
    """Another stage owes their next event, or none does: they are acked without an event."""
    gone: list[str]
    """Those of `others` whose head is missing or damaged."""
    unreadable: list[Unreadable]


def claim(
    deliveries: Sequence[OrderDelivery], heads: Sequence[OrderHead | None], number: int
) -> Claimed:
    """Sorts orders by their heads. `number` is the stage's number in heads."""
    claimed = Claimed([], [], [], [])
    for (order_id, delivery), head in zip(deliveries, heads, strict=True):
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
