"""The order alone adds up with the wallet: what it shows is all that its transactions changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.localnet.genesis.market import BY_SYMBOL, TOKENS
from engine.localnet.state.addresses import TOKEN_2022, WSOL, token_address
from events.order import STAGES, fold
from events.types import OrderConfirmed, OrderRearmed, TransactionBuilt
from projections.views.orders import order_view
from stages.pools.contract import SwapTerms
from stages.routing.terms import terms
from stages.venues.solana import legs as legs_module
from tests.integration.test_chain_life import USDC, only
from tests.support.chain.chain_crew import (
    DECIMALS,
    SOL,
    ChainCrew,
    chain_crew,
    difference,
    local_chain,
    nonzero,
)
from tests.support.chain.localchain import OWNER, account_of, mint_of, plan_of
from tests.support.chain.token_2022_chain import issue
from tests.support.pools import token_2022 as t22

SYMBOLS = [token.symbol for token in TOKENS if token.symbol != "NEW"]


def units(amount: str, symbol: str) -> int:
    exact = Decimal(amount).scaleb(DECIMALS[symbol])
    assert exact == int(exact)
    return int(exact)


def view_of(crew: ChainCrew, order_id: str) -> dict[str, Any]:
    """The order as the API shows it."""
    order = fold(event for _, event in crew.seen if event.order_id == order_id)
    assert order is not None
    return order_view(order)


def spent(view: dict[str, Any]) -> Counter[str]:
    """What has left the wallet by the order alone, by mint; what came in is negative."""
    books = Counter({WSOL: (view["feeLamports"] or 0) + (view["rentLamports"] or 0)})
    if view["status"] == "confirmed":
        books[BY_SYMBOL[view["tokenIn"]].mint] += units(view["amountIn"], view["tokenIn"])
        books[BY_SYMBOL[view["tokenOut"]].mint] -= units(view["amountOut"], view["tokenOut"])
    for left in view["leftovers"]:
        books[BY_SYMBOL[left["token"]].mint] -= units(left["amount"], left["token"])
    return books


def assert_fills_add_up(view: dict[str, Any]) -> None:
    """The swaps as executed take and give what the order does, and hand on the rest."""
    moved: Counter[str] = Counter()
    for fill in view["fills"]:
        moved[fill["tokenIn"]] -= units(fill["amountIn"], fill["tokenIn"])
        moved[fill["tokenOut"]] += units(fill["amountOut"], fill["tokenOut"])
    counter = Counter(
        {left["token"]: units(left["amount"], left["token"]) for left in view["leftovers"]}
    )
    counter[view["tokenIn"]] -= units(view["amountIn"], view["tokenIn"])
    counter[view["tokenOut"]] += units(view["amountOut"], view["tokenOut"])
    assert nonzero(moved) == nonzero(counter)
    assert [fill["pool"] for fill in view["fills"]] == [leg["pool"] for leg in view["legs"]]


def assert_adds_up(crew: ChainCrew, ids: Iterable[str], before: Counter[str]) -> None:
    """Orders against the wallet, to the unit."""
    books: Counter[str] = Counter()
    for order_id in ids:
        view = view_of(crew, order_id)
        for mint, amount in spent(view).items():
            books[mint] += amount
        if view["status"] == "confirmed":
            assert_fills_add_up(view)
    assert difference(before, crew.local.holdings()) == nonzero(books)


@pytest.mark.parametrize("seed", range(3))
async def test_random_orders_add_up_with_the_wallet(
    seed: int, redis_url: str, tmp_path: Path
) -> None:
    random = Random(f"adds up {seed}")
    async with chain_crew(redis_url, tmp_path) as crew:
        await crew.engine()
        # Some token accounts are opened by the first order that wants them.
        crew.local.remove(account_of(symbol) for symbol in ("USDT", "JUP", "BONK"))
        before, ids, programs = crew.local.holdings(), [], Counter[str]()
        for _ in range(25):
            token_in, token_out = random.sample(SYMBOLS, 2)
            worth = random.uniform(1, 20_000)
            given, fields = int(worth / float(BY_SYMBOL[token_in].unit)), {}
            if random.random() < 0.5:
                expected = int(worth / float(BY_SYMBOL[token_out].unit))
                given, fields = 0, {"exact_amount_out": expected}
            order_id = await crew.order(token_in, token_out, given, slippage_bps=300, **fields)
            ids.append(order_id)
            await crew.ended([order_id])
            await crew.up_to_date()
            view = view_of(crew, order_id)
            programs.update(leg["family"] for leg in view["legs"])
            assert_adds_up(crew, ids, before)
        statuses = Counter(crew.statuses()[order_id] for order_id in ids)
        assert statuses["confirmed"] >= 10, statuses
        assert len(programs) >= 4, programs


async def test_orders_that_failed_on_chain_show_their_fees(redis_url: str, tmp_path: Path) -> None:
    plan = plan_of("raydium-clmm")
    pools = {plan.pair: [plan.address]}
    async with chain_crew(redis_url, tmp_path, pools=pools) as crew:
        crew.local.remove([account_of("USDC")])
        for name in STAGES:
            if name != "submitter":
                await crew.worker(name)
        await crew.watching()
        before = crew.local.holdings()
        late = await crew.order("SOL", "USDC", SOL, slippage_bps=1)
        exact = await crew.order("SOL", "USDC", 0, exact_amount_out=150 * 10**6, slippage_bps=1)
        again = await crew.order(
            "SOL", "USDC", SOL, order_type="limit", time_in_force="GTC", target_price="145"
        )
        await crew.until(lambda: len(crew.of(TransactionBuilt)) == 3)
        crew.local.others_swap(plan, "SOL", 30_000 * SOL)  # the price falls before the send
        await crew.worker("submitter")
        assert await crew.ended([late, exact]) == ["failed"] * 2
        await crew.until(lambda: crew.of(OrderRearmed))
        crew.local.others_swap(plan, "USDC", 4_600_000 * 10**6)
        assert await crew.ended([again]) == ["confirmed"]
        [fill] = [event.fact for event in crew.of(OrderConfirmed)]
        assert isinstance(fill, OrderConfirmed)
        views = {order_id: view_of(crew, order_id) for order_id in (late, exact, again)}
        assert views[late]["feeLamports"] >= 5_000
        assert views[exact]["feeLamports"] >= 5_000
        assert views[again]["feeLamports"] > fill.fee_lamports  # of both transactions
        assert views[again]["rentLamports"]
        assert_adds_up(crew, views, before)


@pytest.mark.parametrize("middle", ["SOL", "USDC"])
async def test_the_remainder_between_two_hops_is_shown(
    middle: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second swap takes a little less than the first one gives."""

    def less(*given: Any, **named: Any) -> list[SwapTerms]:
        first, second = terms(*given, **named)
        taken = SwapTerms(False, second.amount - 12_345, 1)
        return [SwapTerms(True, first.amount, first.threshold * 2), taken]

    monkeypatch.setattr(legs_module, "terms", less)
    plans = [plan_of("raydium-cpmm", f"RAY/{middle}") if middle == "USDC" else
             plan_of("meteora-damm-v2", "RAY/SOL")]  # fmt: skip
    plans.append(plan_of("meteora-damm-v2", "JUP/USDC" if middle == "USDC" else "SOL/USDC"))
    pools = {plan.pair: [plan.address] for plan in plans}
    token_out = "JUP" if middle == "USDC" else "USDC"
    async with chain_crew(redis_url, tmp_path, pools=pools) as crew:
        await crew.engine()
        crew.local.remove([account_of(symbol) for symbol in ("USDC", "JUP")])
        before = crew.local.holdings()
        order_id, _ = await crew.swapped("RAY", token_out, 40 * 10**6, slippage_bps=300)
        view = view_of(crew, order_id)
        [left] = view["leftovers"]
        assert (left["token"], units(left["amount"], middle)) == (middle, 12_345)
        assert_adds_up(crew, [order_id], before)


@pytest.mark.parametrize("family", ["raydium-cpmm", "raydium-clmm", "meteora-dlmm"])
async def test_an_order_of_a_mint_with_a_transfer_fee_adds_up(
    family: str, redis_url: str, tmp_path: Path
) -> None:
    """The fee lies between the wallet and the pool: fills show what the pool saw."""
    plan = plan_of(family)
    async with local_chain(tmp_path / "chain") as local:
        issue(local.node, "USDC", t22.transfer_fee(50, 10**9))
        async with chain_crew(redis_url, tmp_path, local=local, pools=only(plan)) as crew:
            await crew.engine()
            local.remove([token_address(OWNER, mint_of("USDC"), TOKEN_2022)])
            before, ids = local.holdings(), []
            for token_in, token_out, given, exactly in (
                ("SOL", "USDC", 3 * SOL, None),  # opens the account
                ("USDC", "SOL", 100 * USDC, None),
                ("SOL", "USDC", 0, 11 * USDC),
                ("USDC", "SOL", 0, SOL // 30),
            ):
                fields = {} if exactly is None else {"exact_amount_out": exactly}
                ids.append(await crew.order(token_in, token_out, given, slippage_bps=300, **fields))
                await crew.ended(ids)
                await crew.up_to_date()
                books: Counter[str] = Counter()
                for order_id in ids:
                    books.update(spent(view_of(crew, order_id)))
                assert difference(before, local.holdings()) == nonzero(books)
                view = view_of(crew, ids[-1])
                assert view["status"] == "confirmed"
                [fill] = view["fills"]
                sold, bought = (
                    units(view["amountIn"], token_in),
                    units(view["amountOut"], token_out),
                )
                to_pool = units(fill["amountIn"], token_in)
                from_pool = units(fill["amountOut"], token_out)
                taxed = (sold, to_pool) if token_in == "USDC" else (from_pool, bought)
                assert taxed[0] - taxed[1] == -(-taxed[0] * 50 // 10_000)
