"""Both versions of transactions on the chain, with the routes that each allows, to the lamport."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from solders.message import MessageV0, MessageV1

from engine.composition import stages as composition
from engine.composition.log import make_log
from engine.localnet.genesis.market import BY_SYMBOL
from engine.localnet.state.accounts import TOKEN_RENT, Account
from engine.localnet.state.addresses import TOKEN, WSOL
from engine.setting_parser import SettingsError
from engine.settings import Settings
from events.types import AttemptFailed, OrderConfirmed, OrderFailed, OrderRouted, TransactionBuilt
from stages.pools.contract import Instruction
from stages.venues.solana.cluster.features import TX_V1
from stages.venues.solana.transaction.messages import decode, instructions_of
from stages.venues.solana.transaction.programs import COMPUTE_BUDGET
from tests.support.chain.chain_crew import (
    DECIMALS,
    SOL,
    ChainCrew,
    assert_sound,
    chain_crew,
    difference,
    local_chain,
    nonzero,
    settings_of,
)
from tests.support.chain.laid_pools import laid, plans
from tests.support.chain.localchain import OWNER, account_of
from tests.support.chain.toy_family import token_account_bytes
from tests.support.http.served import served
from tests.support.waits import HANG_S

CU_PRICE = 20_000
KEPT = 7 * SOL
"""What the user keeps as wrapped SOL."""

CLMM, DLMM, CPMM, AMM, DAMM = (
    "raydium-clmm", "meteora-dlmm", "raydium-cpmm", "raydium-amm-v4", "meteora-damm-v2",
)  # fmt: skip


@contextlib.asynccontextmanager
async def trading(
    redis_url: str,
    folder: Path,
    version: int,
    path: Sequence[str],
    *hops: Sequence[str],
    wsol: bool = False,
) -> AsyncIterator[ChainCrew]:
    """An engine at work on the pools of one route and no others; `wsol`: the user keeps some."""
    pools: dict[str, list[str]] = {}
    async with local_chain(folder / "chain") as local:
        for plan, _ in plans(path, *hops):
            local.node.fund(laid(plan))
            pools.setdefault(plan.pair, []).append(plan.address)
        if wsol:
            held = token_account_bytes(WSOL, OWNER, KEPT, native=True)
            local.node.fund({account_of("SOL"): Account(KEPT + TOKEN_RENT, TOKEN, held)})
        async with chain_crew(
            redis_url,
            folder,
            local=local,
            pools=pools,
            tx_version=str(version),
            cu_price_micro_lamports=CU_PRICE,
        ) as crew:
            await crew.engine()
            yield crew


def routed(crew: ChainCrew, order_id: str) -> list[str]:
    """The families of the route that was chosen, by hop."""
    [fact] = [fact for fact in crew.facts(order_id) if isinstance(fact, OrderRouted)]
    hops: dict[str, list[str]] = {}
    for leg in fact.quotes[fact.chosen].legs:
        hops.setdefault(leg.token_in, []).append(leg.family)
    return ["+".join(sorted(hop)) for hop in hops.values()]


def assert_paid_as_offered(crew: ChainCrew, order_id: str, version: int) -> None:
    """The fee is a signature and what the transaction offers: by its own words."""
    [built] = [fact for fact in crew.facts(order_id) if isinstance(fact, TransactionBuilt)]
    [fill] = [fact for fact in crew.facts(order_id) if isinstance(fact, OrderConfirmed)]
    message = decode(built.raw.reveal()).message
    if version == 1:
        assert isinstance(message, MessageV1)
        offered = message.config.priority_fee or 0
        units = message.config.compute_unit_limit or 0
    else:
        assert isinstance(message, MessageV0)
        units, price = budget(instructions_of(message))
        offered = -(-units * price // 10**6)
    assert offered == -(-units * CU_PRICE // 10**6) > 0
    assert fill.fee_lamports == 5_000 + offered


def budget(instructions: Sequence[Instruction]) -> tuple[int, int]:
    """Compute units, and micro-lamports a unit."""
    units, price = (
        int.from_bytes(instruction.data[1:], "little")
        for instruction in instructions
        if instruction.program == COMPUTE_BUDGET
    )
    return units, price


@pytest.mark.parametrize("version", [0, 1])
async def test_swaps_in_both_directions_are_booked_and_paid_as_offered(
    version: int, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    async with trading(redis_url, tmp_path, version, ("SOL", "USDC"), [CLMM]) as crew:
        before = crew.local.holdings()
        for token_in, token_out, amount in (("SOL", "USDC", 3 * SOL), ("USDC", "SOL", 450 * 10**6)):
            order_id, _ = await crew.swapped(token_in, token_out, amount)
            assert_paid_as_offered(crew, order_id, version)
        exact, fill = await crew.swapped("SOL", "USDC", 0, exact_amount_out=300 * 10**6)
        assert fill.amount_out == 300 * 10**6
        assert_paid_as_offered(crew, exact, version)
        assert difference(before, crew.local.holdings()) == nonzero(crew.books())
        crew.assert_executed_as_recorded()
        await assert_sound(redis_url, database_url)


@pytest.mark.parametrize(("token_in", "token_out"), [("SOL", "USDC"), ("USDC", "SOL")])
@pytest.mark.parametrize("exact_out", [False, True])
async def test_a_split_over_three_pools_is_booked_to_the_lamport(
    token_in: str, token_out: str, exact_out: bool, redis_url: str, database_url: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    three = [CLMM, DLMM, AMM]
    async with trading(redis_url, tmp_path, 1, (token_in, token_out), three) as crew:
        before = crew.local.holdings()
        token = BY_SYMBOL[token_out if exact_out else token_in]
        amount = int(100_000 / token.unit)
        exactly = {"exact_amount_out": amount} if exact_out else {}
        order_id, fill = await crew.swapped(
            token_in, token_out, 0 if exact_out else amount, slippage_bps=500, **exactly
        )
        assert routed(crew, order_id) == ["+".join(sorted(three))]
        assert (fill.amount_out if exact_out else fill.amount_in) == amount
        assert_paid_as_offered(crew, order_id, 1)
        assert difference(before, crew.local.holdings()) == nonzero(crew.books())
        crew.assert_executed_as_recorded()
        await assert_sound(redis_url, database_url)


@pytest.mark.parametrize(
    "path", [("BONK", "SOL", "RAY"), ("SOL", "USDC", "RAY"), ("RAY", "USDC", "SOL")]
)
async def test_hops_that_are_split_are_booked_to_the_lamport(
    path: tuple[str, str, str], redis_url: str, database_url: str, tmp_path: Path
) -> None:
    first, last = [CLMM, DLMM], [CLMM, DAMM]
    async with trading(redis_url, tmp_path, 1, path, first, last) as crew:
        before = crew.local.holdings()
        token = BY_SYMBOL[path[0]]
        amount = int(60_000 / token.unit)
        order_id, fill = await crew.swapped(path[0], path[2], amount, slippage_bps=500)
        assert routed(crew, order_id) == ["+".join(sorted(hop)) for hop in (first, last)]
        assert 0 < fill.amount_in <= amount
        assert_paid_as_offered(crew, order_id, 1)
        assert difference(before, crew.local.holdings()) == nonzero(crew.books())
        crew.assert_executed_as_recorded()
        await assert_sound(redis_url, database_url)


@pytest.mark.parametrize("wsol", [False, True])
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(("first", "last"), [(CLMM, DLMM), (DLMM, CLMM), (CPMM, CLMM)])
async def test_two_hops_through_sol_swap_with_and_without_a_kept_wsol_account(
    first: str, last: str, version: int, wsol: bool, redis_url: str, tmp_path: Path
) -> None:
    path = ("BONK", "SOL", "RAY")
    async with trading(redis_url, tmp_path, version, path, [first], [last], wsol=wsol) as crew:
        before = crew.local.holdings()
        order_id, _ = await crew.swapped("BONK", "RAY", 10**6 * 10 ** DECIMALS["BONK"])
        assert routed(crew, order_id) == [first, last]
        assert_paid_as_offered(crew, order_id, version)
        assert difference(before, crew.local.holdings()) == nonzero(crew.books())
        kept = crew.local.node.bank.state.accounts.get(account_of("SOL"))
        assert (kept is not None) is wsol
        if kept is not None:
            assert (kept.lamports, int.from_bytes(kept.data[64:72], "little")) == (
                KEPT + TOKEN_RENT, KEPT,
            )  # fmt: skip
        crew.assert_executed_as_recorded()


@pytest.mark.parametrize("wsol", [False, True])
async def test_sol_at_an_end_takes_the_smaller_form_only_where_nothing_is_kept(
    wsol: bool, redis_url: str, tmp_path: Path
) -> None:
    path = ("RAY", "USDC", "SOL")
    async with trading(redis_url, tmp_path, 0, path, [CLMM], [DLMM], wsol=wsol) as crew:
        await crew.up_to_date()
        order_id = await crew.order("RAY", "SOL", 100 * 10**6)
        assert await crew.ended([order_id]) == ["failed" if wsol else "confirmed"]
        last = crew.facts(order_id)[-1]
        if isinstance(last, OrderFailed):
            assert last.reason == "transaction-too-large"
        kept = crew.local.node.bank.state.accounts.get(account_of("SOL"))
        assert (kept is not None) is wsol
        crew.assert_executed_as_recorded()


async def test_the_versions_are_taken_from_the_chain_by_itself(
    redis_url: str, tmp_path: Path
) -> None:
    async with chain_crew(redis_url, tmp_path, tx_version="auto") as crew:
        await crew.engine()
        order_id, _ = await crew.swapped("SOL", "USDC", SOL)
        [built] = [fact for fact in crew.facts(order_id) if isinstance(fact, TransactionBuilt)]
        facts = crew.trading.facts()
        assert facts is not None
        versions = (
            facts["transactionVersion"],
            facts["buildsVersion"],
            decode(built.raw.reveal()).version,
        )
        assert versions == (1, 1, 1)
        # What passes the gateway is held against its documents.
        async with served(redis_url, chain_facts=crew.trading.facts) as gateway:
            _, ready = await gateway.get("/readyz")
        moving = {"slot"}
        assert {k: v for k, v in ready["chain"].items() if k not in moving} == {
            k: v for k, v in facts.items() if k not in moving
        }
        assert ready["chain"]["slot"] > 0
        assert ready["chain"]["nodes"] == [{"host": "127.0.0.1", "detail": None}]


async def test_a_node_that_cannot_read_v1_any_more_is_sent_v0(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster takes v1. An order that waits for its price was built again without end."""
    async with chain_crew(redis_url, tmp_path, tx_version="auto") as crew:
        await crew.engine()
        facts = crew.trading.facts()
        assert facts is not None
        assert facts["buildsVersion"] == 1
        monkeypatch.setattr(type(crew.local.node.bank), "takes", lambda _, version: version != 1)
        terms = {"order_type": "limit", "time_in_force": "GTC", "target_price": "100"}
        limit = await crew.order("SOL", "USDC", SOL, **terms)
        market = await crew.order("SOL", "USDC", SOL)
        assert await crew.ended([limit, market]) == ["confirmed"] * 2
        built = [e.fact for e in crew.of(TransactionBuilt) if isinstance(e.fact, TransactionBuilt)]
        assert [decode(fact.raw.reveal()).version for fact in built] == [0, 0]
        assert not crew.of(AttemptFailed)
        crew.assert_executed_as_recorded()


async def test_without_a_cluster_readyz_shows_none(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        _, ready = await gateway.get("/readyz")
    assert ready["chain"] is None


async def founded(settings: Settings) -> Settings:
    """With a log of the local chain."""
    log = make_log(settings, chain="local")
    await log.open(create=True)
    await log.close()
    return settings


async def test_stages_do_not_start_on_a_cluster_without_the_configured_version(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "tune", lambda: None)
    servers = {"redis_url": redis_url}
    async with local_chain(tmp_path / "chain") as local:
        local.remove([TX_V1])
        local.advance(40)  # until that is final
        settings = await founded(settings_of(tmp_path, local, tx_version="1", **servers))
        for stage in ("router", "builder", "watcher"):
            with pytest.raises(SettingsError, match="TX_VERSION=1: the cluster does not take"):
                async with asyncio.timeout(HANG_S):
                    await composition.run_stages(settings, [stage], asyncio.Event())


async def test_a_start_that_waits_for_a_node_can_be_stopped(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "tune", lambda: None)
    monkeypatch.setattr(composition, "MARKET_PATIENCE_S", 0.05)
    servers = {"redis_url": redis_url}
    async with local_chain(tmp_path / "chain") as local:
        results = servers | {"tx_version": "1"}
        settings = await founded(settings_of(tmp_path, local, **results))
    stop = asyncio.Event()  # the node is gone
    work = asyncio.create_task(composition.run_stages(settings, ["router"], stop))
    done, _ = await asyncio.wait([work], timeout=0.5)
    assert not done
    stop.set()
    async with asyncio.timeout(HANG_S):
        await work
