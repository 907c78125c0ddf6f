"""Why orders wait, since when and until when: of orders, of stages, in /readyz and metrics."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from events.log import PERMIT_STAGES
from events.order.wait_reasons import DATED, NUMBERS, SHARE, STORED, WaitReason, split_score
from events.types import AttemptFailed, OrderParked
from stages.limits.limiter import RateAndConcurrencyLimiter
from tests.support.http.served import Served, served
from tests.support.log.log_server import LogServer
from tests.support.log.workers import Crew
from tests.support.waits import until

HOUR_US = 3_600_000_000
AFTER_S = 1.3


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url, stuck_after_s=AFTER_S, concurrency=1) as gateway:
        yield gateway


async def waiting(gateway: Served, order_id: str) -> Any:
    status, order = await gateway.get(f"/api/orders/{order_id}")
    assert status == 200
    return order["waiting"]


async def lag(gateway: Served, stage: str = "router") -> Any:
    return (await gateway.get("/readyz"))[1]["lag"]["stages"][stage]


async def waits_for(gateway: Served, order_id: str, reason: str) -> Any:
    """Waits until the order waits for this; the answer."""
    answers: list[Any] = []

    async def does() -> bool:
        answers.append(await waiting(gateway, order_id))
        return bool(answers[-1] and answers[-1]["reason"] == reason)

    await until(does, f"{order_id} to wait for {reason}")
    return answers[-1]


def until_us(answer: Any) -> int:
    return int(datetime.fromisoformat(answer["until"]).timestamp() * 1e6)


def test_a_score_holds_its_time_and_its_reason_exactly() -> None:
    for reason in STORED:
        for ms in (1_764_000_000_000, 1_764_000_000_001, 4_102_444_800_999):
            assert split_score(float(repr(ms + NUMBERS[reason] / SHARE))) == (ms, reason)
    assert split_score(1_764_000_000_000.0)[1] is WaitReason.QUEUE, "as earlier builds wrote it"
    for damaged in (math.inf, -math.inf, math.nan):
        assert split_score(damaged) == (0, WaitReason.QUEUE)


async def test_paced_orders_show_their_age_their_reason_and_their_turn(
    gateway: Served, workers: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workers.worker("router", orders_per_minute=5)
    body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1}
    _, answer, _ = await gateway.post({"orders": [body] * 12}, path="/api/orders/batch")
    ids = [result["orderId"] for result in answer["results"]]

    async def paced() -> bool:
        return bool((await lag(gateway))["reasons"] == {"pacing": 7})

    await until(paced, "seven orders to wait for their turn")
    first = await lag(gateway)
    assert (first["orders"], first["waiting"]) == (7, 7)
    assert first["seconds"] > 0

    async def older() -> bool:
        return bool((await lag(gateway))["seconds"] > first["seconds"])

    await until(older, "the age to grow")
    orders = [(await workers.head(order_id)).order for order_id in ids]

    async def listed(*_: Any, **__: Any) -> Any:
        return orders, None

    monkeypatch.setattr(gateway.archive, "find", listed)
    _, page = await gateway.get("/api/orders?limit=20")
    shown = {order["orderId"]: order["waiting"] for order in page["orders"]}
    turns = [until_us(wait) for wait in shown.values() if wait["reason"] == "pacing"]
    assert len(turns) == 7
    assert all(turn > time.time_ns() // 1000 for turn in turns)
    paced_id = next(i for i in ids if shown[i]["reason"] == "pacing")
    assert (await waiting(gateway, paced_id)) == shown[paced_id]
    text = await (await gateway.http.get(f"{gateway.url}/metrics")).text()
    assert 'oee_stage_waiting_reason_orders{reason="pacing",stage="router"} 7.0' in text
    prefix = 'oee_stage_oldest_seconds{stage="router"} '
    [age] = [line for line in text.splitlines() if line.startswith(prefix)]
    assert float(age.removeprefix(prefix)) >= first["seconds"]


async def test_an_order_without_a_permit_says_so_and_the_holder_does_not(
    redis_url: str, gateway: Served, workers: Crew
) -> None:
    assert {name for name in ("router", "builder", "submitter", "confirmer", "watcher")
            if workers.stage(name).needs_permit} == PERMIT_STAGES  # fmt: skip
    limits = RateAndConcurrencyLimiter(redis_url, "other", concurrency=1, lease_ms=3_600_000)
    holder = await gateway.accepted()
    async with limits.permits.permit(holder):
        order_id = await gateway.accepted()
        await waits_for(gateway, order_id, "permit")
        await waits_for(gateway, holder, "queue")  # it is listed once it has held it for a moment
        assert (await lag(gateway))["reasons"] == {"permit": 1, "queue": 1}
    await limits.close()
    await waits_for(gateway, order_id, "queue")


async def test_a_halted_engine_is_why_its_orders_wait(gateway: Served, workers: Crew) -> None:
    await gateway.post({"reason": "a test"}, path="/api/admin/halt")
    resting = await gateway.resting()
    for stage in ("router", "builder", "submitter"):
        await workers.worker(stage)
    order_id = await gateway.accepted()
    answer = await waits_for(gateway, order_id, "halt")
    assert "until" not in answer, "an operator ends it, at a time that is not known"
    assert (await waiting(gateway, resting))["reason"] == "halt"

    async def counted() -> bool:
        return bool((await lag(gateway, "submitter"))["reasons"] == {"halt": 1})

    await until(counted)
    await gateway.post({"reason": "over"}, path="/api/admin/resume")
    assert (await waits_for(gateway, resting, "price"))["text"]
    await waits_for(gateway, order_id, "chain")


@pytest.mark.parametrize(("attempt", "code", "reason"), [
    (1, "no-route", "backoff"), (0, "venue-unavailable", "node"),
])  # fmt: skip
async def test_a_retried_order_says_what_for_and_when_and_keeps_its_age(
    gateway: Served, workers: Crew, attempt: int, code: Any, reason: str
) -> None:
    [order_id] = await workers.submit()
    [submitted] = await gateway.log.history((await workers.head(order_id)).positions)
    submitted_at = submitted.time_us
    later_us = time.time_ns() // 1000 + HOUR_US
    for number in range(1, 4):
        failed = AttemptFailed("router", number * attempt, code, "", later_us)
        await workers.append(order_id, failed)
    await workers.worker("router", backoff_ms=(20, 7_200_000))
    answer = await waits_for(gateway, order_id, reason)
    assert abs(until_us(answer) - later_us) < 60_000_000
    state = await lag(gateway)
    assert state["reasons"] == {reason: 1}
    now_us = time.time_ns() // 1000
    assert state["seconds"] <= (now_us - submitted_at) / 1e6 + 1
    newest = (await gateway.log.history((await workers.head(order_id)).positions[-1:]))[0].time_us
    assert state["seconds"] > (newest - submitted_at) / 1e6, "since it came to the stage"


async def test_an_order_that_is_parked_rests_or_has_ended_says_so(
    gateway: Served, workers: Crew
) -> None:
    parked = await gateway.accepted()
    await gateway.append(parked, OrderParked("router", "a test", "engine"))
    assert (await waiting(gateway, parked))["reason"] == "operator"
    assert (await waiting(gateway, await gateway.resting()))["reason"] == "price"
    await workers.all_stages()
    ended = await gateway.accepted()
    assert await workers.ended([ended]) == ["confirmed"]
    assert await waiting(gateway, ended) is None


async def test_an_unknown_age_is_null_and_degrades_the_engine_after_a_while(
    gateway: Served, workers: Crew
) -> None:
    await workers.all_stages()
    server = LogServer(gateway.log)
    await server.call("HSET", gateway.log.keys.owed, "2", "3")  # three orders that no queue has

    async def is_reported() -> bool:
        await gateway.archive.take(gateway.log)
        _, ready = await gateway.get("/readyz")
        assert ready["lag"]["stages"]["builder"]["seconds"] is None
        return bool(ready["codes"] == {"builder": "stage-age-unknown"})

    await until(is_reported)
    await server.call("HSET", gateway.log.keys.owed, "2", "0")

    async def is_well() -> bool:
        return bool((await gateway.get("/readyz"))[1]["status"] == "ready")

    await until(is_well)


async def test_a_projector_that_stands_at_an_unreadable_event_degrades_the_engine(
    gateway: Served, workers: Crew
) -> None:
    await workers.all_stages()
    await gateway.archive.take(gateway.log)
    [order_id] = await workers.submit()
    assert await workers.ended([order_id]) == ["confirmed"]
    first = (await workers.head(order_id)).positions[0]
    await LogServer(gateway.log).call("XDEL", gateway.log.keys.log, f"{first}-0")

    async def is_reported() -> bool:
        _, ready = await gateway.get("/readyz")
        assert ready["lag"]["projection"]["seconds"] is None
        return bool(ready["codes"].get("projector") == "projector-age-unknown")

    await until(is_reported)


def test_only_times_at_which_work_continues_are_shown() -> None:
    assert set(STORED) >= DATED
    assert WaitReason.HALT not in DATED


async def test_an_order_whose_time_is_damaged_can_be_read(gateway: Served) -> None:
    order_id = await gateway.accepted()
    due = gateway.log.keys.due("router")
    await LogServer(gateway.log).call("ZADD", due, "+inf", order_id)
    assert (await waiting(gateway, order_id))["reason"] == "queue"
    assert (await lag(gateway))["reasons"] == {"queue": 1}


async def test_delayed_orders_behind_the_first_thousand_count_as_the_last_of_these(
    gateway: Served,
) -> None:
    due = gateway.log.keys.due("router")
    in_an_hour = time.time_ns() // 1_000_000 + 3_600_000
    reasons = [WaitReason.BACKOFF] * 100 + [WaitReason.PACING] * 900 + [WaitReason.NODE] * 300
    scores: list[str | int] = []
    for number, reason in enumerate(reasons):
        scores += [repr(in_an_hour + number + NUMBERS[reason] / SHARE), f"order-{number}"]
    await LogServer(gateway.log).call("ZADD", due, *scores)
    shown = (await gateway.log.lag())["router"]
    assert (shown.delayed, shown.reasons) == (1300, {"backoff": 100, "pacing": 1200})
