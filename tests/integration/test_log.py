"""The log itself: each append all or nothing, each position once, nothing owed is forgotten."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from events.hash_chain import GENESIS, follows
from events.ids import new_order_id
from events.log import (
    POSITIONS_KEPT,
    AppendRequest,
    AppendStatus,
    EventLog,
    Fenced,
    Idempotency,
    Inbox,
    InboxMessage,
    LogTruncated,
    OrderHead,
    OutcomeUnknown,
    Unavailable,
    ack_only,
)
from events.log.group_commit import append_library
from events.log.head import decode_head, head_of
from events.log.inbox import DUE_LIMIT
from events.order import encode
from events.types import AttemptFailed, Fact, OrderFailed, RoutingStarted
from tests.support.log.log_server import LogServer
from tests.support.log.played import ACCOUNT, after_submission, routed, submitted
from tests.support.processes.proxied import proxied
from tests.support.waits import HANG_S, pace, until

WINDOW_S = 3600
HOUR_MS = 3_600_000
NEVER_MS = 24 * HOUR_MS


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    event_log = EventLog(redis_url, build="test", idempotency_window_s=WINDOW_S)
    await event_log.open()
    yield event_log
    await event_log.close()


def creations(log: EventLog, number: int = 1) -> list[AppendRequest]:
    return [log.build_creation(new_order_id(), ACCOUNT, submitted())[0] for _ in range(number)]


async def results(log: EventLog, *requests: AppendRequest) -> list[AppendStatus]:
    return [answer.status for answer in await log.append(requests)]


async def created(log: EventLog, number: int = 1) -> list[str]:
    requests = creations(log, number)
    assert set(await results(log, *requests)) == {AppendStatus.CREATED}
    return [request.order_id for request in requests]


async def head(log: EventLog, order_id: str) -> OrderHead:
    head = (await log.load([order_id]))[0]
    assert head is not None
    return head


async def next_unit(log: EventLog, order_id: str, *facts: Fact, **options: Any) -> AppendRequest:
    result = await head(log, order_id)
    batch = log.new_events(result, result.order, facts)
    return log.build_append(result, result.order, batch, **options)


async def opened(
    log: EventLog, consumer: str, *, stage: str = "router", lease_ms: int = NEVER_MS
) -> Inbox:
    inbox = log.inbox(stage, consumer, lease_ms=lease_ms)
    await inbox.open()
    return inbox


async def taken(inbox: Inbox, orders: int) -> list[InboxMessage]:
    """Entries that name at least so many orders."""
    messages: list[InboxMessage] = []
    async with asyncio.timeout(HANG_S):
        while sum(len(message.order_ids) for message in messages) < orders:
            messages += await inbox.take(10, block_ms=50)
    return messages


def ids_of(messages: list[InboxMessage]) -> list[str]:
    return [order_id for message in messages for order_id in message.order_ids]


async def depth(log: EventLog, stage: str = "router") -> int:
    return int(await LogServer(log).call("XLEN", log.keys.inbox(stage)))


# -- what becomes of a unit ------------------------------------------------------------------------


async def test_a_repeated_append_of_a_unit_is_answered_with_exists(log: EventLog) -> None:
    [request] = creations(log)
    first, again = (await log.append([request]))[0], (await log.append([request]))[0]
    assert (first.status, first.position) == (AppendStatus.CREATED, 1)
    assert (again.status, again.position) == (AppendStatus.EXISTS, 1)
    started = await next_unit(log, request.order_id, RoutingStarted())
    assert await results(log, started) == [AppendStatus.CREATED]
    assert await results(log, started) == [AppendStatus.EXISTS]
    assert await log.position() == 2


async def test_of_two_appends_to_the_same_version_one_is_a_conflict(log: EventLog) -> None:
    [order_id] = await created(log)
    request = await next_unit(log, order_id, RoutingStarted())
    other = await next_unit(log, order_id, AttemptFailed("router", 1, "x", "", 0))
    assert await results(log, request) == [AppendStatus.CREATED]
    assert await results(log, other) == [AppendStatus.CONFLICT]
    [third] = await created(log)
    both = [
        await next_unit(log, third, RoutingStarted()),
        await next_unit(log, third, AttemptFailed("router", 1, "x", "", 0)),
    ]
    assert await results(log, *both) == [
        AppendStatus.CREATED,
        AppendStatus.CONFLICT,
    ]  # in one call too


async def test_a_unit_past_its_deadline_is_late_by_the_clock_of_the_server(
    log: EventLog,
) -> None:
    [order_id] = await created(log)
    now_ms = time.time_ns() // 1_000_000
    late = await next_unit(log, order_id, RoutingStarted(), not_after_ms=now_ms - 1)
    assert await results(log, late) == [AppendStatus.LATE]
    soon = await next_unit(log, order_id, RoutingStarted(), not_after_ms=now_ms + 10_000)
    assert await results(log, soon) == [AppendStatus.CREATED]
    # A creation that was under way for longer than a head is sure to live could be a second one.
    old = new_order_id(now_ms=now_ms - WINDOW_S * 500 - 1000)
    assert await results(log, log.build_creation(old, ACCOUNT, submitted())[0]) == [
        AppendStatus.LATE
    ]


async def test_a_key_names_one_order_also_within_one_call(log: EventLog) -> None:
    def named(value: bytes) -> AppendRequest:
        names = Idempotency((log.keys.idempotency(ACCOUNT, "key", "k"),), value)
        return log.build_creation(new_order_id(), ACCOUNT, submitted(), names)[0]

    first, second = await log.append([named(b"one"), named(b"two")])
    assert first.status is AppendStatus.CREATED
    assert (second.status, second.duplicate_of) == (AppendStatus.DUPLICATE, b"one")
    third = (await log.append([named(b"three")]))[0]
    assert (third.status, third.duplicate_of) == (AppendStatus.DUPLICATE, b"one")
    assert await log.position() == 1


async def test_each_unit_of_a_call_is_written_whole_or_not_at_all(log: EventLog) -> None:
    good, stale, late = await created(log, 3)
    inbox = await opened(log, "c")
    [message] = await taken(inbox, 3)
    before = {item: await head(log, item) for item in (good, stale, late)}
    facts = after_submission()[:3]
    overtaken = await next_unit(log, stale, *facts, delivery=message.delivery(1))
    assert await results(log, await next_unit(log, stale, RoutingStarted(), wake=False)) == [
        AppendStatus.CREATED
    ]
    requests = [
        overtaken,
        await next_unit(log, good, *facts, delivery=message.delivery(0)),
        await next_unit(log, late, *facts, delivery=message.delivery(2), not_after_ms=1),
    ]
    assert await results(log, *requests) == [
        AppendStatus.CONFLICT,
        AppendStatus.CREATED,
        AppendStatus.LATE,
    ]
    assert (await head(log, good)).version == 4
    assert (await head(log, good)).positions == (1, 5, 6, 7)
    assert (await head(log, stale)).version == 2
    assert await head(log, late) == before[late]
    assert await log.position() == 7
    assert await depth(log, "submitter") == 1
    await inbox.deregister()
    [left] = await taken(inbox, 2)
    assert left.order_ids == (stale, late)  # the share of the good one alone is settled
    await inbox.close()


async def test_a_head_is_the_fold_of_its_events(log: EventLog) -> None:
    [order_id] = await created(log)
    for fact in after_submission():
        assert await results(log, await next_unit(log, order_id, fact)) == [AppendStatus.CREATED]
    result = await head(log, order_id)
    digest = GENESIS
    for stored in await log.history(result.positions):
        assert follows(digest, bytes(stored.record.body), stored.record.hash)
        digest = stored.record.hash
    assert (result.hash, result.version, result.positions) == (digest, 6, (1, 2, 3, 4, 5, 6))
    assert result.body == encode(result.order)
    assert await log.open_orders() == 0


async def test_a_head_does_not_grow_with_the_history_and_a_long_head_is_still_read(
    log: EventLog,
) -> None:
    [order_id] = await created(log)
    again = [AttemptFailed("router", n, "x", "", 0) for n in range(100)]
    sizes = []
    for facts in (*([fact] for fact in again), again, [again[0]], again, again[:5]):
        result = await head(log, order_id)
        assert (await results(log, log.build_append_of(result, result.order, facts)[0])) == [
            AppendStatus.CREATED
        ]
        sizes.append(await LogServer(log).call("STRLEN", log.keys.order(order_id)))
    assert max(sizes[-4:]) - min(sizes[-4:]) < 8  # of the order itself
    result = await head(log, order_id)
    assert result.version == result.order.version == 307
    assert result.positions == tuple(range(308 - POSITIONS_KEPT, 308))
    newest = await log.history(result.positions)
    assert newest[-1].record.hash == result.hash
    # As layout 2 wrote it, with all positions.
    stored = await LogServer(log).call("GET", log.keys.order(order_id))
    whole = stored[: -8 * POSITIONS_KEPT] + struct.pack(">307Q", *range(1, 308))
    await LogServer(log).call("SET", log.keys.order(order_id), whole)
    assert await head(log, order_id) == result
    assert (await results(log, log.build_append_of(result, result.order, again[:1])[0])) == [
        AppendStatus.CREATED
    ]
    result = await head(log, order_id)
    assert (result.version, result.positions[0], result.positions[-1]) == (308, 181, 308)
    assert result.order.version == 308


# -- many writers ----------------------------------------------------------------------------------


async def test_of_a_hundred_writers_to_one_order_exactly_one_wins_each_version(
    redis_url: str, log: EventLog
) -> None:
    [order_id] = await created(log)
    logs = [EventLog(redis_url, build=f"b{n}") for n in range(5)]
    for event_log in logs:
        await event_log.open()
    start = await head(log, order_id)

    async def write(number: int) -> Counter[AppendStatus]:
        """Until it is the one that wins."""
        own, seen, outcome = logs[number % 5], Counter[AppendStatus](), start
        while not seen[AppendStatus.CREATED]:
            fact = AttemptFailed("router", number, "x", "", 0)
            request, _ = own.build_append_of(outcome, outcome.order, [fact], wake=False)
            seen.update(await results(own, request))
            outcome = await head(own, order_id)
        return seen

    won = await asyncio.gather(*(write(number) for number in range(100)))
    total = sum(won, Counter[AppendStatus]())
    assert total[AppendStatus.CREATED] == 100
    assert set(total) == {AppendStatus.CREATED, AppendStatus.CONFLICT}
    result = await head(log, order_id)
    assert result.version == 101
    assert result.positions == tuple(range(1, 102))
    facts = [s.record.event().fact for s in await log.history(result.positions[1:])]
    assert sorted(f.attempt for f in facts if isinstance(f, AttemptFailed)) == list(range(100))
    for event_log in logs:
        await event_log.close()


async def test_positions_have_no_gap_however_many_write(redis_url: str, log: EventLog) -> None:
    logs = [EventLog(redis_url, build=f"b{n}") for n in range(4)]
    for event_log in logs:
        await event_log.open()

    async def write(own: EventLog) -> list[int]:
        positions = []
        for round_ in range(10):
            await asyncio.sleep(0)
            positions += [a.position for a in await own.append(creations(own, 1 + round_ % 7))]
        return positions

    told = [p for some in await asyncio.gather(*(write(o) for o in logs * 3)) for p in some]
    assert sorted(told) == list(range(1, len(told) + 1))
    reader = log.reader()
    batches = await reader.read(0, batches=1000)
    assert [p for b in batches for p in range(b.first, b.last + 1)] == sorted(told)
    assert all(len(b.records) == b.last - b.first + 1 for b in batches)
    times = [batch.time_us for batch in batches]
    assert times == sorted(times)
    await reader.close()
    for event_log in logs:
        await event_log.close()


async def test_another_library_works_on_the_same_log_side_by_side(
    redis_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of another build calls its own functions; neither replaces those of the other."""
    other = EventLog(redis_url, build="newer")
    newer = append_library()
    newer.name = "oee_another"
    newer._source = newer._source.replace(log._library.name, newer.name)
    monkeypatch.setattr(other, "_library", newer)
    monkeypatch.setattr(other._committer, "_library", newer)
    await other.open()
    for turn in range(20):
        await created((log, other)[turn % 2])
    names = {line[1].decode() for line in await LogServer(log).call("FUNCTION", "LIST")}
    assert {log._library.name, "oee_another"} <= names
    assert await log.position() == 20
    # Flushed functions come back by themselves.
    await LogServer(log).call("FUNCTION", "FLUSH")
    await created(log)
    await created(other)
    await other.close()


@pytest.mark.parametrize(("field", "value"), [("epoch", "2"), ("layout", "99")])
async def test_a_process_of_another_epoch_or_layout_is_fenced(
    log: EventLog, field: str, value: str
) -> None:
    [order_id] = await created(log)
    request = await next_unit(log, order_id, RoutingStarted())
    await LogServer(log).call("HSET", log.keys.meta, field, value)
    with pytest.raises(Fenced):
        await log.append([request])
    with pytest.raises(Fenced):
        await log.append(creations(log))
    assert await log.position() == 1


# -- answers that are lost -------------------------------------------------------------------------


async def test_an_append_whose_answer_is_lost_is_retried_and_written_once(
    redis_url: str, log: EventLog
) -> None:
    async with proxied(redis_url) as proxy:
        far = EventLog(proxy.url, build="far")
        await far.open()
        [order_id] = await created(far)
        inbox = await opened(log, "c")
        [message] = await taken(inbox, 1)
        request = await next_unit(
            far, order_id, RoutingStarted(), routed(), delivery=message.delivery(0)
        )
        proxy.mode = "drop-answers"
        appending = far.append([request])

        async def written() -> bool:
            return await log.position() == 3

        await until(written)
        assert not appending.done()
        proxy.cut("pass")
        answer = (await appending)[0]
        assert (answer.status, answer.position) == (AppendStatus.EXISTS, 3)
        assert await log.position() == 3
        assert await depth(log, "builder") == 1  # the next stage is woken once
        assert await depth(log, "router") == 0
        await inbox.close()
        await far.close()


async def test_an_append_with_a_timeout_reports_whether_it_may_have_been_written(
    redis_url: str, log: EventLog
) -> None:
    async with proxied(redis_url) as proxy:
        far = EventLog(proxy.url, build="far")
        await far.open()
        await created(far)
        proxy.cut("refuse")
        with pytest.raises((Unavailable, OutcomeUnknown)):
            await far.position()  # it has noticed: so it knows that nothing was sent
        with pytest.raises(Unavailable):
            await far.append(creations(far), timeout_s=0.1)
        assert await log.position() == 1
        proxy.cut("pass")
        await created(far)
        proxy.mode = "drop-answers"
        with pytest.raises(OutcomeUnknown):
            await far.append(creations(far), timeout_s=0.1)

        async def written() -> bool:
            return await log.position() == 3

        await until(written)
        proxy.cut("pass")
        await far.close()


@pytest.mark.parametrize("refusal", ["the connection", "the log"])
async def test_a_refusal_after_a_lost_answer_is_an_unknown_outcome(
    redis_url: str, log: EventLog, refusal: str
) -> None:
    async with proxied(redis_url) as proxy:
        far = EventLog(proxy.url, build="far")
        await far.open()
        await created(far)
        proxy.mode = "drop-answers"
        appending = far.append(creations(far), timeout_s=1.0)

        async def written() -> bool:
            return await log.position() == 2

        await until(written)
        if refusal == "the connection":
            proxy.cut("refuse")
        else:
            await LogServer(log).call("HSET", log.keys.meta, "epoch", 7)
            proxy.cut("pass")
        with pytest.raises(OutcomeUnknown):
            await appending
        proxy.cut("pass")
        await far.close()


# -- inboxes ---------------------------------------------------------------------------------------


async def test_a_delivery_has_a_head_only_when_its_call_wrote_one_order(log: EventLog) -> None:
    inbox = await opened(log, "one")
    [first] = creations(log)
    assert await results(log, first) == [AppendStatus.CREATED]
    [message] = await taken(inbox, 1)
    assert decode_head(message.head) == await head(log, first.order_id)
    # One call writes two heads and wakes one order; the next wakes two.
    silent, second, *pair = creations(log, 4)
    await results(log, replace(silent, wake=False), second)
    [alone] = await taken(inbox, 1)
    assert (alone.order_ids, alone.head) == ((second.order_id,), b"")
    await results(log, *pair)
    [both] = await taken(inbox, 2)
    assert (len(both.order_ids), both.head) == (2, b"")
    await inbox.close()


async def test_the_unsettled_orders_of_an_entry_are_returned_to_the_inbox(log: EventLog) -> None:
    ids = await created(log, 4)
    inbox = await opened(log, "c")
    [message] = await taken(inbox, 4)
    for place in (0, 2):
        await log.append([ack_only(ids[place], message.delivery(place))])
    await log.append([ack_only(ids[2], message.delivery(2))])  # twice is as good as once
    assert await depth(log) == 1
    await inbox.deregister()
    again = await opened(log, "d")
    [left] = await taken(again, 2)
    assert (left.order_ids, left.deliveries) == ((ids[1], ids[3]), 0)
    requests = [ack_only(order_id, left.delivery(n)) for n, order_id in enumerate(left.order_ids)]
    await log.append(requests)
    again.mark_acked(request.delivery for request in requests if request.delivery)
    assert await depth(log) == 0
    assert again.held_orders == 0
    assert await LogServer(log).call("EXISTS", log.keys.shares("router")) == 0
    for item in (inbox, again):
        await item.close()


async def test_waiting_orders_are_delivered_in_the_order_of_their_due_times(log: EventLog) -> None:
    ids = await created(log, 3)
    inbox = await opened(log, "c")
    [message] = await taken(inbox, 3)
    waits = (3, 1, 2)  # hours, which a test lets pass
    await log.append(
        [
            ack_only(ids[n], message.delivery(n), wait_ms=wait * HOUR_MS)
            for n, wait in enumerate(waits)
        ]
    )
    assert await depth(log) == 0
    moved, next_ms = await inbox.promote_due()
    assert moved == 0
    assert next_ms is not None
    assert 0 <= next_ms <= HOUR_MS
    assert (await log.lag())["router"].delayed == 3
    back: list[str] = []
    for _ in range(3):
        for member in await LogServer(log).call("ZRANGE", log.keys.due("router"), 0, -1):
            await LogServer(log).call("ZINCRBY", log.keys.due("router"), -HOUR_MS, member)
        moved, _ = await inbox.promote_due()
        back += ids_of(await taken(inbox, moved))
    assert back == [ids[1], ids[2], ids[0]]
    assert await inbox.promote_due() == (0, None)
    await inbox.close()


async def test_more_due_orders_than_one_call_promotes_are_all_delivered(
    log: EventLog,
) -> None:
    ids = await created(log, DUE_LIMIT + 100)
    inbox = await opened(log, "c")
    for message in await taken(inbox, len(ids)):
        deliveries = [(i, message.delivery(place)) for place, i in enumerate(message.order_ids)]
        await log.append([ack_only(i, delivery, wait_ms=1) for i, delivery in deliveries])
    waiting = len(ids)
    while waiting:
        moved, next_ms = await inbox.promote_due()
        waiting -= moved
        assert moved <= DUE_LIMIT
        assert (await log.lag())["router"].delayed == waiting
        await pace((next_ms or 0) / 1000)
    assert sorted(ids_of(await taken(inbox, len(ids)))) == sorted(ids)
    await inbox.close()


async def test_a_returned_entry_counts_as_never_delivered(log: EventLog) -> None:
    ids = await created(log, 3)
    for turn in range(4):
        inbox = await opened(log, f"c{turn}")
        messages = await taken(inbox, 3)
        assert ids_of(messages) == ids
        assert {message.deliveries for message in messages} == {0}
        await inbox.deregister()
        await inbox.close()
    assert (
        await LogServer(log).call("XINFO", "CONSUMERS", log.keys.inbox("router"), "workers") == []
    )


async def test_entries_of_a_dead_worker_are_taken_over_with_their_delivery_count(
    log: EventLog,
) -> None:
    ids = await created(log, 3)
    for turn in range(4):
        inbox = await opened(log, f"c{turn}", lease_ms=10)
        messages = await taken(inbox, 3)
        assert ids_of(messages) == ids
        assert {message.deliveries for message in messages} == {turn}
        await inbox.close()  # without an ack


async def test_a_lost_inbox_is_rebuilt_from_the_open_orders_of_its_stage(log: EventLog) -> None:
    ids = await created(log, 5)
    await results(log, await next_unit(log, ids[0], OrderFailed("router", "x", 1)))
    await results(log, await next_unit(log, ids[1], RoutingStarted(), routed()))
    inbox = await opened(log, "c")
    await LogServer(log).call("DEL", log.keys.inbox("router"))
    assert sorted(ids_of(await taken(inbox, 3))) == sorted(ids[2:])
    await inbox.close()


async def test_a_lost_consumer_group_is_recreated_and_delivers_every_unacked_order(
    log: EventLog,
) -> None:
    ids = await created(log, 3)
    inbox = await opened(log, "c")
    [message] = await taken(inbox, 3)
    await log.append([ack_only(ids[0], message.delivery(0))])
    await created(log, 2)
    await LogServer(log).call("XGROUP", "DESTROY", log.keys.inbox("router"), "workers")
    other = await opened(log, "d")
    results = set(ids_of(await taken(other, 4)))
    assert results >= set(ids[1:])
    assert len(results) >= 4
    for item in (inbox, other):
        await item.close()


async def test_trimming_the_log_keeps_inboxes_and_heads(log: EventLog) -> None:
    """Events go, inboxes and heads stay; who reads from further back is told so."""
    pending = await created(log, 3)
    for _ in range(300):
        await created(log)
    inbox = await opened(log, "c")
    held = await taken(inbox, 3)
    # XTRIM ~ forgets whole nodes of the stream only: as a person would, do it exactly.
    await LogServer(log).call("XTRIM", log.keys.log, "MINID", "=", "290-0")
    assert (await log.bounds())[0] == 290
    reader = log.reader()
    with pytest.raises(LogTruncated):
        await reader.read(0)
    assert (await reader.read(289))[0].first == 290
    await reader.close()
    request = await next_unit(log, pending[0], RoutingStarted(), delivery=held[0].delivery(0))
    assert await results(log, request) == [AppendStatus.CREATED]
    assert await log.history((await head(log, pending[0])).positions) != []
    await inbox.deregister()
    assert set(ids_of(await taken(inbox, 302))) >= set(pending[1:])
    assert head_of(request.new).version == 2
    await inbox.close()


async def test_a_suspended_log_refuses_creations_and_sends_but_takes_outcomes(
    log: EventLog,
) -> None:
    built, out = await created(log, 2)
    steps = after_submission()
    await results(log, await next_unit(log, built, *steps[:3]))
    await results(log, await next_unit(log, out, *steps[:4]))
    await log.suspend("to look around")
    assert await results(log, *creations(log)) == [AppendStatus.SUSPENDED]
    assert await results(log, await next_unit(log, built, steps[3])) == [AppendStatus.SUSPENDED]
    assert await results(log, await next_unit(log, out, steps[4])) == [AppendStatus.CREATED]
    await log.resume()
    assert await results(log, await next_unit(log, built, steps[3])) == [AppendStatus.CREATED]
    await created(log)


async def test_an_unverified_server_accepts_orders_and_no_send(log: EventLog) -> None:
    [order_id] = await created(log)
    steps = after_submission()
    for fact in steps[:3]:
        assert await results(log, await next_unit(log, order_id, fact)) == [AppendStatus.CREATED]
    send = await next_unit(log, order_id, steps[3])
    await log.mark_verified("the server before it was started again")
    assert await results(log, send) == [AppendStatus.UNVERIFIED]
    assert await results(log, *creations(log)) == [AppendStatus.CREATED]
    await log.mark_verified(await log.server_id())
    assert await results(log, send) == [AppendStatus.CREATED]
