"""Open orders that stand in no list of open ones are named, each with the list that it lacks in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from events.log import EventLog
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.log.played import Play, submitted


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


async def test_each_list_that_lacks_an_open_order_is_named(log: EventLog) -> None:
    play = Play(log)
    [listed, lost, ended] = [*await play.create(2), *await play.live(1)]
    expiring = replace(submitted(), expires_at_us=2 * 10**15)
    [unindexed] = await play.create(fact=expiring)
    ids = [listed, lost, ended, unindexed]
    assert await log.find_missing_from_indexes(ids) == {}
    await LogServer(log).call("ZREM", log.keys.open, lost)
    await LogServer(log).call("ZREM", log.keys.expiry, unindexed)
    assert await log.find_missing_from_indexes(ids) == {
        lost: "list of open orders",
        unindexed: "list of those that expire",
    }
