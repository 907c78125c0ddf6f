"""In a rebuilt log each order is queued for the stage that had it before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from events.log import EventLog
from events.recovery.log_rebuild import LogEntry, LogRebuild
from events.recovery.order_histories import life_of
from events.types import OrderArmed, OrderParked
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.log.played import Play, after_submission, submitted

STEPS = {"router": 0, "builder": 2, "submitter": 3, "confirmer": 4}
"""Stage -> events after the first, when it owes the next one."""
LIMIT = replace(submitted(), order_type="limit", target_price="150", time_in_force="GTC")


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


async def founded_again(log: EventLog, ids: list[str]) -> None:
    """In epoch 2, with the last entry of before and these orders."""
    reader = log.reader()
    last = await reader.entry_at(await log.position())
    await reader.close()
    assert last is not None
    heads = await log.load(ids)
    known = [life_of(await log.history(head.positions)).known() for head in heads if head]
    work = LogRebuild(log.url, log.keys)
    await work.fence()
    await work.heads(known, [])
    await work.rebuild(
        2, last.last, [LogEntry(last.last, last.time_us, last.data)], known,
        halted=False, chain="", inbox_orders=128,
    )  # fmt: skip
    await work.close()
    await log.open(create=False)


async def test_each_stage_is_given_its_pending_orders(log: EventLog) -> None:
    play, ids = Play(log), dict[str, str]()
    for stage, steps in STEPS.items():
        [ids[stage]] = await play.create()
        if steps:
            await play.append([ids[stage]], *after_submission()[:steps])
    [ids["watcher"]] = await play.create(fact=LIMIT)
    await founded_again(log, list(ids.values()))
    for stage, order_id in ids.items():
        inbox = log.inbox(stage, "one", lease_ms=60_000)
        await inbox.open()
        [message] = await inbox.take(10, block_ms=30_000)
        assert message.order_ids == (order_id,), stage
        await inbox.close()


async def test_watching_and_parked_orders_are_in_no_inbox(log: EventLog) -> None:
    play = Play(log)
    [resting] = await play.create(fact=LIMIT)
    await play.append([resting], OrderArmed(7))
    [parked] = await play.create()
    await play.append([parked], OrderParked("router", "a bug", "engine"))
    await founded_again(log, [resting, parked])
    assert await log.resting() == 1
    assert [order_id for order_id, _ in await log.parked()] == [parked]
    assert await log.open_orders() == 2
    for stage in (*STEPS, "watcher"):
        assert (await log.lag())[stage].orders == 0
        assert await LogServer(log).call("XLEN", log.keys.inbox(stage)) == 0


async def sorted_sets(log: EventLog) -> dict[str, dict[bytes, float]]:
    """Key -> members with their scores, of every sorted set of open orders there is."""
    server = LogServer(log)
    keys = [
        key.decode() for key in await server.call("KEYS", log.keys.open.removesuffix("open") + "*")
    ]
    members = {}
    for key in sorted(keys):
        if await server.call("TYPE", key) == b"zset" and ":due:" not in key:
            pairs = await server.call("ZRANGE", key, 0, -1, "WITHSCORES")
            members[key] = {
                id_: float(score) for id_, score in zip(pairs[::2], pairs[1::2], strict=True)
            }
    return members


async def test_the_indexes_are_those_that_appends_wrote(log: EventLog) -> None:
    play, server = Play(log), LogServer(log)
    [plain] = await play.create()
    [expiring] = await play.create(fact=replace(submitted(), expires_at_us=2 * 10**15))
    [resting] = await play.create(fact=LIMIT)
    await play.append([resting], OrderArmed(7))
    [parked] = await play.create()
    await play.append([parked], OrderParked("router", "a bug", "engine"))
    before, owed = await sorted_sets(log), await server.call("HGETALL", log.keys.owed)
    assert {len(members) for members in before.values()} == {1, 4}
    await founded_again(log, [plain, expiring, resting, parked])
    assert await sorted_sets(log) == before
    after = await server.call("HGETALL", log.keys.owed)
    assert {f: n for f, n in zip(after[::2], after[1::2], strict=True) if n != b"0"} == {
        f: n for f, n in zip(owed[::2], owed[1::2], strict=True) if n != b"0"
    }
