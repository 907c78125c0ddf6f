"""Leases of inbox entries: kept as long as any order of the entry is in hand, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from events.ids import new_order_id
from events.log import Entry, EventLog, Inbox, settle_only
from events.log.inbox import SUSPECT_DELIVERIES
from tests.support.log.played import ACCOUNT, submitted
from tests.support.log.workers import crew
from tests.support.waits import until

LONG_MS = 3_600_000
SHORT_MS = 20


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    opened = EventLog(redis_url, build="test")
    await opened.open()
    yield opened
    await opened.close()


async def opened(log: EventLog, consumer: str, lease_ms: int) -> Inbox:
    inbox = log.inbox("router", consumer, lease_ms=lease_ms)
    await inbox.open()
    return inbox


async def entry_of(log: EventLog, inbox: Inbox, orders: int) -> Entry:
    """One entry that names so many new orders, delivered."""
    units = [log.creation(new_order_id(), ACCOUNT, submitted())[0] for _ in range(orders)]
    await log.append(units)
    [entry] = await inbox.take(1, block_ms=30_000)
    assert entry.order_ids == tuple(unit.order_id for unit in units)
    return entry


async def idle_ms(log: EventLog, entry: Entry) -> int:
    """How long ago it was delivered or renewed."""
    inbox = log.keys.inbox("router")
    [[_, _, idle, _]] = await log._link.call("XPENDING", inbox, "workers", entry.id, entry.id, 1)
    return int(idle)


async def is_stale(log: EventLog, entry: Entry) -> bool:
    return await idle_ms(log, entry) > SHORT_MS


async def test_of_an_entry_that_is_settled_in_part_the_lease_is_kept(log: EventLog) -> None:
    inbox = await opened(log, "one", SHORT_MS)
    entry = await entry_of(log, inbox, 2)
    inbox.settled([entry.share(0)])
    assert (inbox.held_orders, inbox.holds(entry)) == (1, True)
    await until(partial(is_stale, log, entry))
    stale_ms = await idle_ms(log, entry)
    assert await inbox.renew() == []
    assert await idle_ms(log, entry) < stale_ms
    inbox.settled([entry.share(1)])
    assert (inbox.held_orders, inbox.holds(entry)) == (0, False)
    await inbox.close()


async def test_a_renewal_keeps_every_entry_in_hand(log: EventLog) -> None:
    inbox = await opened(log, "one", LONG_MS)
    entries = [await entry_of(log, inbox, 1) for _ in range(3)]
    for entry in entries:
        aged = ("IDLE", LONG_MS, "JUSTID")
        await log._link.call(
            "XCLAIM", log.keys.inbox("router"), "workers", "one", 0, entry.id, *aged
        )
    assert await inbox.renew() == []
    assert all([await idle_ms(log, entry) < LONG_MS for entry in entries])
    await inbox.close()


async def test_a_lease_is_renewed_long_before_it_is_over(
    log: EventLog, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits_s: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits_s.append(delay_s)
        raise asyncio.CancelledError

    async with crew(redis_url, tmp_path) as team:
        worker = await team.worker("router", lease_ms=LONG_MS)
        with monkeypatch.context() as patch:
            patch.setattr("stages.runtime.runner.asyncio.sleep", sleep)
            with pytest.raises(asyncio.CancelledError):
                await worker._renew()
    assert waits_s
    assert waits_s[0] * 1000 <= LONG_MS / 4


async def test_work_in_hand_that_was_renewed_too_late_is_not_begun_twice(log: EventLog) -> None:
    inbox = await opened(log, "one", SHORT_MS)
    entry = await entry_of(log, inbox, 1)
    await until(partial(is_stale, log, entry))
    assert await inbox.take(1, block_ms=1) == []
    assert inbox.held_orders == 1
    await inbox.close()


async def test_an_order_that_is_settled_twice_in_one_call_settles_no_other(log: EventLog) -> None:
    inbox = await opened(log, "one", LONG_MS)
    entry = await entry_of(log, inbox, 2)
    settling = settle_only(entry.order_ids[0], entry.share(0))
    await log.append([settling, settling])
    await inbox.leave()
    other = await opened(log, "other", LONG_MS)
    [left] = await other.take(1, block_ms=30_000)
    assert left.order_ids == entry.order_ids[1:]
    for used in (inbox, other):
        await used.close()


async def test_who_lost_an_entry_does_not_put_it_back(log: EventLog) -> None:
    late = await opened(log, "late", LONG_MS)
    entry = await entry_of(log, late, 2)
    await until(partial(is_stale, log, entry))
    owner = await opened(log, "owner", SHORT_MS)
    [taken] = await owner.take(1, block_ms=30_000)
    assert (taken.id, taken.deliveries) == (entry.id, 1)
    await late.split(entry)
    assert await owner.renew() == []
    assert await log._link.call("XLEN", log.keys.inbox("router")) == 1
    for used in (late, owner):
        await used.close()


async def test_an_entry_that_lost_its_worker_again_and_again_is_handed_over_alone(
    log: EventLog,
) -> None:
    dead = await opened(log, "dead", LONG_MS)
    suspect, other = [await entry_of(log, dead, 1) for _ in range(2)]
    for entry, deliveries in ((suspect, SUSPECT_DELIVERIES), (other, 1)):
        await log._link.call(
            "XCLAIM", log.keys.inbox("router"), "workers", "dead", 0, entry.id,
            "IDLE", 60_000, "RETRYCOUNT", deliveries,
        )  # fmt: skip
    heir = await opened(log, "heir", 2000)
    assert [entry.id for entry in await heir.take(10, block_ms=1)] == [suspect.id]
    left: list[Entry] = []

    async def taken() -> bool:
        await heir.renew()
        left.extend(await heir.take(10, block_ms=1))
        return bool(left)

    await until(taken)
    assert [entry.id for entry in left] == [other.id]
    for used in (dead, heir):
        await used.close()
