"""Tokens of Token-2022 on the chain: quoted, executed and booked to the unit, fees and all."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.localnet.state.addresses import TOKEN_2022, token_address
from events.types import OrderFailed, OrderRouted, TransactionBuilt
from tests.integration.test_chain_life import USDC, assert_the_wallet_agrees, only, route
from tests.support.chain.chain_crew import SOL, ChainCrew, assert_sound, chain_crew, local_chain
from tests.support.chain.localchain import FAMILY_NAMES, OWNER, mint_of, plan_of
from tests.support.chain.token_2022_chain import amend, issue
from tests.support.pools import token_2022 as t22

TAKERS = [name for name in FAMILY_NAMES if name != "raydium-amm-v4"]
CAP = USDC
WHOLE = {"SOL": SOL, "JUP": 10**6}
FEE = t22.transfer_fee(900, 9 * CAP, epoch=1, older=(50, CAP), authority=t22.KEY)
"""50 basis points, 1 USDC at most, until epoch 1; the chain is in epoch 0."""

DECAYING = frozenset({"meteora-dlmm", "meteora-damm-v2"})
"""Families whose pools on the local chain have a fee that falls without trades."""


async def swapped_as_quoted(crew: ChainCrew, *terms: object, **fields: object) -> OrderRouted:
    """An order that was filled exactly as it was routed: there is no other trader. Where the fee
    follows the volatility it falls with the clock until the swap lands, so that the fill is better.
    """
    order_id, fill = await crew.swapped(*terms, **fields)
    [routed] = [fact for fact in crew.facts(order_id) if isinstance(fact, OrderRouted)]
    decays = routed.quotes[routed.chosen].legs[0].family in DECAYING
    assert fill.amount_out == routed.amount_out or (decays and fill.amount_out > routed.amount_out)
    if routed.amount_in:
        assert fill.amount_in == routed.amount_in or (decays and fill.amount_in < routed.amount_in)
    return routed


@pytest.mark.parametrize("family", TAKERS)
async def test_a_mint_with_a_transfer_fee_trades_both_ways_to_the_unit(
    family: str, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    plan = plan_of(family)
    async with local_chain(tmp_path / "chain") as local:
        issue(local.node, "USDC", FEE)
        account = token_address(OWNER, mint_of("USDC"), TOKEN_2022)
        async with chain_crew(redis_url, tmp_path, local=local, pools=only(plan)) as crew:
            await crew.engine()
            there = local.node.bank.state.accounts[account]
            local.remove([account])  # the first buy makes it, with room for what is withheld
            before = local.holdings()

            order_id, fill = await crew.swapped("SOL", "USDC", 3 * SOL)
            assert route(crew, order_id) == [family]
            assert fill.rent_lamports == local.node.bank.state.rent_exempt(182)
            created = local.node.bank.state.accounts[account]
            assert len(created.data) == len(there.data) == 182

            for sold in (SOL // 20, 5 * SOL):  # below and above the most that a transfer pays
                routed = await swapped_as_quoted(crew, "SOL", "USDC", sold)
                [leg] = routed.quotes[routed.chosen].legs
                gross = leg.amount_out + leg.transfer_fee_out
                assert leg.transfer_fee_out == min(-(-gross // 200), CAP)
                assert leg.transfer_fee_in == 0
            for sold in (7 * USDC + 1, 400 * USDC):
                routed = await swapped_as_quoted(crew, "USDC", "SOL", sold)
                [leg] = routed.quotes[routed.chosen].legs
                assert leg.transfer_fee_in == min(-(-sold // 200), CAP)
            for bought in (11 * USDC, 333 * USDC):
                routed = await swapped_as_quoted(crew, "SOL", "USDC", 0, exact_amount_out=bought)
                assert routed.amount_out == bought
            for bought in (SOL // 30, 2 * SOL):
                routed = await swapped_as_quoted(crew, "USDC", "SOL", 0, exact_amount_out=bought)
                assert routed.amount_out == bought

            warned = {(w.code, w.token) for w in routed.quotes[routed.chosen].warnings}
            assert warned >= {("transfer-fee", "USDC"), ("transfer-fee-authority", "USDC")}
            assert_the_wallet_agrees(crew, before)
            await assert_sound(redis_url, database_url)


async def test_a_token_that_is_paused_spends_no_attempt_and_trades_once_resumed(
    redis_url: str, tmp_path: Path
) -> None:
    plan = plan_of("raydium-cpmm")
    async with local_chain(tmp_path / "chain") as local:
        issue(local.node, "USDC", t22.pausable(False, t22.KEY))
        async with chain_crew(redis_url, tmp_path, local=local, pools=only(plan)) as crew:
            await crew.engine()
            before = local.holdings()
            await crew.swapped("SOL", "USDC", SOL)
            amend(local.node, "USDC", t22.pausable(True, t22.KEY))
            local.advance(2)
            await crew.up_to_date()
            market = await crew.order("SOL", "USDC", SOL)
            limit = await crew.order(
                "SOL", "USDC", SOL, order_type="limit", slippage_bps=0, time_in_force="GTC",
                target_price="10",
            )  # fmt: skip
            assert await crew.ended([market]) == ["failed"]
            failed = crew.facts(market)[-1]
            assert isinstance(failed, OrderFailed)
            assert (failed.reason, failed.stage) == ("token-paused", "router")
            assert not any(isinstance(fact, TransactionBuilt) for fact in crew.facts(market))
            await crew.until(lambda: crew.statuses().get(limit) == "watching")
            amend(local.node, "USDC", t22.pausable(False, t22.KEY))
            local.advance(2)
            assert await crew.ended([limit]) == ["confirmed"]
            assert not any(isinstance(fact, OrderFailed) for fact in crew.facts(limit))
            assert_the_wallet_agrees(crew, before)


@pytest.mark.parametrize("family", TAKERS)
async def test_inert_extensions_do_not_prevent_a_swap(
    family: str, redis_url: str, tmp_path: Path
) -> None:
    plan = plan_of(family)
    inert = (
        t22.transfer_fee(0), t22.hook(t22.NONE), t22.pausable(False), t22.NO_DELEGATE,
        t22.METADATA_POINTER, t22.PERMISSIONED_BURN, t22.CLOSE_AUTHORITY, t22.default_state(1),
    )  # fmt: skip
    async with local_chain(tmp_path / "chain") as local:
        issue(local.node, "USDC", *inert)
        async with chain_crew(redis_url, tmp_path, local=local, pools=only(plan)) as crew:
            await crew.engine()
            before = local.holdings()
            await swapped_as_quoted(crew, "SOL", "USDC", SOL)
            await swapped_as_quoted(crew, "USDC", "SOL", 100 * USDC)
            assert_the_wallet_agrees(crew, before)


@pytest.mark.parametrize("token_in", ["SOL", "JUP"])
async def test_two_hops_through_a_mint_with_a_transfer_fee_leave_no_remainder(
    token_in: str, redis_url: str, tmp_path: Path
) -> None:
    token_out = {"SOL": "JUP", "JUP": "SOL"}[token_in]
    pools = only(plan_of("raydium-cpmm"), plan_of("meteora-damm-v2", "JUP/USDC"))
    async with local_chain(tmp_path / "chain") as local:
        issue(local.node, "USDC", FEE)
        async with chain_crew(redis_url, tmp_path, local=local, pools=pools) as crew:
            await crew.engine()
            before = local.holdings()
            for amount in (WHOLE[token_in] // 50, 30 * WHOLE[token_in]):
                order_id, _ = await crew.swapped(token_in, token_out, amount)
                assert len(route(crew, order_id)) == 2
            assert_the_wallet_agrees(crew, before)
