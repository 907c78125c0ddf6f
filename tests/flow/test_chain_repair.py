"""A log that was lost is founded again beside a chain: the wallet's history says what happened."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis.asyncio
from solders.hash import Hash
from solders.keypair import Keypair

from engine import localchain
from engine.repair import refound
from engine.settings import Settings
from engine.wallets import open_wallet
from events.ids import new_order_id
from events.types import TransactionSubmitted
from stages.venues import Refused
from stages.venues.solana.clusters import Admission
from stages.venues.solana.executed import CLOCKS_S, Executed
from stages.venues.solana.options import RpcOptions
from stages.venues.solana.rpc import Rpc
from stages.venues.solana.rpc_link import RpcLink
from tests.chain_crew import ChainCrew, LocalChain, chain_crew
from tests.localchain import OWNER, memo, signed
from tests.projected import opened, projected, projecting
from tests.rpc_node import JsonError, Node, rpc_node

SOL = 10**9


@contextlib.asynccontextmanager
async def hurrying(local: LocalChain) -> AsyncIterator[None]:
    """Blocks pass faster than by the clock."""

    async def hurry() -> None:
        while True:
            local.advance(10)
            await asyncio.sleep(0.01)

    work = asyncio.create_task(hurry())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_an_order_that_the_chain_has_executed_is_never_executed_again(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.repair.FENCED_S", 0.05)
    monkeypatch.setattr("stages.venues.solana.rpc.HISTORY_MAX", 2)  # it has pages
    async with (
        chain_crew(redis_url, tmp_path) as crew,
        opened(redis_url, database_url) as (log, archive),
    ):
        workers = [await crew.worker(name) for name in ("router", "builder")]

        async def built() -> str:
            order_id = await crew.order("SOL", "USDC", SOL)
            await crew.until(lambda: len(crew.names(order_id)) == 4)
            return order_id

        async def sent(order_id: str) -> None:
            transaction = (await crew.head(order_id)).order.transaction
            assert transaction is not None
            await crew.say(order_id, TransactionSubmitted(1, transaction.signature))
            await crew.chain().send([transaction.raw])

        known = await built()
        for worker in workers:
            await worker.stop()
        unknown, late = [await crew.order("SOL", "USDC", SOL) for _ in range(2)]
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        for name in ("router", "builder"):
            await crew.worker(name)
        await crew.until(lambda: len(crew.names(unknown)) == len(crew.names(late)) == 4)
        stranger = await built()
        for order_id in (known, unknown, stranger):  # the archive never hears of it
            await sent(order_id)
        assert set(crew.executions()) == {known, unknown, stranger}
        async with redis.asyncio.from_url(redis_url) as client:
            await client.flushdb()

        wallet = open_wallet(crew.settings)
        last = await wallet.last_height()
        async with hurrying(crew.local):
            done = await refound(log, archive, wallet)
        assert await wallet.finalized() > last
        await wallet.close()
        assert (done.sent, done.parked, done.strangers) == ([known], [unknown], [stranger])

        await log.open(found=False)
        later = ChainCrew(redis_url, crew.local, crew.settings)
        later.after = log.base
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(later.trading.live(True))
            stack.push_async_callback(later.close)
            await later.open()
            # Nothing is sent until the archive has the log.
            await stack.enter_async_context(projecting(redis_url, database_url))
            await later.all_stages()
            assert await later.ended([known, late]) == ["confirmed", "confirmed"]
            assert "executed on chain by" in (await later.head(unknown)).order.parked
        assert crew.executions() == dict.fromkeys((known, unknown, stranger, late), 1)


def history_of(node: Node) -> Executed:
    """The wallet's history by such a node."""
    link = RpcLink(
        RpcOptions((node.url,), timeout_s=1.0, deadline_s=2.0, backoff_s=0.01), Admission("local")
    )
    return Executed(Rpc(link), OWNER)


def remembering(
    node: Node, *, first_slot: int = 0, height: int = 900, slot_ms: int = 400, now_s: float = 0
) -> None:
    """It has all blocks from a slot on, and is at this height; its slots have this length."""
    newest = height + 50
    now_s = now_s or time.time()
    node.answers["getFirstAvailableBlock"] = lambda _: first_slot
    node.answers["getEpochInfo"] = lambda _: {"absoluteSlot": newest, "blockHeight": height}
    node.answers["getBlockTime"] = lambda p: int(now_s - (newest - p[0]) * slot_ms / 1000)


def shown(order_id: str, *signers: Keypair) -> Any:
    """What a node tells of a transaction with such a memo."""
    raw = bytes(signed(str(Hash.default()), [memo(order_id)], *([signers] if signers else [])))
    return {"slot": 7, "transaction": [b64encode(raw).decode(), "base64"]}


async def test_a_stranger_who_writes_our_memo_has_executed_nothing() -> None:
    ours, theirs, failed = (new_order_id() for _ in range(3))
    lines = [
        {"signature": name, "slot": 7, "err": err, "memo": f"[36] {order_id}", "blockTime": 1}
        for name, order_id, err in (
            ("a", ours, None),
            ("b", theirs, None),
            ("c", failed, {"InstructionError": [0, "Custom"]}),
        )
    ]
    lines.append({"signature": "d", "slot": 7, "err": None, "memo": "[2] hi", "blockTime": 1})
    told = {"a": shown(ours), "b": shown(theirs, Keypair())}
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda p: [] if p[1].get("before") else lines
        node.answers["getTransaction"] = lambda p: told.get(p[0])
        remembering(node)
        history = history_of(node)
        assert await history.by([ours, theirs, failed], time.time()) == {ours: ["a"]}
        assert await history.since(min(ours, theirs, failed)) == [ours]
        assert node.asked["getTransaction"] == 2
        await history._rpc.close()


async def test_what_no_node_shows_is_not_guessed() -> None:
    order_id = new_order_id()
    line = {"signature": "a", "slot": 7, "err": None, "memo": f"[36] {order_id}", "blockTime": 1}
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: [line]
        node.answers["getTransaction"] = lambda _: None
        remembering(node)
        history = history_of(node)
        with pytest.raises(Refused, match="no node shows it"):
            await history.by([order_id], time.time())
        await history._rpc.close()


@pytest.mark.parametrize("slot_ms", [150, 200, 400])
async def test_a_node_that_was_restored_from_a_snapshot_is_believed_by_its_age_in_seconds(
    slot_ms: int,
) -> None:
    """Whatever a slot's length: a memory half an hour too short is none, one long enough is."""
    now_s, half_an_hour_s = time.time(), 1_800
    since_s = now_s - 3 * 3_600
    wanted_s = 3 * 3_600 + CLOCKS_S
    height = 10**9

    def keeping(node: Node, seconds: float) -> None:
        first_slot = height + 50 - int(seconds * 1000 / slot_ms)
        remembering(node, first_slot=first_slot, height=height, slot_ms=slot_ms, now_s=now_s)

    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: []
        history = history_of(node)
        keeping(node, wanted_s - half_an_hour_s)
        with pytest.raises(Refused, match="history-too-short"):
            await history.by([new_order_id()], since_s)
        with pytest.raises(Refused, match="history-too-short"):
            await history.reaches(since_s)
        keeping(node, wanted_s + half_an_hour_s)
        assert await history.by([new_order_id()], since_s) == {}
        await history._rpc.close()


@pytest.mark.parametrize("number", [None, -32601, -32009, -32004, -32602])
async def test_a_node_that_cannot_tell_how_old_its_memory_is_is_not_believed(
    number: int | None,
) -> None:
    def cannot_tell(_: Any) -> None:
        if number is not None:
            raise JsonError(number, "says so")

    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: []
        remembering(node, first_slot=10, height=10**9)  # long enough, if it could be known
        node.answers["getBlockTime"] = cannot_tell
        history = history_of(node)
        with pytest.raises(Refused, match="history-too-short"):
            await history.by([new_order_id()], time.time())
        await history._rpc.close()


async def test_a_node_that_forgets_while_it_is_asked_is_asked_for_what_it_has_then() -> None:
    slots = iter(range(1, 10**6))
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: []
        remembering(node, height=10**9)
        node.answers["getFirstAvailableBlock"] = lambda _: min(3, next(slots))
        history = history_of(node)
        assert await history.by([new_order_id()], time.time()) == {}
        asked = [params for method, params in node.params if method == "getBlockTime"]
        assert asked[-1] == [3]
        await history._rpc.close()
        node.answers["getFirstAvailableBlock"] = lambda _: next(slots)
        history = history_of(node)
        with pytest.raises(Refused, match="ever a later one"):
            await history.by([new_order_id()], time.time())
        await history._rpc.close()


async def test_the_pages_of_a_history_come_from_nodes_that_are_no_less_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is behind the first does not know the line that the next page begins at."""
    monkeypatch.setattr("stages.venues.solana.executed.BEHIND_S", 0.001)
    line = {"signature": "a", "slot": 7, "err": {}, "memo": None, "blockTime": None}
    async with rpc_node() as node:

        def page(params: Any) -> Any:
            if params[1].get("before"):
                return []
            remembering(node, height=899)
            return [line]

        node.answers["getSignaturesForAddress"] = page
        remembering(node, height=900)
        history = history_of(node)
        with pytest.raises(Refused, match="node-behind"):
            await history.by([new_order_id()], time.time())
        await history._rpc.close()


async def test_a_node_that_is_behind_the_height_waited_for_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stages.venues.solana.executed.BEHIND_S", 0.001)
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: []
        remembering(node, height=899)
        history = history_of(node)
        history.least_height = 900
        with pytest.raises(Refused, match="node-behind"):
            await history.by([new_order_id()], time.time())
        remembering(node, height=900)
        assert await history.by([new_order_id()], time.time()) == {}
        await history._rpc.close()


async def test_a_memo_that_a_node_leaves_out_of_its_index_is_read_from_the_transaction() -> None:
    order_id = new_order_id()
    line = {"signature": "a", "slot": 7, "err": None, "memo": None, "blockTime": 1}
    other = line | {"signature": "b"}
    told = {"a": shown(order_id), "b": shown(new_order_id(), Keypair())}
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: [line, other]
        node.answers["getTransaction"] = lambda p: told[p[0]]
        remembering(node)
        history = history_of(node)
        assert await history.by([order_id], time.time()) == {order_id: ["a"]}
        await history._rpc.close()


def test_a_chain_whose_engine_is_down_runs_for_as_long_as_it_is_asked(short_path: Path) -> None:
    settings = Settings(data_dir=short_path / "d", venues=("raydium", "meteora"), slot_ms=50)
    with localchain.reached(settings) as reached:
        [url] = reached.solana_rpc_url
        address = urlsplit(url)
        assert address.hostname
        assert address.port
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            assert b"200 OK" in connection.recv(100)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address.hostname, address.port))
