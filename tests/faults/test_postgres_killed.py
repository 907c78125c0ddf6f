"""Postgres killed under load: the path of an order never waits for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.support.processes.engine_up import Engine, engine_up
from tests.support.waits import pace, until

ORDERS = 80
ORDERS_PER_S = 20


async def steady(engine: Engine) -> list[str]:
    """Orders at a steady rate; each is taken at the first try."""
    tag = os.urandom(4).hex()

    async def submit(at: int) -> str:
        await pace(at / ORDERS_PER_S)
        body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5}
        answer = await engine.post(body, key=f"{tag}-{at}")
        assert answer.status == 202, answer
        engine.accepted.add(answer.body["orderId"])
        return str(answer.body["orderId"])

    return list(await asyncio.gather(*(submit(at) for at in range(ORDERS))))


async def told(engine: Engine, status: str) -> bool:
    """Whether the gateway calls itself so: it may be late to notice."""
    ready = await engine.get("/readyz")
    return (ready.status, ready.body["status"]) == (200, status)


async def test_without_postgres_orders_continue_lists_are_refused_and_later_all_is_archived(
    short_path: Path,
) -> None:
    async with engine_up(short_path / "d") as engine:
        first = await engine.submit_many(20)
        await engine.ended(first)
        loading = asyncio.create_task(steady(engine))
        async with engine.without("postgres"):
            # Its children outlive a killed postmaster for a moment, and may still answer.
            await until(lambda: told(engine, "degraded"))
            while not loading.done():
                ready = await engine.get("/readyz")
                assert (ready.status, ready.body["status"]) == (200, "degraded"), ready
                listed = await engine.get("/api/orders")
                assert (listed.status, listed.body["code"]) == (503, "archive-unavailable")
                [order_id] = await engine.submit_many(1)
                answer = await engine.get(f"/api/orders/{order_id}")
                assert (answer.status, answer.body["orderId"]) == (200, order_id)
                assert await engine.ended([order_id]) == {order_id: "confirmed"}
            # Postgres is still dead: an order that waited for it would not have ended.
            ids = await loading
            assert set((await engine.ended(ids)).values()) == {"confirmed"}
            assert await told(engine, "degraded")
        await engine.assert_each_ended_exactly_once()
        await engine.assert_archived()
        await engine.assert_witnessed()
        await until(lambda: told(engine, "ready"))
        listed = await engine.get("/api/orders?status=confirmed&limit=500")
        assert listed.status == 200
        assert {order["orderId"] for order in listed.body["orders"]} == engine.accepted
