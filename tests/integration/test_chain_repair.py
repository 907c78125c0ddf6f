"""A lost log is rebuilt beside a chain: the wallet's history shows which orders were executed."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import redis.asyncio
from aiohttp import web
from msgspec.structs import replace
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta
from solders.instruction import Instruction as SoldersInstruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from engine.commands import repair
from engine.embedded import localnet
from engine.recovery import rebuild_log
from engine.recovery.chain_history import open_wallet
from engine.settings import Settings
from events.ids import new_order_id
from events.secret import SecretBytes, SecretUrl
from events.types import Status, TransactionSubmitted
from stages.venues import VenueRefusal
from stages.venues.solana.outcomes.executed import CLOCKS_S, WalletHistory
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.link import RpcLink
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import RpcOptions
from stages.venues.solana.rpc.transaction_methods import VERSION_UNSUPPORTED
from stages.venues.solana.transaction.programs import MEMO
from tests.support.chain.chain_crew import ChainCrew, LocalChain, chain_crew
from tests.support.chain.localchain import OWNER, WALLET, memo, sealed, signed
from tests.support.chain.rpc_node import PATIENT, JsonError, Node, rpc_node
from tests.support.log.projected import opened, projected, projecting
from tests.support.waits import pace

SOL = 10**9
PUBKEY = WALLET.pubkey()
STRANGER = Keypair()
TABLE = AddressLookupTableAccount(Pubkey.new_unique(), [Pubkey.new_unique()])


@contextlib.asynccontextmanager
async def hurrying(local: LocalChain) -> AsyncIterator[None]:
    """Blocks pass faster than by the clock."""

    async def hurry() -> None:
        while True:
            local.advance(10)
            await pace(0.01)

    work = asyncio.create_task(hurry())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_an_order_that_the_chain_has_executed_is_never_executed_again(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.recovery.recreate_log.FENCED_S", 0.05)
    monkeypatch.setattr(
        "stages.venues.solana.rpc.transaction_methods.HISTORY_MAX", 2
    )  # it has pages
    async with (
        # Half a minute, in which a busy machine sends what it has built.
        chain_crew(redis_url, tmp_path, chain_lifetime=1500) as crew,
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
            await crew.append(order_id, TransactionSubmitted(1, transaction.signature))
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
            done = await rebuild_log(log, archive, wallet)
        assert await wallet.finalized() > last
        await wallet.close()
        assert (done.sent, done.parked, done.strangers) == ([known], [unknown], [stranger])

        await log.open(create=False)
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


async def rpc_call(url: str, method: str, *params: Any) -> Any:
    """What a node answers, an error included."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return await answer.json()


@contextlib.asynccontextmanager
async def odd_history(url: str, strange: Mapping[str, bytes]) -> AsyncIterator[str]:
    """A node before a chain, which shows some transactions as other bytes, or, where there are
    none, says that their version is too new; it does not tell who paid for them.
    """

    async def handle(request: web.Request) -> web.Response:
        asked = await request.json()
        raw = strange.get(asked["params"][0]) if asked["method"] == "getTransaction" else None
        answer = await rpc_call(url, asked["method"], *asked["params"])
        if raw is not None and raw and asked["params"][1]["encoding"] == "base64":
            answer["result"]["transaction"][0] = b64encode(raw).decode()
        elif raw is not None:
            error = refusing()
            answer = {"error": {"code": error.code, "message": error.message}}
        return web.json_response({"jsonrpc": "2.0"} | answer | {"id": asked["id"]})

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site.name
    finally:
        await runner.cleanup()


async def test_dust_transfers_of_any_version_do_not_block_the_recreation_of_a_lost_log(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.recovery.recreate_log.FENCED_S", 0.05)
    monkeypatch.setattr("stages.venues.solana.rpc.transaction_methods.HISTORY_MAX", 3)
    async with (
        chain_crew(redis_url, tmp_path, chain_wallets=(OWNER, str(STRANGER.pubkey()))) as crew,
        opened(redis_url, database_url) as (log, archive),
    ):
        for name in ("router", "builder"):
            await crew.worker(name)
        order_id = await crew.order("SOL", "USDC", SOL)
        await crew.until(lambda: len(crew.names(order_id)) == 4)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        transaction = (await crew.head(order_id)).order.transaction
        assert transaction is not None
        await crew.chain().send([transaction.raw])

        async def dusted(version: int | None, lamports: int) -> str:
            recent = Hash.from_string(crew.local.node.bank.blocks.tip.blockhash)
            move = transfer(
                TransferParams(from_pubkey=STRANGER.pubkey(), to_pubkey=PUBKEY, lamports=lamports)
            )
            raw = sealed(STRANGER, [move], version, recent)
            await crew.chain().send([SecretBytes(raw)])
            return str(VersionedTransaction.from_bytes(raw).signatures[0])

        for version in (None, 0, 1):
            await dusted(version, 1)
        damaged, later, refused = [await dusted(1, lamports) for lamports in (2, 3, 4)]
        assert crew.local.executions() == {order_id: 1, "": 6}
        async with redis.asyncio.from_url(redis_url) as client:
            await client.flushall()

        strange = {damaged: bytes(range(200)), later: as_future(dust()), refused: b""}
        async with odd_history(crew.local.url, strange) as url, hurrying(crew.local):
            settings = replace(
                crew.settings,
                redis_url=redis_url,
                database_url=database_url,
                solana_rpc_url=(SecretUrl(url),),
            )
            args = argparse.Namespace(
                yes=True, restored=False, json=False, drop_after=None, accept_loss=False, reason=""
            )
            assert await asyncio.to_thread(repair.run, settings, args) == 0
        await log.open(create=False)
        [head] = await log.load([order_id])
        assert head is not None
        assert head.order.status is Status.SUBMITTED
        assert not head.order.parked


def history_of(node: Node) -> WalletHistory:
    """The wallet's history by such a node."""
    link = RpcLink(RpcOptions((SecretUrl(node.url),), **PATIENT), ClusterGuard("local"))
    return WalletHistory(Rpc(link), OWNER)


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
    raw = bytes(signed(str(Hash.default()), [memo(order_id)], signers or (WALLET,)))
    return {"slot": 7, "transaction": [b64encode(raw).decode(), "base64"]}


async def test_a_strangers_transaction_with_our_memo_executes_no_order() -> None:
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


@pytest.mark.parametrize("version", [None, 0, 1])
async def test_a_strangers_transaction_that_names_the_wallet_executes_no_order(
    version: int | None,
) -> None:
    order_id, spoken = new_order_id(), new_order_id()
    pays = TransferParams(from_pubkey=STRANGER.pubkey(), to_pubkey=PUBKEY, lamports=1)

    def naming(text: str) -> bytes:
        # The wallet is among the accounts, of the memo too, and signs nothing.
        words = SoldersInstruction(
            Pubkey.from_string(MEMO), text.encode(), [AccountMeta(STRANGER.pubkey(), True, True)]
        )
        return sealed(STRANGER, [transfer(pays), words], version)

    lines = [line_of("named", f"[36] {order_id}"), line_of("unnamed")]
    shows = {"named": told(naming(order_id)), "unnamed": told(naming(spoken))}
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda p: [] if p[1].get("before") else lines
        node.answers["getTransaction"] = lambda p: shows.get(p[0])
        remembering(node)
        history = history_of(node)
        assert await history.by([order_id, spoken], time.time()) == {}
        assert await history.since(min(order_id, spoken)) == []
        assert node.asked["getTransaction"] == 2
        await history._rpc.close()


def line_of(signature: str, text: str | None = None) -> dict[str, Any]:
    """A line of a history."""
    return {"signature": signature, "slot": 7, "err": None, "memo": text, "blockTime": 1}


def told(raw: bytes) -> Any:
    """What a node shows of such bytes."""
    return {"slot": 7, "transaction": [b64encode(raw).decode(), "base64"]}


def payer_told(payer: str) -> Any:
    """What a node says of a transaction in JSON."""
    return {"slot": 7, "version": 2, "transaction": {"message": {"accountKeys": [payer, OWNER]}}}


def refusing(version: object = 2) -> JsonError:
    """A node's refusal of a version."""
    text = f"Transaction version ({version}) is not supported by the requesting client."
    return JsonError(VERSION_UNSUPPORTED, text)


def dust(payer: Keypair = STRANGER, version: int | None = 1) -> bytes:
    """A transfer of lamports to the wallet."""
    move = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=PUBKEY, lamports=1))
    return sealed(payer, [move], version)


def in_tables(payer: Keypair, text: str) -> bytes:
    """A memo beside an instruction whose accounts are in a lookup table."""
    move = SoldersInstruction(
        Pubkey.new_unique(), b"", [AccountMeta(TABLE.addresses[0], False, True)]
    )
    words = SoldersInstruction(Pubkey.from_string(MEMO), text.encode(), [])
    message_v0 = MessageV0.try_compile(payer.pubkey(), [move, words], [TABLE], Hash.default())
    assert message_v0.address_table_lookups
    return bytes(VersionedTransaction(message_v0, [payer]))


def as_future(raw: bytes) -> bytes:
    """The same bytes, in a version that does not exist yet."""
    return b"\x82" + raw[1:]


def with_unknown_config(raw: bytes) -> bytes:
    """A v1 transaction with a bit of the config mask that has no meaning yet."""
    return raw[:4] + b"\xff" + raw[5:]


STRANGE = {
    "legacy": dust(version=None),
    "v0": dust(version=0),
    "v1": dust(version=1),
    "a later version": as_future(dust()),
    "a v1 of a later config": with_unknown_config(dust()),
    "lookup tables": in_tables(STRANGER, "hi"),
    "no UTF-8 in the memo": sealed(
        STRANGER, [SoldersInstruction(Pubkey.from_string(MEMO), b"\xff\xfe", [])], 1
    ),
    "noise": bytes(range(256)),
    "nothing": b"",
    "cut off": dust()[:60],
    "bytes behind": dust() + b"\0",
    "no addresses": bytes([0, 0, 0, 0, 0]) + bytes(40),
}
"""Transactions that strangers made, or a node damaged."""


def answering(
    node: Node, shows: Callable[[str], Any], payers: Mapping[str, str] = MappingProxyType({})
) -> None:
    """It shows transactions in base64, and of some the payer in JSON."""

    def answer(params: Any) -> Any:
        signature, config = params
        if config["encoding"] == "base64":
            assert config["maxSupportedTransactionVersion"] == 1
            return shows(signature)
        if signature not in payers:
            raise refusing()
        return payer_told(payers[signature])

    node.answers["getTransaction"] = answer


async def test_foreign_transactions_to_the_wallet_do_not_stop_the_history_query() -> None:
    order_id = new_order_id()
    lines = [line_of("ours", f"[36] {order_id}"), *map(line_of, STRANGE)]
    lines.append(line_of("refused"))
    lines.append(line_of("odd memo", "[3] (unparseable); [1] \0; [0] "))
    lines.append(line_of("failed") | {"err": {"InstructionError": [0, "X"]}})

    def shows(signature: str) -> Any:
        if signature == "refused":
            raise refusing()
        return shown(order_id) if signature == "ours" else told(STRANGE[signature])

    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda p: [] if p[1].get("before") else lines
        answering(node, shows, {name: str(STRANGER.pubkey()) for name in STRANGE})
        remembering(node)
        history = history_of(node)
        assert await history.by([order_id], time.time()) == {order_id: ["ours"]}
        assert node.asked["getTransaction"] <= 2 * (len(STRANGE) + 2)  # no storm of questions
        await history._rpc.close()


async def test_all_transactions_that_executed_an_order_are_listed_oldest_first() -> None:
    order_id, other = new_order_id(), new_order_id()
    named = {"c": order_id, "b": other, "a": order_id}
    lines = [line_of(signature, f"[36] {i}") for signature, i in named.items()]
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda p: [] if p[1].get("before") else lines
        answering(node, lambda signature: shown(named[signature]))
        remembering(node)
        history = history_of(node)
        by = await history.by([order_id, other], time.time())
        assert by == {order_id: ["a", "c"], other: ["b"]}
        await history._rpc.close()


@pytest.mark.parametrize("version", [None, 0, 1])
async def test_a_strangers_transaction_that_names_wallet_and_order_executes_no_order(
    version: int | None,
) -> None:
    """Any client may list the wallet among the accounts of a transaction, and pay for it."""
    ours, theirs, unnamed = (new_order_id() for _ in range(3))
    wallet = AccountMeta(WALLET.pubkey(), False, True)

    def memos(order_id: str) -> list[SoldersInstruction]:
        return [SoldersInstruction(Pubkey.from_string(MEMO), order_id.encode(), [wallet])]

    shows = {
        "ours": told(sealed(WALLET, memos(ours), version)),
        "theirs": told(sealed(STRANGER, memos(theirs), version)),
        "unnamed": told(sealed(STRANGER, memos(unnamed), version)),
    }
    lines = [line_of(name, f"[36] {i}") for name, i in (("ours", ours), ("theirs", theirs))]
    lines.append(line_of("unnamed"))
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda p: [] if p[1].get("before") else lines
        answering(node, shows.__getitem__)
        remembering(node)
        history = history_of(node)
        assert await history.by([ours, theirs, unnamed], time.time()) == {ours: ["ours"]}
        await history._rpc.close()


@pytest.mark.parametrize("version", [None, 0, 1])
async def test_an_order_is_read_from_a_transaction_of_every_version(version: int | None) -> None:
    order_id = new_order_id()
    words = SoldersInstruction(Pubkey.from_string(MEMO), order_id.encode(), [])
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: [line_of("a")]
        answering(node, lambda _: told(sealed(WALLET, [words], version)))
        remembering(node)
        history = history_of(node)
        assert await history.by([order_id], time.time()) == {order_id: ["a"]}
        await history._rpc.close()


async def test_a_memo_beside_accounts_of_a_lookup_table_is_read() -> None:
    order_id = new_order_id()
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: [line_of("a")]
        answering(node, lambda _: told(in_tables(WALLET, order_id)))
        remembering(node)
        history = history_of(node)
        assert await history.by([order_id], time.time()) == {order_id: ["a"]}
        await history._rpc.close()


UNREADABLE = {
    "a known layout": (told(with_unknown_config(dust(WALLET))), {}, None),
    "a later version, by the node": (told(as_future(dust(WALLET))), {"a": OWNER}, None),
    "a refused version, by the node": (refusing(), {"a": OWNER}, None),
    "a refused version that is built here": (refusing(1), {}, None),
    "a later version with an order's memo": (refusing(), {}, "ours"),
}
"""What the wallet paid for, or may have paid for, and cannot be read."""


@pytest.mark.parametrize("name", UNREADABLE)
async def test_an_unreadable_transaction_that_the_wallet_may_have_paid_is_a_refusal(
    name: str,
) -> None:
    answer, payers, text = UNREADABLE[name]
    order_id = new_order_id()

    def shows(_: str) -> Any:
        if isinstance(answer, JsonError):
            raise answer
        return answer

    async with rpc_node() as node:
        line = line_of("a", text and f"[36] {order_id}")
        node.answers["getSignaturesForAddress"] = lambda _: [line]
        answering(node, shows, payers)
        remembering(node)
        history = history_of(node)
        with pytest.raises(
            VenueRefusal, match="transaction-unreadable: a may be paid by the wallet"
        ):
            await history.by([order_id], time.time())
        assert node.asked["getTransaction"] <= 2
        await history._rpc.close()


async def test_the_wallets_signature_proves_a_transaction_of_a_later_version() -> None:
    body = as_future(dust(WALLET))[:-64]
    signature = WALLET.sign_message(body)
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: [line_of(str(signature))]
        answering(node, lambda _: told(body + bytes(signature)))
        remembering(node)
        history = history_of(node)
        with pytest.raises(VenueRefusal, match="transaction-unreadable"):
            await history.by([new_order_id()], time.time())
        await history._rpc.close()


async def test_a_node_that_repeats_a_history_page_is_refused() -> None:
    later = int(time.time()) + 10**6
    lines = [line_of(name, "[2] hi") | {"blockTime": later} for name in "ab"]
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: lines
        remembering(node)
        history = history_of(node)
        with pytest.raises(VenueRefusal, match="history-repeated"):
            await history.by([new_order_id()], time.time())
        await history._rpc.close()


async def test_a_transaction_that_no_node_shows_is_a_refusal() -> None:
    order_id = new_order_id()
    line = {"signature": "a", "slot": 7, "err": None, "memo": f"[36] {order_id}", "blockTime": 1}
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: [line]
        node.answers["getTransaction"] = lambda _: None
        remembering(node)
        history = history_of(node)
        with pytest.raises(VenueRefusal, match="no node shows it"):
            await history.by([order_id], time.time())
        await history._rpc.close()


@pytest.mark.parametrize("slot_ms", [150, 200, 400])
async def test_a_node_restored_from_a_snapshot_qualifies_by_its_age_in_seconds(
    slot_ms: int,
) -> None:
    """Whatever a slot's length: a memory half an hour too short is none, one long enough is."""
    now_s, half_an_hour_s = time.time(), 1_800
    since_s = now_s - 3 * 3_600
    needed_s = 3 * 3_600 + CLOCKS_S
    height = 10**9

    def keeping(node: Node, seconds: float) -> None:
        first_slot = height + 50 - int(seconds * 1000 / slot_ms)
        remembering(node, first_slot=first_slot, height=height, slot_ms=slot_ms, now_s=now_s)

    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: []
        history = history_of(node)
        keeping(node, needed_s - half_an_hour_s)
        with pytest.raises(VenueRefusal, match="history-too-short"):
            await history.by([new_order_id()], since_s)
        with pytest.raises(VenueRefusal, match="history-too-short"):
            await history.reaches(since_s)
        keeping(node, needed_s + half_an_hour_s)
        assert await history.by([new_order_id()], since_s) == {}
        await history._rpc.close()


@pytest.mark.parametrize("number", [None, -32601, -32009, -32004, -32602])
async def test_a_node_that_does_not_report_its_oldest_block_is_not_a_witness(
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
        with pytest.raises(VenueRefusal, match="history-too-short"):
            await history.by([new_order_id()], time.time())
        await history._rpc.close()


async def test_a_node_that_prunes_during_the_query_is_queried_for_its_remaining_blocks() -> None:
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
        with pytest.raises(VenueRefusal, match="ever a later one"):
            await history.by([new_order_id()], time.time())
        await history._rpc.close()


async def test_later_history_pages_come_from_nodes_not_behind_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is behind the first does not know the line that the next page begins at."""
    monkeypatch.setattr("stages.venues.solana.outcomes.executed.BEHIND_S", 0.001)
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
        with pytest.raises(VenueRefusal, match="node-behind"):
            await history.by([new_order_id()], time.time())
        await history._rpc.close()


async def test_a_history_of_a_node_below_the_required_height_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stages.venues.solana.outcomes.executed.BEHIND_S", 0.001)
    async with rpc_node() as node:
        node.answers["getSignaturesForAddress"] = lambda _: []
        remembering(node, height=899)
        history = history_of(node)
        history.least_height = 900
        with pytest.raises(VenueRefusal, match="node-behind"):
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


def test_the_local_chain_of_a_stopped_engine_runs_only_within_the_context(short_path: Path) -> None:
    settings = Settings(data_dir=short_path / "d", venues=("raydium", "meteora"), slot_ms=50)
    with localnet.local_chain_running(settings) as reached:
        [url] = reached.solana_rpc_url
        address = urlsplit(url.reveal())
        assert address.hostname
        assert address.port
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            assert b"200 OK" in connection.recv(100)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address.hostname, address.port))
