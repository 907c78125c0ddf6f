"""Orders that change while they are triggered: judged again by what stands then, and never lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from events.commands import engine_switch, orders
from events.log import AppendRequest, AppendResult, AppendStatus, EventLog
from events.order import Order
from events.types import (
    OrderArmed,
    OrderSubmitted,
    OrderTriggered,
    RoutingStarted,
    Status,
)
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime.stage import Stage
from stages.triggers.pair_book import TriggerCandidate
from stages.triggers.writer import TriggerWriter
from stages.venues import PoolEvent, Tick
from stages.venues.simulated.venue import DEXES, SimulatedVenue, Simulation
from stages.venues.venue_group import VenueGroup
from tests.support.log.opened import opened_log
from tests.support.log.played import Play, after_submission, routed
from tests.support.waits import HANG_S

LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price="150", time_in_force="GTC"
)


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    async with opened_log(redis_url) as log:
        yield log


UNLIMITED = RateAndConcurrencyLimiter("redis://127.0.0.1:1", "unlimited")
"""Without limits it opens no connection."""


class Overtaken(TriggerWriter):
    """Amends the order once, after it was loaded."""

    def __init__(
        self,
        log: EventLog,
        market: VenueGroup,
        target: str | None,
        ahead: Mapping[str, Stage] | None = None,
    ) -> None:
        super().__init__(log, market, UNLIMITED, ahead or {})
        self._target = target
        self._amends = [True]

    async def heads(self, order_ids: Sequence[str]) -> Any:
        heads = await super().heads(order_ids)
        for order_id in order_ids if self._amends else ():
            self._amends.clear()
            expires_us = None if self._target else 2 * 10**15
            answer = await orders.amend(self._log, order_id, 2, self._target, expires_us, "ann")
            assert answer.outcome is orders.CommandOutcome.DONE
        return heads


@pytest.fixture
def market() -> VenueGroup:
    return VenueGroup([SimulatedVenue(*DEXES[0], Simulation(slot_ms=60_000))], timeout_s=HANG_S)


async def touched(log: EventLog, market: VenueGroup) -> TriggerCandidate:
    """An order that rests, and a tick of now that pays it."""
    play = Play(log)
    [order_id] = await play.create(fact=replace(LIMIT))
    await play.append([order_id], OrderArmed(market.slot()))
    return TriggerCandidate(order_id, Tick("raydium", "p", market.slot() + 1, "150"))


async def test_an_order_amended_during_its_trigger_is_triggered_if_its_new_price_is_reached(
    log: EventLog, market: VenueGroup
) -> None:
    candidate = await touched(log, market)
    fired = await Overtaken(log, market, None).fire([candidate])
    assert (fired.other_terms, fired.halted) == ([], [])
    [head] = await log.load([candidate.order_id])
    assert head is not None
    assert head.version == 4
    [*_, newest] = await log.history(head.positions)
    assert isinstance(newest.record.event().fact, OrderTriggered)


async def test_an_order_amended_during_its_trigger_keeps_watching_if_its_new_price_is_not_reached(
    log: EventLog, market: VenueGroup
) -> None:
    candidate = await touched(log, market)
    fired = await Overtaken(log, market, "151").fire([candidate])
    assert [(order.id, order.target_price) for order in fired.other_terms] == [
        (candidate.order_id, "151")
    ]


async def test_an_order_whose_price_was_amended_after_the_tick_is_not_triggered_by_it(
    log: EventLog, market: VenueGroup
) -> None:
    play = Play(log)
    [order_id] = await play.create(fact=LIMIT)
    await play.append([order_id], OrderArmed(market.slot() - 2))
    tick = Tick("raydium", "p", market.slot() - 1, "150")
    fired = await Overtaken(log, market, "149").fire([TriggerCandidate(order_id, tick)])
    assert [(order.id, order.target_price) for order in fired.other_terms] == [(order_id, "149")]
    assert await status(log, order_id) is Status.WATCHING


async def test_fire_returns_the_orders_that_a_halt_stopped(
    log: EventLog, market: VenueGroup
) -> None:
    candidate = await touched(log, market)
    await engine_switch.halt(log, "odd prices", "ann")
    fired = await TriggerWriter(log, market, UNLIMITED, {}).fire([candidate])
    assert [order.id for order in fired.halted] == [candidate.order_id]


async def test_an_order_that_the_log_does_not_take_for_a_moment_is_triggered_once_it_does(
    log: EventLog, market: VenueGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = await touched(log, market)
    append, answers = log.append, [AppendStatus.UNVERIFIED]

    async def at_first_unverified(requests: Sequence[AppendRequest]) -> list[AppendResult]:
        if answers:
            return [AppendResult(answers.pop(), 0)]
        return await append(requests)

    monkeypatch.setattr(log, "append", at_first_unverified)
    fired = await TriggerWriter(log, market, UNLIMITED, {}).fire([candidate])
    assert (fired.other_terms, fired.halted) == ([], [])
    assert await status(log, candidate.order_id) is Status.PENDING


async def test_a_sniper_order_amended_during_its_trigger_is_sent_once_by_its_new_terms(
    log: EventLog, market: VenueGroup
) -> None:
    sent = list[Order]()
    play = Play(log)
    [order_id] = await play.create(fact=replace(LIMIT, order_type="sniper", target_price=""))
    await play.append([order_id], OrderArmed(market.slot()))
    event = PoolEvent("pool-created", "raydium", "p", market.slot() + 1, "150", 10**12)
    firing = Overtaken(log, market, None, running_ahead(sent))
    await firing.fire([TriggerCandidate(order_id, event)])
    await firing.sent()
    [order] = sent
    assert (order.id, order.status, order.expires_at_us) == (order_id, "submitted", 2 * 10**15)


async def test_a_sniper_that_a_halt_stops_is_not_sent(log: EventLog, market: VenueGroup) -> None:
    sent = list[Order]()
    play = Play(log)
    [order_id] = await play.create(fact=replace(LIMIT, order_type="sniper", target_price=""))
    await play.append([order_id], OrderArmed(market.slot()))
    await engine_switch.halt(log, "odd prices", "ann")
    event = PoolEvent("pool-created", "raydium", "p", market.slot() + 1, "150", 10**12)
    writer = TriggerWriter(log, market, UNLIMITED, running_ahead(sent))
    fired = await writer.fire([TriggerCandidate(order_id, event)])
    await writer.sent()
    assert ([order.id for order in fired.halted], sent) == ([order_id], [])


def running_ahead(sent: list[Order]) -> dict[str, Stage]:
    """Stages that answer at once; what the last one sends is in `sent`."""

    async def send(orders: Sequence[Order]) -> None:
        sent.extend(orders)

    _, _, built, submitted, _ = after_submission()
    return {
        "router": Stage("router", lambda _, __: [RoutingStarted(), routed()]),
        "builder": Stage("builder", lambda _, __: [built]),
        "submitter": Stage("submitter", lambda _, __: [submitted], after=send),
    }


async def status(log: EventLog, order_id: str) -> Status:
    [head] = await log.load([order_id])
    assert head is not None
    assert head.order is not None
    return head.order.status
