"""What triggers orders is tradable: a closed pool triggers nothing, its opening does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from engine.localnet.genesis import LAYOUTS
from engine.localnet.genesis.market import PoolPlan
from events.types import Fact, OrderRearmed, OrderTriggered
from tests.support.chain.chain_crew import SOL, ChainCrew, chain_crew
from tests.support.chain.localchain import FAMILY_NAMES, plan_of
from tests.support.chain.untradable import OPENS_BY_SLOT, Laid, disabled, empty, opening

SNIPER = {"order_type": "sniper", "time_in_force": "GTC", "max_price": "0.01"}
LIMIT = {"order_type": "limit", "slippage_bps": 0, "time_in_force": "GTC", "target_price": "120"}


def only(plan: PoolPlan) -> dict[str, list[str]]:
    """POOLS of this pool and no other."""
    return {plan.pair: [plan.address]}


async def becomes(crew: ChainCrew, laid: Laid) -> None:
    """The chain has these accounts, and the watcher has seen them."""
    crew.local.node.fund(laid)
    crew.local.advance(2)
    await crew.up_to_date()


async def waits(crew: ChainCrew, **fields: object) -> str:
    """An order that is watching."""
    order_id = await crew.order("SOL", "USDC", SOL, **fields)
    await crew.until(lambda: crew.statuses().get(order_id) == "watching")
    return order_id


def trigger(crew: ChainCrew, order_id: str) -> OrderTriggered:
    """The one that there was: nothing led the order on before."""
    facts = crew.facts(order_id)
    assert not any(isinstance(fact, OrderRearmed) for fact in facts)
    [fired] = [fact for fact in facts if isinstance(fact, OrderTriggered)]
    return fired


@pytest.mark.parametrize("family", FAMILY_NAMES)
async def test_a_pool_made_now_that_opens_later_fires_at_its_opening(
    family: str, redis_url: str, tmp_path: Path
) -> None:
    plan = plan_of(family)
    laid = LAYOUTS[family](plan)
    async with chain_crew(redis_url, tmp_path, pools=only(plan)) as crew:
        await crew.engine()
        crew.local.remove(laid)
        crew.local.advance(2)
        await crew.up_to_date()
        snipes, limit = await waits(crew, **SNIPER), await waits(crew, **LIMIT)
        opens_s = int(time.time()) + 3
        await becomes(crew, opening(plan, laid, opens_s))
        assert await crew.ended([snipes, limit]) == ["confirmed"] * 2
        fired = trigger(crew, snipes)
        assert (fired.cause, fired.pool) == ("pool-opened", plan.address)
        crew.local.node.save()
        for order_id in (snipes, limit):
            at_s = crew.local.node.store.time_of(trigger(crew, order_id).slot)
            assert at_s is not None
            assert at_s >= opens_s


@pytest.mark.parametrize("family", OPENS_BY_SLOT)
async def test_a_pool_that_opens_at_a_slot_fires_then(
    family: str, redis_url: str, tmp_path: Path
) -> None:
    plan = plan_of(family)
    laid = LAYOUTS[family](plan)
    async with chain_crew(redis_url, tmp_path, pools=only(plan)) as crew:
        await crew.engine()
        slot = crew.local.node.bank.slot + 200
        await becomes(crew, opening(plan, laid, slot, by_slot=True))
        snipes = await waits(crew, **SNIPER)
        assert await crew.ended([snipes]) == ["confirmed"]
        fired = trigger(crew, snipes)
        assert fired.cause == "pool-opened"
        assert fired.slot >= slot


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("state", [disabled, empty])
async def test_a_pool_that_takes_no_swaps_triggers_nothing_until_it_does(
    state: object, family: str, redis_url: str, tmp_path: Path
) -> None:
    assert callable(state)
    plan = plan_of(family)
    laid = LAYOUTS[family](plan)
    async with chain_crew(redis_url, tmp_path, pools=only(plan)) as crew:
        await crew.engine()
        await becomes(crew, state(plan, laid))
        snipes, limit = await waits(crew, **SNIPER), await waits(crew, **LIMIT)
        crew.local.advance(5)
        await crew.up_to_date()
        await becomes(crew, laid)
        assert await crew.ended([snipes, limit]) == ["confirmed"] * 2
        assert trigger(crew, limit).cause == "tick"
        cause = "pool-opened" if state is disabled else "liquidity-added"
        assert trigger(crew, snipes).cause == cause


async def test_a_rearmed_sniper_triggers_when_its_price_returns(
    redis_url: str, tmp_path: Path
) -> None:
    plan = plan_of("raydium-cpmm")
    laid = LAYOUTS[plan.family](plan)
    async with chain_crew(redis_url, tmp_path, pools=only(plan)) as crew:
        for name in ("watcher", "builder", "submitter", "confirmer"):
            await crew.worker(name)
        await crew.watching()
        await becomes(crew, disabled(plan, laid))
        snipes = await waits(crew, **SNIPER | {"max_price": "0.0067"})  # at 149.25 or more
        await becomes(crew, laid)
        await crew.until(lambda: crew.of(OrderTriggered))
        crew.local.others_swap(plan, "SOL", 1_000 * SOL)  # dearer before it was routed
        await crew.up_to_date()
        await crew.worker("router")
        await crew.until(lambda: crew.of(OrderRearmed))
        crew.local.others_swap(plan, "USDC", 160_000 * 10**6)
        assert await crew.ended([snipes]) == ["confirmed"]
        causes = [event.fact.cause for event in crew.of(OrderTriggered)]  # type: ignore[union-attr]  # of that kind
        assert causes == ["pool-opened", "tick"]


async def test_a_retreated_order_does_not_miss_a_price_that_returns(
    redis_url: str, tmp_path: Path
) -> None:
    plan = plan_of("raydium-cpmm")
    async with chain_crew(redis_url, tmp_path, pools=only(plan), chain_slot_ms=100) as crew:
        await crew.engine()
        # One SOL would be paid this, so many are not.
        order_id = await crew.order("SOL", "USDC", 1_000 * SOL, **LIMIT | {"target_price": "147"})

        def facts(kind: type[Fact]) -> list[Any]:
            return [fact for fact in crew.facts(order_id) if isinstance(fact, kind)]

        def paused_until(slots: int) -> int:
            """The end of a pause of so many slots that has begun."""
            last = (facts(OrderRearmed) or [None])[-1]
            if last is None or last.paused_until_slot - last.slot < slots - 1:
                return 0
            return int(last.paused_until_slot)

        await crew.until(lambda: paused_until(64))
        end, before = paused_until(64), len(facts(OrderTriggered))
        crew.local.others_swap(plan, "SOL", 400 * SOL)  # the price leaves
        await crew.up_to_date()
        await crew.up_to_date()
        assert len(facts(OrderTriggered)) == before
        crew.local.others_swap(plan, "USDC", 58_000 * 10**6)  # and is back
        await crew.until(lambda: len(facts(OrderTriggered)) > before)
        assert facts(OrderTriggered)[before].slot < end

        await crew.until(lambda: len(facts(OrderRearmed)) > before and paused_until(64))
        end = paused_until(64)
        crew.local.others_swap(plan, "USDC", 200_000 * 10**6)  # it rises to where all is filled
        assert await crew.ended([order_id]) == ["confirmed"]
        assert facts(OrderTriggered)[-1].slot < end
