"""Ending orders whose time is over: by what their heads say, whatever the index says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from events.log import EventLog, PairLeases
from events.types import OrderExpired
from stages.triggers.expiry import LOOK_AGAIN_MS, expire
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_leases, opened_log
from tests.support.log.played import Play, after_submission, submitted

HOUR_US = 3_600_000_000


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


@pytest.fixture
async def watches(log: EventLog) -> AsyncIterator[PairLeases]:
    async with opened_leases(log) as pair_leases:
        yield pair_leases


def now_us() -> int:
    return time.time_ns() // 1000


async def indexed_ms(log: EventLog, order_id: str, at_ms: int | None = None) -> int | None:
    """When the index says that an order expires, once it says `at_ms`."""
    if at_ms is not None:
        await LogServer(log).call("ZADD", log.keys.expiry, at_ms, order_id)
    score = await LogServer(log).call("ZSCORE", log.keys.expiry, order_id)
    return None if score is None else int(float(score))


async def version(log: EventLog, order_id: str) -> int:
    [head] = await log.load([order_id])
    assert head is not None
    return head.version


async def test_an_order_past_its_expiry_ends_and_leaves_the_index(
    log: EventLog, watches: PairLeases
) -> None:
    [order_id] = await Play(log).create(fact=replace(submitted(), expires_at_us=now_us() - 1))
    await expire(log, watches)
    [head] = await log.load([order_id])
    assert head is not None
    assert head.order.status == "expired"
    [_, ended] = await log.history(head.positions)
    assert isinstance(ended.record.event().fact, OrderExpired)
    assert await indexed_ms(log, order_id) is None


async def test_an_early_index_entry_is_moved_to_the_expiry_of_its_order(
    log: EventLog, watches: PairLeases
) -> None:
    expires_us = now_us() + HOUR_US
    [order_id] = await Play(log).create(fact=replace(submitted(), expires_at_us=expires_us))
    await indexed_ms(log, order_id, at_ms=1)
    await expire(log, watches)
    assert await version(log, order_id) == 1
    assert await indexed_ms(log, order_id) == -(-expires_us // 1000)


async def test_a_sent_order_past_its_expiry_is_kept_and_checked_again_later(
    log: EventLog, watches: PairLeases
) -> None:
    play, expires_us = Play(log), now_us() + HOUR_US
    [order_id] = await play.create(fact=replace(submitted(), expires_at_us=expires_us))
    await play.append([order_id], *after_submission()[:-1])
    await indexed_ms(log, order_id, at_ms=1)
    await expire(log, watches)
    assert await version(log, order_id) == 5
    looked_at_again = await indexed_ms(log, order_id)
    assert looked_at_again is not None
    assert 1 < looked_at_again <= now_us() // 1000 + LOOK_AGAIN_MS


async def test_an_order_that_has_ended_or_does_not_expire_is_left_alone(
    log: EventLog, watches: PairLeases
) -> None:
    play = Play(log)
    [ended] = await play.live()
    [endless] = await play.create()
    for order_id in (ended, endless):
        await indexed_ms(log, order_id, at_ms=1)
    await expire(log, watches)
    assert await version(log, ended) == 6
    assert await version(log, endless) == 1
    assert await indexed_ms(log, ended) is None
