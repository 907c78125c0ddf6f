"""Calls to the nodes: several URLs, time-outs, backoff, failover. Knows no HTTP and no methods.

`faults` interprets the answers. A node that fails rests for a while, longer each time in a row (a
circuit breaker), and the next one is asked; a method that a node does not serve rests there alone.
The first that does not rest is preferred. Every call ends within `deadline_s`. All calls may be
asked twice: reads change nothing, and a transaction's bytes are taken once by the chain.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from typing import Any, Generic, NamedTuple, TypeVar

import aiohttp
import msgspec
import structlog

from events.metrics import RPC, RPC_FAILURES, RPC_FAULTS, RPC_UNSERVED
from events.reason_codes import MaybeReason
from events.telemetry.outages import NODE
from stages.venues import VenueRefusal
from stages.venues.solana.rpc.calls import Ask, Heard
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.errors import NOT_ASKED, NotServed, RpcError, TooLarge, Unreachable
from stages.venues.solana.rpc.faults import About, Fault
from stages.venues.solana.rpc.node import Node, NodeFault
from stages.venues.solana.rpc.options import RpcOptions

T = TypeVar("T")

FINAL = (About.REQUEST, About.BLOCK)
"""Faults that the same node would answer with again."""

_log = structlog.get_logger()
_genesis_decoder = msgspec.json.Decoder(str)


class AtNode:
    """One node, for questions that have to be answered by one and the same."""

    def __init__(self, link: RpcLink, node: Node) -> None:
        self._link, self._node = link, node

    def unserved(self, method: str) -> str:
        """Why the node does not serve it, with its name; empty where it may be asked."""
        return self._node.unserved([method])

    def size_max(self, method: str) -> int:
        """How many items a call may hold; 0: no limit is known."""
        return self._node.size_max(method)

    async def ask(self, ask: Ask) -> Any:
        """The result. Raises NodeFault."""
        return await self._link.ask_node(self._node, ask)

    async def check_chain(self) -> None:
        """Asks again of which chain it is: a URL may lead elsewhere than it did, and what it does
        not know then proves nothing. Raises NodeFault.
        """
        genesis = await self.ask(Ask("getGenesisHash", (), _genesis_decoder))
        if refusal := self._link.refusal(genesis):
            _log.error("node_of_another_chain", host=self._node.host, genesis=genesis)
            fault = Fault(About.NODE, refusal)
            self._node.take("getGenesisHash", fault)
            raise NodeFault(fault, self._node.host, "getGenesisHash")


class NodeHealth(NamedTuple):
    """One node as this process sees it."""

    host: str
    fault: str
    """Why it is not asked now; empty where it is."""


class Answer(NamedTuple, Generic[T]):
    """The answer of an attempt."""

    value: T


class Skipped(Enum):
    """Why a node was not asked in an attempt."""

    TOO_LATE = auto()
    """The deadline passes before the node may be asked."""
    NOT_ADMITTED = auto()
    """It serves another cluster."""


class RpcLink:
    """Calls methods on whichever node answers."""

    def __init__(self, options: RpcOptions, admission: ClusterGuard) -> None:
        if not options.urls:
            raise ValueError("no RPC URL")
        self._options = options
        self._admission = admission
        self._nodes = [Node(number, url, options) for number, url in enumerate(options.urls)]
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        """By whether they heed HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""

    async def close(self) -> None:
        """Closes the connections."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    @property
    def nodes(self) -> int:
        """The number of nodes that may be used."""
        return sum(not node.refusal for node in self._nodes)

    def health(self) -> list[NodeHealth]:
        """Each node of SOLANA_RPC_URL, in their order."""
        return [NodeHealth(node.host, node.refusal or node.resting()) for node in self._nodes]

    def refusal(self, genesis: str) -> MaybeReason:
        """Why a node with this genesis hash must not be used; empty where it may."""
        return self._admission.refusal(genesis)

    def size_max(self, method: str) -> int:
        """The most items that a node takes in a call; 0: one has no known limit."""
        usable = [node for node in self._nodes if not node.refusal]
        limits = [node.size_max(method) for node in usable if not node.unserved([method])]
        return 0 if 0 in limits or not limits else max(limits)

    async def call(self, method: str, params: Sequence[Any], answer: msgspec.json.Decoder[T]) -> T:
        """The answer. Raises RpcError, Unreachable, or VenueRefusal if no node may be used."""
        answers: T = (await self.together([Ask(method, params, answer)]))[0]
        return answers

    async def together(self, asks: Sequence[Ask]) -> list[Any]:
        """The answers of one and the same node, asked one after the other. Raises as `call`."""
        ends_s = time.monotonic() + self._options.deadline_s
        faults, refused = dict[Node, NodeFault](), list[tuple[Node, NodeFault]]()

        async def ask_all(node: AtNode) -> list[Any]:
            return [await node.ask(ask) for ask in asks]

        for _ in range(self._options.tries_max):
            node = self._next_node(asks, [refusing for refusing, _ in refused])
            if node is None:
                break
            if refused and self._wait_s(node, asks) > 0:  # a resting node is not asked
                break
            attempt = await self._attempt(node, asks, ask_all, ends_s)
            if isinstance(attempt, Answer):
                self._contradicted(refused, asks)
                answers: list[Any] = attempt.value
                return answers
            if attempt is Skipped.TOO_LATE:
                break
            if isinstance(attempt, NodeFault):
                faults[node] = attempt
                if attempt.fault.about in FINAL:
                    refused.append((node, attempt))
        raise self._failure(asks, [fault for _, fault in refused] or list(faults.values()))

    async def everywhere(
        self, methods: Sequence[str], calls: Callable[[AtNode], Awaitable[T]]
    ) -> Heard[T]:
        """The answer of each node that gives one. Raises as `call` where none does."""
        asks = [Ask(name, ((),), _genesis_decoder) for name in methods]
        faults: list[NodeFault] = []

        async def ask(node: Node) -> Answer[T] | None:
            ends_s, refusals = time.monotonic() + self._options.deadline_s, 0
            for _ in range(self._options.tries_max):
                attempt = await self._attempt(node, asks, calls, ends_s)
                if isinstance(attempt, Answer):
                    return attempt
                if isinstance(attempt, Skipped):
                    break
                faults.append(attempt)
                if attempt.fault.about in FINAL:
                    break
                if attempt.fault.about is About.METHOD:
                    if (refusals := refusals + 1) == 2:
                        break
                    await asyncio.sleep(self._options.backoff_s)
            return None

        now_s = time.monotonic()
        usable = [node for node in self._nodes if not node.refusal]
        ready = [node for node in usable if node.rests_until(methods) <= now_s]
        attempts = await asyncio.gather(*map(ask, ready or usable))
        answers = Heard(
            answer.value for answer in attempts if answer is not None and answer.value is not None
        )
        unserved = [str(fault) for fault in faults if fault.fault.about is About.METHOD]
        answers.refusals = tuple(dict.fromkeys(unserved))
        if answers:
            return answers
        if faults and len(unserved) == len(faults):
            raise self._unserved(faults[-1].method, unserved, faults[-1].fault)
        raise self._failure(asks, faults)

    async def _attempt(
        self,
        node: Node,
        asks: Sequence[Ask],
        calls: Callable[[AtNode], Awaitable[T]],
        ends_s: float,
    ) -> Answer[T] | NodeFault | Skipped:
        """One try at one node, once it has rested. What follows from a fault is noted."""
        if not await self._rested(node, asks, ends_s) or time.monotonic() >= ends_s:
            return Skipped.TOO_LATE
        try:
            async with asyncio.timeout(max(0.001, ends_s - time.monotonic())):
                if not await self._admit(node):
                    return Skipped.NOT_ADMITTED
                return Answer(await calls(AtNode(self, node)))
        except NodeFault as fault:
            return fault
        except TimeoutError:
            return self._late(node, asks[0].method)

    async def ask_node(self, node: Node, ask: Ask) -> Any:
        """One question to one node. Raises NodeFault, once what follows from it is noted."""
        began = time.perf_counter()
        try:
            answer = await node.ask(self._session(node), ask.method, ask.params, ask.answer)
            if wrong := ask.check(answer):
                raise NodeFault(Fault(About.NODE, wrong), node.host, ask.method)
        except NodeFault as fault:
            self._count(ask.method, fault.fault)
            node.take(ask.method, fault.fault)
            raise
        RPC.of(ask.method).observe(time.perf_counter() - began)
        node.served([ask.method])
        if self._options.observed:
            NODE.over()
        return answer

    # -- which node ----------------------------------------------------------------------------

    def _next_node(self, asks: Sequence[Ask], but: Sequence[Node]) -> Node | None:
        """The node that may be asked first and takes calls so large; None without such a node."""
        usable = [node for node in self._nodes if not node.refusal]
        if not usable:
            raise VenueRefusal(
                self._nodes[0].refusal or "venue-unavailable",
                "no node of SOLANA_RPC_URL may be used",
            )
        fitting = [node for node in usable if node not in but and _takes(node, asks)]
        methods = [ask.method for ask in asks]
        now = time.monotonic()
        return min(
            fitting, key=lambda node: (max(node.rests_until(methods), now), node.number),
            default=None,
        )  # fmt: skip

    def _wait_s(self, node: Node, asks: Sequence[Ask]) -> float:
        return node.rests_until([ask.method for ask in asks]) - time.monotonic()

    async def _rested(self, node: Node, asks: Sequence[Ask], ends_s: float) -> bool:
        """Waits until the node may be asked; False, at once, if that is too late for the call."""
        wait_s = self._wait_s(node, asks)
        if wait_s <= 0:
            return True
        # Those who wait for the same node do not come back all at once.
        wait_s += random.uniform(0, self._options.backoff_s)
        if time.monotonic() + wait_s >= ends_s:
            return False
        await asyncio.sleep(wait_s)
        return True

    def _failure(self, asks: Sequence[Ask], faults: Sequence[NodeFault]) -> VenueRefusal:
        """The error of a call to which no node gave a result, for these reasons."""
        fault = faults[0].fault if faults else NOT_ASKED
        methods = [ask.method for ask in asks]
        if fault.about is About.REQUEST:
            return RpcError(fault.number or 0, fault.text)
        usable = [node for node in self._nodes if not node.refusal]
        reasons = [node.unserved(methods) for node in usable]
        if reasons and all(reasons):
            return self._unserved(reasons[0].partition(":")[0], reasons, fault)
        if usable and not any(_takes(node, asks) for node in usable):
            most = max(node.size_max(ask.method) for node in usable for ask in asks)
            return TooLarge("; ".join(node.limited(methods) for node in usable), most)
        reasons = list(dict.fromkeys(map(str, faults))) or [node.resting() for node in usable]
        text = f"{methods[0]}: {'; '.join(filter(None, reasons)) or 'not asked'}"
        unreachable = Unreachable(text, fault)
        if self._options.observed:
            NODE.failed(unreachable)
        return unreachable

    def _contradicted(self, refused: Sequence[tuple[Node, NodeFault]], asks: Sequence[Ask]) -> None:
        """Another node took what these refused: so they do not serve the method."""
        for node, fault in refused:
            if fault.fault.about is About.REQUEST:
                _log.info("refusal_contradicted", host=node.host, reason=fault.fault.text)
                method = fault.method or asks[-1].method
                node.take(method, fault.fault._replace(about=About.METHOD))

    def _late(self, node: Node, method: str) -> NodeFault:
        fault = Fault(About.MOMENT, "no answer in time")
        self._count(method, fault)
        node.take(method, fault)
        return NodeFault(fault, node.host, method)

    def _count(self, method: str, fault: Fault) -> None:
        if self._options.observed:
            RPC_FAILURES.add(method)
            RPC_FAULTS.add(fault.about)

    def _unserved(self, method: str, reasons: Sequence[str], fault: Fault) -> NotServed:
        if self._options.observed:
            RPC_UNSERVED.add(method)
        return NotServed("; ".join(dict.fromkeys(reasons)), fault)

    async def _admit(self, node: Node) -> bool:
        """Whether the node is of this cluster; asked once, before anything else."""
        async with node.asking:
            if node.admitted or node.refusal:
                return node.admitted
            if node.rests_until([]) > time.monotonic():
                # The call that held the lock before saw it fail.
                raise NodeFault(Fault(About.MOMENT, "failing", rest_s=0.001), node.host)
            genesis = await self.ask_node(node, Ask("getGenesisHash", (), _genesis_decoder))
            node.refusal = self._admission.refusal(genesis)
            node.admitted = not node.refusal
            if node.refusal and self._options.observed:
                _log.error("node_rejected", host=node.host, reason=node.refusal, genesis=genesis)
            return node.admitted

    def _session(self, node: Node) -> aiohttp.ClientSession:
        proxied = not node.local
        if proxied not in self._sessions:
            self._sessions[proxied] = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._options.timeout_s),
                connector=aiohttp.TCPConnector(limit=self._options.connections),
                headers={"Content-Type": "application/json"},
                trust_env=proxied,
            )
        return self._sessions[proxied]


def _takes(node: Node, asks: Sequence[Ask]) -> bool:
    """Whether no call holds more items than the node takes."""
    limits = [(ask.size, node.size_max(ask.method)) for ask in asks]
    return all(not most or size <= most for size, most in limits)
