"""Permits are returned however a task ends, and an expired permit is not extended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from events.log import PERMITS
from stages.runtime.limiter import RateAndConcurrencyLimiter
from tests.support.waits import until

LEASE_MS = 3_600_000


@pytest.fixture
async def limits(redis_url: str) -> AsyncIterator[RateAndConcurrencyLimiter]:
    rate_and_concurrency_limiter = RateAndConcurrencyLimiter(
        redis_url, "one", concurrency=1, lease_ms=LEASE_MS
    )
    yield rate_and_concurrency_limiter
    await rate_and_concurrency_limiter.close()


async def given_back(limits: RateAndConcurrencyLimiter) -> None:
    async def none_is_out() -> bool:
        return not await limits._link.call("ZCARD", PERMITS)

    await until(none_is_out)


async def test_a_failing_call_releases_its_permit(limits: RateAndConcurrencyLimiter) -> None:
    with pytest.raises(OSError, match="no venue"):
        async with limits.permit():
            raise OSError("no venue")
    await given_back(limits)


async def test_a_task_cancelled_while_it_acquires_a_permit_releases_it(
    limits: RateAndConcurrencyLimiter,
) -> None:
    async def hold() -> None:
        async with limits.permit():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(hold())
    async with asyncio.timeout(30):
        while not limits._held:
            await asyncio.sleep(0)
    waiting.cancel()  # it has not noticed yet that it was given one
    await asyncio.gather(waiting, return_exceptions=True)
    await given_back(limits)


async def test_a_permit_acquired_for_a_task_cancelled_during_the_call_is_released(
    limits: RateAndConcurrencyLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold() -> None:
        async with limits.permit():
            raise AssertionError("the task was cancelled before")

    acquired = asyncio.Event()
    call = limits._call

    async def acquired_late(function: str, *arguments: str | int) -> int:
        count = await call(function, *arguments)
        if function == "acquire":
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            acquired.set()
        return count

    monkeypatch.setattr(limits, "_call", acquired_late)
    waiting = asyncio.create_task(hold())
    await acquired.wait()
    assert waiting.cancelled()
    await given_back(limits)


async def test_an_expired_permit_cannot_be_extended(
    limits: RateAndConcurrencyLimiter,
) -> None:
    assert await limits._call("acquire", 1, 1, "late") == 1

    async def taken() -> bool:
        return await limits._call("acquire", 1, LEASE_MS, "next") == 1

    await until(taken)
    await limits._call("extend", LEASE_MS, "late")
    assert await limits._link.call("ZRANGE", PERMITS, 0, -1) == [b"next"]
    await limits._call("release", "next")
