"""Orders that change while they are triggered: judged again by what stands then, and never lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from events.commands import order_commands
from events.log import EventLog
from events.types import OrderArmed, OrderSubmitted, OrderTriggered
from stages.triggers.pair_book import Touched
from stages.triggers.writer import Firing
from stages.venues import Tick
from stages.venues.simulated.venue import DEXES, SimulatedVenue, Simulation
from stages.venues.venue_group import Market
from tests.played import Play
from tests.waits import HANG_S

LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 50, target_price="150", time_in_force="GTC"
)


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    opened = EventLog(redis_url, build="test")
    await opened.open()
    yield opened
    await opened.close()


class Overtaken(Firing):
    """Somebody amends the order after it was loaded, once."""

    def __init__(self, log: EventLog, market: Market, target: str | None) -> None:
        super().__init__(log, market, {})
        self._target = target
        self._amends = [True]

    async def heads(self, order_ids: Sequence[str]) -> Any:
        heads = await super().heads(order_ids)
        for order_id in order_ids if self._amends else ():
            self._amends.clear()
            expires_us = None if self._target else 2 * 10**15
            answer = await order_commands.amend(
                self._log, order_id, 2, self._target, expires_us, "ann"
            )
            assert answer.outcome is order_commands.Outcome.DONE
        return heads


@pytest.fixture
def market() -> Market:
    return Market([SimulatedVenue(*DEXES[0], Simulation(slot_ms=60_000))], timeout_s=HANG_S)


async def touched(log: EventLog, market: Market) -> Touched:
    """An order that rests, and a tick of now that pays it."""
    play = Play(log)
    [order_id] = await play.create(fact=replace(LIMIT))
    await play.say([order_id], OrderArmed(market.slot()))
    return Touched(order_id, Tick("raydium", "p", market.slot() + 1, "150"))


async def test_an_order_that_was_amended_meanwhile_and_is_still_paid_is_triggered(
    log: EventLog, market: Market
) -> None:
    one = await touched(log, market)
    fired = await Overtaken(log, market, None).fire([one])
    assert (fired.other_terms, fired.halted) == ([], [])
    [head] = await log.load([one.order_id])
    assert head is not None
    assert head.version == 4
    [*_, newest] = await log.history(head.positions)
    assert isinstance(newest.record.event().fact, OrderTriggered)


async def test_an_order_that_was_amended_meanwhile_and_is_not_paid_any_more_is_given_back(
    log: EventLog, market: Market
) -> None:
    one = await touched(log, market)
    fired = await Overtaken(log, market, "151").fire([one])
    assert [(order.id, order.target_price) for order in fired.other_terms] == [
        (one.order_id, "151")
    ]


async def test_an_order_that_a_halt_kept_from_it_is_given_back(
    log: EventLog, market: Market
) -> None:
    one = await touched(log, market)
    await order_commands.halt(log, "odd prices", "ann")
    fired = await Firing(log, market, {}).fire([one])
    assert [order.id for order in fired.halted] == [one.order_id]
