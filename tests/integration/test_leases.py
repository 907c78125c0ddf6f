"""Leases of inbox entries: kept as long as any order of the entry is in hand, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from events.ids import new_order_id
from events.log import EventLog, Inbox, InboxMessage, ack_only
from events.log import inbox as inboxes
from events.log.inbox import SUSPECT_DELIVERY_COUNT
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.log.played import ACCOUNT, submitted
from tests.support.log.workers import crew
from tests.support.waits import until

LONG_MS = 3_600_000
SHORT_MS = 20


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


async def opened(log: EventLog, consumer: str, lease_ms: int) -> Inbox:
    inbox = log.inbox("router", consumer, lease_ms=lease_ms)
    await inbox.open()
    return inbox


async def entry_of(log: EventLog, inbox: Inbox, orders: int) -> InboxMessage:
    """One entry that names so many new orders, delivered."""
    requests = [log.build_creation(new_order_id(), ACCOUNT, submitted())[0] for _ in range(orders)]
    await log.append(requests)
    [message] = await inbox.take(1, block_ms=30_000)
    assert message.order_ids == tuple(request.order_id for request in requests)
    return message


async def idle_ms(log: EventLog, message: InboxMessage) -> int:
    """How long ago it was delivered or renewed."""
    inbox = log.keys.inbox("router")
    [[_, _, idle, _]] = await LogServer(log).call(
        "XPENDING", inbox, "workers", message.id, message.id, 1
    )
    return int(idle)


async def is_stale(log: EventLog, message: InboxMessage) -> bool:
    return await idle_ms(log, message) > SHORT_MS


async def test_the_lease_of_a_partly_acked_entry_is_renewed(log: EventLog) -> None:
    inbox = await opened(log, "one", SHORT_MS)
    message = await entry_of(log, inbox, 2)
    inbox.mark_acked([message.delivery(0)])
    assert (inbox.held_orders, inbox.holds(message)) == (1, True)
    await until(partial(is_stale, log, message))
    stale_ms = await idle_ms(log, message)
    assert await inbox.renew() == []
    assert await idle_ms(log, message) < stale_ms
    inbox.mark_acked([message.delivery(1)])
    assert (inbox.held_orders, inbox.holds(message)) == (0, False)
    await inbox.close()


async def test_a_renewal_extends_the_lease_of_every_held_entry(log: EventLog) -> None:
    inbox = await opened(log, "one", LONG_MS)
    messages = [await entry_of(log, inbox, 1) for _ in range(3)]
    for message in messages:
        aged = ("IDLE", LONG_MS, "JUSTID")
        await LogServer(log).call(
            "XCLAIM", log.keys.inbox("router"), "workers", "one", 0, message.id, *aged
        )
    assert await inbox.renew() == []
    assert all([await idle_ms(log, inbox_message) < LONG_MS for inbox_message in messages])
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


async def test_a_held_entry_with_an_expired_lease_is_not_taken_twice(log: EventLog) -> None:
    inbox = await opened(log, "one", SHORT_MS)
    message = await entry_of(log, inbox, 1)
    await until(partial(is_stale, log, message))
    assert await inbox.take(1, block_ms=1) == []
    assert inbox.held_orders == 1
    await inbox.close()


async def test_an_order_that_is_settled_twice_in_one_call_settles_no_other(log: EventLog) -> None:
    inbox = await opened(log, "one", LONG_MS)
    message = await entry_of(log, inbox, 2)
    settling = ack_only(message.order_ids[0], message.delivery(0))
    await log.append([settling, settling])
    await inbox.deregister()
    other = await opened(log, "other", LONG_MS)
    [left] = await other.take(1, block_ms=30_000)
    assert left.order_ids == message.order_ids[1:]
    for used in (inbox, other):
        await used.close()


async def test_a_worker_that_lost_an_entry_does_not_return_it(log: EventLog) -> None:
    late = await opened(log, "late", LONG_MS)
    message = await entry_of(log, late, 2)
    await until(partial(is_stale, log, message))
    owner = await opened(log, "owner", SHORT_MS)
    [taken] = await owner.take(1, block_ms=30_000)
    assert (taken.id, taken.deliveries) == (message.id, 1)
    await late.split(message)
    assert await owner.renew() == []
    assert await LogServer(log).call("XLEN", log.keys.inbox("router")) == 1
    for used in (late, owner):
        await used.close()


async def test_an_entry_delivered_too_often_is_handed_over_alone(
    log: EventLog,
) -> None:
    dead = await opened(log, "dead", LONG_MS)
    suspect, other = [await entry_of(log, dead, 1) for _ in range(2)]
    for message, deliveries in ((suspect, SUSPECT_DELIVERY_COUNT), (other, 1)):
        await LogServer(log).call(
            "XCLAIM", log.keys.inbox("router"), "workers", "dead", 0, message.id,
            "IDLE", 60_000, "RETRYCOUNT", deliveries,
        )  # fmt: skip
    heir = await opened(log, "heir", 2000)
    assert [inbox_message.id for inbox_message in await heir.take(10, block_ms=1)] == [suspect.id]
    left: list[InboxMessage] = []

    async def taken() -> bool:
        await heir.renew()
        left.extend(await heir.take(10, block_ms=1))
        return bool(left)

    await until(taken)
    assert [inbox_message.id for inbox_message in left] == [other.id]
    for used in (dead, heir):
        await used.close()


async def test_a_worker_that_leaves_with_many_entries_returns_them_all(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inboxes, "REQUEUED_MAX", 1)
    inbox = await opened(log, "one", SHORT_MS)
    pending = {(await entry_of(log, inbox, 1)).order_ids[0] for _ in range(3)}
    await inbox.deregister()
    other = await opened(log, "other", SHORT_MS)
    taken: set[str] = set()

    async def all_taken() -> bool:
        for message in await other.take(10, block_ms=1):
            taken.update(message.order_ids)
        return taken == pending

    await until(all_taken)
    for used in (inbox, other):
        await used.close()
