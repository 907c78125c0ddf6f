"""What `engine repair` waits for, and what it asks the chain: each in its order, of every order.

The chain is a script that knows when it may be asked what; the log and the archive are real.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

from engine.localnet.genesis import pools_file
from engine.recovery import RepairError, rebuild_log, recreate_log
from engine.recovery.chain_history import ChainError, ChainHistory, open_wallet
from engine.recovery.recreation import gather
from engine.settings import Settings
from events.archive import Archive
from events.ids import ENGINE_STREAM_ID, created_ms, first_id_at, new_order_id
from events.log import EventLog
from events.log.head import new_order
from events.order import EXECUTED, Order, evolve
from events.recovery import order_histories
from events.secret import SecretBytes, SecretText, SecretUrl
from events.types import (
    Event,
    Fact,
    OrderArmed,
    OrderCancelled,
    OrderParked,
    OrderSubmitted,
    RoutingStarted,
    Status,
    TransactionBuilt,
    TransactionSubmitted,
)
from tests.support.chain.rpc_node import Node, at, rpc_node
from tests.support.log.log_server import LogServer
from tests.support.log.played import Play, routed, submitted
from tests.support.log.projected import opened, projected, projecting

START = 1_000
"""The finalized height at first."""
LAST = 1_005
"""The height above which nothing lands, by our node."""
BEHIND = 50
"""As many blocks a builder's node may have been ahead."""
LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 10**9, 0, target_price="1000", time_in_force="GTC"
)


class Script:
    """A chain that makes a block each time it is asked for its height."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.height = START
        self.began_fenced = False
        self.calls: list[str] = []
        self.reached_us: list[int] = []
        self.asked: list[str] = []
        self.asked_since_us: set[int] = set()
        self.asked_at: set[int] = set()
        self.strangers_since: list[str] = []
        self.executions: dict[str, list[str]] = {}
        self.waiting: Callable[[int], Any] = lambda _: None

    async def _there(self) -> bool:
        return bool(await LogServer(self.log).call("EXISTS", self.log.keys.meta))

    async def last_height(self) -> int:
        assert not await self._there(), "a process that is not fenced may send another one"
        self.calls.append("last_height")
        return LAST

    async def finalized(self) -> int:
        self.calls.append("finalized")
        self.height += 1
        answer = self.waiting(self.height)
        if answer is not None:
            await answer
        return self.height

    async def blocks_in(self, seconds: float) -> int:
        assert seconds == recreate_log.BEHIND_S
        return BEHIND

    async def executed(self, order_ids: Sequence[str], since_us: int) -> dict[str, list[str]]:
        assert not await self._there(), "no process may append or send meanwhile"
        self.calls.append("executed")
        self.asked += order_ids
        self.asked_since_us.add(since_us)
        self.asked_at.add(self.height)
        return {i: value for i in order_ids if (value := self.executions.get(i))}

    async def orders_since(self, order_id: str) -> list[str]:
        self.calls.append("orders_since")
        self.strangers_since.append(order_id)
        self.asked_at.add(self.height)
        return [i for i in self.executions if i >= order_id]

    async def reaches(self, since_us: int) -> None:
        assert self.began_fenced or await self._there(), "no process is fenced in vain"
        self.reached_us.append(since_us)

    async def close(self) -> None:
        pass


class Scene:
    """An archived log, and a chain that is asked about it."""

    def __init__(self, redis_url: str, database_url: str, log: EventLog, archive: Archive) -> None:
        self.redis_url = redis_url
        self.database_url = database_url
        self.log = log
        self.archive = archive
        self.play = Play(log)
        self.chain = Script(log)

    async def archived(self) -> None:
        async with projecting(self.redis_url, self.database_url):
            await projected(self.log, self.archive)

    async def repair(self) -> Any:
        return await rebuild_log(self.log, self.archive, cast(ChainHistory, self.chain))

    async def built(self, last_valid_height: int) -> str:
        """An order whose transaction was made, and not sent."""
        [order_id] = await self.play.create()
        fact = TransactionBuilt(1, "5" * 88, last_valid_height, SecretBytes(b"raw"))
        await self.play.append([order_id], RoutingStarted(), routed(), fact)
        return order_id


@pytest.fixture
async def scene(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(recreate_log, "FENCED_S", 0.0)
    monkeypatch.setattr(recreate_log, "POLL_S", 0.0)
    async with opened(redis_url, database_url) as (log, archive):
        yield Scene(redis_url, database_url, log, archive)


async def test_the_chain_is_queried_once_no_earlier_transaction_can_land(
    scene: Scene,
) -> None:
    await scene.play.create()
    await scene.archived()
    await scene.repair()
    chain = scene.chain
    assert chain.calls.index("finalized") < chain.calls.index("last_height")
    assert chain.asked_at == {LAST + 1}, "final, and above the last height"
    assert chain.calls[-2:] == ["executed", "orders_since"]


@pytest.mark.parametrize(
    ("valid", "asked_at"),
    [
        (LAST + BEHIND, LAST + BEHIND + 1),
        (LAST + 1, LAST + 2),
        (LAST + BEHIND + 1, LAST + 1),  # of another chain: the wait for it would never end
        (LAST - 1, LAST + 1),
    ],
)
@pytest.mark.parametrize("where", ["archived", "only in the log", "void"])
async def test_a_transaction_of_a_builder_that_was_ahead_of_our_node_is_waited_for(
    scene: Scene, valid: int, asked_at: int, where: str
) -> None:
    if where == "archived":
        await scene.built(valid)
        await scene.archived()
        await LogServer(scene.log).call("DEL", scene.log.keys.log)
    else:
        [before] = await scene.play.create()
        await scene.archived()
        if where == "void":
            fact = TransactionBuilt(1, "5" * 88, valid, SecretBytes(b"raw"))
            await scene.play.append([before], RoutingStarted(), routed(), fact)
        else:
            await scene.built(valid)
    await scene.repair()
    assert scene.chain.asked_at == {asked_at}


async def test_every_process_has_time_to_notice_that_it_is_fenced_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the chain is far above the last height already."""
    monkeypatch.setattr(recreate_log, "FENCED_S", 0.2)
    scene.chain.height = 10 * LAST
    await scene.play.create()
    await scene.archived()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await scene.repair()
    assert loop.time() - began >= 0.2
    assert scene.chain.calls.count("finalized") > 2


async def test_a_repair_waits_for_the_height_however_old_the_fence_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recreate_log, "FENCED_S", -1.0)
    await scene.play.create()
    await scene.archived()
    await scene.repair()
    assert scene.chain.asked_at == {LAST + 1}


async def test_exactly_the_open_orders_are_queried_on_the_chain(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recreate_log, "ORDERS", 3)
    monkeypatch.setattr(gather, "PAGE_ORDERS", 3)
    play = scene.play
    pending = await play.create(7)
    resting, parked, begun, gone = await play.create(4)
    await play.append([begun], RoutingStarted())
    await play.append([parked], OrderParked("router", "a bug", "engine"))
    await play.append([resting], OrderArmed(7))
    await play.append([gone], OrderCancelled("ann"))
    await scene.archived()
    adopted = await play.create(4)
    scene.chain.executions = {pending[0]: ["a"], adopted[-1]: ["b"]}
    done = await scene.repair()
    assert set(done.adopted) == set(adopted)
    assert set(done.parked) == {pending[0], adopted[-1]}
    asked = [i for i in scene.chain.asked if i != ENGINE_STREAM_ID]
    assert sorted(asked) == sorted([*pending, resting, parked, begun, *adopted])


async def test_an_adopted_order_that_was_executed_is_not_executed_again(scene: Scene) -> None:
    await scene.play.create()
    await scene.archived()
    [order_id] = await scene.play.create()
    scene.chain.executions[order_id] = ["unknown"]
    done = await scene.repair()
    assert (done.adopted, done.parked, done.strangers) == ([order_id], [order_id], [])


async def test_the_chain_is_asked_since_the_oldest_transaction_that_may_have_been_sent(
    scene: Scene,
) -> None:
    play = scene.play
    [sent] = await play.create()
    fact = TransactionBuilt(1, "s", 1, SecretBytes(b"raw"))
    await play.append([sent], RoutingStarted(), routed(), fact, TransactionSubmitted(1, "s"))
    await play.create()
    await scene.archived()
    async with scene.archive.snapshot() as snapshot:
        [end] = await snapshot.at([await scene.archive.position()])
    # Long before the end of the archive, as an order that waits for its outcome may have been made.
    long_ago_us = end.time_us - 10 * gather.CREATION_MS * 1000
    connection = await asyncpg.connect(scene.database_url)
    await connection.execute("UPDATE orders SET created_us = $1 WHERE id = $2", long_ago_us, sent)
    await scene.repair()
    assert scene.chain.reached_us == [long_ago_us]
    assert scene.chain.asked_since_us == {long_ago_us}
    await connection.execute("UPDATE orders SET created_us = $1 WHERE id = $2", end.time_us, sent)
    await connection.close()
    await scene.log.open(create=False)
    scene.chain = Script(scene.log)
    await scene.repair()
    margin_us = end.time_us - gather.CREATION_MS * 1000
    assert scene.chain.reached_us == [margin_us], "what was made before may have been sent after"
    assert scene.chain.asked_since_us == {margin_us}
    [first] = scene.chain.strangers_since
    assert first == first_id_at(margin_us // 1000)


async def test_executed_orders_unknown_to_the_archive_are_listed(scene: Scene) -> None:
    [known] = await scene.play.create()
    await scene.archived()
    lost = new_order_id()
    old = new_order_id(now_ms=created_ms(known) - 2 * gather.CREATION_MS)
    scene.chain.executions |= {lost: ["a"], old: ["b"]}
    assert (await scene.repair()).strangers == [lost]


async def test_a_repair_that_the_chain_cannot_answer_fences_no_process(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(_: int) -> None:
        raise ChainError(ValueError("history-too-short"))

    await scene.play.create()
    await scene.archived()
    monkeypatch.setattr(scene.chain, "reaches", forgetful)
    with pytest.raises(ChainError):
        await scene.repair()
    await scene.play.create()


async def test_a_repair_that_lost_its_lock_creates_no_log(scene: Scene) -> None:
    [order_id] = await scene.play.create()
    await scene.archived()
    connection = await asyncpg.connect(scene.database_url)

    async def cut() -> None:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND objid = $1 AND pid <> pg_backend_pid()",
            recreate_log.LOCK,
        )

    scene.chain.waiting = lambda height: cut() if height == LAST else None
    heads = await scene.log.load([order_id])
    with pytest.raises(RepairError, match="let go of the lock"):
        await scene.repair()
    await connection.close()
    assert not await LogServer(scene.log).call("EXISTS", scene.log.keys.meta)
    assert await scene.log.load([order_id]) == heads, "nothing was replaced"


async def test_a_log_rebuild_that_broke_off_is_completed_only_by_another_rebuild(
    scene: Scene,
) -> None:
    """Otherwise a log that lost sends would continue without a query of the chain."""
    from engine.recovery import Step, Words, diagnose, plan

    await scene.play.create()
    await scene.archived()

    def fails(height: int) -> None:
        if height == LAST:
            raise ChainError(ValueError("gone"))

    scene.chain.waiting = fails
    with pytest.raises(ChainError):
        await scene.repair()
    todo = plan(await diagnose(scene.log, scene.archive), "", Words())
    assert todo.steps == [Step.REBUILD_LOG]
    scene.chain = Script(scene.log)
    scene.chain.began_fenced = True
    assert (await scene.repair()).epoch == 2
    assert not await LogServer(scene.log).call("EXISTS", scene.log.keys.fenced)
    assert plan(await diagnose(scene.log, scene.archive), "", Words()).faults == []


# -- the events of an order that was executed ------------------------------------------------------


def order_after(*facts: Fact) -> Order:
    """An order, folded."""
    order = new_order(new_order_id(), "main")
    for number, fact in enumerate((submitted(), *facts), start=1):
        event = Event(order.id, number, number, Status.PENDING, "main", "b", fact)  # type: ignore[arg-type]  # every Fact is a member of the union
        order = evolve(order if number > 1 else None, event)
    return order


CREATED_AT = (RoutingStarted(), routed(), TransactionBuilt(1, "ours", 9, SecretBytes(b"raw")))
SETTLED: dict[str, tuple[tuple[Fact, ...], list[str], type[Fact] | None]] = {
    "not executed": ((), [], None),
    "by an unknown transaction": ((), ["theirs"], OrderParked),
    "by the one that was made": (CREATED_AT, ["ours"], TransactionSubmitted),
    "by another than the one that was made": (CREATED_AT, ["theirs"], OrderParked),
    "twice": (CREATED_AT, ["ours", "theirs"], OrderParked),
    "by the one that is sent": ((*CREATED_AT, TransactionSubmitted(1, "ours")), ["ours"], None),
    "while parked": ((OrderParked("router", "a bug", "engine"),), ["theirs"], OrderParked),
    "known already": (
        (OrderParked("repair", f"{EXECUTED}theirs, whose events are lost", "engine"),),
        ["theirs"],
        None,
    ),
}


@pytest.mark.parametrize("case", SETTLED)
def test_an_order_executed_on_chain_is_recorded_as_sent_parked_or_unchanged(case: str) -> None:
    facts, signatures, expected = SETTLED[case]
    order = order_after(*facts)
    results = order_histories.reconcile(order, signatures)
    assert [type(fact) for fact in results] == ([expected] if expected else [])
    if expected is TransactionSubmitted:
        assert results == [TransactionSubmitted(1, "ours")]
    if expected is OrderParked:
        assert isinstance(results[0], OrderParked)
        assert results[0].reason.startswith(EXECUTED + signatures[0])


# -- the wallets -----------------------------------------------------------------------------------


async def test_a_wallet_reads_the_finalized_height_and_the_newest_blockhash(
    tmp_path: Path,
) -> None:
    import json

    from tests.support.chain.localchain import WALLET

    def height(params: Any) -> int:
        return {"finalized": 100, "confirmed": 130, "processed": 132}[params[0]["commitment"]]

    def blockhash(params: Any) -> Any:
        last = {"finalized": 250, "confirmed": 280, "processed": 282}[params[0]["commitment"]]
        return at(1_000, {"blockhash": "1" * 32, "lastValidBlockHeight": last})

    pools, key = tmp_path / "pools.json", tmp_path / "wallet.json"
    pools.write_text(json.dumps(pools_file()))
    key.write_text(json.dumps(list(bytes(WALLET))))
    key.chmod(0o600)
    async with rpc_node() as node:
        node.answers |= {"getBlockHeight": height, "getLatestBlockhash": blockhash}
        settings = Settings(
            data_dir=tmp_path, venues=("raydium", "meteora"), solana_rpc_url=(SecretUrl(node.url),),
            solana_keypair=SecretText(str(key)), pools=str(pools),
        )  # fmt: skip
        wallet = open_wallet(settings)
        assert (await wallet.finalized(), await wallet.last_height()) == (100, 282)
        _history_is_final(node)
        await wallet.executed([new_order_id()], 10**15)
        await wallet.close()
        asked = [p for method, p in node.params if method == "getSignaturesForAddress"]
        assert {p[1]["commitment"] for p in asked} == {"finalized"}


def _history_is_final(node: Node) -> None:
    node.answers |= {
        "getFirstAvailableBlock": lambda _: 0,
        "getBlockTime": lambda _: 10**9,
        "getEpochInfo": lambda _: {"absoluteSlot": 1_000, "blockHeight": 1_000},
        "getSignaturesForAddress": lambda _: [],
    }
