"""kill -9 of Valkey under load: what was accepted is there afterwards, and is done once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.support.processes.engine_up import Answer, Engine, dice, engine_up
from tests.support.waits import pace

pytestmark = pytest.mark.in_order(
    "the last test compares what subscriber and archive have after all others"
)


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    async with engine_up(tmp_path_factory.mktemp("t") / "d", venue_latency_ms=15) as engine:
        yield engine


async def steady(engine: Engine, orders: int, over_s: float) -> list[str]:
    tag = os.urandom(4).hex()

    async def submit(number: int) -> str:
        await pace(number / orders * over_s)
        return await engine.submit(key=f"{tag}-{number}")

    return list(await asyncio.gather(*(submit(number) for number in range(orders))))


async def answers(engine: Engine, during: asyncio.Task[list[str]]) -> list[Answer]:
    """What a client hears who asks all the time, with one key an order."""
    tag = os.urandom(4).hex()
    heard: list[Answer] = []
    body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1}
    while not during.done():
        key = f"{tag}-{len(heard)}"
        heard.append(await engine.post(body, key=key))
        engine.accepted.add(await engine.submit(key=key, amount=1))  # so that it is known
        await pace(0.01)
    return heard


def assert_honest(heard: list[Answer], engine: Engine) -> None:
    """A 2xx and a 503 are all that there is, and either tells the truth."""
    assert {answer.status for answer in heard} <= {202, 503}
    for answer in heard:
        if answer.status == 202:
            assert answer.body["orderId"] in engine.accepted
        else:
            assert answer.body["code"] in ("log-unavailable", "outcome-unknown")


async def test_repeated_kills_of_valkey_lose_and_double_no_order(engine: Engine) -> None:
    chance = dice()
    loading = asyncio.create_task(steady(engine, 150, 2.0))
    asking = asyncio.create_task(answers(engine, loading))
    for _ in range(3):
        await pace(0.2 + chance.random() * 0.3)
        pid = engine.kill("valkey")
        await engine.restarted("valkey", pid)
    ids = await loading
    assert_honest(await asking, engine)
    assert set((await engine.ended(ids)).values()) == {"confirmed"}
    await engine.ended(engine.accepted)
    await engine.assert_each_ended_exactly_once()


async def test_without_valkey_a_post_is_refused_and_its_retry_is_one_order(
    engine: Engine,
) -> None:
    before = await engine.submit_many(30)
    body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1}
    async with engine.without("valkey"):
        heard = await asyncio.gather(*(engine.post(body, key=f"gone-{n}") for n in range(20)))
        assert {answer.status for answer in heard} == {503}
        assert_honest(list(heard), engine)
        assert (await engine.get("/readyz")).status == 503
        assert (await engine.get("/healthz")).status == 200
    # Retried under the same keys they are orders, each of them once.
    again = await asyncio.gather(*(engine.submit(key=f"gone-{n}", amount=1) for n in range(20)))
    assert len(set(again)) == 20
    assert set((await engine.ended([*before, *again])).values()) == {"confirmed"}
    await engine.assert_each_ended_exactly_once()


async def test_a_valkey_that_hangs_and_is_then_killed_loses_and_doubles_no_order(
    engine: Engine,
) -> None:
    body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1}
    accepted = engine.watch("OrderSubmitted")
    loading = asyncio.create_task(steady(engine, 60, 1.5))
    await accepted.wait()
    engine.kill("valkey", signal.SIGSTOP)
    heard = await asyncio.gather(*(engine.post(body, key=f"hung-{n}") for n in range(20)))
    assert {answer.status for answer in heard} == {503}
    assert_honest(list(heard), engine)
    engine.kill("valkey", signal.SIGKILL)
    again = await asyncio.gather(*(engine.submit(key=f"hung-{n}", amount=1) for n in range(20)))
    ids = await loading
    assert set((await engine.ended([*ids, *again])).values()) == {"confirmed"}
    await engine.assert_each_ended_exactly_once()


async def test_after_all_outages_subscriber_and_archive_have_every_event_once(
    engine: Engine,
) -> None:
    with contextlib.suppress(aiohttp.ClientError):
        await engine.get("/readyz")
    await engine.assert_witnessed()
    await engine.assert_archived()
