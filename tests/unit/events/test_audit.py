"""The auditor finds each kind of damage, names where it begins, and is content with a sound log."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from events import order as orders
from events.archive import Page
from events.audit.invariants import Auditor
from events.audit.orders_table import RowCheck
from events.audit.replay import Replay, Unreadable
from events.hash_chain import GENESIS, HashedEvent, encode_record, link, new_events
from events.ids import new_order_id
from events.log import PARKED, POSITIONS_KEPT, OrderHead, Stored
from events.log.head import next_stage_code
from events.order import Order, fold
from events.types import (
    AttemptFailed,
    Event,
    Fact,
    OrderArmed,
    OrderConfirmed,
    OrderTriggered,
    RoutingStarted,
    Status,
    encode,
)
from projections.postgres.order_rows import columns
from tests.support.log.played import after_submission, life, routed, submitted


class Story:
    """Orders whose events are interleaved: first all first events, then all second ones …"""

    def __init__(self, count: int = 3, facts: list[Fact] | None = None) -> None:
        self.ids = [new_order_id() for _ in range(count)]
        batches = [
            new_events(Order(i, account="main"), GENESIS, facts or life(), time_us=1_000, build="b")
            for i in self.ids
        ]
        records = [
            record for step in zip(*(s.records for s in batches), strict=True) for record in step
        ]
        self.events = [
            Stored(position, 5, msgspec.msgpack.decode(record, type=HashedEvent))
            for position, record in enumerate(records, start=1)
        ]
        self.ended = batches

    def head(self, number: int) -> OrderHead:
        batch = self.ended[number]
        positions = self.positions(number)[-POSITIONS_KEPT:]
        owes = next_stage_code(batch.order)
        return OrderHead(
            batch.order.version, batch.hash, owes, positions, orders.encode(batch.order)
        )

    def positions(self, number: int) -> tuple[int, ...]:
        return tuple(range(number + 1, len(self.events) + 1, len(self.ids)))

    def audited(self) -> Auditor:
        auditor = Auditor()
        for stored in self.events:
            auditor.event(stored)
        return auditor

    def replace(self, position: int, body: bytes, *, rehash_from: bytes | None = None) -> None:
        stored = self.events[position - 1]
        digest = stored.record.hash if rehash_from is None else link(rehash_from, body)
        self.events[position - 1] = stored._replace(record=HashedEvent(digest, msgspec.Raw(body)))


def first(auditor: Auditor) -> tuple[int, str]:
    problem = min(auditor.problems)
    return problem.position, problem.code


def test_a_sound_log_has_no_problems() -> None:
    story = Story()
    auditor = story.audited()
    assert auditor.problems == []
    assert (auditor.position, auditor.orders) == (18, 3)


@pytest.mark.parametrize("position", range(1, 19))
def test_a_flipped_byte_in_any_event_is_reported_at_its_position(position: int) -> None:
    story = Story()
    body = bytearray(bytes(story.events[position - 1].record.body))
    body[-1] ^= 1
    story.replace(position, bytes(body))
    result, code = first(story.audited())
    assert result == position
    assert code in ("hash", "unreadable")


@pytest.mark.parametrize("position", [1, 2, 7, 17])
def test_a_missing_event_is_reported_at_its_position(position: int) -> None:
    story = Story()
    del story.events[position - 1]
    assert first(story.audited()) == (position, "gap")


def test_two_swapped_events_are_reported_at_the_first() -> None:
    story = Story(1)
    second, third = story.events[1], story.events[2]
    story.events[1] = second._replace(record=third.record)
    story.events[2] = third._replace(record=second.record)
    assert first(story.audited()) == (2, "version")


def test_an_event_rewritten_with_its_own_hash_breaks_the_chain_behind_it() -> None:
    story = Story(1)
    event = story.events[2].record.event()
    forged = msgspec.structs.replace(event, fact=routed(150_000_000))
    story.replace(3, encode(forged), rehash_from=story.events[1].record.hash)
    assert first(story.audited()) == (4, "hash")


def append(story: Story, fact: Fact, status: Status) -> None:
    """A correctly hashed event that no stage would append."""
    batch = story.ended[0]
    event = Event(story.ids[0], batch.order.version + 1, 2_000, status, "main", "b", fact)  # type: ignore[arg-type]
    body = encode(event)
    record = encode_record(link(batch.hash, body), body)
    story.events.append(
        Stored(len(story.events) + 1, 5, msgspec.msgpack.decode(record, type=HashedEvent))
    )


def test_a_transition_that_next_does_not_allow_is_a_problem() -> None:
    story = Story(1, facts=[submitted()])
    append(story, life()[-1], Status.PENDING)
    assert first(story.audited()) == (2, "transition")


def test_an_event_after_the_terminal_one_is_a_problem() -> None:
    story = Story(1)
    append(story, RoutingStarted(), Status.CONFIRMED)
    assert first(story.audited()) == (7, "transition")


def test_an_event_that_claims_another_status_is_a_problem() -> None:
    story = Story(1, facts=[submitted()])
    append(story, RoutingStarted(), Status.CONFIRMED)
    assert first(story.audited()) == (2, "status")


def test_one_fault_is_reported_once_and_hides_no_other_order() -> None:
    story = Story(2)
    for position in (3, 8):
        body = bytearray(bytes(story.events[position - 1].record.body))
        body[-1] ^= 1
        story.replace(position, bytes(body))
    assert [p.position for p in sorted(story.audited().problems)] == [3, 8]


def test_heads_are_compared_with_the_fold_also_when_they_are_ahead() -> None:
    story = Story()
    auditor = Auditor()
    for stored in story.events[:9]:
        auditor.event(stored)
    auditor.heads((order_id, story.head(n)) for n, order_id in enumerate(story.ids))
    for stored in story.events[9:]:
        auditor.event(stored)
    auditor.missing_events()
    assert auditor.problems == []


@pytest.mark.parametrize("tampered", ["body", "hash", "positions", "version"])
@pytest.mark.parametrize("seen", [9, 18])
def test_a_head_that_is_not_the_fold_is_a_problem(tampered: str, seen: int) -> None:
    story = Story()
    head = story.head(1)
    other = {
        "body": replace(head, body=orders.encode(Order(story.ids[1], version=6))),
        "hash": replace(head, hash=b"x" * 32),
        "positions": replace(head, positions=(1, 2, 3, 4, 5, 6)),
        "version": replace(head, version=7, positions=(*head.positions, 19)),
    }[tampered]
    auditor = Auditor()
    for stored in story.events[:seen]:
        auditor.event(stored)
    auditor.heads([(story.ids[1], other)])
    for stored in story.events[seen:]:
        auditor.event(stored)
    auditor.missing_events()
    assert [p.code for p in auditor.problems] == ["head"]


@pytest.mark.parametrize("ends", [False, True])
def test_of_a_long_history_the_head_has_the_newest_positions_and_the_row_has_all(
    ends: bool,
) -> None:
    again: list[Fact] = [AttemptFailed("router", n, "x", "", 0) for n in range(300)]
    story = Story(2, [*life()[:2], *again, *(life()[2:] if ends else [])])
    for positions, problems in ((story.positions(0), 0), ((7, *story.positions(0)[1:]), 1)):
        auditor, batch = story.audited(), story.ended[0]
        auditor.heads([(story.ids[0], story.head(0))])
        rows = RowCheck(auditor, columns)
        for n, other in ((0, positions), (1, story.positions(1))):
            shown = columns(story.ended[n].order, story.ended[n].hash, other)
            version = batch.order.version
            rows.row(story.ids[n], version, story.ended[n].hash, other, shown)
        assert len(auditor.problems) == problems
    auditor = story.audited()
    moved = replace(story.head(0), positions=(*story.head(0).positions[1:], 1))
    auditor.heads([(story.ids[0], moved)])
    assert [p.code for p in auditor.problems] == ["head"]


def test_an_open_order_without_a_head_is_a_problem_and_an_ended_one_is_not() -> None:
    story = Story(1)
    auditor = story.audited()
    auditor.heads([(story.ids[0], None)])
    assert auditor.problems == []
    waiting = Story(1, facts=[submitted()])
    auditor = waiting.audited()
    auditor.heads([(waiting.ids[0], None)])
    assert [p.code for p in auditor.problems] == ["head"]


def test_an_unreadable_head_of_a_parked_order_is_not_a_problem() -> None:
    story = Story(1, facts=[submitted()])
    auditor = story.audited()
    auditor.heads([(story.ids[0], replace(story.head(0), owes=PARKED, body=b"\xc1"))])
    assert auditor.problems == []


def test_rows_are_compared_column_by_column() -> None:
    story = Story()
    for damage in ({}, {"status": "failed"}, {"amount_out": 1}, {"state": b""}):
        auditor = story.audited()
        rows = RowCheck(auditor, columns)
        for number, order_id in enumerate(story.ids):
            head = story.head(number)
            shown = columns(head.order, head.hash, head.positions)
            if number == 1:
                shown |= damage
            rows.row(order_id, head.version, head.hash, head.positions, shown)
        rows.finish()
        assert [p.code for p in auditor.problems] == (["orders"] if damage else [])


FIELDS_BEFORE = len(msgspec.structs.fields(Order)) - 7
"""Of the build before `paused_until_slot` and the six fields after it."""


def triggered_life() -> list[Fact]:
    """A limit order that opened a token account, as older builds recorded it too."""
    order = replace(submitted(), order_type="limit", target_price="90", time_in_force="GTC")
    triggered = OrderTriggered("tick", "raydium", "raydium-pool", 12_340, "99.5", first_slot=12_339)
    *between, confirmed = after_submission()
    return [order, OrderArmed(12_338), triggered, *between, replace(confirmed, rent_lamports=9)]


def stored(order: Order, by: str) -> bytes:
    if by == "the build before":
        return msgspec.msgpack.encode(msgspec.to_builtins(order)[:FIELDS_BEFORE])
    changes: dict[str, dict[str, Any]] = {
        "this build": {},
        "both builds": {"trigger_price": ""},
        "no build: another rent": {"rent_lamports": order.rent_lamports + 1},
        "no build: another price": {"trigger_price": "1"},
    }
    return orders.encode(replace(order, **changes[by]))


@pytest.mark.parametrize("count", [4, 8])
@pytest.mark.parametrize(
    ("by", "sound"),
    [
        ("the build before", True),
        ("this build", True),
        ("both builds", True),
        ("no build: another rent", False),
        ("no build: another price", False),
    ],
)
def test_heads_and_rows_of_an_older_build_are_sound_and_forged_ones_are_not(
    count: int, by: str, sound: bool
) -> None:
    story = Story(1, triggered_life()[:count])
    head = story.head(0)
    assert head.order.trigger_price == "99.5"
    assert head.order.terminal is (count == 8) is bool(head.order.rent_lamports)
    state, auditor = stored(head.order, by), story.audited()
    auditor.heads([(story.ids[0], replace(head, body=state))])
    assert [p.code for p in auditor.problems] == ([] if sound else ["head"])
    auditor = story.audited()
    shown = columns(head.order, head.hash, head.positions) | {"state": state}
    RowCheck(auditor, columns).row(story.ids[0], head.version, head.hash, head.positions, shown)
    assert [p.code for p in auditor.problems] == ([] if sound else ["orders"])


def test_a_row_too_few_and_a_row_too_many_are_problems() -> None:
    story, stranger = Story(2), Story(1)
    auditor = story.audited()
    rows = RowCheck(auditor, columns)
    for source, order_id in ((story, story.ids[0]), (stranger, stranger.ids[0])):
        head = source.head(0)
        shown = columns(head.order, head.hash, head.positions)
        rows.row(order_id, head.version, head.hash, head.positions, shown)
    rows.finish()
    assert sorted(p.order_id for p in auditor.problems) == sorted([story.ids[1], stranger.ids[0]])


# -- replay ------------------------------------------------------------------------------------


def page(story: Story, *, until: int | None = None) -> Page:
    return Page.of(story.events[:until])


def test_a_replay_gives_the_same_hash_however_it_is_cut() -> None:
    story = Story()
    whole, halves = Replay(), Replay()
    whole.page(page(story))
    halves.page(Page.of(story.events[:7]))
    halves.page(Page.of(story.events[7:]))
    assert whole.state_hash() == halves.state_hash()
    assert whole.orders == 3
    expected = fold(e.record.event() for e in story.events[::3])
    assert whole.order(story.ids[0]) == expected


def test_other_events_give_another_hash() -> None:
    story = Story()
    replay, other = Replay(), Replay()
    replay.page(page(story))
    other.page(page(story, until=17))
    assert replay.state_hash() != other.state_hash()


def test_a_replay_names_the_event_it_cannot_read() -> None:
    story = Story()
    story.replace(5, msgspec.msgpack.encode(["x", 2, 3, "pending", "a", "b", ["Future"]]))
    with pytest.raises(Unreadable) as caught:
        Replay().page(page(story))
    assert caught.value.position == 5


@pytest.mark.parametrize("checks", [None, {}], ids=["plain", "checked"])
@pytest.mark.parametrize("harm", ["repeated", "missing"])
def test_a_replay_takes_no_event_that_does_not_continue_its_order(harm: str, checks: Any) -> None:
    story = Story(1)
    if harm == "repeated":
        story.events[4] = story.events[4]._replace(record=story.events[3].record)
    else:
        story.events[3:5] = [story.events[4]]
    with pytest.raises(Unreadable, match=r"version . of order .* follows") as caught:
        Replay(checks).page(page(story))
    assert caught.value.position == 5


def test_recorded_decisions_are_recomputed_and_compared() -> None:
    story = Story(2)
    good = Replay({OrderConfirmed: lambda _, fact: [fact], RoutingStarted: lambda *_: None})
    good.page(page(story))
    assert (good.checked, good.mismatches) == (2, [])
    plain = Replay()
    plain.page(page(story))
    assert good.state_hash() == plain.state_hash()
    bad = Replay({OrderConfirmed: lambda order, _: [] if order.id == story.ids[0] else None})
    bad.page(page(story))
    assert [m.position for m in bad.mismatches] == [11]


def test_a_check_sees_the_order_as_it_was_before_the_fact() -> None:
    story = Story(1)
    statuses = []

    def look(order: Order, _: Fact) -> None:
        statuses.append(order.status)

    kinds = [type(fact) for fact in after_submission()]
    Replay(dict.fromkeys(kinds, look)).page(page(story))
    assert statuses == ["pending", "routing", "building", "building", "submitted"]
