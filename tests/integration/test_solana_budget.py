"""Limits that are known from transactions of the same kind: no question between quote and send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
import structlog
from msgspec.structs import replace
from solders.transaction import VersionedTransaction

from events.log import RedisConnection
from events.order import Order
from stages.pools.contract import RawAccount
from stages.routing.costs import SIGNATURE_LAMPORTS
from stages.runtime.stage import VenueRefusal
from stages.venues import Built
from stages.venues.solana.accounts.wallet import (
    KEPT_S,
    RESERVE_LAMPORTS,
    UNLANDED_S,
    WalletAccounts,
)
from stages.venues.solana.budget import budgets
from stages.venues.solana.budget.consumption import Consumption, Measurement
from stages.venues.solana.budget.shared import SharedConsumption, consumption_key
from stages.venues.solana.cluster import polling, slot_time
from stages.venues.solana.transaction.messages import instructions_of
from stages.venues.solana.transaction.programs import TOKEN, WSOL, associated_account
from tests.integration.test_solana_chain import POOLS, USDC, World, _v0, order
from tests.support.chain.rpc_node import rpc_node
from tests.support.chain.toy_family import token_account_bytes
from tests.support.waits import HANG_S, until

SOL = 10**9


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The wallet is known to hold 100 SOL and no USDC."""
    async with rpc_node() as node:
        world = World(node)
        await world.cache.refresh()
        await holds(world, 100 * SOL)
        yield world
        await world.chain.close()
        await world.cache.close()
        await world.rpc.close()


async def holds(world: World, lamports: int, usdc: int | None = None) -> None:
    world.accounts[world.wallet.address] = RawAccount("11111111111111111111111111111111", b"")
    world.lamports[world.wallet.address] = lamports
    if usdc is not None:
        account = str(associated_account(world.wallet.pubkey, USDC, TOKEN))
        data = token_account_bytes(USDC, world.wallet.address, usdc)
        world.accounts[account] = RawAccount(TOKEN, data)
    await world.wallet_accounts.ask()


def simulations(world: World) -> int:
    return world.node.asked["simulateTransaction"]


def cu_limit(built: Built) -> int:
    parsed = VersionedTransaction.from_bytes(built.raw.reveal())
    return int.from_bytes(instructions_of(_v0(parsed.message))[0].data[1:], "little")


def numbered(number: int, **fields: Any) -> Order:
    result = order(**fields)
    result.id = f"order-{number}"
    return result


async def settled(answer: Built | Awaitable[Built]) -> Built:
    return answer if isinstance(answer, Built) else await answer


async def built(world: World, number: int, **fields: Any) -> Built:
    return await settled(world.chain.build(numbered(number, **fields)))


def sells_usdc(amount: int) -> dict[str, Any]:
    return {
        "token_in": "USDC", "token_out": "SOL", "decimals_in": 6, "decimals_out": 9,
        "amount_in": amount,
    }  # fmt: skip


async def test_the_second_of_a_kind_asks_no_node(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This machine may stand still for longer than a blockhash is shared.
    monkeypatch.setattr(slot_time, "BLOCKHASH_SHARED_LEAST_S", HANG_S)
    monkeypatch.setattr(slot_time, "BLOCKHASH_SHARED_MOST_S", HANG_S)
    first = await built(world, 1)
    world.simulation = {"err": None, "unitsConsumed": 1}
    second = world.chain.build(numbered(2))
    assert isinstance(second, Built), "it is built without waiting for anything"
    assert cu_limit(first) == cu_limit(second) == 60_000


async def test_a_known_limit_has_units_for_a_further_tick_too(world: World) -> None:
    world.family.cu_step = 20_000
    limits = [cu_limit(await built(world, number)) for number in (1, 2)]
    assert limits == [80_000] * 2
    assert simulations(world) == 1


async def test_what_the_wallet_may_lack_is_simulated_first(world: World) -> None:
    await built(world, 1)
    await holds(world, SOL + RESERVE_LAMPORTS)  # and one order has taken a SOL of it already
    await built(world, 2)
    assert simulations(world) == 2
    await holds(world, 2 * SOL + RESERVE_LAMPORTS - 1)
    await built(world, 3)
    assert simulations(world) == 3


async def test_a_token_that_the_wallet_lacks_is_simulated_first(world: World) -> None:
    await holds(world, 100 * SOL, usdc=2 * 10**6)
    await built(world, 1, **sells_usdc(10**6))
    await built(world, 2, **sells_usdc(10**6))
    assert simulations(world) == 1
    await built(world, 3, **sells_usdc(1))  # the two before have taken all of it
    assert simulations(world) == 2


async def test_an_order_that_failed_before_is_simulated_first(world: World) -> None:
    await built(world, 1)
    for failed in ({"attempts": 1}, {"retreats": 1}, {"signature": "s"}):
        before = simulations(world)
        await built(world, 2, **failed)
        assert simulations(world) == before + 1


async def test_a_refusal_of_a_simulation_makes_the_next_of_its_kind_simulate_first(
    world: World,
) -> None:
    await built(world, 1)
    world.simulation = {"err": {"InstructionError": [6, {"Custom": 6005}]}}
    with pytest.raises(VenueRefusal):
        await built(world, 2, attempts=1)
    with pytest.raises(VenueRefusal):
        await built(world, 3)
    assert simulations(world) == 3


async def test_what_is_simulated_beside_the_send_counts_for_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "LEARNED_EVERY_MS", 0)
    await built(world, 1)
    world.simulation = {"err": None, "unitsConsumed": 80_000}
    assert cu_limit(await built(world, 2)) == 60_000
    await until(lambda: simulations(world) == 2)
    await until(lambda: not world.chain._budgets._learning)
    assert cu_limit(await built(world, 3)) == 96_000


async def test_a_failure_beside_the_send_makes_the_next_simulate_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "LEARNED_EVERY_MS", 0)
    await built(world, 1)
    world.simulation = {"err": {"InstructionError": [6, {"Custom": 6005}]}}
    await built(world, 2)  # is sent without waiting for it
    await until(lambda: simulations(world) == 2)
    await until(lambda: not world.chain._budgets._learning)
    with pytest.raises(VenueRefusal):
        await built(world, 3)


@pytest.mark.parametrize(("simulate", "asked"), [("always", 2), ("never", 0)])
async def test_simulate_decides_for_all_transactions(
    world: World, simulate: Any, asked: int
) -> None:
    chain = world.make_chain(replace(world.options, simulate=simulate))
    limits = [cu_limit(await settled(chain.build(numbered(number)))) for number in (1, 2)]
    assert simulations(world) == asked
    assert limits == ([60_000] * 2 if asked else [100_000] * 2)  # never: the most that it may take
    await chain.close()


@pytest.mark.parametrize("simulate", ["always", "never", "auto"])
async def test_what_was_signed_is_remembered_for_no_longer_than_it_counts(
    world: World, simulate: Any
) -> None:
    """Whether funds are asked for or not, and whether the wallet can be read or not."""
    now_s = 1_000.0
    wallet = WalletAccounts(world.rpc, world.wallet.pubkey, POOLS.tokens, clock_s=lambda: now_s)
    world.wallet_accounts = wallet
    chain = world.make_chain(replace(world.options, simulate=simulate))
    for number in range(200):
        await settled(chain.build(numbered(number)))
        now_s += 1
    assert len(wallet._claims) <= KEPT_S + UNLANDED_S + 1
    assert wallet._claimed[WSOL] == sum(amounts[WSOL] for _, amounts in wallet._claims)
    await chain.close()


async def test_fees_and_rent_of_what_was_signed_count_as_taken(world: World) -> None:
    await holds(world, 10 * SOL)
    before = simulations(world)
    await built(world, 1)
    claimed = world.wallet_accounts._claimed[WSOL]
    # The wallet has no account of the token that it gets: its rent is taken for good.
    assert SOL + 2_039_280 + SIGNATURE_LAMPORTS < claimed < SOL + RESERVE_LAMPORTS
    assert simulations(world) == before + 1


async def test_a_reader_that_meets_a_bug_begins_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "AGAIN_S", 0.01)
    wallet, asked = world.wallet_accounts, 0

    async def ask() -> None:
        nonlocal asked
        asked += 1
        raise ValueError(asked)

    monkeypatch.setattr(wallet, "ask", ask)
    with structlog.testing.capture_logs() as lines:
        wallet.start()
        await until(lambda: asked > 2)
        await wallet.close()
    assert {(line["event"], line["reader"]) for line in lines} == {
        ("reader_failed", "WalletAccounts")
    }


async def test_a_blockhash_is_there_before_it_is_needed(world: World) -> None:
    await built(world, 1)
    world.chain.start()
    before = world.node.asked["getLatestBlockhash"]
    await until(lambda: world.node.asked["getLatestBlockhash"] > before + 1)


# -- shared between processes ----------------------------------------------------------------------


async def test_a_kind_that_another_process_measured_is_known(redis_url: str) -> None:
    ours, theirs = Consumption(), Consumption()
    writer = SharedConsumption(redis_url, "local", ours)
    reader = SharedConsumption(redis_url, "local", theirs)
    try:
        ours.record("swap", Measurement(50_000, 0, 1_000))
        await writer.write()
        await reader.read()
        assert theirs.expected("swap", 0, 2_000) == 50_000
        # Transactions of the kind failed in the other process. What was measured before does not
        # count here either, and the first process does not write it back as if it were new.
        theirs.forget("swap", 1_500)
        await reader.write()
        await writer.read()
        assert ours.expected("swap", 0, 2_000) is None
        ours.record("other", Measurement(1, 0, 1_000))
        ours.changed.add("swap")
        await writer.write()
        fresh = Consumption()
        last = SharedConsumption(redis_url, "local", fresh)
        await last.read()
        assert fresh.expected("swap", 0, 2_000) is None
        assert fresh.expected("other", 0, 2_000) == 1
        await last.close()
    finally:
        await writer.close()
        await reader.close()


async def test_what_cannot_be_read_is_left_out(redis_url: str) -> None:
    link = RedisConnection(redis_url)
    await link.call("HSET", consumption_key("local"), "bad", b"\xff", "good", b"[[7,0,1]]")
    await link.close()
    consumption = Consumption()
    shared = SharedConsumption(redis_url, "local", consumption)
    await shared.read()
    assert consumption.expected("good", 0, 2) == 7
    assert consumption.expected("bad", 0, 2) is None
    await shared.close()


async def test_what_could_not_be_written_is_written_later() -> None:
    consumption = Consumption()
    consumption.record("swap", Measurement(1, 0, 1))
    shared = SharedConsumption("redis://127.0.0.1:1", "local", consumption)
    with pytest.raises(Exception, match="log server"):
        await shared.write()
    assert consumption.changed == {"swap"}
    await shared.close()
