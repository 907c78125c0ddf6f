"""The whole life of orders over HTTP and WebSocket, on a real engine, as a stranger sees it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from stages.venues.simulated.venue import FAULTS
from tests.support.processes.engine_up import TOKENS, Engine, engine_up
from tests.support.waits import HANG_S, until

pytestmark = pytest.mark.in_order(
    "one test compares log, archive and ledger after those of each fault"
)

LIFE = ["pending", "routing", "building", "building", "submitted", "confirmed"]
STEPS = [
    "OrderSubmitted",
    "RoutingStarted",
    "OrderRouted",
    "TransactionBuilt",
    "TransactionSubmitted",
    "OrderConfirmed",
]


@pytest.fixture(scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    # A transaction is dead after 3 s, and a quote late after 3 s: for what the chain drops and what
    # venues never answer that is soon, for all else on a busy machine it is not.
    async with engine_up(
        tmp_path_factory.mktemp("t") / "d",
        venue_latency_ms=40,
        venue_timeout_ms=3000,
        slot_ms=200,  # a doubt lasts four of them
        blockhash_slots=15,
        max_attempts=3,
        concurrency=20,
        orders_per_minute=10_000,
    ) as engine:
        yield engine


@pytest.fixture(scope="module", autouse=True)
async def faulty(engine: Engine) -> dict[str, str]:
    """An order for each fault, by token: some take long, and other tests run in that time."""
    return {token: await engine.submit(key=f"fault-{token}", tokenOut=token) for token in FAULTS}


async def follow(engine: Engine, order_id: str) -> list[dict[str, Any]]:
    """All frames of an order, until the engine closes."""
    results: list[dict[str, Any]] = []
    path = f"{engine.url}/api/orders/execute?orderId={order_id}"
    async with asyncio.timeout(HANG_S), engine.http.ws_connect(path) as socket:
        async for message in socket:
            results.append(message.json())
        assert socket.close_code == 1000
    return results


async def test_a_follower_gets_every_status_before_during_and_after_the_order(
    engine: Engine,
) -> None:
    started = engine.watch("RoutingStarted")
    order_id = await engine.submit(key="life-1")
    before = asyncio.create_task(follow(engine, order_id))
    await started.wait()
    midway = asyncio.create_task(follow(engine, order_id))
    seen = await before
    assert await midway == seen
    after = await follow(engine, order_id)
    assert after == seen
    assert [frame["status"] for frame in seen] == LIFE
    assert [frame["event"] for frame in seen] == STEPS
    assert [frame["version"] for frame in seen] == [1, 2, 3, 4, 5, 6]
    assert seen == [frame for frame in engine.frames if frame["orderId"] == order_id]


async def test_the_events_of_an_order_are_consistent(engine: Engine) -> None:
    order_id = await engine.submit(key="life-2", amount="2.5", tokenOut="USDC", slippageBps=100)
    frames = {frame["event"]: frame for frame in await follow(engine, order_id)}
    routed, confirmed = frames["OrderRouted"], frames["OrderConfirmed"]
    quotes = {quote["dex"]: Decimal(quote["amountOut"]) for quote in routed["quotes"]}
    assert set(quotes) == {"raydium", "meteora"}
    assert routed["dex"] == max(quotes, key=lambda dex: quotes[dex])
    best = max(quotes.values())
    assert best / min(quotes.values()) > Decimal("1.015")  # 2 to 5 %, less fees of 5 bps
    assert Decimal(routed["amountOut"]) == best
    assert 0 <= best * Decimal("0.99") - Decimal(routed["minAmountOut"]) < Decimal("0.000001")
    assert abs(Decimal(routed["price"]) - best / Decimal("2.5")) < Decimal("0.000001")
    assert confirmed["txHash"] == frames["TransactionBuilt"]["signature"]
    assert confirmed["txHash"] == frames["TransactionSubmitted"]["signature"]
    out = Decimal(confirmed["amountOut"])
    assert out >= Decimal(routed["minAmountOut"])
    assert abs(Decimal(confirmed["executedPrice"]) - out / Decimal("2.5")) < Decimal("0.000001")
    [row] = [row for row in engine.ledger() if row.order_id == order_id]
    assert (row.signature, Decimal(row.amount_out) / 10**6) == (confirmed["txHash"], out)
    assert row.amount_in == 2_500_000_000
    order = (await engine.get(f"/api/orders/{order_id}")).body
    assert (order["status"], order["txHash"]) == ("confirmed", row.signature)
    assert "raw" not in str(frames)


async def test_an_order_is_shown_in_doubt_until_its_outcome_is_known(engine: Engine) -> None:
    async def shown_in_doubt() -> bool:
        """Whether it was asked for in time: the doubt is over after some slots."""
        order_id = await engine.submit(key=os.urandom(4).hex(), tokenOut="DOUBT")
        told = {("TransactionInDoubt", order_id), ("OrderConfirmed", order_id)}
        await engine.until(lambda: told & {*seen(engine)})
        shown = (await engine.get(f"/api/orders/{order_id}")).body
        await engine.ended([order_id])
        order = (await engine.get(f"/api/orders/{order_id}")).body
        assert (order["status"], order["inDoubt"]) == ("confirmed", False)
        if not shown["inDoubt"]:
            return False
        assert shown["status"] == "submitted"
        doubts = [
            (frame["inDoubt"], frame["status"])
            for frame in engine.frames
            if (frame["event"], frame["orderId"]) == ("TransactionInDoubt", order_id)
        ]
        assert doubts == [(True, "submitted")]
        return True

    await until(shown_in_doubt)


async def test_a_batch_accepts_its_valid_items_and_explains_the_invalid(
    engine: Engine,
) -> None:
    good = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.5"}
    items: list[dict[str, Any]] = [
        good,
        good | {"amount": "-1"},
        good | {"tokenOut": "NOPE"},
        good | {"tokenOut": "BONK"},
        good | {"tokenOut": "SOL"},
        good | {"amount": "1.0000000001"},
        good | {"tokenOut": "NOROUTE"},
    ]
    answer = await engine.post({"orders": items}, key="batch", path="/api/orders/batch")
    assert answer.status == 202
    results = answer.body["results"]
    assert [result["index"] for result in results] == list(range(7))
    refused = {r["index"]: r["problem"]["code"] for r in results if "problem" in r}
    assert refused == {
        1: "amount-not-positive",
        2: "unknown-token",
        4: "same-token",
        5: "too-many-decimals",
    }
    ids = [result["orderId"] for result in results if "orderId" in result]
    engine.accepted.update(ids)
    ends = await engine.ended(ids)
    assert [ends[order_id] for order_id in ids] == ["confirmed", "confirmed", "failed"]
    again = await engine.post({"orders": items}, key="batch", path="/api/orders/batch")
    assert [result.get("orderId") for result in again.body["results"]] == [
        result.get("orderId") for result in results
    ]


async def test_five_concurrent_orders_are_confirmed(engine: Engine) -> None:
    ids = await asyncio.gather(
        *(engine.submit(key=f"five-{n}", tokenOut=token) for n, token in enumerate(TOKENS))
    )
    lives = await asyncio.gather(*(follow(engine, order_id) for order_id in ids))
    for life in lives:
        assert [frame["event"] for frame in life] == STEPS


async def test_the_same_order_posted_a_hundred_times_at_once_is_one_order(engine: Engine) -> None:
    ids = await asyncio.gather(*(engine.submit(key="hundred") for _ in range(100)))
    assert len(set(ids)) == 1
    await engine.ended(ids)


async def test_each_simulated_fault_has_its_outcome(engine: Engine, faulty: dict[str, str]) -> None:
    ids = faulty
    ends = await engine.ended(ids.values())
    lives = {
        token: [f for f in engine.frames if f["orderId"] == order_id]
        for token, order_id in ids.items()
    }
    last = {token: frames[-1] for token, frames in lives.items()}

    def names(token: str) -> list[str]:
        return [frame["event"] for frame in lives[token]]

    assert {token: ends[order_id] for token, order_id in ids.items()} == {
        "NOROUTE": "failed",
        "TIMEOUT": "failed",
        "FLAKY": "confirmed",
        "SLIP": "failed",
        "DOUBT": "confirmed",
        "NEVER": "failed",
    }
    assert (last["NOROUTE"]["reason"], last["NOROUTE"]["attempts"]) == ("no-route", 1)
    assert (last["TIMEOUT"]["reason"], last["TIMEOUT"]["attempts"]) == ("venue-timeout", 3)
    assert names("TIMEOUT").count("AttemptFailed") == 2
    assert names("FLAKY") == [*STEPS[:2], "AttemptFailed", "AttemptFailed", *STEPS[2:]]
    assert last["SLIP"]["reason"] == "slippage-exceeded"
    assert names("SLIP")[:-1] == STEPS[:-1]
    assert (last["NEVER"]["reason"], last["NEVER"]["stage"]) == ("transaction-expired", "confirmer")
    sent = [f["signature"] for f in lives["NEVER"] if f["event"] == "TransactionSubmitted"]
    assert len(set(sent)) == len(sent) == 3  # replaced twice, each time by another one
    statuses = [frame["status"] for frame in lives["NEVER"]]
    assert statuses[4:-1] == ["submitted"] * len(statuses[4:-1])  # it never goes back
    proofs = [f for f in lives["NEVER"] if f["event"] == "TransactionExpired"]
    assert all(proof["finalizedHeight"] > proof["lastValidHeight"] for proof in proofs)
    executed = {row.order_id for row in engine.ledger() if row.ok}
    assert executed & set(ids.values()) == {ids["FLAKY"], ids["DOUBT"]}


async def test_in_the_end_log_archive_ledger_and_subscriber_agree(engine: Engine) -> None:
    await engine.assert_each_ended_exactly_once()
    await engine.assert_witnessed()
    await engine.assert_archived()


async def test_a_limit_order_waits_and_is_filled_at_its_price_or_better(engine: Engine) -> None:
    far = await engine.submit(key="limit-1", type="limit", targetPrice="100000")
    near = await engine.submit(key="limit-2", type="limit", targetPrice="100")
    frames = await follow(engine, near)
    assert [frame["event"] for frame in frames] == [
        "OrderSubmitted", "OrderArmed", "OrderTriggered", *STEPS[1:],
    ]  # fmt: skip
    assert Decimal(frames[-1]["executedPrice"]) >= 100
    await engine.until(lambda: ("OrderArmed", far) in seen(engine))
    change = {"version": 2, "targetPrice": "100"}
    async with engine.http.patch(f"{engine.url}/api/orders/{far}", json=change) as answer:
        assert answer.status == 200
    frames = await follow(engine, far)
    assert [frame["event"] for frame in frames][1:4] == [
        "OrderArmed", "OrderAmended", "OrderTriggered",
    ]  # fmt: skip
    assert frames[-1]["status"] == "confirmed"


def seen(engine: Engine) -> list[tuple[str, str]]:
    return [(frame["event"], frame["orderId"]) for frame in engine.frames]


async def test_a_cancelled_order_is_never_executed(engine: Engine) -> None:
    order_id = await engine.submit(key="cancel-1", type="limit", targetPrice="100000")
    async with engine.http.delete(f"{engine.url}/api/orders?status=watching") as answer:
        first = await answer.json()
    async with engine.http.delete(f"{engine.url}/api/orders/{order_id}") as answer:
        assert (await answer.json())["status"] == "cancelled"
    assert {result["status"] for result in first["results"]} <= {"cancelled"}
    assert (await follow(engine, order_id))[-1]["event"] == "OrderCancelled"
    assert not [row for row in engine.ledger() if row.order_id == order_id]


async def test_a_halted_engine_accepts_orders_and_sends_none_until_it_is_resumed(
    engine: Engine,
) -> None:
    async def switch(act: str) -> None:
        results = {"reason": "a drill", "actor": "ann"}
        path = f"{engine.url}/api/admin/{act}"
        async with engine.http.post(path, json=results) as answer:
            assert answer.status == 200

    await switch("halt")
    try:
        order_id = await engine.submit(key="halt-1")
        waiting = await engine.submit(key="halt-2", type="limit", targetPrice="100")
        await engine.until(
            lambda: {("TransactionBuilt", order_id), ("OrderArmed", waiting)} <= {*seen(engine)}
        )
        ready = await engine.get("/readyz")
        assert (ready.status, ready.body["halted"]["reason"]) == (200, "a drill")
    finally:
        await switch("resume")
    ends = await engine.ended([order_id, waiting])
    assert set(ends.values()) == {"confirmed"}
    names = seen(engine)
    [resumed] = [at for at, (event, _) in enumerate(names) if event == "EngineResumed"]
    for event in (("TransactionSubmitted", order_id), ("OrderTriggered", waiting)):
        assert names.index(event) > resumed
