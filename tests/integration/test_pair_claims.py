"""Claims of watchers on pairs: one holder at a time, and only the holder says how far it is."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from events.log import EventLog, PairLeases, PairProgress
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.waits import until

PAIR = "SOL>USDC"
LONG_MS = 3_600_000


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


@contextlib.asynccontextmanager
async def watcher(log: EventLog, name: str, lease_ms: int = LONG_MS) -> AsyncIterator[PairLeases]:
    pair_leases = log.watches(name, lease_ms=lease_ms)
    yield pair_leases
    await pair_leases.close()


async def lapsed(log: EventLog) -> None:
    """Waits until the claim on the pair has run out by the server's clock."""

    async def past() -> bool:
        seconds, us = await LogServer(log).call("TIME")
        lease = await LogServer(log).call("HGET", log.keys.leases, PAIR)
        return int(seconds) * 1000 + int(us) // 1000 > int(lease.split()[0])

    await until(past)


async def test_a_pair_has_one_holder(log: EventLog) -> None:
    async with watcher(log, "first") as first, watcher(log, "second") as second:
        assert (await first.claim({PAIR: None}, 0)).held == {PAIR: None}
        claims = await second.claim({PAIR: None}, 0)
        assert claims.held == {}
        assert claims.watchers == ["first", "second"]
        assert (await first.claim({PAIR: 7}, 3)).held == {PAIR: PairProgress(7, 3)}


async def test_a_released_or_lapsed_pair_is_claimed_with_its_last_progress(
    log: EventLog,
) -> None:
    async with (
        watcher(log, "first") as first,
        watcher(log, "brief", lease_ms=1) as brief,
        watcher(log, "heir") as heir,
    ):
        await first.claim({PAIR: None}, 0)
        await first.claim({PAIR: 7}, 3)
        await first.release([PAIR])
        assert (await brief.claim({PAIR: None}, 0)).held == {PAIR: PairProgress(7, 3)}
        await lapsed(log)
        claims = await heir.claim({PAIR: None}, 0)
        assert claims.held == {PAIR: PairProgress(7, 3)}
        assert claims.watchers == ["first", "heir"]


async def test_a_watcher_that_lost_a_pair_can_neither_note_its_slot_nor_release_it(
    log: EventLog,
) -> None:
    async with (
        watcher(log, "late", lease_ms=1) as late,
        watcher(log, "next", lease_ms=1) as following,
    ):
        await late.claim({PAIR: None}, 0)
        await lapsed(log)
        await following.claim({PAIR: None}, 0)
        await following.claim({PAIR: 50}, 5)
        await lapsed(log)
        assert (await late.claim({PAIR: 99}, 9)).held == {PAIR: PairProgress(50, 5)}
        await following.release([PAIR])
        assert await LogServer(log).call("HEXISTS", log.keys.leases, PAIR)
