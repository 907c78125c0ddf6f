"""kill -9 of each process under load: by the venue's own ledger each order ends exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.processes.engine_up import PROCESSES, TOKENS, Engine, dice, engine_up
from tests.support.waits import HANG_S, pace

pytestmark = pytest.mark.in_order(
    "the last test compares what subscriber and archive have after all others"
)

ORDERS = 250
KILLS = 12
IN_HAND = {
    "gateway": "OrderSubmitted",
    "router": "RoutingStarted",
    "builder": "OrderRouted",
    "submitter": "TransactionSubmitted",
    "confirmer": "TransactionSubmitted",
    "watcher": "OrderSubmitted",
    "projector": "OrderSubmitted",
}
"""As each of these events is seen, the process has something in hand."""
HARD = ("DOUBT", "SLIP", "FLAKY")
"""Tokens that make what is in flight worth a kill."""


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """One engine for all tests here: what one leaves behind, the next has to live with."""
    folder = tmp_path_factory.mktemp("t") / "d"
    # Slow calls: each killed process is in the middle of some work.
    async with engine_up(folder, venue_latency_ms=60, venue_failure_rate="0.02") as engine:
        yield engine


def an_order(chance: random.Random) -> dict[str, Any]:
    out = chance.choice(HARD) if chance.random() < 0.2 else chance.choice(TOKENS)
    return {"tokenOut": out, "amount": str(chance.randrange(1, 5000) / 1000)}


async def load(engine: Engine, chance: random.Random, orders: int, over_s: float) -> list[str]:
    """Orders that come in over some time, of bots of which every third hangs up too early."""
    tag = os.urandom(4).hex()

    async def submitted(number: int) -> str:
        await pace(chance.random() * over_s)
        hang_up_s = chance.random() * 0.02 if number % 3 == 0 else None
        return await engine.submit(key=f"{tag}-{number}", hang_up_s=hang_up_s, **an_order(chance))

    return list(await asyncio.gather(*(submitted(number) for number in range(orders))))


async def assert_all_is_well(engine: Engine, ids: list[str]) -> None:
    assert len(set(ids)) == len(ids)
    ends = await engine.ended(ids)
    await engine.assert_each_ended_exactly_once()
    assert sum(end == "confirmed" for end in ends.values()) > len(ids) // 2


async def test_each_process_killed_in_turn_loses_and_doubles_no_order(engine: Engine) -> None:
    chance = dice()
    ids: list[str] = []
    for name in chance.sample(PROCESSES, len(PROCESSES)):
        await engine.complete()
        in_hand = engine.watch(IN_HAND[name])
        loading = asyncio.create_task(load(engine, chance, ORDERS // len(PROCESSES), 0.4))
        async with asyncio.timeout(HANG_S):
            await in_hand.wait()
        pid = engine.kill(name)
        assert pid
        await engine.restarted(name, pid)
        ids += await loading
    await assert_all_is_well(engine, ids)


async def test_random_kills_lose_and_double_no_order(engine: Engine) -> None:
    chance = dice()
    loading = asyncio.create_task(load(engine, chance, ORDERS, 3.0))
    for _ in range(KILLS):
        await pace(chance.random() * 0.4)
        engine.kill(chance.choice(PROCESSES))
    await assert_all_is_well(engine, await loading)


async def test_all_processes_killed_at_once_lose_and_double_no_order(engine: Engine) -> None:
    await engine.complete()
    some = engine.watch("OrderConfirmed")
    loading = asyncio.create_task(load(engine, dice(), ORDERS // 2, 1.0))
    await some.wait()
    for name in PROCESSES:
        engine.kill(name)
    await assert_all_is_well(engine, await loading)


async def test_a_worker_that_resumes_after_its_lease_doubles_no_order(engine: Engine) -> None:
    """A second process takes over from a suspended one, which is then resumed."""
    chance = dice()
    name = chance.choice(("router", "builder", "submitter", "confirmer"))
    await engine.complete()
    in_hand = engine.watch(IN_HAND[name])
    loading = asyncio.create_task(load(engine, chance, ORDERS // 2, 1.0))
    await in_hand.wait()
    assert engine.kill(name, signal.SIGSTOP)
    async with engine.one_more(name):
        ids = await loading
        await pace(engine.settings.lease_ms / 1000)  # stopped for longer than its leases last
        assert engine.kill(name, signal.SIGCONT)
        await assert_all_is_well(engine, ids)


async def test_a_retry_whose_first_answer_was_lost_makes_no_second_order(engine: Engine) -> None:
    """The gateway dies while it answers; every bot asks three times under one key."""
    chance = dice()
    tag = os.urandom(4).hex()
    body = an_order(chance)

    async def bot(number: int) -> set[str]:
        await pace(chance.random() * 0.2)
        tries = (engine.submit(key=f"{tag}-{number}", **body) for _ in range(3))
        return set(await asyncio.gather(*tries))

    await engine.complete()
    taken = engine.watch("OrderSubmitted")
    bots = asyncio.gather(*(bot(number) for number in range(40)))
    await taken.wait()
    pid = engine.kill("gateway")
    results = await bots
    assert pid
    assert [len(ids) for ids in results] == [1] * 40
    await engine.ended(order_id for ids in results for order_id in ids)
    await engine.assert_each_ended_exactly_once()


async def test_after_all_kills_subscriber_and_archive_have_every_event_once(
    engine: Engine,
) -> None:
    await engine.assert_witnessed()
    await engine.assert_archived()
