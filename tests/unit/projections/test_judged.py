"""What the projector refuses: an event that its order has already, or that does not continue it."""

from __future__ import annotations

import pytest

from events.hash_chain import GENESIS, HashedEvent, decode_batch, new_events
from events.log import Stored
from events.order import Order
from projections.postgres.chunk_fold import ChunkFold
from projections.postgres.order_rows import OrderFold
from tests.unit.events.test_order import LIFE

ORDER_ID = "id-1"
RECORDS = decode_batch(
    b"\x96" + b"".join(new_events(Order(ORDER_ID), GENESIS, LIFE, time_us=1, build="b").records)
)


@pytest.fixture
def fold() -> ChunkFold:
    """A fold of the first three events of the order."""
    fold = ChunkFold.__new__(ChunkFold)
    fold._parked, fold._fold = set(), OrderFold()
    for position, record in enumerate(RECORDS[:3], start=1):
        fold._fold.apply(position, record.hash, record.event())
    return fold


def refused(fold: ChunkFold, record: HashedEvent) -> str:
    refusal = fold.judge(Stored(4, 1, record), record.event())
    return "" if refusal is None else str(refusal.reason)


def test_an_event_that_continues_its_order_is_accepted(fold: ChunkFold) -> None:
    assert refused(fold, RECORDS[3]) == ""


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_event_that_its_order_has_is_a_duplicate(fold: ChunkFold, at: int) -> None:
    assert refused(fold, RECORDS[at]) == "duplicate"


def test_an_event_with_a_wrong_hash_is_not_chained(fold: ChunkFold) -> None:
    for record in (
        HashedEvent(RECORDS[4].hash, RECORDS[3].body),
        HashedEvent(bytes(32), RECORDS[3].body),
        HashedEvent(RECORDS[3].hash, decode_batch(b"\x96" + b"".join(
            new_events(Order(ORDER_ID), GENESIS, LIFE, time_us=2, build="b").records
        ))[3].body),
    ):  # fmt: skip
        assert refused(fold, record) == "not-chained"


def test_every_event_of_a_parked_order_is_archived(fold: ChunkFold) -> None:
    fold._parked.add(ORDER_ID)
    assert refused(fold, RECORDS[0]) == ""
