"""Permits are returned however a task ends, and an expired permit is not extended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from events.log import PERMITS
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.limits.permits import Permits
from tests.support.waits import until

LEASE_MS = 3_600_000


@pytest.fixture
async def permits(redis_url: str) -> AsyncIterator[Permits]:
    limits = RateAndConcurrencyLimiter(redis_url, "one", concurrency=1, lease_ms=LEASE_MS)
    yield limits.permits
    await limits.close()


async def given_back(permits: Permits) -> None:
    async def none_is_out() -> bool:
        return not await permits._link.call("ZCARD", PERMITS)

    await until(none_is_out)


async def test_a_failing_call_releases_its_permit(permits: Permits) -> None:
    with pytest.raises(OSError, match="no venue"):
        async with permits.permit("order"):
            raise OSError("no venue")
    await given_back(permits)


async def test_a_task_cancelled_while_it_acquires_a_permit_releases_it(
    permits: Permits,
) -> None:
    async def hold() -> None:
        async with permits.permit("order"):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(hold())
    async with asyncio.timeout(30):
        while not permits._used:
            await asyncio.sleep(0)
    waiting.cancel()  # it has not noticed yet that it was given one
    await asyncio.gather(waiting, return_exceptions=True)
    await given_back(permits)


async def test_a_permit_acquired_for_a_task_cancelled_during_the_call_is_released(
    permits: Permits, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold() -> None:
        async with permits.permit("order"):
            raise AssertionError("the task was cancelled before")

    acquired = asyncio.Event()
    call = permits._call

    async def acquired_late(function: str, key: str, *arguments: str | int) -> Any:
        count = await call(function, key, *arguments)
        if function == "acquire":
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            acquired.set()
        return count

    monkeypatch.setattr(permits, "_call", acquired_late)
    waiting = asyncio.create_task(hold())
    await acquired.wait()
    assert waiting.cancelled()
    await given_back(permits)


async def test_an_expired_permit_cannot_be_extended(
    permits: Permits,
) -> None:
    assert await permits._call("acquire", PERMITS, 1, 1, "late") == 1

    async def taken() -> bool:
        return bool(await permits._call("acquire", PERMITS, 1, LEASE_MS, "next") == 1)

    await until(taken)
    assert await permits._call("extend", PERMITS, LEASE_MS, "late", "next") == [b"late"]
    assert await permits._link.call("ZRANGE", PERMITS, 0, -1) == [b"next"]
    await permits._call("release", PERMITS, "next")


async def test_a_permit_whose_lease_has_ended_is_not_used_again(permits: Permits) -> None:
    assert await permits.take(["first"]) == 1
    permits.release(["first"])
    [kept] = permits._free
    kept.valid_s = 0.0  # as after a process stood still for longer than the lease
    assert await permits._call("acquire", PERMITS, 2, LEASE_MS, "of another worker") == 1
    assert await permits.take(["second"]) == 0
    await permits._call("release", PERMITS, "of another worker")


async def test_a_returned_permit_is_kept_for_the_next_order_and_then_given_back(
    permits: Permits, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[str]()
    call = permits._call

    async def counted(function: str, key: str, *arguments: str | int) -> Any:
        calls.append(function)
        return await call(function, key, *arguments)

    monkeypatch.setattr(permits, "_call", counted)
    monkeypatch.setattr("stages.limits.permits.KEEP_S", 3600)
    for number in range(20):
        assert await permits.take([f"order {number}"]) == 1
        permits.release([f"order {number}"])
    assert calls == ["acquire"]
    monkeypatch.setattr("stages.limits.permits.KEEP_S", 0)
    permits._news.set()
    await given_back(permits)


async def test_parts_of_the_work_on_an_order_share_its_permit(permits: Permits) -> None:
    assert await permits.take(["order"]) == 1
    permits.retain(["order"])  # its send
    permits.release(["order"])
    assert await permits.take(["other"]) == 0
    permits.release(["order"])
    assert await permits.take(["other"]) == 1
    permits.release(["other"])
