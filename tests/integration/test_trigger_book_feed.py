"""What watchers make their books of: all orders that rest, and news without a gap."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from events.log import EventLog, LogTruncated, PairLeases
from events.types import OrderArmed
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_leases, opened_log
from tests.support.log.played import Play

ORDERS = 300
"""More than the server keeps so closely packed that it would give them all at once."""


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


@pytest.fixture
async def watches(log: EventLog) -> AsyncIterator[PairLeases]:
    async with opened_leases(log) as pair_leases:
        yield pair_leases


async def resting(log: EventLog, count: int) -> list[str]:
    play = Play(log)
    ids = await play.create(count)
    await play.append(ids, OrderArmed(7))
    return ids


async def test_every_watching_order_is_loaded_over_any_number_of_pages(
    log: EventLog, watches: PairLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.log.pair_leases.SCAN", 50)
    ids = await resting(log, ORDERS)
    await Play(log).create(10)
    pages = [page async for page in watches.resting()]
    assert len(pages) > 1
    assert {head.order.id for page in pages for head in page} == set(ids)


async def test_each_order_that_starts_watching_or_changes_is_in_the_feed_of_the_trigger_book(
    log: EventLog, watches: PairLeases
) -> None:
    first = await resting(log, 1)
    second = await resting(log, 2)
    assert await watches.newest() == 2
    assert await watches.news(0, block_ms=1) == (2, [*first, *second])
    assert await watches.news(1, block_ms=1) == (2, second)


async def test_a_watcher_behind_a_trimmed_trigger_book_feed_is_told_to_reload(
    log: EventLog, watches: PairLeases
) -> None:
    for _ in range(3):
        await resting(log, 1)
    await LogServer(log).call("XTRIM", log.keys.book, "MAXLEN", 1)
    with pytest.raises(LogTruncated):
        await watches.news(0, block_ms=1)
    with pytest.raises(LogTruncated):
        await watches.all_news(1)
    assert (await watches.news(2, block_ms=1))[0] == 3
