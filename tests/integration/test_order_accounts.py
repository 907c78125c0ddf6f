"""Whether an order is of an account: by its head, or, once that is gone, by the archive."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from events.ids import new_order_id
from events.log import EventLog
from projections.feed.ownership import owns
from tests.support.http.served import MemoryArchive
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.log.played import ACCOUNT, Play


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("headless", [False, True])
async def test_an_order_belongs_to_its_account_in_head_and_archive(
    log: EventLog, archived: bool, headless: bool
) -> None:
    archive = MemoryArchive()
    [order_id] = await Play(log).live(1)
    if archived:
        await archive.take(log)
    if headless:
        await LogServer(log).call("DEL", log.keys.order(order_id))
    there = archived or not headless
    assert await owns(log, archive, ACCOUNT, order_id) is there
    assert not await owns(log, archive, "other", order_id)
    assert not await owns(log, archive, ACCOUNT, new_order_id())
