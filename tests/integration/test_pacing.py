"""Starts a minute: who came first starts first, and only a start counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.types import AttemptFailed, OrderRouted, RoutingStarted
from stages.runtime.limiter import RateAndConcurrencyLimiter
from tests.support.log.workers import crew

WINDOW_MS = 3_600_000


@pytest.fixture
async def limits(redis_url: str) -> AsyncIterator[RateAndConcurrencyLimiter]:
    rate_and_concurrency_limiter = RateAndConcurrencyLimiter(
        redis_url, "one", orders_per_minute=2, window_ms=WINDOW_MS
    )
    yield rate_and_concurrency_limiter
    await rate_and_concurrency_limiter.close()


async def test_an_order_that_arrives_while_others_wait_starts_after_them(
    limits: RateAndConcurrencyLimiter,
) -> None:
    assert await limits.admit(["a", "b"]) == {"a": 0, "b": 0}
    waits_ms = {name: (await limits.admit([name]))[name] for name in "cdefg"}
    windows = {name: round(ms / WINDOW_MS) for name, ms in waits_ms.items()}
    assert windows == {"c": 1, "d": 1, "e": 2, "f": 2, "g": 3}
    again_ms = (await limits.admit(["c"]))["c"]
    assert again_ms <= waits_ms["c"]  # who asks again keeps its place


async def test_a_retry_continues_while_no_new_order_may_start(
    redis_url: str, tmp_path: Path, limits: RateAndConcurrencyLimiter
) -> None:
    assert await limits.admit(["a", "b"]) == {"a": 0, "b": 0}
    async with crew(redis_url, tmp_path) as team:
        [begun, fresh] = [item for _ in range(2) for item in await team.submit()]
        await team.append(begun, RoutingStarted(), AttemptFailed("router", 1, "no-route", "", 0))
        await team.worker("router", orders_per_minute=2, window_ms=WINDOW_MS)
        await team.until(lambda: team.of(OrderRouted))
        await team.settled("router")
        assert team.names(begun)[-1] == "OrderRouted"
        assert team.names(fresh) == ["OrderSubmitted"]
