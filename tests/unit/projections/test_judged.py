"""What the projector refuses: an event that its order has already, or that does not continue it."""

from __future__ import annotations

import pytest

from events.log import Stored
from events.order import Order
from events.streams.hash_chain import GENESIS, HashedEvent, decode_batch, new_events
from projections.postgres.order_rows import OrderFold
from projections.postgres.session import Session
from tests.unit.events.test_order import LIFE

ORDER_ID = "id-1"
RECORDS = decode_batch(
    b"\x96" + b"".join(new_events(Order(ORDER_ID), GENESIS, LIFE, time_us=1, build="b").records)
)


@pytest.fixture
def session() -> Session:
    """One that has folded the first three events of the order."""
    session = Session.__new__(Session)
    session._parked, session._fold = set(), OrderFold()
    for position, record in enumerate(RECORDS[:3], start=1):
        session._fold.apply(position, record.hash, record.event())
    return session


def refused(session: Session, record: HashedEvent) -> str:
    refusal = session._judged(Stored(4, 1, record), record.event())
    return "" if refusal is None else str(refusal.reason)


def test_the_next_event_is_taken(session: Session) -> None:
    assert refused(session, RECORDS[3]) == ""


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_event_that_its_order_has_is_a_duplicate(session: Session, at: int) -> None:
    assert refused(session, RECORDS[at]) == "duplicate"


def test_an_event_that_was_not_hashed_so_is_not_chained(session: Session) -> None:
    for record in (
        HashedEvent(RECORDS[4].hash, RECORDS[3].body),
        HashedEvent(bytes(32), RECORDS[3].body),
        HashedEvent(RECORDS[3].hash, decode_batch(b"\x96" + b"".join(
            new_events(Order(ORDER_ID), GENESIS, LIFE, time_us=2, build="b").records
        ))[3].body),
    ):  # fmt: skip
        assert refused(session, record) == "not-chained"


def test_of_an_order_that_is_parked_everything_is_archived(session: Session) -> None:
    session._parked.add(ORDER_ID)
    assert refused(session, RECORDS[0]) == ""
