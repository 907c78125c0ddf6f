"""Each node is asked for each method once: what no node serves is named, sizes are realistic."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from events.metrics import RPC_FAILURES, RPC_UNSERVED
from events.secret import SecretUrl
from stages.venues import VenueRefusal
from stages.venues.solana.rpc import methods
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.options import RpcOptions
from stages.venues.solana.rpc.survey import METHODS, Nodes, Subject, Surveyed, missing, survey
from stages.venues.solana.transaction.programs import WSOL
from tests.support.chain.rpc_node import PATIENT, HttpError, JsonError, Node, rpc_node

SUBJECT = Subject(WSOL, [WSOL])


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look ends by answers, however slow the machine, or by its tries."""

    def options(urls: tuple[SecretUrl, ...], **given: Any) -> RpcOptions:
        return RpcOptions(urls, **(given | PATIENT))

    monkeypatch.setattr("stages.venues.solana.rpc.survey.RpcOptions", options)


def whole(node: Node) -> Node:
    for name in METHODS:
        node.answers.setdefault(name, lambda _: None)
    node.answers["getSlot"] = lambda _: 1_000
    node.answers["sendTransaction"] = refused
    return node


def refused(_: Any) -> Any:
    raise JsonError(-32602, "invalid transaction: failed to fill whole buffer")


def lacks(_: Any) -> Any:
    raise JsonError(-32601, "Method not found")


@pytest.fixture
async def nodes() -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        yield [whole(await stack.enter_async_context(rpc_node())) for _ in range(2)]


async def look(node: Node) -> Surveyed:
    return await survey(SecretUrl(node.url), ClusterGuard("local"), SUBJECT)


def test_every_method_that_is_called_is_in_the_table() -> None:
    folder = Path(methods.__file__).parent
    written = {
        node.value
        for path in folder.glob("*.py")
        if path.name != "survey.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(("get", "send", "simulate", "minimum"))
        and node.value.isalpha()
    }
    assert len(written) > 10
    assert written <= METHODS.keys()


async def test_a_complete_node_lacks_no_method_and_is_asked_once_in_full_size(
    nodes: list[Node],
) -> None:
    failures, unserved = dict(RPC_FAILURES.counts), dict(RPC_UNSERVED.counts)
    seen = await look(nodes[0])
    assert seen == Surveyed("127.0.0.1", 1_000, {}, {})
    del nodes[0].asked["getSlot"], nodes[0].asked["getGenesisHash"]  # they come first as well
    assert set(nodes[0].asked.values()) == {1}
    params = dict(nodes[0].params)
    assert len(params["getMultipleAccounts"][0]) == 100
    assert len(params["getSignatureStatuses"][0]) == 256
    assert params["sendTransaction"][0] == "AA==", "no transaction"
    assert (failures, unserved) == (RPC_FAILURES.counts, RPC_UNSERVED.counts)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "getGenesisHash"])
async def test_each_method_that_a_node_lacks_is_named(nodes: list[Node], method: str) -> None:
    if method == "getSlot":
        nodes[0].answers[method] = lacks
        with pytest.raises(VenueRefusal, match="getSlot"):
            await look(nodes[0])
        return
    nodes[0].answers[method] = lacks
    seen = await look(nodes[0])
    assert list(seen.refusals) == [method]
    assert f"{method}: 127.0.0.1: -32601 Method not found" in seen.refusals[method]
    needed = METHODS[method].use == "orders" and not METHODS[method].instead
    assert bool(list(missing([seen], "orders"))) is needed
    whole_one = await look(nodes[1])
    assert list(missing([seen, whole_one], "orders")) == [], "the other node serves it"


async def test_a_proof_needs_one_of_three_methods(nodes: list[Node]) -> None:
    for name in ("getFirstAvailableBlock", "getBlocks", "minimumLedgerSlot"):
        assert list(missing([await look(nodes[0])], "orders")) == []
        nodes[0].answers[name] = lacks
    [text] = missing([await look(nodes[0])], "orders")
    assert text.startswith("getFirstAvailableBlock: 127.0.0.1: -32601")


async def test_a_plan_with_a_small_account_limit_is_served_and_reported(nodes: list[Node]) -> None:
    def few(params: Any) -> Any:
        if len(params[0]) > 5:
            raise HttpError(413, '{"error": {"code": -32602, "message": "limited to a 5 range"}}')

    nodes[0].answers["getMultipleAccounts"] = few
    seen = await look(nodes[0])
    assert seen.refusals == {}
    assert seen.limits == {
        "getMultipleAccounts": "getMultipleAccounts: 127.0.0.1: at most 5 a call: HTTP 413 -32602"
        " limited to a 5 range"
    }


async def test_the_methods_of_nodes_that_do_not_answer_are_unknown(nodes: list[Node]) -> None:
    nodes[0].fault = "503"
    nodes[1].answers["simulateTransaction"] = lacks
    kept = Nodes([SecretUrl(node.url) for node in nodes], lambda: ClusterGuard("local"), SUBJECT)
    first, second = await kept.look()
    assert first is None
    assert second is not None
    assert "simulateTransaction" in kept.fault()
    nodes[1].fault = "503"
    assert await kept.look() == [None, None]
    assert kept.fault() == ""
