"""The chain at its worst: by its own ledger each order is executed at most once, and none is

reported otherwise than it ended.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.localnet.ledger import Entry
from events.order import STAGES
from events.types import (
    OrderConfirmed,
    OrderFailed,
    TransactionBuilt,
    TransactionExpired,
    TransactionInDoubt,
    TransactionSubmitted,
)
from stages.venues.consensus import DEPTHS, Consensus
from tests.faults.test_repair import command
from tests.support.chain.chain_crew import (
    ChainCrew,
    assert_sound,
    booked,
    chain_crew,
    difference,
    nonzero,
)
from tests.support.chain.localchain import mint_of
from tests.support.processes.engine_up import LOCAL_CHAIN, Engine, dice, engine_up
from tests.support.waits import HANG_S, pace, until

SOL = 10**9
LIFETIME = 100
FINAL = 32
"""Blocks until a block is final, under either consensus."""
BY_HAND: dict[str, Any] = {
    "chain_slot_ms": 60_000,
    "chain_lifetime": LIFETIME,
    "quotes_stale_ms": 60_000,  # it stands for as long as the test does something else
}
"""A chain whose blocks come when a test says so."""
both = pytest.mark.parametrize("consensus", ["alpenglow", "tower"])


async def asked(crew: ChainCrew, order_id: str) -> None:
    """The confirmer's question, once the finalized height of now is known to it."""
    final = crew.local.node.bank.blocks.finalized_height
    transaction = (await crew.head(order_id)).order.transaction
    assert transaction is not None
    outcomes = crew.chain()._outcomes

    async def known() -> bool:
        await asyncio.gather(*crew.chain().outcomes([transaction]))
        finalized = outcomes._height.newest
        return finalized is not None and finalized.block_height >= final

    await until(known)
    await asyncio.gather(*crew.chain().outcomes([transaction]))


async def submitted(crew: ChainCrew, number: int = 1, **fields: Any) -> list[str]:
    """Orders that are recorded as sent, with a blockhash of the chain as it is now: a fork may have
    dropped the one that was fetched ahead.
    """
    crew.chain()._blockhashes._until_s = 0.0
    ids = [await crew.order("SOL", "USDC", SOL, **fields) for _ in range(number)]
    await crew.until(lambda: {crew.statuses().get(i) for i in ids} == {"submitted"})
    return ids


async def taken(crew: ChainCrew, order_id: str) -> Entry:
    """Blocks pass until one has taken a transaction of the order; its line in the ledger."""
    entries: list[Entry] = []

    def landed() -> bool:
        crew.local.advance(1)
        entries.extend(
            entry
            for entry in crew.local.entries()
            if entry.memo.partition("/")[0] == order_id and not entry.forked
        )
        return bool(entries)

    await until(landed)
    return entries[0]


def forked(crew: ChainCrew, entry: Entry) -> None:
    """A fork drops the block that took it, and all that came after."""
    depth = crew.local.node.bank.blocks.tip.height - entry.height + 1
    assert entry.signature in crew.local.node.fork(depth)


async def blocks_until(crew: ChainCrew, ids: Sequence[str]) -> list[str]:
    """Blocks pass until all have ended."""
    ending = asyncio.create_task(crew.ended(ids))
    while not ending.done():
        crew.local.advance(1)
        await pace(0.01)
    return await ending


def judge(crew: ChainCrew, before: Mapping[str, int]) -> None:
    """All have ended; what is confirmed is executed once, all else never; and the wallet agrees."""
    ends = {event.order_id: event.fact for _, event in crew.seen}
    assert all(isinstance(end, OrderConfirmed | OrderFailed) for end in ends.values()), ends
    executions = crew.executions()
    confirmed = {i for i, end in ends.items() if isinstance(end, OrderConfirmed)}
    assert executions == dict.fromkeys(confirmed, 1)
    crew.assert_executed_as_recorded()
    assert difference(before, crew.local.holdings()) == nonzero(crew.books())
    for event in crew.of(TransactionExpired):
        proof = event.fact
        assert isinstance(proof, TransactionExpired)
        assert proof.finalized_height > proof.last_valid_height


@both
async def test_lost_answers_429s_drops_forks_and_late_confirmations_change_no_outcome(
    consensus: Consensus, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    """With Alpenglow forks of processed blocks come as well, every few slots; with TowerBFT they
    may drop what counted as a fill, which a test of its own looks at.
    """
    chance = dice()
    async with chain_crew(
        redis_url,
        tmp_path,
        chain_slot_ms=20,
        chain_seed=chance.randrange(10**6),
        chain_consensus=consensus,
    ) as crew:
        await crew.engine(attempts_max=20)
        before = crew.local.holdings()
        ids: list[str] = []
        for _ in range(4):
            crew.local.faults(
                lose_rate=chance.random() / 2,
                drop_rate=chance.random() / 2,
                reject_rate=chance.random() / 4,
                latency_ms=chance.randrange(10),
                confirm_delay=chance.randrange(20),
                fork_every=chance.randrange(3, 7) if consensus == "alpenglow" else 0,
                fork_depth=1,
            )
            for token in chance.choices(("USDC", "USDT", "RAY", "BONK"), k=6):
                ids.append(await crew.order("SOL", token, chance.randrange(1, 5 * SOL)))
            some = ids[: chance.randrange(1, len(ids))]
            await crew.until(lambda some=some: set(some) <= set(crew.statuses()))  # type: ignore[misc]  # mypy cannot type a bound loop variable
            await crew.ended(some[:2])
        crew.local.well()
        assert set(await crew.ended(ids)) == {"confirmed"}
        judge(crew, before)
        await assert_sound(redis_url, database_url)


@both
async def test_a_transaction_is_replaced_only_when_it_is_proved_dead(
    consensus: Consensus, redis_url: str, tmp_path: Path
) -> None:
    async with chain_crew(redis_url, tmp_path, chain_consensus=consensus, **BY_HAND) as crew:
        crew.local.advance(FINAL)
        await crew.engine()
        before = crew.local.holdings()
        crew.local.faults(drop_rate=1.0)
        [order_id] = await submitted(crew)
        first = (await crew.head(order_id)).order.transaction
        assert first is not None
        blocks, final = crew.local.node.bank.blocks, DEPTHS[consensus].finalized
        crew.local.advance(first.last_valid_height + final - blocks.tip.height)
        assert blocks.finalized_height == first.last_valid_height < blocks.tip.height
        await asked(crew, order_id)
        assert crew.names(order_id)[-1] == "TransactionSubmitted", "expired, but not finally"
        crew.local.advance(1)
        await crew.until(lambda: crew.names(order_id).count("TransactionSubmitted") == 2)
        second = (await crew.head(order_id)).order.transaction
        assert second is not None
        assert second.last_valid_height > first.last_valid_height, "not with the dead blockhash"
        crew.local.well()
        await crew.chain().send([first.raw, second.raw])
        crew.local.advance(1)  # at once: else so many blocks may pass that the second dies too
        assert await blocks_until(crew, [order_id]) == ["confirmed"]
        [entry] = crew.local.entries()
        assert (entry.memo, entry.ok) == (f"{order_id}/2", True)
        judge(crew, before)


@both
async def test_an_order_fails_once_its_last_transaction_is_proved_dead(
    consensus: Consensus, redis_url: str, tmp_path: Path
) -> None:
    async with chain_crew(redis_url, tmp_path, chain_consensus=consensus, **BY_HAND) as crew:
        crew.local.advance(FINAL)
        for name in STAGES:
            await crew.worker(crew.stage(name, attempts_max=1))
        before = crew.local.holdings()
        crew.local.faults(drop_rate=1.0)
        ids = await submitted(crew, 3)
        crew.local.advance(LIFETIME + FINAL + 2)
        assert set(await crew.ended(ids)) == {"failed"}
        judge(crew, before)


@both
async def test_with_finalized_a_fork_never_makes_a_false_confirmation(
    consensus: Consensus, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    """Of two forked orders one lands again by the rebroadcast, the other dies. With Alpenglow they
    were in the newest block, with TowerBFT in a confirmed one.
    """
    on_top = 3 if consensus == "tower" else 0
    async with chain_crew(
        redis_url, tmp_path, commitment="finalized", chain_consensus=consensus, **BY_HAND
    ) as crew:
        crew.local.advance(FINAL)
        for name in STAGES:
            await crew.worker(crew.stage(name, attempts_max=1))
        before = crew.local.holdings()
        [lands] = await submitted(crew)
        entry = await taken(crew, lands)
        crew.local.advance(on_top)
        await asked(crew, lands)
        forked(crew, entry)
        assert crew.executions() == {}
        again = await taken(crew, lands)  # the same bytes went out again
        assert (again.signature, crew.statuses()[lands]) == (entry.signature, "submitted")

        [dies] = await submitted(crew)
        entry = await taken(crew, dies)
        crew.local.advance(on_top)
        assert crew.executions() == {lands: 1, dies: 1}
        crew.local.faults(drop_rate=1.0)
        forked(crew, entry)
        await asked(crew, dies)
        assert crew.statuses()[dies] == "submitted"
        crew.local.advance(LIFETIME + FINAL + 2)
        assert await crew.ended([lands, dies]) == ["confirmed", "failed"]
        judge(crew, before)
        await assert_sound(redis_url, database_url)


async def test_with_alpenglow_a_fill_is_never_undone(redis_url: str, tmp_path: Path) -> None:
    """`auto` waits for finality there, one block later."""
    async with chain_crew(redis_url, tmp_path, **BY_HAND) as crew:
        crew.local.advance(FINAL)
        await crew.engine()
        [order_id] = await submitted(crew)
        entry = await taken(crew, order_id)
        await asked(crew, order_id)
        assert crew.statuses()[order_id] == "submitted", "processed is not enough"
        assert await blocks_until(crew, [order_id]) == ["confirmed"]
        assert entry.signature not in crew.local.node.fork(FINAL)
        assert crew.executions() == {order_id: 1}


async def test_with_commitment_confirmed_a_fork_may_undo_a_reported_fill(
    redis_url: str, tmp_path: Path
) -> None:
    """What is promised: the cluster had confirmed it. A fork that undoes even that leaves an order

    that says confirmed and was not executed; it is not executed a second time, either.
    """
    async with chain_crew(redis_url, tmp_path, chain_consensus="tower", **BY_HAND) as crew:
        crew.local.advance(FINAL)
        await crew.engine()
        [order_id] = await submitted(crew)
        assert await blocks_until(crew, [order_id]) == ["confirmed"]
        crew.local.faults(drop_rate=1.0)
        [fill] = [fact for fact in crew.facts(order_id) if isinstance(fact, OrderConfirmed)]
        [entry] = crew.local.entries()
        assert entry.signature == fill.signature
        forked(crew, entry)
        crew.local.well()
        crew.local.advance(LIFETIME + FINAL + 2)
        assert crew.executions() == {}
        assert crew.names(order_id)[-1] == "OrderConfirmed"
        assert crew.names(order_id).count("TransactionBuilt") == 1


@pytest.mark.parametrize(
    ("consensus", "commitment"),
    [("tower", "confirmed"), ("tower", "finalized"), ("alpenglow", "auto")],
)
async def test_a_transaction_whose_failure_a_fork_drops_confirms_its_order(
    consensus: Consensus, commitment: str, redis_url: str, tmp_path: Path
) -> None:
    """It failed in a block that is dropped; the same bytes succeed in the other."""
    async with chain_crew(
        redis_url, tmp_path, commitment=commitment, chain_consensus=consensus, **BY_HAND
    ) as crew:
        crew.local.advance(FINAL)
        workers = {name: await crew.worker(name) for name in STAGES}
        before = crew.local.holdings()
        await workers["submitter"].stop()
        order_id = await crew.order("SOL", "USDC", SOL)
        await crew.until(lambda: bool(crew.of(TransactionBuilt)))
        crew.local.advance(1)
        wallet = crew.local.holdings()[mint_of("SOL")]
        crew.local.lamports(1_000_000)
        await crew.worker("submitter")
        await crew.until(lambda: bool(crew.of(TransactionSubmitted)))
        failed = await taken(crew, order_id)
        assert not failed.ok
        await asked(crew, order_id)
        assert crew.statuses()[order_id] == "submitted"
        forked(crew, failed)
        crew.local.lamports(wallet)
        assert await blocks_until(crew, [order_id]) == ["confirmed"]
        judge(crew, before)


async def test_orders_in_doubt_on_a_stalled_chain_settle_when_it_resumes(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    async with chain_crew(redis_url, tmp_path, chain_slot_ms=20, quotes_stale_ms=300) as crew:
        workers = {name: await crew.worker(name) for name in STAGES}
        before = crew.local.holdings()
        await workers["submitter"].stop()
        ids = [await crew.order("SOL", "USDC", SOL) for _ in range(3)]
        await crew.until(lambda: len(crew.of(TransactionBuilt)) == 3)
        crew.local.faults(stalled=True)
        await crew.worker("submitter")
        await crew.until(lambda: len(crew.of(TransactionInDoubt)) == 3)
        assert {event.fact.reason for event in crew.of(TransactionInDoubt)} == {"chain-stalled"}  # type: ignore[union-attr]
        assert all([(await crew.head(i)).order.in_doubt for i in ids])
        assert {crew.statuses()[i] for i in ids} == {"submitted"}
        crew.local.well()
        assert set(await crew.ended(ids)) == {"confirmed"}
        assert not any([(await crew.head(i)).order.in_doubt for i in ids])
        judge(crew, before)
        await assert_sound(redis_url, database_url)


# -- a whole engine ----------------------------------------------------------------------------


@pytest.fixture
async def engine(short_path: Path) -> AsyncIterator[Engine]:
    async with engine_up(short_path / "d", **LOCAL_CHAIN | {"quotes_stale_ms": 700}) as engine:
        yield engine


async def rpc(engine: Engine, method: str, *params: Any) -> Any:
    """Asks the engine's chain."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with engine.http.post(engine.record().solana_rpc_url, json=body) as answer:
        return (await answer.json())["result"]


async def holdings(engine: Engine, wallet: str) -> dict[str, int]:
    """By mint, as the chain says."""
    processed = {"commitment": "processed"}
    counter = Counter(
        {mint_of("SOL"): (await rpc(engine, "getBalance", wallet, processed))["value"]}
    )
    program = {"programId": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"}
    parsed = processed | {"encoding": "jsonParsed"}
    for each in (await rpc(engine, "getTokenAccountsByOwner", wallet, program, parsed))["value"]:
        info = each["account"]["data"]["parsed"]["info"]
        counter[info["mint"]] += int(info["tokenAmount"]["amount"])
    return counter


async def test_kills_under_load_with_every_fault_on_lose_and_double_nothing(
    engine: Engine,
) -> None:
    chance = dice()
    key = json.loads((engine.settings.data_dir / "wallet.json").read_bytes())
    wallet = _address(bytes(key))
    before = await holdings(engine, wallet)
    faults = {
        "loseRate": 0.2,
        "dropRate": 0.3,
        "rejectRate": 0.05,
        "forkEvery": 4,
        "forkDepth": 1,
    }  # the processed block only: deeper forks would keep the chain from producing blocks
    await rpc(engine, "localnet_setFaults", faults)
    ids: list[str] = []
    for name in chance.choices(("submitter", "confirmer"), k=5):
        reached = engine.watch("TransactionSubmitted")
        # The slower the machine, the further a price has moved by the time of the swap.
        loading = asyncio.create_task(engine.submit_many(12, slippageBps=1000))
        async with asyncio.timeout(HANG_S):
            await reached.wait()
        pid = engine.kill(name)
        ids += await loading
        await engine.restarted(name, pid)
    await rpc(engine, "localnet_setFaults", {"reset": True})
    ends = await engine.ended(ids)
    reasons = {frame["reason"] for frame in engine.frames if frame["status"] == "failed"}
    assert reasons <= {"slippage-exceeded", "quote-below-minimum"}, "prices move: no other"
    assert list(ends.values()).count("confirmed") > len(ids) // 2
    await engine.assert_each_ended_exactly_once()
    events = [event for _, event in await engine.read_log()]
    assert difference(before, await holdings(engine, wallet)) == nonzero(booked(events))
    await engine.assert_archived()

    # A chain that stands still: every reader sees the doubt, and it passes.
    built = engine.watch("TransactionSubmitted")
    doubt = engine.watch("TransactionInDoubt")
    # All is dropped until then: on a busy machine it would land before the chain stands.
    await rpc(engine, "localnet_setFaults", {"dropRate": 1.0})
    order_id = await engine.submit(key="stalls", slippageBps=1000)
    await built.wait()
    await rpc(engine, "localnet_setFaults", {"dropRate": 1.0, "stalled": True})
    async with asyncio.timeout(HANG_S):
        await doubt.wait()
    shown = (await engine.get(f"/api/orders/{order_id}")).body
    assert (shown["status"], shown["inDoubt"]) == ("submitted", True)
    told = [f for f in engine.frames if f["event"] == "TransactionInDoubt"]
    [frame] = [f for f in told if f["orderId"] == order_id]
    assert (frame["inDoubt"], frame["reason"]) == (True, "chain-stalled")
    code, text = await command(engine, "audit", "show", order_id)
    assert (code, "chain-stalled" in text) == (0, True), text
    await rpc(engine, "localnet_setFaults", {"reset": True})
    await engine.ended([order_id])
    shown = (await engine.get(f"/api/orders/{order_id}")).body
    assert (shown["status"], shown["inDoubt"]) == ("confirmed", False)
    await engine.assert_each_ended_exactly_once()
    for words in (("verify",), ("replay", "--check")):
        code, text = await command(engine, "audit", *words)
        assert code == 0, text


def _address(key: bytes) -> str:
    from solders.keypair import Keypair

    return str(Keypair.from_bytes(key).pubkey())
