"""On a chain too, what is known is routed, built, signed and appended in one go, and sent once."""

from __future__ import annotations

import random
from pathlib import Path

from events.types import OrderRouted, TransactionBuilt, TransactionSubmitted
from tests.integration.test_chain_life import assert_the_wallet_agrees, only
from tests.support.chain.chain_crew import SOL, ChainCrew, chain_crew
from tests.support.chain.localchain import plan_of
from tests.support.log.workers import Worker

AHEAD = ("builder", "submitter")
POOL = only(plan_of("raydium-cpmm"))


async def others(crew: ChainCrew) -> None:
    for name in ("builder", "submitter", "confirmer"):
        await crew.worker(name)


def is_fused(crew: ChainCrew, order_id: str) -> bool:
    """Whether route, transaction and submission were written by one append."""
    kinds = (OrderRouted, TransactionBuilt, TransactionSubmitted)
    times = {e.time_us for kind in kinds for e in crew.of(kind) if e.order_id == order_id}
    return len(times) == 1


async def test_a_route_of_a_known_kind_is_built_and_submitted_in_one_append(
    redis_url: str, tmp_path: Path
) -> None:
    async with chain_crew(redis_url, tmp_path, pools=POOL) as crew:
        await crew.worker("router", ahead=AHEAD)
        await others(crew)
        before = crew.local.holdings()
        # The first one is simulated; the others need a blockhash that was fetched ahead, which a
        # busy machine may delay.
        for _ in range(20):
            order_id, _ = await crew.swapped("SOL", "USDC", SOL)
            if is_fused(crew, order_id):
                break
        else:
            raise AssertionError("no order was fused")
        assert_the_wallet_agrees(crew, before)


async def test_a_route_that_is_always_simulated_is_built_by_the_builder(
    redis_url: str, tmp_path: Path
) -> None:
    async with chain_crew(redis_url, tmp_path, pools=POOL, simulate="always") as crew:
        await crew.worker("router", ahead=AHEAD)
        await others(crew)
        fused = [is_fused(crew, (await crew.swapped("SOL", "USDC", SOL))[0]) for _ in range(3)]
        assert fused == [False] * 3


async def test_routers_that_die_lose_no_order_and_send_none_twice(
    redis_url: str, tmp_path: Path
) -> None:
    orders, routers = 24, 3
    async with chain_crew(redis_url, tmp_path, pools=POOL) as crew:

        async def router() -> Worker:
            return await crew.worker("router", ahead=AHEAD)

        running = [await router() for _ in range(routers)]
        await others(crew)
        before = crew.local.holdings()
        ids = []
        for number in range(orders):
            ids.append(await crew.order("SOL", "USDC", SOL // 10, slippage_bps=1000))
            if number % 3 == 2:
                await crew.until(lambda: len(crew.of(OrderRouted)) > len(ids) - 2)
                at = random.randrange(routers)
                await running[at].die()
                running[at] = await router()
        assert await crew.ended(ids) == ["confirmed"] * orders
        # The routers that live now know the wallet and a blockhash, sooner or later.
        while not any(is_fused(crew, order_id) for order_id in ids):
            ids.append((await crew.swapped("SOL", "USDC", SOL // 10))[0])
        assert_the_wallet_agrees(crew, before)
