"""Starts a minute: who came first starts first, and only a start counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.types import AttemptFailed, OrderRouted, RoutingStarted
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.limits.starts import Starts
from tests.support.log.workers import crew

WINDOW_MS = 3_600_000


@pytest.fixture
async def starts(redis_url: str) -> AsyncIterator[Starts]:
    limits = RateAndConcurrencyLimiter(redis_url, "one", orders_per_minute=2, window_ms=WINDOW_MS)
    yield limits.starts
    await limits.close()


async def test_an_order_that_arrives_while_others_wait_starts_after_them(
    starts: Starts,
) -> None:
    assert await starts.admit(["a", "b"]) == {"a": 0, "b": 0}
    waits_ms = {name: (await starts.admit([name]))[name] for name in "cdefg"}
    windows = {name: round(ms / WINDOW_MS) for name, ms in waits_ms.items()}
    assert windows == {"c": 1, "d": 1, "e": 2, "f": 2, "g": 3}
    again_ms = (await starts.admit(["c"]))["c"]
    assert again_ms <= waits_ms["c"]  # who asks again keeps its place


async def test_a_retry_continues_while_no_new_order_may_start(
    redis_url: str, tmp_path: Path, starts: Starts
) -> None:
    assert await starts.admit(["a", "b"]) == {"a": 0, "b": 0}
    async with crew(redis_url, tmp_path) as team:
        [begun, fresh] = [item for _ in range(2) for item in await team.submit()]
        await team.append(begun, RoutingStarted(), AttemptFailed("router", 1, "no-route", "", 0))
        await team.worker("router", orders_per_minute=2, window_ms=WINDOW_MS)
        await team.until(lambda: team.of(OrderRouted))
        await team.settled("router")
        assert team.names(begun)[-1] == "OrderRouted"
        assert team.names(fresh) == ["OrderSubmitted"]
