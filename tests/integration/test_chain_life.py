"""Every kind of order through every kind of pool, on the chain, to the lamport.

The log says what each order took and gave; the chain's ledger and the wallet say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.localnet.genesis import LAYOUTS
from engine.localnet.genesis.market import PoolPlan
from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import rent_exempt
from events import money
from events.order import STAGES
from events.types import (
    OrderFailed,
    OrderRearmed,
    OrderRouted,
    OrderTriggered,
    TransactionBuilt,
)
from tests.support.chain.chain_crew import (
    DECIMALS,
    SOL,
    ChainCrew,
    assert_sound,
    chain_crew,
    difference,
    nonzero,
)
from tests.support.chain.localchain import FAMILY_NAMES, account_of, plan_of

USDC = 10**6
TOO_LARGE = "transaction-too-large"
OTHER = dict.fromkeys(FAMILY_NAMES, "raydium-amm-v4") | {"raydium-amm-v4": "raydium-cpmm"}
"""With which pool a family's shares a split. Larger ones make no transaction with a CLMM pool."""
HOPS: dict[str, tuple[str, str, tuple[PoolPlan, PoolPlan]]] = {
    name: ("JUP", "SOL", (plan_of(name), plan_of("meteora-damm-v2", "JUP/USDC")))
    for name in ("raydium-cpmm", "raydium-amm-v4", "meteora-damm-v2")
}
HOPS["meteora-dlmm"] = (
    "RAY", "USDC", (plan_of("meteora-dlmm"), plan_of("raydium-amm-v4", "RAY/SOL"))
)  # fmt: skip
HOPS["raydium-clmm"] = (
    "RAY", "USDT",
    (plan_of("raydium-clmm", "RAY/USDC"), plan_of("meteora-damm-v2", "USDT/USDC")),
)  # fmt: skip
"""What is traded through which two pools."""


def only(*plans: PoolPlan) -> dict[str, list[str]]:
    """POOLS of these pools and no others."""
    pools: dict[str, list[str]] = {}
    for plan in plans:
        pools.setdefault(plan.pair, []).append(plan.address)
    return pools


def route(crew: ChainCrew, order_id: str) -> list[str]:
    """The families of the swaps of the route that was chosen."""
    [routed] = [fact for fact in crew.facts(order_id) if isinstance(fact, OrderRouted)]
    return [leg.family for leg in routed.quotes[routed.chosen].legs]


def assert_the_wallet_agrees(crew: ChainCrew, before: Mapping[str, int]) -> None:
    """What has left the wallet is what the log says."""
    assert difference(before, crew.local.holdings()) == nonzero(crew.books())
    crew.assert_executed_as_recorded()


@pytest.mark.parametrize("family", FAMILY_NAMES)
async def test_every_order_type_trades_with_a_family_to_the_lamport(
    family: str, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    plan = plan_of(family)
    async with chain_crew(redis_url, tmp_path, pools=only(plan)) as crew:
        await crew.engine()
        before = crew.local.holdings()

        sold, _ = await crew.swapped("SOL", "USDC", 3 * SOL)
        bought, fill = await crew.swapped("USDC", "SOL", 450 * USDC)
        assert route(crew, sold) == route(crew, bought) == [family]

        _, fill = await crew.swapped("SOL", "USDC", 0, exact_amount_out=300 * USDC)
        assert fill.amount_out == 300 * USDC
        _, fill = await crew.swapped("USDC", "SOL", 0, exact_amount_out=2 * SOL)
        assert fill.amount_out == 2 * SOL

        limit = {"order_type": "limit", "slippage_bps": 0, "time_in_force": "GTC"}
        waits = await crew.order("SOL", "USDC", SOL, target_price="1000", **limit)
        _, fill = await crew.swapped("SOL", "USDC", SOL, target_price="120", **limit)
        assert money.price_units(fill.executed_price) >= money.price_units("120")

        sniper = {"order_type": "sniper", "time_in_force": "GTC", "max_price": "0.01"}
        snipes = await crew.order("SOL", "USDC", SOL, min_liquidity=1, **sniper)
        await crew.until(lambda: {crew.statuses().get(i) for i in (waits, snipes)} == {"watching"})
        crew.local.remove(LAYOUTS[family](plan))
        crew.local.advance(3)
        await crew.trading.market.next_slot(crew.local.node.bank.slot)
        crew.local.node.fund(LAYOUTS[family](plan))
        assert await crew.ended([snipes]) == ["confirmed"], crew.facts(snipes)
        [fired] = [fact for fact in crew.facts(snipes) if isinstance(fact, OrderTriggered)]
        assert (fired.cause, fired.pool) == ("pool-created", plan.address)

        assert crew.statuses()[waits] == "watching"
        assert_the_wallet_agrees(crew, before)
        await assert_sound(redis_url, database_url)


@pytest.mark.parametrize("family", FAMILY_NAMES)
async def test_a_split_over_two_pools_is_booked_to_the_lamport(
    family: str, redis_url: str, tmp_path: Path
) -> None:
    pools = only(plan_of(family), plan_of(OTHER[family]))
    async with chain_crew(redis_url, tmp_path, pools=pools) as crew:
        await crew.engine()
        before = crew.local.holdings()
        split, fill = await crew.swapped("SOL", "USDC", 900 * SOL)
        assert sorted(route(crew, split)) == sorted((family, OTHER[family]))
        assert fill.amount_in == 900 * SOL
        await crew.up_to_date()
        exact, fill = await crew.swapped("SOL", "USDC", 0, exact_amount_out=135_000 * USDC)
        assert sorted(route(crew, exact)) == sorted((family, OTHER[family]))
        assert fill.amount_out == 135_000 * USDC
        assert_the_wallet_agrees(crew, before)


@pytest.mark.parametrize("family", FAMILY_NAMES)
async def test_a_route_of_two_hops_is_booked_to_the_lamport(
    family: str, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    here, there, plans = HOPS[family]
    async with chain_crew(redis_url, tmp_path, pools=only(*plans)) as crew:
        await crew.engine()
        before = crew.local.holdings()
        for token_in, token_out in ((here, there), (there, here)):
            amount = 50 * 10 ** DECIMALS[token_in]
            order_id, fill = await crew.swapped(token_in, token_out, amount)
            assert sorted(route(crew, order_id)) == sorted(plan.family for plan in plans)
            assert 0 < fill.amount_in <= amount
        assert_the_wallet_agrees(crew, before)
        await assert_sound(redis_url, database_url)


@pytest.mark.parametrize(
    ("version", "active", "end"),
    [("auto", True, ""), ("auto", False, TOO_LARGE), ("0", True, TOO_LARGE)],
)
async def test_hops_that_fit_only_in_version_1_are_refused_where_the_cluster_takes_version_0(
    redis_url: str, tmp_path: Path, version: str, active: bool, end: str
) -> None:
    pools = only(plan_of("raydium-clmm"), plan_of("meteora-dlmm", "JUP/USDC"))
    async with chain_crew(
        redis_url, tmp_path, pools=pools, tx_version=version, chain_transaction_v1=active
    ) as crew:
        await crew.engine()
        order_id = await crew.order("JUP", "SOL", 500 * 10**6)
        await crew.ended([order_id])
        last = crew.facts(order_id)[-1]
        assert (last.reason if isinstance(last, OrderFailed) else "") == end
        assert set(crew.executions()) == ({order_id} if not end else set())


@pytest.mark.parametrize("per_byte", [696, 6_960])
async def test_rent_and_failures_are_booked_too(
    per_byte: int, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    """Token accounts that are opened, one of them at an address that had lamports before, and a
    transaction that fails on chain.
    """
    plan = plan_of("raydium-clmm")
    async with chain_crew(
        redis_url,
        tmp_path,
        pools=only(plan, plan_of("meteora-dlmm", "JUP/USDC")),
        chain_rent_per_byte=per_byte,
    ) as crew:
        rent, there = rent_exempt(165, per_byte), rent_exempt(0, per_byte)
        crew.local.remove([account_of("USDC"), account_of("JUP"), account_of("RAY")])
        crew.local.node.fund({account_of("JUP"): Account(there)})
        workers = {name: await crew.worker(name) for name in STAGES}
        await crew.watching()
        before = crew.local.holdings()
        _, fill = await crew.swapped("SOL", "USDC", 3 * SOL)
        assert fill.rent_lamports == rent
        _, fill = await crew.swapped("SOL", "USDC", 3 * SOL)
        assert fill.rent_lamports == 0
        _, fill = await crew.swapped("USDC", "JUP", 100 * USDC)
        assert fill.rent_lamports == rent - there
        # The price falls between the build and the send.
        await workers["submitter"].stop()
        late = await crew.order("SOL", "USDC", SOL, slippage_bps=1)
        falls = await crew.order(
            "SOL", "USDC", SOL, order_type="limit", time_in_force="GTC", target_price="140"
        )
        await crew.until(lambda: len(crew.of(TransactionBuilt)) == 3 + 2)
        crew.local.others_swap(plan, "SOL", 30_000 * SOL)
        await crew.worker("submitter")
        assert await crew.ended([late]) == ["failed"]
        await crew.until(lambda: crew.statuses()[falls] == "watching")
        [lost] = [fact for fact in crew.facts(late) if isinstance(fact, OrderFailed)]
        [back] = [fact for fact in crew.facts(falls) if isinstance(fact, OrderRearmed)]
        assert (lost.reason, back.reason) == ("slippage-exceeded", "slippage-exceeded")
        assert lost.fee_lamports >= 5_000
        assert back.fee_lamports >= 5_000
        assert_the_wallet_agrees(crew, before)
        await assert_sound(redis_url, database_url)


@pytest.mark.parametrize(("before_rent", "after_rent"), [(6_960, 696), (696, 6_960)])
async def test_a_rent_that_changes_during_an_order_costs_no_order_and_no_lamport(
    before_rent: int, after_rent: int, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    """One that falls leaves a surplus, which comes back; one that rises is asked for again."""
    plan = plan_of("raydium-clmm")
    async with chain_crew(
        redis_url, tmp_path, pools=only(plan), chain_rent_per_byte=before_rent
    ) as crew:
        await crew.engine()
        wallet = crew.local.holdings()
        _, fill = await crew.swapped("SOL", "USDC", SOL)
        assert await crew.chain()._rents.of(165) == rent_exempt(165, before_rent)
        crew.local.node.bank.state.rent_per_byte = after_rent
        for terms in (("SOL", "USDC", SOL), ("USDC", "SOL", 100 * USDC), ("SOL", "USDC", SOL)):
            _, fill = await crew.swapped(*terms)
            assert fill.rent_lamports == 0
        known = await crew.chain()._rents.of(165)
        assert known == rent_exempt(165, max(before_rent, after_rent))
        assert_the_wallet_agrees(crew, wallet)
        await assert_sound(redis_url, database_url)
