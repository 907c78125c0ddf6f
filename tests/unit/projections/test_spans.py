"""The spans of a batch: the same however the log is cut, and events without a trace are counted."""

from __future__ import annotations

import msgspec
import pytest

from events.hash_chain import GENESIS, HashedEvent, decode_batch, new_events
from events.ids import new_order_id
from events.log import Stored
from events.order import Order
from projections.traces.spans import Tracer, sample
from tests.support.log.played import life

ORDER_ID = new_order_id(1)
NAMES = [
    "RoutingStarted", "OrderRouted", "TransactionBuilt", "TransactionSubmitted", "OrderConfirmed",
    "order",
]  # fmt: skip
UNREADABLE = Stored(7, 1, HashedEvent(bytes(32), msgspec.Raw(b"\xc0")))


def stored(order_id: str = ORDER_ID) -> list[Stored]:
    """The six events of an order, at positions 1 to 6."""
    batch = new_events(Order(order_id), GENESIS, life(), time_us=1, build="b")
    records = decode_batch(b"\x96" + b"".join(batch.records))
    return [Stored(position, 1, record) for position, record in enumerate(records, start=1)]


EVENTS = stored()


def test_an_order_is_one_root_and_a_span_for_each_later_event() -> None:
    spans, untraced = Tracer().spans_of(sample(EVENTS, 1), {})
    assert ([span.name for span in spans], untraced) == (NAMES, 0)
    root = spans[-1]
    assert {span.parent_id for span in spans[:-1]} == {root.span_id}
    assert root.parent_id == 0
    assert root.span_id == int.from_bytes(EVENTS[0].record.hash[:8])


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_tracer_that_begins_within_an_order_needs_its_history_and_gives_the_rest(
    cut: int,
) -> None:
    whole, _ = Tracer().spans_of(sample(EVENTS, 1), {})
    sampled = sample(EVENTS[cut:], 1)
    assert Tracer().unknown(sampled) == [ORDER_ID]
    assert Tracer().spans_of(sampled, {ORDER_ID: EVENTS}) == (whole[cut - 1 :], 0)


def test_a_tracer_remembers_the_orders_of_the_batch_before() -> None:
    tracer = Tracer()
    whole, _ = Tracer().spans_of(sample(EVENTS, 1), {})
    before, _ = tracer.spans_of(sample(EVENTS[:3], 1), {})
    rest = sample(EVENTS[3:], 1)
    assert tracer.unknown(rest) == []
    assert before + tracer.spans_of(rest, {})[0] == whole


def test_a_tracer_remembers_no_more_orders_than_it_may() -> None:
    tracer, other = Tracer(kept=1), new_order_id(2)
    tracer.spans_of(sample([EVENTS[0], stored(other)[0]], 1), {})
    assert tracer.unknown(sample([EVENTS[1], stored(other)[1]], 1)) == [ORDER_ID]


def test_events_without_a_readable_beginning_are_counted_and_the_others_traced() -> None:
    others = stored(new_order_id(2))
    spans, untraced = Tracer().spans_of(sample([*EVENTS[4:], UNREADABLE, *others], 1), {})
    assert ([span.name for span in spans], untraced) == (NAMES, 3)


def test_only_the_sampled_orders_are_traced() -> None:
    assert sample(EVENTS, 0) == []
    assert [event.stored for event in sample([*EVENTS, UNREADABLE], 0)] == [UNREADABLE]
