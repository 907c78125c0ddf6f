"""The client survives what nodes do: waits, changes over, gives up in time, and tells no keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest

from events.metrics import RPC, RPC_FAILURES
from events.secret import SecretBytes, SecretUrl
from stages.runtime.stage import VenueRefusal
from stages.venues.solana.rpc.clusters import GENESIS, ClusterGuard
from stages.venues.solana.rpc.errors import RpcError, Unreachable
from stages.venues.solana.rpc.link import RpcLink
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import RpcOptions
from tests.support.chain.rpc_node import GENESIS as LOCAL
from tests.support.chain.rpc_node import HANG_UP_S, PATIENT, JsonError, Node, at, rpc_node
from tests.support.waits import HANG_S, until

MAINNET, DEVNET = GENESIS


@pytest.fixture
async def nodes() -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(rpc_node()) for _ in range(2)]
        nodes[0].answers["getSlot"] = lambda _: 1000
        nodes[1].answers["getSlot"] = lambda _: 1001
        yield nodes


@asynccontextmanager
async def client(*nodes: Node, admission: ClusterGuard | None = None, **options: Any) -> Any:
    """Calls end by answers, or by `tries_max`; only where a node hangs on purpose in time."""
    if any("hang" in (node.fault, *node.faults) for node in nodes):
        options = {"timeout_s": HANG_UP_S} | options
    urls = tuple(SecretUrl(node.url) for node in nodes)
    link = RpcLink(RpcOptions(urls, **(PATIENT | options)), admission or ClusterGuard("local"))
    rpc = Rpc(link)
    try:
        yield rpc
    finally:
        await rpc.close()


FAULTS = [
    "429", "500", "502", "503", "403", "301", "hang", "garbage", "drop", "stranger", "other-shape",
    "json -32005", "json -32016", "json -32011",
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_a_single_node_is_tried_again(nodes: list[Node], fault: str) -> None:
    timeout_s = HANG_UP_S if fault == "hang" else HANG_S
    async with client(nodes[0], timeout_s=timeout_s) as rpc:
        await rpc.get_slot("confirmed")
        asked, nodes[0].faults = nodes[0].asked["getSlot"], [fault]
        answered, failed = sum(RPC.of("getSlot").counts), RPC_FAILURES.counts.get("getSlot", 0)
        assert await rpc.get_slot("confirmed") == 1000
        asked = nodes[0].asked["getSlot"] - asked
        # Who hangs up on a node that hangs may hang up on a slow answer too.
        assert asked >= 2 if fault == "hang" else asked == 2
        assert sum(RPC.of("getSlot").counts) == answered + 1
        assert RPC_FAILURES.counts["getSlot"] == failed + asked - 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_next_node_is_asked_where_one_fails(nodes: list[Node], fault: str) -> None:
    nodes[0].fault = fault
    async with client(*nodes) as rpc:
        assert await rpc.get_slot("confirmed") == 1001


async def test_the_first_node_is_preferred_again_after_its_pause(nodes: list[Node]) -> None:
    async with client(*nodes) as rpc:
        nodes[0].faults = ["500"]
        assert await rpc.get_slot("confirmed") == 1001

        async def preferred() -> bool:
            return bool(await rpc.get_slot("confirmed") == 1000)

        await until(preferred)


async def test_retry_after_is_honoured(nodes: list[Node]) -> None:
    async with client(nodes[0]) as rpc:
        await rpc.get_slot("confirmed")
        nodes[0].faults = ["429 1"]
        began = time.monotonic()
        await rpc.get_slot("confirmed")
        assert time.monotonic() - began >= 1


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_node_that_asks_for_more_time_than_we_have_is_not_waited_for(
    nodes: list[Node], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither until it may be asked again nor until the deadline: both never come here."""
    # The date is made here: tests that began long ago would leave little of the hour.
    after = "3600" if form == "seconds" else formatdate(time.time() + 3600, usegmt=True)
    monkeypatch.setattr("stages.venues.solana.rpc.node.REST_MAX_S", 3600.0)
    async with client(nodes[0], deadline_s=1800.0) as rpc:
        nodes[0].faults = [f"429 {after}"]
        async with asyncio.timeout(HANG_S):
            with pytest.raises(Unreachable, match="HTTP 429") as refused:
                await rpc.get_slot("confirmed")
            assert refused.value.retryable
            with pytest.raises(Unreachable):
                await rpc.get_slot("confirmed")
        assert nodes[0].asked.total() == 1


@pytest.mark.parametrize("fault", ["hang", "500", "garbage", "drop"])
async def test_no_call_takes_longer_than_its_deadline(nodes: list[Node], fault: str) -> None:
    """Nothing else would end it: neither an answer, nor its tries, nor the bound of a try."""
    nodes[0].fault = nodes[1].fault = fault
    async with client(*nodes, timeout_s=3600.0, deadline_s=0.5, tries_max=10**9) as rpc:
        async with asyncio.timeout(HANG_S):
            told = await asyncio.gather(
                *(rpc.get_slot("confirmed") for _ in range(30)), return_exceptions=True
            )
        assert all(isinstance(error, Unreachable) for error in told)


async def test_a_refused_connection_is_a_fault(nodes: list[Node]) -> None:
    gone = Node()
    gone.url = "http://127.0.0.1:9/secret-key"
    async with client(gone, nodes[1]) as rpc:
        assert await rpc.get_slot("confirmed") == 1001


def invalid(_: Any) -> Any:
    raise JsonError(-32602, "invalid param")


def lamports(amount: int) -> Any:
    return lambda _: at(9, amount)


async def test_a_refusal_of_the_request_counts_once_a_second_node_agrees(nodes: list[Node]) -> None:
    nodes[0].answers["getBalance"] = nodes[1].answers["getBalance"] = invalid
    async with client(*nodes) as rpc:
        with pytest.raises(RpcError, match="-32602: invalid param") as refused:
            await rpc.get_balance("a", "confirmed")
        assert (refused.value.number, refused.value.retryable) == (-32602, False)
    assert [node.asked["getBalance"] for node in nodes] == [1, 1]


async def test_a_refusal_of_the_request_by_the_only_node_is_not_repeated(nodes: list[Node]) -> None:
    nodes[0].answers["getBalance"] = invalid
    async with client(nodes[0]) as rpc:
        with pytest.raises(RpcError):
            await rpc.get_balance("a", "confirmed")
    assert nodes[0].asked["getBalance"] == 1


async def test_a_refusal_that_another_node_contradicts_is_that_nodes_own(nodes: list[Node]) -> None:
    nodes[0].answers["getBalance"] = invalid
    nodes[1].answers["getBalance"] = lamports(1001)
    async with client(*nodes, backoff_s=30.0, backoff_max_s=30.0) as rpc:
        assert await rpc.get_balance("a", "confirmed") == 1001
        assert await rpc.get_balance("a", "confirmed") == 1001
    assert [node.asked["getBalance"] for node in nodes] == [1, 2], "the method rests at the first"


async def test_a_refusal_raises_an_rpc_error_when_the_second_node_fails(nodes: list[Node]) -> None:
    nodes[0].answers["getBalance"] = invalid
    async with client(*nodes) as rpc:
        await rpc.get_genesis_hash()
        nodes[1].fault = "503"
        with pytest.raises(RpcError):
            await rpc.get_balance("a", "confirmed")


async def test_a_refused_call_without_order_data_is_a_fault_of_the_node(
    nodes: list[Node],
) -> None:
    nodes[0].answers["getSlot"] = invalid
    async with client(*nodes) as rpc:
        assert await rpc.get_slot("confirmed") == 1001
    async with client(nodes[0]) as rpc:
        with pytest.raises(Unreachable, match="getSlot: 127") as refused:
            await rpc.get_slot("confirmed")
        assert refused.value.code == "method-not-served"


@pytest.mark.parametrize("fault", [*FAULTS, "429 30"])
async def test_no_error_holds_the_key_in_a_url(nodes: list[Node], fault: str) -> None:
    nodes[0].fault = fault
    async with client(nodes[0], tries_max=2) as rpc:
        with pytest.raises(Unreachable) as refused:
            await rpc.get_slot("confirmed")
    error: BaseException | None = refused.value
    while error is not None:
        assert "secret-key" not in repr(error)
        error = error.__cause__


async def test_accounts_are_asked_for_in_hundreds_and_keep_their_order(nodes: list[Node]) -> None:
    def answer(params: Any) -> Any:
        names, config = params
        assert config == {"commitment": "processed", "encoding": "base64", "minContextSlot": 7}
        assert len(names) <= 100
        return at(9, [{"owner": name, "data": ["", "base64"], "lamports": 1} for name in names])

    nodes[0].answers["getMultipleAccounts"] = answer
    names = [f"account-{number}" for number in range(250)]
    async with client(nodes[0]) as rpc:
        told = await rpc.get_multiple_accounts(names, commitment="processed", min_context_slot=7)
    assert [len(item.value) for item in told] == [100, 100, 50]
    assert [account.owner for item in told for account in item.value] == names


async def test_an_answer_about_other_accounts_is_discarded(nodes: list[Node]) -> None:
    nodes[0].answers["getMultipleAccounts"] = lambda _: at(9, [None])
    async with client(nodes[0]) as rpc:
        with pytest.raises(Unreachable):
            await rpc.get_multiple_accounts(["a", "b"], commitment="processed")


async def test_statuses_are_asked_for_with_history_and_256_at_most(nodes: list[Node]) -> None:
    def answer(params: Any) -> Any:
        assert params[1] == {"searchTransactionHistory": True}
        return at(9, [None] * len(params[0]))

    nodes[0].answers["getSignatureStatuses"] = answer
    async with client(nodes[0]) as rpc:
        assert len((await rpc.get_signature_statuses(["s"] * 256)).value) == 256
        with pytest.raises(ValueError, match="256"):
            await rpc.get_signature_statuses(["s"] * 257)


async def test_a_transaction_is_sent_without_preflight_and_without_the_nodes_own_retries(
    nodes: list[Node],
) -> None:
    nodes[0].answers["sendTransaction"] = lambda _: "signature"
    async with client(nodes[0]) as rpc:
        assert await rpc.send_transaction(SecretBytes(b"\x01\x02")) == "signature"
    method, params = nodes[0].params[-1]
    assert method == "sendTransaction"
    assert params == ["AQI=", {"encoding": "base64", "skipPreflight": True, "maxRetries": 0}]


# -- which chain -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("admission", "genesis", "code"),
    [
        (ClusterGuard("mainnet"), MAINNET, "mainnet-not-allowed"),
        (ClusterGuard("local"), MAINNET, "mainnet-not-allowed"),
        (ClusterGuard("local", allow_mainnet=True), MAINNET, "wrong-cluster"),
        (ClusterGuard("devnet"), LOCAL, "wrong-cluster"),
        (ClusterGuard("mainnet", allow_mainnet=True), MAINNET, ""),
        (ClusterGuard("devnet"), DEVNET, ""),
        (ClusterGuard("local"), LOCAL, ""),
    ],
)
async def test_no_transaction_is_sent_to_an_unexpected_chain(
    nodes: list[Node], admission: ClusterGuard, genesis: str, code: str
) -> None:
    nodes[0].answers["getGenesisHash"] = lambda _: genesis
    nodes[0].answers["sendTransaction"] = lambda _: "signature"
    async with client(nodes[0], admission=admission) as rpc:
        if not code:
            assert await rpc.send_transaction(SecretBytes(b"")) == "signature"
            return
        for _ in range(2):
            with pytest.raises(VenueRefusal) as refused:
                await rpc.send_transaction(SecretBytes(b""))
            assert (refused.value.code, refused.value.retryable) == (code, False)
    assert nodes[0].asked == {"getGenesisHash": 1}


async def test_a_node_of_another_chain_gets_no_calls(nodes: list[Node]) -> None:
    nodes[1].answers["getGenesisHash"] = lambda _: "another"
    async with client(*nodes) as rpc:
        assert await rpc.get_slot("confirmed") == 1000
        nodes[0].fault = "500"
        with pytest.raises(Unreachable):
            await rpc.get_slot("confirmed")
    assert nodes[1].asked["getSlot"] == 0
