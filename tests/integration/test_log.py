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

from events.ids import new_order_id
from events.log import (
    POSITIONS_KEPT,
    Entry,
    EventLog,
    Fenced,
    Head,
    Idempotency,
    Inbox,
    Regressed,
    Result,
    Unanswered,
    Unavailable,
    Unit,
    settle_only,
)
from events.log.commit import append_library
from events.log.head import decode_head, head_of
from events.log.inbox import DUE_LIMIT
from events.order import encode
from events.streams.hash_chain import GENESIS, follows
from events.types import AttemptFailed, Fact, OrderFailed, RoutingStarted
from tests.support.log.played import ACCOUNT, after_submission, routed, submitted
from tests.support.processes.proxied import proxied
from tests.support.waits import HANG_S, until

WINDOW_S = 3600
HOUR_MS = 3_600_000
NEVER_MS = 24 * HOUR_MS


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    one = EventLog(redis_url, build="test", idempotency_window_s=WINDOW_S)
    await one.open()
    yield one
    await one.close()


def creations(log: EventLog, number: int = 1) -> list[Unit]:
    return [log.creation(new_order_id(), ACCOUNT, submitted())[0] for _ in range(number)]


async def results(log: EventLog, *units: Unit) -> list[Result]:
    return [answer.result for answer in await log.append(units)]


async def created(log: EventLog, number: int = 1) -> list[str]:
    units = creations(log, number)
    assert set(await results(log, *units)) == {Result.CREATED}
    return [unit.order_id for unit in units]


async def head(log: EventLog, order_id: str) -> Head:
    found = (await log.load([order_id]))[0]
    assert found is not None
    return found


async def next_unit(log: EventLog, order_id: str, *facts: Fact, **options: Any) -> Unit:
    found = await head(log, order_id)
    said = log.say(found, found.order, facts)
    return log.unit_of(found, found.order, said, **options)


async def opened(
    log: EventLog, consumer: str, *, stage: str = "router", lease_ms: int = NEVER_MS
) -> Inbox:
    inbox = log.inbox(stage, consumer, lease_ms=lease_ms)
    await inbox.open()
    return inbox


async def taken(inbox: Inbox, orders: int) -> list[Entry]:
    """Entries that name at least so many orders."""
    found: list[Entry] = []
    async with asyncio.timeout(HANG_S):
        while sum(len(entry.order_ids) for entry in found) < orders:
            found += await inbox.take(10, block_ms=50)
    return found


def ids_of(entries: list[Entry]) -> list[str]:
    return [order_id for entry in entries for order_id in entry.order_ids]


async def depth(log: EventLog, stage: str = "router") -> int:
    return int(await log._link.call("XLEN", log.keys.inbox(stage)))


# -- what becomes of a unit ------------------------------------------------------------------------


async def test_a_unit_is_created_once_and_exists_when_it_comes_again(log: EventLog) -> None:
    [unit] = creations(log)
    first, again = (await log.append([unit]))[0], (await log.append([unit]))[0]
    assert (first.result, first.position) == (Result.CREATED, 1)
    assert (again.result, again.position) == (Result.EXISTS, 1)
    started = await next_unit(log, unit.order_id, RoutingStarted())
    assert await results(log, started) == [Result.CREATED]
    assert await results(log, started) == [Result.EXISTS]
    assert await log.position() == 2


async def test_of_two_that_read_the_same_head_one_conflicts(log: EventLog) -> None:
    [order_id] = await created(log)
    one = await next_unit(log, order_id, RoutingStarted())
    other = await next_unit(log, order_id, AttemptFailed("router", 1, "x", "", 0))
    assert await results(log, one) == [Result.CREATED]
    assert await results(log, other) == [Result.CONFLICT]
    [third] = await created(log)
    both = [
        await next_unit(log, third, RoutingStarted()),
        await next_unit(log, third, AttemptFailed("router", 1, "x", "", 0)),
    ]
    assert await results(log, *both) == [Result.CREATED, Result.CONFLICT]  # in one call too


async def test_a_unit_that_comes_too_late_is_refused_by_the_clock_of_the_server(
    log: EventLog,
) -> None:
    [order_id] = await created(log)
    now_ms = time.time_ns() // 1_000_000
    late = await next_unit(log, order_id, RoutingStarted(), not_after_ms=now_ms - 1)
    assert await results(log, late) == [Result.LATE]
    soon = await next_unit(log, order_id, RoutingStarted(), not_after_ms=now_ms + 10_000)
    assert await results(log, soon) == [Result.CREATED]
    # A creation that was under way for longer than a head is sure to live could be a second one.
    old = new_order_id(now_ms=now_ms - WINDOW_S * 500 - 1000)
    assert await results(log, log.creation(old, ACCOUNT, submitted())[0]) == [Result.LATE]


async def test_a_key_names_one_order_also_within_one_call(log: EventLog) -> None:
    def named(value: bytes) -> Unit:
        names = Idempotency((log.keys.idempotency(ACCOUNT, "key", "k"),), value)
        return log.creation(new_order_id(), ACCOUNT, submitted(), names)[0]

    first, second = await log.append([named(b"one"), named(b"two")])
    assert first.result is Result.CREATED
    assert (second.result, second.duplicate_of) == (Result.DUPLICATE, b"one")
    third = (await log.append([named(b"three")]))[0]
    assert (third.result, third.duplicate_of) == (Result.DUPLICATE, b"one")
    assert await log.position() == 1


async def test_each_unit_of_a_call_is_written_whole_or_not_at_all(log: EventLog) -> None:
    good, stale, late = await created(log, 3)
    inbox = await opened(log, "c")
    [entry] = await taken(inbox, 3)
    before = {one: await head(log, one) for one in (good, stale, late)}
    facts = after_submission()[:3]
    overtaken = await next_unit(log, stale, *facts, share=entry.share(1))
    assert await results(log, await next_unit(log, stale, RoutingStarted(), wake=False)) == [
        Result.CREATED
    ]
    units = [
        overtaken,
        await next_unit(log, good, *facts, share=entry.share(0)),
        await next_unit(log, late, *facts, share=entry.share(2), not_after_ms=1),
    ]
    assert await results(log, *units) == [Result.CONFLICT, Result.CREATED, Result.LATE]
    assert (await head(log, good)).version == 4
    assert (await head(log, good)).positions == (1, 5, 6, 7)
    assert (await head(log, stale)).version == 2
    assert await head(log, late) == before[late]
    assert await log.position() == 7
    assert await depth(log, "submitter") == 1
    await inbox.leave()
    [left] = await taken(inbox, 2)
    assert left.order_ids == (stale, late)  # the share of the good one alone is settled
    await inbox.close()


async def test_a_head_is_what_its_events_add_up_to(log: EventLog) -> None:
    [order_id] = await created(log)
    for fact in after_submission():
        assert await results(log, await next_unit(log, order_id, fact)) == [Result.CREATED]
    found = await head(log, order_id)
    digest = GENESIS
    for stored in await log.history(found.positions):
        assert follows(digest, bytes(stored.record.body), stored.record.hash)
        digest = stored.record.hash
    assert (found.hash, found.version, found.positions) == (digest, 6, (1, 2, 3, 4, 5, 6))
    assert found.body == encode(found.order)
    assert await log.open_orders() == 0


async def test_a_head_does_not_grow_with_the_history_and_one_that_did_is_read_and_goes_on(
    log: EventLog,
) -> None:
    [order_id] = await created(log)
    again = [AttemptFailed("router", n, "x", "", 0) for n in range(100)]
    sizes = []
    for facts in (*([fact] for fact in again), again, [again[0]], again, again[:5]):
        found = await head(log, order_id)
        assert (await results(log, log.unit(found, found.order, facts)[0])) == [Result.CREATED]
        sizes.append(await log._link.call("STRLEN", log.keys.order(order_id)))
    assert max(sizes[-4:]) - min(sizes[-4:]) < 8  # of the order itself
    found = await head(log, order_id)
    assert found.version == found.order.version == 307
    assert found.positions == tuple(range(308 - POSITIONS_KEPT, 308))
    newest = await log.history(found.positions)
    assert newest[-1].record.hash == found.hash
    # As layout 2 wrote it, with all positions.
    stored = await log._link.call("GET", log.keys.order(order_id))
    whole = stored[: -8 * POSITIONS_KEPT] + struct.pack(">307Q", *range(1, 308))
    await log._link.call("SET", log.keys.order(order_id), whole)
    assert await head(log, order_id) == found
    assert (await results(log, log.unit(found, found.order, again[:1])[0])) == [Result.CREATED]
    found = await head(log, order_id)
    assert (found.version, found.positions[0], found.positions[-1]) == (308, 181, 308)
    assert found.order.version == 308


# -- many writers ----------------------------------------------------------------------------------


async def test_of_a_hundred_writers_to_one_order_exactly_one_wins_each_version(
    redis_url: str, log: EventLog
) -> None:
    [order_id] = await created(log)
    logs = [EventLog(redis_url, build=f"b{n}") for n in range(5)]
    for one in logs:
        await one.open()
    start = await head(log, order_id)

    async def write(number: int) -> Counter[Result]:
        """Until it is the one that wins."""
        own, seen, found = logs[number % 5], Counter[Result](), start
        while not seen[Result.CREATED]:
            fact = AttemptFailed("router", number, "x", "", 0)
            unit, _ = own.unit(found, found.order, [fact], wake=False)
            seen.update(await results(own, unit))
            found = await head(own, order_id)
        return seen

    won = await asyncio.gather(*(write(number) for number in range(100)))
    total = sum(won, Counter[Result]())
    assert total[Result.CREATED] == 100
    assert set(total) == {Result.CREATED, Result.CONFLICT}
    found = await head(log, order_id)
    assert found.version == 101
    assert found.positions == tuple(range(1, 102))
    facts = [s.record.event().fact for s in await log.history(found.positions[1:])]
    assert sorted(f.attempt for f in facts if isinstance(f, AttemptFailed)) == list(range(100))
    for one in logs:
        await one.close()


async def test_positions_have_no_gap_however_many_write(redis_url: str, log: EventLog) -> None:
    logs = [EventLog(redis_url, build=f"b{n}") for n in range(4)]
    for one in logs:
        await one.open()

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
    for one in logs:
        await one.close()


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
    names = {line[1].decode() for line in await log._link.call("FUNCTION", "LIST")}
    assert {log._library.name, "oee_another"} <= names
    assert await log.position() == 20
    # Flushed functions come back by themselves.
    await log._link.call("FUNCTION", "FLUSH")
    await created(log)
    await created(other)
    await other.close()


@pytest.mark.parametrize(("field", "value"), [("epoch", "2"), ("layout", "99")])
async def test_a_process_of_another_epoch_or_layout_is_fenced(
    log: EventLog, field: str, value: str
) -> None:
    [order_id] = await created(log)
    unit = await next_unit(log, order_id, RoutingStarted())
    await log._link.call("HSET", log.keys.meta, field, value)
    with pytest.raises(Fenced):
        await log.append([unit])
    with pytest.raises(Fenced):
        await log.append(creations(log))
    assert await log.position() == 1


# -- answers that are lost -------------------------------------------------------------------------


async def test_an_append_whose_answer_is_lost_is_tried_again_and_written_once(
    redis_url: str, log: EventLog
) -> None:
    async with proxied(redis_url) as proxy:
        far = EventLog(proxy.url, build="far")
        await far.open()
        [order_id] = await created(far)
        inbox = await opened(log, "c")
        [entry] = await taken(inbox, 1)
        unit = await next_unit(far, order_id, RoutingStarted(), routed(), share=entry.share(0))
        proxy.mode = "drop-answers"
        appending = far.append([unit])

        async def written() -> bool:
            return await log.position() == 3

        await until(written)
        assert not appending.done()
        proxy.cut("pass")
        answer = (await appending)[0]
        assert (answer.result, answer.position) == (Result.EXISTS, 3)
        assert await log.position() == 3
        assert await depth(log, "builder") == 1  # the next stage is woken once
        assert await depth(log, "router") == 0
        await inbox.close()
        await far.close()


async def test_one_who_waits_only_so_long_is_told_whether_it_may_have_been_written(
    redis_url: str, log: EventLog
) -> None:
    async with proxied(redis_url) as proxy:
        far = EventLog(proxy.url, build="far")
        await far.open()
        await created(far)
        proxy.cut("refuse")
        await asyncio.sleep(0.02)  # it has noticed: so it knows that nothing was sent
        with pytest.raises(Unavailable):
            await far.append(creations(far), timeout_s=0.1)
        assert await log.position() == 1
        proxy.cut("pass")
        await created(far)
        proxy.mode = "drop-answers"
        with pytest.raises(Unanswered):
            await far.append(creations(far), timeout_s=0.1)

        async def written() -> bool:
            return await log.position() == 3

        await until(written)
        proxy.cut("pass")
        await far.close()


@pytest.mark.parametrize("refusal", ["the connection", "the log"])
async def test_a_refusal_after_a_lost_answer_never_says_that_nothing_was_written(
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
            await log._link.call("HSET", log.keys.meta, "epoch", 7)
            proxy.cut("pass")
        with pytest.raises(Unanswered):
            await appending
        proxy.cut("pass")
        await far.close()


# -- inboxes ---------------------------------------------------------------------------------------


async def test_an_order_that_is_handed_over_alone_comes_with_its_own_head(log: EventLog) -> None:
    inbox = await opened(log, "one")
    [first] = creations(log)
    assert await results(log, first) == [Result.CREATED]
    [entry] = await taken(inbox, 1)
    assert decode_head(entry.head) == await head(log, first.order_id)
    # One call writes two heads and wakes one order; the next wakes two.
    silent, second, *pair = creations(log, 4)
    await results(log, replace(silent, wake=False), second)
    [alone] = await taken(inbox, 1)
    assert (alone.order_ids, alone.head) == ((second.order_id,), b"")
    await results(log, *pair)
    [both] = await taken(inbox, 2)
    assert (len(both.order_ids), both.head) == (2, b"")
    await inbox.close()


async def test_of_an_entry_that_is_settled_in_part_the_rest_is_put_back(log: EventLog) -> None:
    ids = await created(log, 4)
    inbox = await opened(log, "c")
    [entry] = await taken(inbox, 4)
    for place in (0, 2):
        await log.append([settle_only(ids[place], entry.share(place))])
    await log.append([settle_only(ids[2], entry.share(2))])  # twice is as good as once
    assert await depth(log) == 1
    await inbox.leave()
    again = await opened(log, "d")
    [left] = await taken(again, 2)
    assert (left.order_ids, left.deliveries) == ((ids[1], ids[3]), 0)
    units = [settle_only(order_id, left.share(n)) for n, order_id in enumerate(left.order_ids)]
    await log.append(units)
    again.settled(unit.share for unit in units if unit.share)
    assert await depth(log) == 0
    assert again.held_orders == 0
    assert await log._link.call("EXISTS", log.keys.shares("router")) == 0
    for one in (inbox, again):
        await one.close()


async def test_orders_that_wait_come_back_in_the_order_of_their_time(log: EventLog) -> None:
    ids = await created(log, 3)
    inbox = await opened(log, "c")
    [entry] = await taken(inbox, 3)
    waits = (3, 1, 2)  # hours, which a test lets pass
    await log.append(
        [
            settle_only(ids[n], entry.share(n), wait_ms=wait * HOUR_MS)
            for n, wait in enumerate(waits)
        ]
    )
    assert await depth(log) == 0
    moved, next_ms = await inbox.due()
    assert moved == 0
    assert next_ms is not None
    assert 0 <= next_ms <= HOUR_MS
    assert (await log.lag())["router"].waiting == 3
    back: list[str] = []
    for _ in range(3):
        for member in await log._link.call("ZRANGE", log.keys.due("router"), 0, -1):
            await log._link.call("ZINCRBY", log.keys.due("router"), -HOUR_MS, member)
        moved, _ = await inbox.due()
        back += ids_of(await taken(inbox, moved))
    assert back == [ids[1], ids[2], ids[0]]
    assert await inbox.due() == (0, None)
    await inbox.close()


async def test_of_more_due_orders_than_are_handed_over_at_once_none_is_forgotten(
    log: EventLog,
) -> None:
    ids = await created(log, DUE_LIMIT + 100)
    inbox = await opened(log, "c")
    for entry in await taken(inbox, len(ids)):
        shares = [(i, entry.share(place)) for place, i in enumerate(entry.order_ids)]
        await log.append([settle_only(i, share, wait_ms=1) for i, share in shares])
    waiting = len(ids)
    while waiting:
        moved, next_ms = await inbox.due()
        waiting -= moved
        assert moved <= DUE_LIMIT
        assert (await log.lag())["router"].waiting == waiting
        await asyncio.sleep((next_ms or 0) / 1000)
    assert sorted(ids_of(await taken(inbox, len(ids)))) == sorted(ids)
    await inbox.close()


async def test_what_is_put_back_counts_as_never_delivered(log: EventLog) -> None:
    ids = await created(log, 3)
    for turn in range(4):
        inbox = await opened(log, f"c{turn}")
        entries = await taken(inbox, 3)
        assert ids_of(entries) == ids
        assert {entry.deliveries for entry in entries} == {0}
        await inbox.leave()
        await inbox.close()
    assert await log._link.call("XINFO", "CONSUMERS", log.keys.inbox("router"), "workers") == []


async def test_what_a_dead_worker_held_is_taken_over_with_its_deliveries_counted(
    log: EventLog,
) -> None:
    ids = await created(log, 3)
    for turn in range(4):
        inbox = await opened(log, f"c{turn}", lease_ms=10)
        entries = await taken(inbox, 3)
        assert ids_of(entries) == ids
        assert {entry.deliveries for entry in entries} == {turn}
        await inbox.close()  # without a word


async def test_a_lost_inbox_is_rebuilt_from_what_the_open_orders_owe(log: EventLog) -> None:
    ids = await created(log, 5)
    await results(log, await next_unit(log, ids[0], OrderFailed("router", "x", 1)))
    await results(log, await next_unit(log, ids[1], RoutingStarted(), routed()))
    inbox = await opened(log, "c")
    await log._link.call("DEL", log.keys.inbox("router"))
    assert sorted(ids_of(await taken(inbox, 3))) == sorted(ids[2:])
    await inbox.close()


async def test_a_lost_group_is_made_again_and_delivers_what_is_owed(log: EventLog) -> None:
    ids = await created(log, 3)
    inbox = await opened(log, "c")
    [entry] = await taken(inbox, 3)
    await log.append([settle_only(ids[0], entry.share(0))])
    await created(log, 2)
    await log._link.call("XGROUP", "DESTROY", log.keys.inbox("router"), "workers")
    other = await opened(log, "d")
    found = set(ids_of(await taken(other, 4)))
    assert found >= set(ids[1:])
    assert len(found) >= 4
    for one in (inbox, other):
        await one.close()


async def test_trimming_the_log_forgets_nothing_that_is_owed(log: EventLog) -> None:
    """Events go, inboxes and heads stay; who reads from further back is told so."""
    pending = await created(log, 3)
    for _ in range(300):
        await created(log)
    inbox = await opened(log, "c")
    held = await taken(inbox, 3)
    # XTRIM ~ forgets whole nodes of the stream only: as a person would, do it exactly.
    await log._link.call("XTRIM", log.keys.log, "MINID", "=", "290-0")
    assert (await log.bounds())[0] == 290
    reader = log.reader()
    with pytest.raises(Regressed):
        await reader.read(0)
    assert (await reader.read(289))[0].first == 290
    await reader.close()
    unit = await next_unit(log, pending[0], RoutingStarted(), share=held[0].share(0))
    assert await results(log, unit) == [Result.CREATED]
    assert await log.history((await head(log, pending[0])).positions) != []
    await inbox.leave()
    assert set(ids_of(await taken(inbox, 302))) >= set(pending[1:])
    assert head_of(unit.new).version == 2
    await inbox.close()


async def test_a_suspended_log_takes_no_order_and_no_send_and_follows_what_is_out(
    log: EventLog,
) -> None:
    built, out = await created(log, 2)
    steps = after_submission()
    await results(log, await next_unit(log, built, *steps[:3]))
    await results(log, await next_unit(log, out, *steps[:4]))
    await log.suspend("to look around")
    assert await results(log, *creations(log)) == [Result.SUSPENDED]
    assert await results(log, await next_unit(log, built, steps[3])) == [Result.SUSPENDED]
    assert await results(log, await next_unit(log, out, steps[4])) == [Result.CREATED]
    await log.resume()
    assert await results(log, await next_unit(log, built, steps[3])) == [Result.CREATED]
    await created(log)


async def test_a_server_that_nobody_vouched_for_takes_orders_and_no_send(log: EventLog) -> None:
    [order_id] = await created(log)
    steps = after_submission()
    for fact in steps[:3]:
        assert await results(log, await next_unit(log, order_id, fact)) == [Result.CREATED]
    send = await next_unit(log, order_id, steps[3])
    await log.vouch("the server before it was started again")
    assert await results(log, send) == [Result.UNVERIFIED]
    assert await results(log, *creations(log)) == [Result.CREATED]
    await log.vouch(await log.server_id())
    assert await results(log, send) == [Result.CREATED]
