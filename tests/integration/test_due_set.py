"""Orders that wait for a time: each comes back when it is over, and none before."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from events.ids import new_order_id
from events.log import AppendRequest, EventLog, Inbox, ack_only
from events.log.append_request import WAIT_MAX_MS
from events.log.inbox import DUE_LIMIT
from events.types import AttemptFailed
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.log.played import ACCOUNT, submitted
from tests.support.log.workers import crew
from tests.support.waits import until

HOUR_MS = 3_600_000


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


@pytest.fixture
async def inbox(log: EventLog) -> AsyncIterator[Inbox]:
    opened = log.inbox("router", "one", lease_ms=HOUR_MS)
    await opened.open()
    yield opened
    await opened.close()


async def let_wait(log: EventLog, inbox: Inbox, waits_ms: Sequence[int]) -> list[str]:
    """New orders that were delivered and wait for so long each; their ids."""
    ids: list[str] = []
    for at in range(0, len(waits_ms), 100):
        some = waits_ms[at : at + 100]
        requests = [log.build_creation(new_order_id(), ACCOUNT, submitted())[0] for _ in some]
        await log.append(requests)
        [message] = await inbox.take(1, block_ms=30_000)
        waiting = [
            ack_only(order_id, message.delivery(place), wait_ms=some[place])
            for place, order_id in enumerate(message.order_ids)
        ]
        await log.append(waiting)
        inbox.mark_acked(request.delivery for request in waiting if request.delivery is not None)
        ids += message.order_ids
    return ids


async def due_until(log: EventLog, ids: Sequence[str]) -> None:
    """Waits until the server's clock is past the time of all of these."""

    async def past() -> bool:
        seconds, us = await LogServer(log).call("TIME")
        scores = await LogServer(log).call("ZMSCORE", log.keys.due("router"), *ids)
        now_ms = int(seconds) * 1000 + int(us) // 1000
        return all(float(score) < now_ms for score in scores)

    await until(past)


async def test_due_orders_beyond_one_promotion_are_all_delivered(
    log: EventLog, inbox: Inbox
) -> None:
    ids = await let_wait(log, inbox, [1] * (DUE_LIMIT + 100))
    await due_until(log, ids)
    assert [(await inbox.promote_due())[0] for _ in range(3)] == [DUE_LIMIT, 100, 0]
    handed_over: set[str] = set()
    while len(handed_over) < len(ids):
        for message in await inbox.take(16, block_ms=30_000):
            handed_over.update(message.order_ids)
    assert handed_over == set(ids)


async def test_the_order_due_first_is_delivered_first(log: EventLog, inbox: Inbox) -> None:
    third, first, second = await let_wait(log, inbox, [30, 10, 20])
    await due_until(log, [third, first, second])
    assert (await inbox.promote_due())[0] == 3
    [message] = await inbox.take(1, block_ms=30_000)
    assert message.order_ids == (first, second, third)


async def test_a_woken_order_is_not_attempted_before_its_due_time(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        [order_id] = await team.submit()
        later_us = time.time_ns() // 1000 + HOUR_MS * 1000
        await team.append(order_id, AttemptFailed("router", 1, "no-route", "", later_us))
        await team.worker("router", backoff_ms=(20, 2 * HOUR_MS))

        async def waits() -> bool:
            return (await team.log.lag())["router"].delayed == 1

        await until(waits)
        await team.settled("router")
        assert (await team.head(order_id)).version == 2


async def test_no_order_waits_past_its_expiry(log: EventLog, inbox: Inbox) -> None:
    expires_ms = time.time_ns() // 1_000_000 + 60_000
    fact = replace(submitted(), expires_at_us=expires_ms * 1000)
    order_id = new_order_id()
    await log.append([log.build_creation(order_id, ACCOUNT, fact)[0]])
    [message] = await inbox.take(1, block_ms=30_000)
    [head] = await log.load([order_id])
    assert head is not None
    failed = AttemptFailed("router", 1, "no-route", "", 0)
    delivery = message.delivery(0)
    request: AppendRequest
    request, _ = log.build_append_of(head, head.order, [failed], delivery=delivery, wait_ms=HOUR_MS)
    await log.append([request])
    moved, next_ms = await inbox.promote_due()
    assert moved == 0
    assert next_ms is not None
    assert next_ms <= 60_001


async def test_a_wait_of_weeks_is_capped_at_the_longest_wait_of_the_log(
    log: EventLog, inbox: Inbox
) -> None:
    await let_wait(log, inbox, [50 * 24 * HOUR_MS])
    moved, next_ms = await inbox.promote_due()
    assert moved == 0
    assert next_ms is not None
    assert next_ms <= WAIT_MAX_MS


@pytest.mark.parametrize("foreign", [b"short", b"\xff" * 36])
async def test_a_recreated_inbox_leaves_waiting_orders_in_the_due_set(
    log: EventLog, inbox: Inbox, foreign: bytes
) -> None:
    ids = await let_wait(log, inbox, [HOUR_MS, HOUR_MS])
    server = LogServer(log)
    await server.call("ZADD", log.keys.due("router"), 1, foreign)  # before the others
    await server.call("DEL", log.keys.inbox("router"))
    again = log.inbox("router", "two", lease_ms=HOUR_MS)
    await again.open()
    assert await server.call("XLEN", log.keys.inbox("router")) == 0
    assert set(ids) <= {
        item.decode(errors="replace")
        for item in await server.call("ZRANGE", log.keys.due("router"), 0, -1)
    }
    await again.close()
