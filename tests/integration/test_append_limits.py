"""Appends at their bounds: sizes of batches, the age of a creation, a server short of memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from events.ids import new_order_id
from events.log import AppendStatus, EventLog, Full
from events.log.group_commit import BYTES_PER_CALL, UNITS_PER_CALL
from events.log.reader import Batch
from events.types import AttemptFailed, RoutingStarted
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.log.played import ACCOUNT, submitted


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


@pytest.fixture
def no_memory(redis_url: str) -> Iterator[None]:
    """The server has used more than it may."""
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


async def batches(log: EventLog) -> list[Batch]:
    reader = log.reader()
    batches = await reader.read(0, batches=1000)
    await reader.close()
    return batches


@pytest.mark.parametrize("count", [1, 15, 16, 17, 255, 256, 257, 500])
async def test_a_batch_of_any_size_is_read_as_it_was_written(log: EventLog, count: int) -> None:
    requests = [log.build_creation(new_order_id(), ACCOUNT, submitted())[0] for _ in range(count)]
    answers = await log.append(requests)
    [batch] = await batches(log)
    assert (batch.first, batch.last) == (1, count)
    ids = [record.event().order_id for record in batch.records]
    assert ids == [request.order_id for request in requests]
    assert [answer.position for answer in answers] == [*range(1, count + 1)]


async def test_each_head_of_a_batch_has_the_positions_of_its_own_events(log: EventLog) -> None:
    ids = [new_order_id() for _ in range(3)]
    await log.append([log.build_creation(order_id, ACCOUNT, submitted())[0] for order_id in ids])
    facts = [RoutingStarted(), AttemptFailed("router", 1, "x", "", 0)]
    heads = [head for head in await log.load(ids) if head is not None]
    requests = [
        log.build_append_of(head, head.order, facts[: 1 + n % 2])[0] for n, head in enumerate(heads)
    ]
    assert {answer.status for answer in await log.append(requests)} == {AppendStatus.CREATED}
    for order_id, head in zip(ids, await log.load(ids), strict=True):
        assert head is not None
        events = [stored.record.event() for stored in await log.history(head.positions)]
        assert {event.order_id for event in events} == {order_id}
        assert [event.version for event in events] == [*range(1, head.version + 1)]


async def test_no_call_has_more_orders_than_it_may(log: EventLog) -> None:
    """The server unpacks what a call brings onto a stack that has an end."""
    some = [
        [log.build_creation(new_order_id(), ACCOUNT, submitted())[0] for _ in range(200)]
        for _ in range(6)
    ]
    await asyncio.gather(*(log.append(requests) for requests in some))
    assert max(len(batch.records) for batch in await batches(log)) <= UNITS_PER_CALL


async def test_no_call_has_more_bytes_than_it_may(log: EventLog) -> None:
    ids = [new_order_id() for _ in range(6)]
    await log.append([log.build_creation(order_id, ACCOUNT, submitted())[0] for order_id in ids])
    large = AttemptFailed("router", 1, "x", "x" * (BYTES_PER_CALL // 3), 0)
    heads = [head for head in await log.load(ids) if head is not None]
    requests = [log.build_append_of(head, head.order, [large])[0] for head in heads]
    await asyncio.gather(*(log.append([request]) for request in requests))
    assert max(len(batch.data) for batch in (await batches(log))[1:]) <= BYTES_PER_CALL


async def test_a_creation_older_than_half_the_retention_of_heads_is_late(
    log: EventLog,
) -> None:
    """One that was delayed could else find no head of the first, and be carried out twice."""
    now_ms, half_ms = time.time_ns() // 1_000_000, log.heads_kept_ms // 2
    young, old = (new_order_id(now_ms=now_ms - half_ms + ms) for ms in (120_000, -1000))
    requests = [log.build_creation(order_id, ACCOUNT, submitted())[0] for order_id in (young, old)]
    assert [answer.status for answer in await log.append(requests)] == [
        AppendStatus.CREATED,
        AppendStatus.LATE,
    ]


async def test_heads_of_ended_orders_stay_for_ten_minutes_or_the_window_in_ms(
    log: EventLog, redis_url: str
) -> None:
    order_id = new_order_id()
    await log.append([log.build_creation(order_id, ACCOUNT, submitted())[0]])
    for window_s, kept_ms in ((86_400, 600_000), (60, 60_000)):
        other = EventLog(redis_url, build="test", idempotency_window_s=window_s)
        await other.open()
        await other.expire_heads([order_id])
        left_ms = await LogServer(log).call("PTTL", log.keys.order(order_id))
        assert kept_ms // 2 < left_ms <= kept_ms
        await other.close()


async def test_the_heads_of_all_named_orders_expire(log: EventLog) -> None:
    ids = [new_order_id() for _ in range(1100)]
    await asyncio.gather(
        *(log.append([log.build_creation(order_id, ACCOUNT, submitted())[0]]) for order_id in ids)
    )
    await log.expire_heads(ids)
    left = await LogServer(log).pipeline([("PTTL", log.keys.order(order_id)) for order_id in ids])
    assert min(left) > 0


async def test_without_memory_no_order_is_accepted_and_open_orders_continue(
    log: EventLog, request: pytest.FixtureRequest
) -> None:
    order_id = new_order_id()
    await log.append([log.build_creation(order_id, ACCOUNT, submitted())[0]])
    [head] = await log.load([order_id])
    assert head is not None
    request.getfixturevalue("no_memory")
    with pytest.raises(Full):
        await log.append(
            [log.build_creation(new_order_id(), ACCOUNT, submitted())[0]], timeout_s=30
        )
    append_request, _ = log.build_append_of(head, head.order, [RoutingStarted()])
    [answer] = await log.append([append_request])
    assert (answer.status, answer.position) == (AppendStatus.CREATED, 2)
