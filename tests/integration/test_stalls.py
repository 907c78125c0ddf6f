"""/readyz of a real gateway, with stages that are there, that are gone, and that stand still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from events.order import STAGES
from tests.support.http.served import Served, served
from tests.support.log.workers import Crew
from tests.support.waits import until

AFTER_S = 1.3
"""More than the second that a worker may wait for its inbox in silence."""


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url, stuck_after_s=AFTER_S) as gateway:
        yield gateway


async def reasons(gateway: Served) -> Any:
    status, ready = await gateway.get("/readyz")
    assert status == 200, "new orders are safe"
    assert ready["status"] == ("degraded" if ready["reasons"] else "ready")
    return ready["reasons"]


async def test_stages_without_workers_degrade_the_engine_until_they_have_some(
    gateway: Served, workers: Crew
) -> None:
    async def absent() -> bool:
        await gateway.archive.take(gateway.log)
        return bool(await reasons(gateway) == dict.fromkeys(STAGES, "no worker of it runs"))

    await until(absent)
    await gateway.accepted()

    async def behind() -> bool:
        text = str((await reasons(gateway)).get("projector"))
        return text == "lists and archive are behind"

    await until(behind)
    await workers.all_stages()

    async def well() -> bool:
        await gateway.archive.take(gateway.log)
        return bool(await reasons(gateway) == {})

    await until(well)


async def test_a_stalled_order_degrades_readyz_while_others_progress(
    gateway: Served, workers: Crew
) -> None:
    await workers.all_stages()
    stuck = workers.log.inbox("router", "stuck", lease_ms=60_000)
    await stuck.open()
    # It is given an order and holds on to it, however alive it is.
    for router in workers._workers:
        if router.stage.name == "router":
            await router.stop()
    await gateway.accepted()
    assert await stuck.take(1, block_ms=1000)
    await workers.worker("router", lease_ms=60_000)

    async def is_reported() -> bool:
        await stuck.renew()
        [moving] = await workers.submit()
        assert await workers.ended([moving]) == ["confirmed"]
        return "has not moved" in (await reasons(gateway)).get("router", "")

    await until(is_reported)
    await stuck.deregister()

    async def well() -> bool:
        await gateway.archive.take(gateway.log)
        return bool(await reasons(gateway) == {})

    await until(well)
    await stuck.close()


async def test_a_market_that_cannot_be_asked_degrades_the_engine_and_orders_are_still_taken(
    redis_url: str,
) -> None:
    fault = ["the pools' accounts are too old"]
    async with served(redis_url, market_fault=lambda: fault[0]) as gateway:
        status, ready = await gateway.get("/readyz")
        assert (status, ready["status"]) == (200, "degraded")
        assert ready["reasons"]["market"] == fault[0]
        await gateway.accepted()
        fault[0] = ""
        assert "market" not in (await gateway.get("/readyz"))[1]["reasons"]
