"""The gateway dies or restarts under its subscribers: with their cursors they miss nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from tests.support.processes.engine_up import Engine, dice, engine_up
from tests.support.waits import HANG_S, pace


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    async with engine_up(tmp_path_factory.mktemp("t") / "d", venue_latency_ms=20) as engine:
        yield engine


@pytest.mark.parametrize(("what", "times"), [(signal.SIGKILL, 2), (signal.SIGTERM, 1)])
async def test_a_subscriber_to_all_events_resumes_and_has_each_once_in_order(
    engine: Engine, what: signal.Signals, times: int
) -> None:
    chance = dice()
    before = engine.connects
    loading = asyncio.gather(*(engine.submit_many(25) for _ in range(4)))
    for _ in range(times):
        await pace(0.05 + 0.25 * chance.random())
        pid = engine.kill("gateway", what)
        await engine.restarted("gateway", pid)
    ids = [order_id for some in await loading for order_id in some]
    await engine.ended([*ids, *await engine.submit_many(5)])
    await engine.assert_witnessed()
    assert engine.connects > before
    if what is signal.SIGTERM:
        assert any(notice["code"] == "shutdown" for notice in engine.notices)


async def test_a_subscriber_that_missed_the_outage_resumes_from_an_old_cursor(
    engine: Engine,
) -> None:
    await engine.ended(await engine.submit_many(20))
    middle = engine.frames[len(engine.frames) // 2]
    pid = engine.kill("gateway")
    await engine.restarted("gateway", pid)
    await engine.ended(await engine.submit_many(5))
    expected = [f["position"] for f in engine.frames if f["position"] > middle["position"]]
    results = await listen(engine, f"/api/events?after={middle['cursor']}", len(expected))
    assert [frame["position"] for frame in results] == expected


async def test_a_follower_receives_every_event_across_kills_of_the_gateway(
    engine: Engine,
) -> None:
    [order_id] = await engine.submit_many(1, tokenOut="FLAKY")
    seen: dict[int, str] = {}
    pid = 0
    async with asyncio.timeout(HANG_S):
        while not seen or max(seen.values(), key=len) != "OrderConfirmed":
            try:
                path = f"{engine.url}/api/orders/execute?orderId={order_id}"
                async with engine.http.ws_connect(path) as socket:
                    async for message in socket:
                        frame = message.json()
                        seen[frame["version"]] = frame["event"]
                        pid = pid or engine.kill("gateway")
                    if socket.close_code == 1000:
                        break
            except aiohttp.ClientError:
                await pace(0.05)
    assert pid
    assert sorted(seen) == list(range(1, len(seen) + 1))
    assert seen[max(seen)] == "OrderConfirmed"
    assert len(seen) == 8  # six steps and two failed attempts


async def listen(engine: Engine, path: str, number: int) -> list[dict[str, Any]]:
    """The next events; reconnects until a gateway answers."""
    results: list[dict[str, Any]] = []
    async with asyncio.timeout(HANG_S), engine.http.ws_connect(engine.url + path) as socket:
        while len(results) < number:
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT, message
            frame = message.json()
            if "orderId" in frame:
                results.append(frame)
    return results
