"""The hash chain by its definition, written out: what a stranger computes who has only SHA-256."""

from __future__ import annotations

from hashlib import sha256

import pytest

from events import types as t
from events.hash_chain import GENESIS, decode_batch, follows, link, new_events
from events.order import Order
from events.types import TransactionBuilt
from tests.unit.events.test_order import LIFE

PREVIOUS = bytes(range(32))


def test_a_hash_covers_the_one_before_and_every_byte() -> None:
    assert bytes(32) == GENESIS
    assert link(PREVIOUS, b"body") == sha256(PREVIOUS + b"body").digest()
    assert (
        link(PREVIOUS, b"body", withheld=True)
        == sha256(PREVIOUS + sha256(b"body").digest()).digest()
    )


def test_facts_of_one_append_are_chained_by_hash() -> None:
    batch = new_events(Order("id-1"), PREVIOUS, LIFE, time_us=1, build="b")
    records = decode_batch(b"\x96" + b"".join(batch.records))
    previous = PREVIOUS
    for record, fact in zip(records, LIFE, strict=True):
        body = bytes(record.body)
        content = sha256(body).digest() if isinstance(fact, TransactionBuilt) else body
        previous = sha256(previous + content).digest()
        assert record.hash == previous
    assert batch.hash == previous


@pytest.mark.parametrize("withheld", [False, True])
def test_a_hash_follows_only_where_nothing_was_changed(withheld: bool) -> None:
    digest = link(PREVIOUS, b"body", withheld=withheld)
    assert follows(PREVIOUS, b"body", digest)
    assert not follows(GENESIS, b"body", digest)
    assert not follows(PREVIOUS, b"Body", digest)
    assert not follows(PREVIOUS, b"body", digest[:-1] + b"\0")
    assert not follows(PREVIOUS, b"body", b"")


def test_more_facts_leave_the_order_before_as_it_was() -> None:
    batch = new_events(Order("id-1"), GENESIS, LIFE[:1], time_us=5, build="b")
    before = batch.order
    batch.extend(LIFE[1:3])
    assert (before.version, before.status) == (1, "pending")
    assert (batch.order.version, batch.order.status) == (3, "building")


def test_event_times_do_not_decrease_with_any_clock_of_the_next_writer() -> None:
    first = new_events(Order("id-1"), GENESIS, LIFE[:1], time_us=100, build="b")
    [event] = new_events(
        first.order, first.hash, [t.RoutingStarted()], time_us=50, build="b"
    ).events
    assert event.time_us == 100
