"""What one node does not serve, another does: methods rest, calls are split, stale banks left."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web

from events.metrics import RPC_FAULTS, RPC_UNSERVED
from events.secret import SecretBytes
from stages.venues.solana.cluster.commitments import Commitments
from stages.venues.solana.rpc import slots
from stages.venues.solana.rpc.errors import NotServed, RpcError, TooLarge, Unreachable
from stages.venues.solana.rpc.methods import Rpc
from tests.integration.test_solana_rpc import client
from tests.support.chain.rpc_node import GENESIS, HttpError, JsonError, Node, at, rpc_node


@pytest.fixture
async def nodes() -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(rpc_node()) for _ in range(2)]
        nodes[0].answers["getSlot"] = lambda _: 1000
        nodes[1].answers["getSlot"] = lambda _: 1001
        yield nodes


def always(answer: Any) -> Callable[[Any], Any]:
    """Answers so, whatever is asked."""
    return lambda _: answer


def lacks(_: Any) -> Any:
    raise JsonError(-32601, "Method not found")


def accounts_of(node: Node, most: int = 100, slot: int = 9) -> None:
    def answer(params: Any) -> Any:
        if len(params[0]) > most:
            error = {"code": -32602, "message": f"getMultipleAccounts is limited to a {most} range"}
            raise HttpError(413, json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}))
        return at(slot, [{"owner": a, "data": ["", "base64"], "lamports": 1} for a in params[0]])

    node.answers["getMultipleAccounts"] = answer


# -- a method that is not served -------------------------------------------------------------------


async def test_an_unserved_method_is_paused_at_a_node_and_others_are_served(
    nodes: list[Node],
) -> None:
    nodes[0].answers["getBlockHeight"] = lacks
    nodes[1].answers["getBlockHeight"] = lambda _: 7
    async with client(*nodes) as rpc:
        for _ in range(20):
            assert await rpc.get_block_height("confirmed") == 7
            assert await rpc.get_slot("confirmed") == 1000, "the first node is still preferred"
    assert nodes[0].asked["getBlockHeight"] <= 2, "it is not asked again and again"


async def test_a_method_that_no_node_serves_is_named_and_not_asked_for_again(
    nodes: list[Node],
) -> None:
    for node in nodes:
        node.answers["getBlockHeight"] = lacks
    unserved = RPC_UNSERVED.counts.get("getBlockHeight", 0)
    about = RPC_FAULTS.counts["method"]
    async with client(*nodes) as rpc:
        for _ in range(10):
            with pytest.raises(NotServed) as refused:
                await rpc.get_block_height("confirmed")
        assert refused.value.code == "method-not-served"
        assert refused.value.retryable
        assert "getBlockHeight: 127.0.0.1: -32601 Method not found" in refused.value.detail
        assert await rpc.get_slot("confirmed") == 1000
    assert [node.asked["getBlockHeight"] for node in nodes] == [2, 2]
    assert RPC_UNSERVED.counts["getBlockHeight"] == unserved + 10
    assert RPC_FAULTS.counts["method"] == about + 4


async def test_only_the_refused_method_of_a_request_is_paused_at_a_node(
    nodes: list[Node],
) -> None:
    """Several methods are asked for together; the others are served."""

    def refuse(_: Any) -> Any:
        raise JsonError(-32602, "Invalid params")

    for node in nodes:
        node.answers |= {
            "getFirstAvailableBlock": always(0),
            "getEpochInfo": always({"absoluteSlot": 9, "blockHeight": 8}),
            "getSignaturesForAddress": always([]),
            "getBlockTime": always(1_700_000_000),
        }
    nodes[0].answers["getSignaturesForAddress"] = refuse
    async with client(*nodes) as rpc:
        for _ in range(3):
            page = await rpc.get_signatures_for_address(
                "a", before=None, commitment="finalized", slot=5
            )
            assert page.slot_time_s == 1_700_000_000
        for _ in range(3):
            assert (await rpc.get_epoch_info("finalized")).absolute_slot == 9
        unserved = [node.unserved(["getBlockTime"]) for node in rpc._link._nodes]
        assert unserved == ["", ""]
        assert rpc._link._nodes[0]._methods.keys() == {"getSignaturesForAddress"}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 415, 422, 451, 501])
async def test_a_status_of_permanent_refusal_pauses_the_method(
    nodes: list[Node], status: int
) -> None:
    def refuse(_: Any) -> Any:
        raise HttpError(status, "<html><title>Not on this plan of secret-key</title></html>")

    nodes[0].answers["getBlockHeight"] = refuse
    async with client(nodes[0]) as rpc:
        with pytest.raises(NotServed) as refused:
            await rpc.get_block_height("confirmed")
        assert f"HTTP {status} Not on this plan of (key)" in refused.value.detail
        assert "secret-key" not in refused.value.detail
        assert await rpc.get_slot("confirmed") == 1000


async def test_a_single_refusal_may_be_a_hiccup(nodes: list[Node]) -> None:
    async with client(nodes[0]) as rpc:
        await rpc.get_slot("confirmed")
        for fault in ("403", "json -32601", "405"):
            nodes[0].faults = [fault]
            assert await rpc.get_slot("confirmed") == 1000


async def test_a_fault_carries_the_message_of_the_node_with_its_status(nodes: list[Node]) -> None:
    def refuse(_: Any) -> Any:
        raise HttpError(503, '{"message": "draining, see https://status.example/secret-key"}')

    nodes[0].answers["getSlot"] = refuse
    async with client(nodes[0], tries_max=2) as rpc:
        with pytest.raises(Unreachable, match=r"HTTP 503 draining, see \(url\)"):
            await rpc.get_slot("confirmed")


BODIES: list[Any] = [
    b"", b"null", b"[]", b"{}", b'"text"', b"7", b"{", b'{"id":1,"result":', b"\xff\xfe",
    b'[{"jsonrpc":"2.0","id":1,"result":5}]', b'{"id":ID}', b'{"id":ID,"result":null}',
    b'{"id":ID,"result":"1000"}', b'{"id":ID,"result":10.5}', b'{"id":ID,"result":-1,"error":"x"}',
    b'{"id":"other","result":1000}', b'{"result":1000}', b'{"id":ID,"error":{}}',
    b'{"id":ID,"error":"down"}', b'{"id":ID,"error":{"code":"E","message":5}}',
    b'{"id":99999,"error":{"code":-32602,"message":"of another question"}}',
    b'{"id":ID,"error":[1,2]}', b'{"id":ID,"error":{"code":1e99,"message":null}}',
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 500])
async def test_no_body_is_taken_for_a_refusal_of_the_request(
    nodes: list[Node], body: bytes, status: int
) -> None:
    """Nor for an answer: another node is asked."""

    async def broken(request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        number = str(asked["id"]).encode()
        if asked["method"] == "getGenesisHash":
            return web.json_response({"id": asked["id"], "result": GENESIS})
        return web.Response(status=status, body=body.replace(b"ID", number))

    nodes[0].handler = broken
    async with client(*nodes) as rpc:
        assert await rpc.get_slot("confirmed") == 1001
    async with client(nodes[0], tries_max=2) as rpc:
        with pytest.raises(Unreachable):
            await rpc.get_slot("confirmed")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "Invalid API key of secret-key"}', "Invalid API key of (key)"),
        (b'{"status": 7, "error": {"detail": "monthly quota used up"}}', "monthly quota used up"),
        (
            b"<!DOCTYPE html><html><title>Just a moment...</title><p>x</p></html>",
            "Just a moment...",
        ),
        (b'{"id": 1, "result": {"value": "ZnJlZSBwbGFu upgrade', "unreadable answer"),
        (b'{"id": "other", "result": "free plan"}', "unreadable answer"),
    ],
)
async def test_a_malformed_answer_with_status_200_is_a_fault_with_its_reason(
    nodes: list[Node], body: bytes, words: str
) -> None:
    """Of providers, and of what stands before them: an operator is to read it."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    nodes[0].handler = answer
    async with client(nodes[0], deadline_s=0.2) as rpc:
        with pytest.raises(Unreachable) as refused:
            await rpc.get_slot("confirmed")
    assert words in refused.value.detail


async def test_gzip_is_read_and_broken_gzip_is_the_nodes_fault(nodes: list[Node]) -> None:
    whole = True

    async def zipped(request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        result = {"getGenesisHash": GENESIS}.get(asked["method"], 1000)
        body = gzip.compress(json.dumps({"id": asked["id"], "result": result}).encode())
        cut = body if whole else b"no gzip at all"
        return web.Response(body=cut, headers={"Content-Encoding": "gzip"})

    nodes[0].handler = zipped
    async with client(*nodes) as rpc:
        assert await rpc.get_slot("confirmed") == 1000
        whole = False
        assert await rpc.get_slot("confirmed") == 1001


async def test_a_retry_after_header_pauses_the_node_with_any_status(nodes: list[Node]) -> None:
    def busy(_: Any) -> Any:
        raise HttpError(503, "", **{"Retry-After": "30"})

    nodes[0].answers["getSlot"] = busy
    async with client(*nodes) as rpc:
        for _ in range(5):
            assert await rpc.get_slot("confirmed") == 1001
    assert nodes[0].asked["getSlot"] == 1


async def test_a_dated_retry_after_counts_by_the_clock_of_the_node(nodes: list[Node]) -> None:
    def busy(_: Any) -> Any:
        sent_s = time.time() - 3600
        dates = {"Date": sent_s, "Retry-After": sent_s + 30}
        headers = {name: formatdate(at_s, usegmt=True) for name, at_s in dates.items()}
        raise HttpError(503, "", **headers)

    nodes[0].answers["getSlot"] = busy
    async with client(*nodes) as rpc:
        for _ in range(5):
            assert await rpc.get_slot("confirmed") == 1001
    assert nodes[0].asked["getSlot"] == 1


# -- few items a call ------------------------------------------------------------------------------


async def test_a_call_goes_whole_to_the_node_that_takes_it(nodes: list[Node]) -> None:
    accounts_of(nodes[0], most=5)
    accounts_of(nodes[1])
    names = [f"a{number}" for number in range(60)]
    async with client(*nodes) as rpc:
        for _ in range(5):
            answers = await rpc.get_multiple_accounts(names, commitment="processed")
            assert [len(answer.value) for answer in answers] == [60]
        [few] = await rpc.get_multiple_accounts(names[:5], commitment="processed")
        assert len(few.value) == 5
        assert rpc.accounts_max == 100
    assert nodes[0].asked["getMultipleAccounts"] == 2, "once too large, once small enough"


@pytest.mark.parametrize("most", [1, 5, 10, 50])
async def test_a_call_is_split_where_every_node_takes_few(nodes: list[Node], most: int) -> None:
    accounts_of(nodes[0], most=most)
    names = [f"a{number}" for number in range(100)]
    async with client(nodes[0]) as rpc:
        answers = await rpc.get_multiple_accounts(names, commitment="processed")
        assert [account.owner for answer in answers for account in answer.value] == names
        assert max(len(answer.value) for answer in answers) == most
        assert rpc.accounts_max == most
        with pytest.raises(TooLarge, match=f"limited to a {most} range"):
            await _at_once(rpc, names[: most + 1])
        assert len((await _at_once(rpc, names[:most])).value) == most


async def _at_once(rpc: Rpc, names: list[str]) -> Any:
    return await rpc.get_accounts_at_once(names, commitment="processed", min_context_slot=None)


async def test_a_limit_without_a_number_is_determined_by_bisection(nodes: list[Node]) -> None:
    def answer(params: Any) -> Any:
        if len(params[0]) > 7:
            raise HttpError(413)
        return at(9, [None] * len(params[0]))

    nodes[0].answers["getMultipleAccounts"] = nodes[0].answers["getSignatureStatuses"] = answer
    async with client(nodes[0]) as rpc:
        answers = await rpc.get_multiple_accounts(["a"] * 100, commitment="processed")
        assert sum(len(item.value) for item in answers) == 100
        assert rpc.accounts_max == 6
        assert len((await rpc.get_signature_statuses(["s"] * 100)).value) == 100
        nodes[0].answers["getFirstAvailableBlock"] = lambda _: 0
        [(_, statuses)] = await rpc.get_statuses_and_memory(["s"] * 20)
        assert len(statuses.value) == 20


# -- stale banks -----------------------------------------------------------------------------------


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot binds for as long as a test runs, however slow the machine."""
    monkeypatch.setattr(slots, "FORGOTTEN_S", 600.0)


def blockhash(slot: int, height: int) -> Any:
    return lambda _: at(slot, {"blockhash": "h", "lastValidBlockHeight": height})


@pytest.mark.usefixtures("remembering")
async def test_no_blockhash_is_taken_from_a_node_that_is_behind(nodes: list[Node]) -> None:
    nodes[0].answers["getLatestBlockhash"] = blockhash(500, 650)
    nodes[1].answers["getLatestBlockhash"] = blockhash(400, 550)
    async with client(*nodes, tries_max=4) as rpc:
        assert (await rpc.get_latest_blockhash("confirmed")).slot == 500
        nodes[0].fault = "503"
        with pytest.raises(Unreachable, match="behind: at slot 400, not 500"):
            await rpc.get_latest_blockhash("confirmed")
        assert nodes[1].params[-1][1][0]["minContextSlot"] == 500
        nodes[1].answers["getLatestBlockhash"] = blockhash(501, 617)
        with pytest.raises(Unreachable, match="ends at 617 of 650"):
            await rpc.get_latest_blockhash("confirmed")
        nodes[1].answers["getLatestBlockhash"] = blockhash(501, 651)
        assert (await rpc.get_latest_blockhash("confirmed")).slot == 501


@pytest.mark.usefixtures("remembering")
async def test_the_slot_of_the_pools_binds_the_first_blockhash_too(nodes: list[Node]) -> None:
    accounts_of(nodes[0], slot=1_000)
    nodes[0].answers["getLatestBlockhash"] = blockhash(900, 1_050)
    nodes[1].answers["getLatestBlockhash"] = blockhash(998, 1_148)
    async with client(*nodes) as rpc:
        await rpc.get_multiple_accounts(["a"], commitment="processed")
        assert (await rpc.get_latest_blockhash("confirmed")).slot == 998


@pytest.mark.usefixtures("remembering")
async def test_a_simulation_runs_on_a_bank_that_the_pools_were_read_from(nodes: list[Node]) -> None:
    accounts_of(nodes[0], slot=1_000)
    for node, slot in zip(nodes, (990, 1_001), strict=True):
        node.answers["simulateTransaction"] = always(at(slot, {"err": None}))
    async with client(*nodes) as rpc:
        await rpc.get_multiple_accounts(["a"], commitment="processed")
        assert (await rpc.simulate_transaction(b"", "processed")).slot == 1_001
    assert nodes[0].params[-1][1][1]["minContextSlot"] == 1_000


@pytest.mark.usefixtures("remembering")
async def test_statuses_of_a_node_far_behind_are_asked_of_another(nodes: list[Node]) -> None:
    accounts_of(nodes[0], slot=1_000)
    for node, slot in zip(nodes, (900, 999), strict=True):
        node.answers["getSignatureStatuses"] = always(at(slot, [None]))
    async with client(*nodes) as rpc:
        await rpc.get_multiple_accounts(["a"], commitment="processed")
        assert (await rpc.get_signature_statuses(["s"])).slot == 999


async def test_a_blockhash_is_served_by_nodes_that_no_longer_know_confirmed(
    nodes: list[Node],
) -> None:
    """At once: the method is served, and does not rest."""

    def without_confirmed(params: Any) -> Any:
        if params[0]["commitment"] == "confirmed":
            raise JsonError(-32602, "Invalid params: unknown variant `confirmed`, expected `x`.")
        return at(500, {"blockhash": "h", "lastValidBlockHeight": 650})

    for node in nodes:
        node.answers["getLatestBlockhash"] = without_confirmed
    async with client(*nodes) as rpc:
        commitments = Commitments(rpc, "confirmed")
        for _ in range(2):
            result = await commitments.ask(commitments.blockhash, rpc.get_latest_blockhash)
            assert result.slot == 500
        assert commitments.facts.commitment == "finalized"
    assert [node.asked["getLatestBlockhash"] for node in nodes] == [3, 1]


# -- how far back a node sees ----------------------------------------------------------------------


def statuses(params: Any) -> Any:
    return at(1_200, [None] * len(params[0]))


async def memory(node: Node, oldest_slot: int) -> int:
    node.answers["getSignatureStatuses"] = statuses
    async with client(node) as rpc:
        [(first_slot, _)] = await rpc.get_statuses_and_memory(["s"], oldest_slot)
        return int(first_slot)


async def test_blocks_prove_how_far_back_a_node_sees(nodes: list[Node]) -> None:
    node = nodes[0]
    node.answers["getFirstAvailableBlock"] = lacks
    node.answers["getBlocks"] = lambda p: [slot for slot in range(p[0], p[1] + 1) if slot >= 700]
    assert await memory(node, 800) == 700
    assert await memory(node, 700) == 700
    assert await memory(node, 699) > 699, "it has no block so early"
    assert await memory(node, 0) > 0
    assert ["getBlocks", [600, 800, {"commitment": "finalized"}]] in [list(p) for p in node.params]


async def test_the_lowest_slot_of_the_ledger_counts_with_a_margin(nodes: list[Node]) -> None:
    node = nodes[0]
    node.answers["getFirstAvailableBlock"] = node.answers["getBlocks"] = lacks
    node.answers["minimumLedgerSlot"] = lambda _: 500
    assert await memory(node, 800) == 564
    node.answers["minimumLedgerSlot"] = lambda _: 0
    assert await memory(node, 800) == 0


async def test_a_node_that_does_not_report_its_history_is_named(nodes: list[Node]) -> None:
    node = nodes[0]
    for method in ("getFirstAvailableBlock", "getBlocks", "minimumLedgerSlot"):
        node.answers[method] = lacks
    node.answers["getSignatureStatuses"] = statuses
    async with client(node) as rpc:
        for _ in range(5):
            with pytest.raises(NotServed, match=r"getFirstAvailableBlock: 127\.0\.0\.1: -32601"):
                await rpc.get_statuses_and_memory(["s"], 800)
    assert node.asked["getFirstAvailableBlock"] == 2, "it is not asked again and again"


async def test_slot_and_height_are_asked_for_apart_where_need_be(nodes: list[Node]) -> None:
    node = nodes[0]
    node.answers["getEpochInfo"] = lacks
    slots = iter([1_000, 1_001, 1_000, 1_100, 1_000, 999])
    node.answers["getSlot"] = lambda _: next(slots)
    node.answers["getBlockHeight"] = lambda _: 900
    async with client(node) as rpc:
        epoch_info = await rpc.get_epoch_info("finalized")
        assert (epoch_info.absolute_slot, epoch_info.block_height) == (1_001, 900)
        for _ in range(2):
            with pytest.raises(Unreachable, match="getSlot"):
                await rpc.get_epoch_info("finalized")


# -- sending ---------------------------------------------------------------------------------------


async def test_a_transaction_that_the_chain_has_taken_was_sent(nodes: list[Node]) -> None:
    def taken(_: Any) -> Any:
        raise JsonError(-32002, "This transaction has already been processed")

    nodes[0].answers["sendTransaction"] = taken
    async with client(nodes[0]) as rpc:
        assert await rpc.send_transaction(SecretBytes(b"\x01")) == ""


async def test_a_bad_signature_is_asked_about_twice(nodes: list[Node]) -> None:
    def bad(_: Any) -> Any:
        raise JsonError(-32003, "Transaction signature verification failure")

    for node in nodes:
        node.answers["sendTransaction"] = bad
    async with client(*nodes) as rpc:
        with pytest.raises(RpcError, match="signature verification"):
            await rpc.send_transaction(SecretBytes(b"\x01"))
        nodes[1].answers["sendTransaction"] = lambda _: "signature"
        assert await rpc.send_transaction(SecretBytes(b"\x01")) == "signature"


async def test_a_proxy_is_used_for_nodes_elsewhere_and_never_for_this_machine(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        asked.append(request.headers["Host"])
        question = json.loads(await request.read())
        result = GENESIS if "Genesis" in question["method"] else 1002
        return web.json_response({"id": question["id"], "result": result})

    nodes[0].handler = proxy
    monkeypatch.setenv("http_proxy", nodes[0].url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    elsewhere = Node()
    elsewhere.url = "http://node.example:8899/secret-key"
    async with client(elsewhere) as rpc:
        assert await rpc.get_slot("confirmed") == 1002
    assert set(asked) == {"node.example:8899"}
    async with client(nodes[1]) as rpc:
        assert await rpc.get_slot("confirmed") == 1001
    monkeypatch.setenv("no_proxy", "node.example")
    # Whether the name is looked up in vain or for long: it is not asked through the proxy.
    async with client(elsewhere, deadline_s=0.2) as rpc:
        with pytest.raises(Unreachable):
            await rpc.get_slot("confirmed")
