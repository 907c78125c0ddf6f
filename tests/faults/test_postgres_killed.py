"""Postgres killed for ten seconds under load: the path of an order never waits for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.engine_up import Engine, engine_up

OUTAGE_S = 10.0
ANSWER_S = 2.0
ORDERS_PER_S = 20


async def steady(engine: Engine, over_s: float) -> list[str]:
    """Orders at a steady rate; each is to be taken at the first try."""
    tag = os.urandom(4).hex()
    number = round(over_s * ORDERS_PER_S)

    async def one(at: int) -> str:
        await asyncio.sleep(at / ORDERS_PER_S)
        body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5}
        answer = await engine.post(body, key=f"{tag}-{at}")
        assert (answer.status, answer.seconds < ANSWER_S) == (202, True), answer
        engine.accepted.add(answer.body["orderId"])
        return str(answer.body["orderId"])

    return list(await asyncio.gather(*(one(at) for at in range(number))))


async def test_without_postgres_orders_go_on_lists_are_refused_and_afterwards_all_is_archived(
    short_path: Path,
) -> None:
    async with engine_up(short_path / "d") as engine:
        first = await engine.submit_many(20)
        await engine.ended(first)
        loading = asyncio.create_task(steady(engine, OUTAGE_S + 1))
        await asyncio.sleep(0.5)
        async with engine.without("postgres"):
            over_at = asyncio.get_running_loop().time() + OUTAGE_S
            # Its children outlive a killed postmaster for a moment, and may still answer.
            async with asyncio.timeout(2):
                while (await engine.get("/readyz")).body["status"] != "degraded":
                    await asyncio.sleep(0.02)
            while asyncio.get_running_loop().time() < over_at:
                ready = await engine.get("/readyz")
                assert (ready.status, ready.body["status"]) == (200, "degraded"), ready
                listed = await engine.get("/api/orders")
                assert (listed.status, listed.body["code"]) == (503, "archive-unavailable")
                assert max(ready.seconds, listed.seconds) < ANSWER_S
                [order_id] = await engine.submit_many(1)
                found = await engine.get(f"/api/orders/{order_id}")
                assert (found.status, found.body["orderId"]) == (200, order_id)
                assert await engine.ended([order_id]) == {order_id: "confirmed"}
                await asyncio.sleep(0.2)
            # Nothing waits for it to come back.
            assert len(engine.accepted) > 20 + OUTAGE_S * ORDERS_PER_S * 0.8
        ids = await loading
        assert set((await engine.ended([*first, *ids])).values()) == {"confirmed"}
        await engine.assert_each_ended_exactly_once()
        await engine.assert_archived()
        await engine.assert_witnessed()
        listed = await engine.get("/api/orders?status=confirmed&limit=500")
        assert listed.status == 200
        assert {order["orderId"] for order in listed.body["orders"]} == engine.accepted
        ready = await engine.get("/readyz")
        assert (ready.status, ready.body["status"]) == (200, "ready")
