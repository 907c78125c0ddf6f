"""The plan of a recreated log: where events stand, and what is recorded of executed orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

import pytest

from engine.recovery.recreate_log import latest_height
from engine.recovery.recreation.gather import Gathered
from engine.recovery.recreation.plan import adopt, plan_recreation
from events.archive.page import array
from events.hash_chain import GENESIS, decode_batch, encode_record, new_events
from events.ids import new_order_id
from events.log import Stored
from events.order import Order
from events.recovery.order_histories import UnarchivedEvents, life_of
from events.secret import SecretBytes
from events.types import Fact, OrderParked, RoutingStarted, TransactionBuilt, TransactionSubmitted
from tests.support.log.played import routed, submitted

END = 40
"""Position of the newest archived event."""
NOW_US = 2_000_000_000_000_000
BUILT = (RoutingStarted(), routed(), TransactionBuilt(1, "ours", 9, SecretBytes(b"raw")))


def written(first: int, *more: Fact) -> list[Stored]:
    """The events of a new order, as a log has them from a position on."""
    order = Order(new_order_id(), account="main")
    batch = new_events(order, GENESIS, [submitted(), *more], time_us=1_000, build="b")
    records = decode_batch(array(len(batch.records)) + b"".join(batch.records))
    return [Stored(position, 1_000, record) for position, record in enumerate(records, first)]


def gathered(archived: Iterable[Sequence[Stored]], left: list[list[Stored]]) -> Gathered:
    """Open archived orders, and those of the leftovers."""
    histories = {life.order.id: life for events in archived for life in [life_of(events)]}
    [last] = written(END)
    leftovers = UnarchivedEvents(left, ["torn"], 3)
    return Gathered(histories, last, [], leftovers, 0, [])


def test_events_left_in_the_log_get_positions_behind_the_archive() -> None:
    left = [written(7, RoutingStarted()), written(3)]
    adopted = adopt(gathered([written(1)], left))
    positions = [adopted.histories[order_id].positions for order_id in adopted.ids]
    assert positions == [(END + 1, END + 2), (END + 3,)]
    assert len(adopted.open_ids) == 3


def test_orders_executed_on_chain_are_recorded_after_all_other_events() -> None:
    known, unknown, idle = written(1, *BUILT), written(10), written(20)
    read = gathered([known, unknown, idle], [written(30)])
    known_id, unknown_id = (events[0].record.event().order_id for events in (known, unknown))
    executed = {known_id: ["ours"], unknown_id: ["theirs"]}
    plan = plan_recreation(read, adopt(read), executed, now_us=NOW_US)
    assert (plan.sent, plan.parked, plan.torn, plan.unreadable) == (
        [known_id], [unknown_id], ["torn"], 3,
    )  # fmt: skip
    assert (plan.position, plan.open_orders, plan.halted) == (END, 4, False)
    first, entry = plan.entries
    assert (first.last, entry.last, entry.time_us) == (END, END + 3, NOW_US)
    facts = [record.event().fact for record in decode_batch(entry.data)]
    assert [type(fact) for fact in facts[1:]] == [TransactionSubmitted, OrderParked]
    newest = {head.order_id: int.from_bytes(head.head[-8:]) for head in plan.heads}
    assert (newest[known_id], newest[unknown_id]) == (END + 2, END + 3)


def test_the_checkpoint_keeps_the_digest_of_the_first_entry() -> None:
    read = gathered([], [])
    plan = plan_recreation(read, adopt(read), {}, now_us=NOW_US)
    [entry] = plan.entries
    record = read.last.record
    assert entry.data == array(1) + encode_record(record.hash, bytes(record.body))
    assert plan.digest == sha256(entry.data).digest()
    assert (plan.heads, plan.open_orders) == ([], 0)


@pytest.mark.parametrize(
    ("heights", "expected"),
    [([], 100), ([90], 100), ([120], 120), ([150], 150), ([151], 100), ([120, 151], 120)],
)
def test_only_a_transaction_that_our_chain_can_have_is_waited_for(
    heights: list[int], expected: int
) -> None:
    assert latest_height(100, heights, behind=50) == expected
