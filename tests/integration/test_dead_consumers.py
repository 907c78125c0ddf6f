"""Consumers of dead processes: deleted once nothing is pending for them, and never before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from events.ids import new_order_id
from events.log import EventLog, Inbox
from events.log import inbox as inboxes
from tests.support.log.log_server import LogServer
from tests.support.log.played import ACCOUNT, submitted
from tests.support.waits import until

LEASE_MS = 3_600_000


@pytest.fixture
async def log(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EventLog]:
    monkeypatch.setattr(inboxes, "DEAD_AFTER_MS", 20)
    opened = EventLog(redis_url, build="test")
    await opened.open()
    yield opened
    await opened.close()


async def consumer(log: EventLog, name: str, *, lease_ms: int = 1) -> Inbox:
    inbox = log.inbox("router", name, lease_ms=lease_ms)
    await inbox.open()
    return inbox


async def accepted(log: EventLog) -> str:
    order_id = new_order_id()
    await log.append([log.build_creation(order_id, ACCOUNT, submitted())[0]])
    return order_id


async def consumers(log: EventLog) -> set[str]:
    rows = await LogServer(log).call("XINFO", "CONSUMERS", log.keys.inbox("router"), "workers")
    return {dict(zip(row[::2], row[1::2], strict=True))[b"name"].decode() for row in rows}


async def test_thirty_killed_workers_leave_no_consumers_behind(log: EventLog) -> None:
    for number in range(30):
        killed = await consumer(log, f"killed-{number}")
        assert await killed.take(1, block_ms=1) == []
        await killed.close()
    living = await consumer(log, "living")

    async def alone() -> bool:
        await living.take(1, block_ms=1)
        return await consumers(log) == {"living"}

    await until(alone)
    await living.close()


async def test_a_dead_consumer_with_pending_entries_is_kept_and_its_orders_are_taken_over(
    log: EventLog,
) -> None:
    killed = await consumer(log, "killed", lease_ms=LEASE_MS)
    order_id = await accepted(log)
    [taken] = await killed.take(1, block_ms=30_000)
    assert taken.order_ids == (order_id,)
    await killed.close()
    living = await consumer(log, "living")

    async def is_idle() -> bool:
        [[_, _, idle, _]] = await LogServer(log).call(
            "XPENDING", log.keys.inbox("router"), "workers", "-", "+", 1
        )
        return int(idle) > 20

    await until(is_idle)
    await living._delete_dead()
    assert "killed" in await consumers(log), "its entry would be lost with it"
    [again] = await living.take(1, block_ms=30_000)
    assert again.order_ids == (order_id,)
    assert again.deliveries == 1
    await living.close()


async def test_a_consumer_that_comes_back_after_it_was_deleted_gets_orders_again(
    log: EventLog,
) -> None:
    paused = await consumer(log, "paused", lease_ms=LEASE_MS)
    assert await paused.take(1, block_ms=1) == []
    living = await consumer(log, "living")

    async def is_deleted() -> bool:
        await living._delete_dead()
        return "paused" not in await consumers(log)

    await until(is_deleted)
    order_id = await accepted(log)
    [message] = await paused.take(1, block_ms=30_000)
    assert message.order_ids == (order_id,)
    assert await paused.renew() == []
    await paused.close()
    await living.close()


async def test_an_inbox_that_disappears_under_the_housekeeping_is_opened_again(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = await consumer(log, "living")
    look = living._delete_dead

    async def loses_the_key() -> None:
        await LogServer(log).call("DEL", log.keys.inbox("router"))
        await look()

    with monkeypatch.context() as patch:
        patch.setattr(living, "_delete_dead", loses_the_key)
        assert await living.take(1, block_ms=1) == []
    order_id = await accepted(log)
    [message] = await living.take(1, block_ms=30_000)
    assert message.order_ids == (order_id,)
    await living.close()
