"""Commands on orders in progress: the log serialises them, and the first one wins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from events.commands import engine_switch, orders
from events.commands.engine_switch import Outcome as Switched
from events.commands.orders import CommandOutcome
from events.ids import ENGINE_STREAM_ID, new_order_id
from events.log import AppendResult, AppendStatus, EventLog
from events.order import EXECUTED
from events.secret import SecretBytes
from events.types import (
    EngineHalted,
    EngineStatus,
    OrderArmed,
    OrderCancelled,
    OrderParked,
    OrderSubmitted,
    OrderTriggered,
    RoutingStarted,
    Status,
    TransactionBuilt,
    TransactionExpired,
    TransactionSubmitted,
)
from tests.support.log.log_server import LogServer
from tests.support.log.opened import opened_log
from tests.support.log.played import Play, after_submission, routed, submitted

LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price="151", time_in_force="GTC"
)
TRIGGERED = OrderTriggered("tick", "raydium", "r", 8, "151.2")
RESTED = OrderArmed(7)


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


async def resting(log: EventLog, fact: OrderSubmitted = LIMIT) -> tuple[Play, str]:
    play = Play(log)
    [order_id] = await play.create(fact=fact)
    await play.append([order_id], RESTED)
    return play, order_id


async def names(log: EventLog) -> list[str]:
    reader = log.reader()
    batches = await reader.read(0)
    await reader.close()
    return [record.event().name for batch in batches for record in batch.records]


# -- cancel ----------------------------------------------------------------------------------------


async def test_a_cancel_wins_at_each_step_before_the_send_and_at_none_after_it(
    log: EventLog,
) -> None:
    for steps in range(6):
        play = Play(log)
        [order_id] = await play.create(fact=submitted())
        for fact in after_submission()[:steps]:
            await play.append([order_id], fact)
        answer = await orders.cancel(log, order_id, "ann", "changed my mind")
        assert answer.order is not None
        if steps < 4:
            assert (answer.outcome, answer.order.status) == (CommandOutcome.DONE, "cancelled")
            assert answer.order.reason == "changed my mind"
        else:
            status = ["submitted", "confirmed"][steps - 4]
            assert (answer.outcome, answer.order.status) == (CommandOutcome.TOO_LATE, status)
        assert (await log.load([order_id]))[0].order.status == answer.order.status  # type: ignore[union-attr]
    assert await log.open_orders() == 1
    assert [lag.orders for lag in (await log.lag()).values()] == [0, 0, 0, 1, 0]


@pytest.mark.parametrize("steps", range(5))
async def test_a_cancel_wins_between_a_dead_transaction_and_the_send_of_the_next(
    log: EventLog, steps: int
) -> None:
    """In an outage or a halt that time is long, and the order would be sent again afterwards."""
    play = Play(log)
    [order_id] = await play.create(fact=submitted())
    built = TransactionBuilt(2, "sig-2", 200, SecretBytes(b"raw-2"))
    replaced = [
        TransactionExpired(1, "sig-1", 100, 101),
        routed(148_000_000), built, TransactionSubmitted(2, "sig-2"),
    ]  # fmt: skip
    for fact in (*after_submission()[:4], *replaced[:steps]):
        await play.append([order_id], fact)
    answer = await orders.cancel(log, order_id, "ann", "changed my mind")
    assert answer.order is not None
    if steps in (1, 2, 3):
        assert (answer.outcome, answer.order.status) == (CommandOutcome.DONE, "cancelled")
        assert (await log.lag())["submitter"].orders == 0
        assert await log.open_orders() == 0
    else:
        assert (answer.outcome, answer.order.status) == (CommandOutcome.TOO_LATE, "submitted")


async def test_a_repeated_cancel_is_reported_as_already_done_and_appends_nothing(
    log: EventLog,
) -> None:
    _, order_id = await resting(log)
    assert (await orders.cancel(log, order_id, "ann")).outcome is CommandOutcome.DONE
    position = await log.position()
    assert (await orders.cancel(log, order_id, "ann")).outcome is CommandOutcome.ALREADY
    assert await log.position() == position
    assert await log.resting() == 0


async def test_many_cancels_at_once_have_one_winner(log: EventLog) -> None:
    _, order_id = await resting(log)
    answers = await asyncio.gather(*(orders.cancel(log, order_id, f"a{n}") for n in range(8)))
    assert sorted(a.outcome.value for a in answers) == ["already"] * 7 + ["done"]
    assert (await names(log)).count("OrderCancelled") == 1


async def test_a_parked_order_can_be_cancelled(log: EventLog) -> None:
    play, order_id = await resting(log)
    await play.append([order_id], OrderParked("watcher", "bug", "engine"))
    assert len(await log.parked()) == 1
    assert (await orders.cancel(log, order_id, "ann")).outcome is CommandOutcome.DONE
    assert await log.parked() == []


async def test_an_unknown_order_cannot_be_cancelled(log: EventLog) -> None:
    await engine_switch.halt(log, "odd", "ann")
    for order_id in (new_order_id(), ENGINE_STREAM_ID):
        assert await orders.cancel(log, order_id, "ann") == (CommandOutcome.NOT_FOUND, None)


# -- amend -----------------------------------------------------------------------------------------


async def test_an_amended_order_keeps_watching_with_its_new_terms(log: EventLog) -> None:
    _, order_id = await resting(log)
    answer = await orders.amend(log, order_id, 2, "149.5", None, "ann")
    assert answer.outcome is CommandOutcome.DONE
    assert answer.order is not None
    assert (answer.order.status, answer.order.target_price) == ("watching", "149.5")
    again = await orders.amend(log, order_id, 3, "149.5", None, "ann")
    assert again.outcome is CommandOutcome.ALREADY
    later = await orders.amend(log, order_id, 3, None, 2_000_000_000_000_000, "ann")
    assert later.order is not None
    assert (later.order.target_price, later.order.expires_at_us) == ("149.5", 2 * 10**15)


async def test_an_amend_of_another_version_is_a_conflict(log: EventLog) -> None:
    _, order_id = await resting(log)
    assert (
        await orders.amend(log, order_id, 1, "149", None, "ann")
    ).outcome is CommandOutcome.CONFLICT


async def test_an_amend_of_an_older_version_conflicts_though_its_terms_already_apply(
    log: EventLog,
) -> None:
    _, order_id = await resting(log)
    await orders.amend(log, order_id, 2, "149", None, "ann")
    stale = await orders.amend(log, order_id, 2, "149", None, "ann")
    assert stale.outcome is CommandOutcome.CONFLICT


async def test_an_amend_of_one_term_keeps_the_other(log: EventLog) -> None:
    _, order_id = await resting(log)
    expires_us = 2 * 10**15
    await orders.amend(log, order_id, 2, None, expires_us, "ann")
    priced = (await orders.amend(log, order_id, 3, "149", None, "ann")).order
    assert priced is not None
    assert (priced.target_price, priced.expires_at_us) == ("149", expires_us)
    unlimited = (await orders.amend(log, order_id, 4, None, orders.NEVER, "ann")).order
    assert unlimited is not None
    assert (unlimited.target_price, unlimited.expires_at_us) == ("149", None)


async def test_an_order_executed_according_to_a_repair_can_neither_be_amended_nor_cancelled(
    log: EventLog,
) -> None:
    play, order_id = await resting(log)
    await play.append(
        [order_id], OrderParked("repair", f"{EXECUTED}sig, whose events are lost", "e")
    )
    assert (
        await orders.amend(log, order_id, 3, "149", None, "ann")
    ).outcome is CommandOutcome.TOO_LATE
    assert (await orders.cancel(log, order_id, "ann")).outcome is CommandOutcome.TOO_LATE


async def test_a_triggered_order_cannot_be_amended(log: EventLog) -> None:
    play, order_id = await resting(log)
    await play.append([order_id], TRIGGERED)
    assert (
        await orders.amend(log, order_id, 2, "149", None, "ann")
    ).outcome is CommandOutcome.TOO_LATE


# -- halt ------------------------------------------------------------------------------------------


async def append_facts(log: EventLog, order_id: str, *facts: object) -> AppendStatus:
    [head] = await log.load([order_id])
    assert head is not None
    request, _ = log.build_append_of(head, head.order, facts)  # type: ignore[arg-type]
    return (await log.append([request]))[0].status


async def test_while_halted_no_trigger_fires_and_nothing_is_sent_and_cancels_work(
    log: EventLog,
) -> None:
    play, order_id = await resting(log)
    [other] = await play.create()
    for fact in after_submission()[:3]:
        await play.append([other], fact)
    assert (await engine_switch.halt(log, "odd prices", "ann")).outcome is Switched.DONE
    assert await log.halted()
    assert await append_facts(log, order_id, TRIGGERED) is AppendStatus.HALTED
    assert await append_facts(log, other, after_submission()[3]) is AppendStatus.HALTED
    [new] = await play.create()  # accepted all the same
    assert await append_facts(log, new, RoutingStarted()) is AppendStatus.CREATED
    assert (await orders.cancel(log, new, "ann")).outcome is CommandOutcome.DONE
    assert (await engine_switch.resume(log, "ann")).outcome is Switched.DONE
    assert not await log.halted()
    assert await append_facts(log, order_id, TRIGGERED) is AppendStatus.CREATED
    assert await append_facts(log, other, after_submission()[3]) is AppendStatus.CREATED


async def test_a_second_halt_and_a_second_resume_append_no_event(log: EventLog) -> None:
    assert (await engine_switch.resume(log, "ann")).outcome is Switched.ALREADY
    for _ in range(2):
        outcomes = [(await engine_switch.halt(log, f"r{n}", "ann")).outcome for n in range(2)]
        outcomes += [(await engine_switch.resume(log, "ann")).outcome for _ in range(2)]
        assert outcomes == [Switched.DONE, Switched.ALREADY] * 2
    assert await names(log) == ["EngineHalted", "EngineResumed"] * 2
    state = await engine_switch.engine_state(log)
    assert state is not None
    assert (state.id, state.status, state.version) == (ENGINE_STREAM_ID, EngineStatus.RUNNING, 4)
    assert await log.open_orders() == 0


async def test_of_two_first_halts_at_once_one_is_written(log: EventLog, redis_url: str) -> None:
    others = [EventLog(redis_url, build="other") for _ in range(4)]
    for other in others:
        await other.open()
    answers = await asyncio.gather(
        *(engine_switch.halt(o, f"r{n}", "a") for n, o in enumerate(others))
    )
    assert sorted(a.outcome.value for a in answers) == ["already"] * 3 + ["done"]
    assert await names(log) == ["EngineHalted"]
    for other in others:
        await other.close()


async def test_a_halt_and_a_trigger_that_it_refuses_may_be_in_one_append(log: EventLog) -> None:
    _, order_id = await resting(log)
    await engine_switch.halt(log, "x", "ann")
    await engine_switch.resume(log, "ann")
    [engine, order] = await log.load([ENGINE_STREAM_ID, order_id])
    assert engine is not None
    assert order is not None
    requests = [
        log.build_append_of(engine, engine.state, [EngineHalted("x", "ann")])[0],
        log.build_append_of(order, order.order, [TRIGGERED])[0],
    ]
    assert [a.status for a in await log.append(requests)] == [
        AppendStatus.CREATED,
        AppendStatus.HALTED,
    ]


# -- expiry ----------------------------------------------------------------------------------------


async def test_an_order_that_expired_is_not_triggered(log: EventLog) -> None:
    past = time.time_ns() // 1000 - 1
    _, order_id = await resting(log, replace(LIMIT, expires_at_us=past))
    assert await append_facts(log, order_id, TRIGGERED) is AppendStatus.LATE


async def test_the_expiry_index_has_the_expiry_of_open_orders(log: EventLog) -> None:
    async def expiries() -> list[bytes]:
        reply: list[bytes] = await LogServer(log).call(
            "ZRANGE", log.keys.expiry, 0, -1, "WITHSCORES"
        )
        return reply[1::2]

    _, order_id = await resting(log, replace(LIMIT, expires_at_us=3 * 10**15))
    assert await expiries() == [b"3000000000000"]
    await orders.amend(log, order_id, 2, None, 4 * 10**15, "ann")
    assert await expiries() == [b"4000000000000"]
    answer = await orders.amend(log, order_id, 3, None, orders.NEVER, "ann")
    assert answer.order is not None
    assert (answer.order.expires_at_us, answer.order.time_in_force) == (None, "GTC")
    assert await expiries() == []
    again = await orders.amend(log, order_id, 4, None, orders.NEVER, "ann")
    assert again.outcome is CommandOutcome.ALREADY
    await orders.amend(log, order_id, 4, None, 4 * 10**15, "ann")
    assert await append_facts(log, order_id, OrderCancelled("ann")) is AppendStatus.CREATED
    assert await expiries() == []


async def test_a_command_whose_answer_was_lost_is_done_though_other_events_followed(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, order_id = await resting(log)
    append = log.append

    async def lost(units: Any, **options: Any) -> Any:
        """The first try is written, a trigger follows, and the second try meets that."""
        monkeypatch.setattr(log, "append", append)
        await append(units, **options)
        assert await append_facts(log, order_id, TRIGGERED) is AppendStatus.CREATED
        return [AppendResult(AppendStatus.CONFLICT)]

    monkeypatch.setattr(log, "append", lost)
    answer = await orders.amend(log, order_id, 2, "900", None, "ann")
    assert answer.outcome is CommandOutcome.DONE
    assert answer.order is not None
    assert (answer.order.target_price, answer.order.status) == ("900", Status.PENDING)


@pytest.mark.parametrize("marked", [True, False])
async def test_a_halt_or_resume_corrects_a_halt_mark_that_contradicts_the_events(
    log: EventLog, marked: bool
) -> None:
    if marked:
        await LogServer(log).call("HSET", log.keys.meta, "halted", 1)
        assert (await engine_switch.resume(log, "ann")).outcome is Switched.DONE
    else:
        await engine_switch.halt(log, "odd", "ann")
        await LogServer(log).call("HDEL", log.keys.meta, "halted")
        assert (await engine_switch.halt(log, "odd", "ann")).outcome is Switched.DONE
    assert await log.halted() is not marked
    state = await engine_switch.engine_state(log)
    assert state is not None
    assert (state.status is EngineStatus.HALTED) is not marked


# -- layouts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["1", "2"])
async def test_a_log_of_a_layout_before_is_taken_over(
    log: EventLog, redis_url: str, layout: str
) -> None:
    [order_id] = await Play(log).create()
    await LogServer(log).call("HSET", log.keys.meta, "layout", layout)
    after = EventLog(redis_url, build="new")
    await after.open()
    assert (await orders.cancel(after, order_id, "ann")).outcome is CommandOutcome.DONE
    assert await engine_switch.engine_state(after) is None
    await after.close()
