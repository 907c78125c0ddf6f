"""The way to the nodes: several URLs, time-outs, backoff, failover. Knows no HTTP and no methods.

What an answer means is `faults`'s to say. A node that fails rests for a while, longer each time
in a row, and the next one is asked; a method that a node does not serve rests there alone. The
first that does not rest is preferred. Every call ends within `deadline_s`. All calls may be asked
twice: reads change nothing, and a transaction's bytes are taken once by the chain.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import aiohttp
import msgspec
import structlog

from events.metrics import RPC, RPC_FAILURES, RPC_FAULTS, RPC_UNSERVED
from events.reason_codes import MaybeReason, ReasonCode
from stages.venues import VenueRefusal
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.faults import SIZED, About, Fault
from stages.venues.solana.rpc.node import Node, NodeFault
from stages.venues.solana.rpc.options import RpcOptions

T = TypeVar("T")

UNKNOWN = Fault(About.NODE, "not asked")
_log = structlog.get_logger()
_genesis_decoder = msgspec.json.Decoder(str)


class RpcError(VenueRefusal):
    """A refusal of what was asked for, which no other node contradicts: asking again would not
    help. `number` is JSON-RPC's.
    """

    def __init__(self, number: int, message: str) -> None:
        # The number leads, once: what the node said may name it too.
        text = message.removeprefix(f"{number}").strip()
        super().__init__("node-refused", f"{number}: {text[:200]}")
        self.number = number


class Unreachable(VenueRefusal):
    """No node gave a result within the bounds. What was sent may have arrived all the same.
    `fault` is what was answered last.
    """

    def __init__(
        self, detail: str, fault: Fault = UNKNOWN, *, code: ReasonCode = "venue-unavailable"
    ) -> None:
        super().__init__(code, detail, retryable=True)
        self.fault = fault


class NotServed(Unreachable):
    """No node serves the method; the detail names it."""

    def __init__(self, detail: str, fault: Fault = UNKNOWN) -> None:
        super().__init__(detail, fault, code="method-not-served")


class TooLarge(Unreachable):
    """No node takes so many items in one call; `size_max` is the most that one takes."""

    def __init__(self, detail: str, size_max: int) -> None:
        super().__init__(detail, code="call-too-large")
        self.size_max = size_max


class Ask(NamedTuple):
    """A method, its parameters, and how its answer is read."""

    method: str
    params: Sequence[Any]
    answer: msgspec.json.Decoder[Any]
    check: Callable[[Any], str] = lambda _: ""
    """Why a result is none; empty for a good one. A node that gives such is left for another."""

    @property
    def size(self) -> int:
        """How many items it holds, where they may be split."""
        return len(self.params[0]) if self.method in SIZED else 0


class Heard(list[T]):
    """Answers of several nodes. `refusals`: why others, which do not serve a method, gave none."""

    refusals: tuple[str, ...] = ()


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
            _log.error("node of another chain", host=self._node.host, genesis=genesis)
            fault = Fault(About.NODE, refusal)
            self._node.take("getGenesisHash", fault)
            raise NodeFault(fault, self._node.host, "getGenesisHash")


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
        """How many there are that may be used."""
        return sum(not node.refusal for node in self._nodes)

    def refusal(self, genesis: str) -> MaybeReason:
        """Why a node with this genesis hash must not be used; empty where it may."""
        return self._admission.refusal(genesis)

    def size_max(self, method: str) -> int:
        """The most items that a node takes in a call; 0: one has no known limit."""
        usable = [node for node in self._nodes if not node.refusal]
        limits = [node.size_max(method) for node in usable if not node.unserved([method])]
        return 0 if 0 in limits or not limits else max(limits)

    async def call(self, method: str, params: Sequence[Any], answer: msgspec.json.Decoder[T]) -> T:
        """The answer. Raises RpcError, Unreachable, or Refused if no node is of our chain."""
        answers: T = (await self.together([Ask(method, params, answer)]))[0]
        return answers

    async def together(self, asks: Sequence[Ask]) -> list[Any]:
        """The answers of one and the same node, asked one after the other. Raises as `call`."""
        ends = time.monotonic() + self._options.deadline_s
        faults, refused = dict[Node, NodeFault](), list[tuple[Node, NodeFault]]()
        for _ in range(self._options.tries_max):
            node = self._next_node(asks, [item for item, _ in refused])
            if node is None:
                break
            if refused and self._wait_s(node, asks) > 0:  # who rests is no second opinion
                break
            if not await self._rested(node, asks, ends) or time.monotonic() >= ends:
                break
            try:
                async with asyncio.timeout(max(0.001, ends - time.monotonic())):
                    if await self._admit(node):
                        answers = [await self.ask_node(node, ask) for ask in asks]
                        self._contradicted(refused, asks)
                        return answers
            except NodeFault as fault:
                faults[node] = fault
                if fault.fault.about in (About.REQUEST, About.BLOCK):
                    refused.append((node, fault))
            except TimeoutError:
                faults[node] = self._late(node, asks[0].method)
        raise self._failure(
            asks, [node_fault for _, node_fault in refused] or list(faults.values())
        )

    async def everywhere(
        self, methods: Sequence[str], work: Callable[[AtNode], Awaitable[T]]
    ) -> Heard[T]:
        """What each node that answers says. Raises as `call` where none does."""
        asks = [Ask(name, ((),), _genesis_decoder) for name in methods]
        faults: list[NodeFault] = []

        async def ask(node: Node) -> T | None:
            ends, refusals = time.monotonic() + self._options.deadline_s, 0
            for _ in range(self._options.tries_max):
                if not await self._rested(node, asks, ends) or time.monotonic() >= ends:
                    break
                try:
                    async with asyncio.timeout(max(0.001, ends - time.monotonic())):
                        if not await self._admit(node):
                            break
                        return await work(AtNode(self, node))
                except NodeFault as fault:
                    faults.append(fault)
                    if fault.fault.about in (About.REQUEST, About.BLOCK):
                        break  # it will say the same again
                    if fault.fault.about is About.METHOD:
                        if (refusals := refusals + 1) == 2:
                            break
                        await asyncio.sleep(self._options.backoff_s)
                except TimeoutError:
                    faults.append(self._late(node, methods[0]))
            return None

        now = time.monotonic()
        usable = [answer for answer in self._nodes if not answer.refusal]
        ready = [answer for answer in usable if answer.rests_until(methods) <= now]
        answers = await asyncio.gather(*map(ask, ready or usable))
        answered = Heard(answer for answer in answers if answer is not None)
        answered.refusals = tuple(
            dict.fromkeys(str(answer) for answer in faults if answer.fault.about is About.METHOD)
        )
        if faults and all(fault.fault.about is About.METHOD for fault in faults) and not answered:
            raise self._unserved(
                faults[-1].method, [str(answer) for answer in faults], faults[-1].fault
            )
        if not answered:
            raise self._failure(asks, faults)
        return answered

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
        return answer

    # -- which node ----------------------------------------------------------------------------

    def _next_node(self, asks: Sequence[Ask], but: Sequence[Node]) -> Node | None:
        """The one that may be asked first and takes calls so large; None where there is none."""
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

    async def _rested(self, node: Node, asks: Sequence[Ask], ends: float) -> bool:
        """Waits until the node may be asked; False, at once, if that is too late for us."""
        wait_s = self._wait_s(node, asks)
        if wait_s <= 0:
            return True
        # Those who wait for the same node do not come back all at once.
        wait_s += random.uniform(0, self._options.backoff_s)
        if time.monotonic() + wait_s >= ends:
            return False
        await asyncio.sleep(wait_s)
        return True

    def _failure(self, asks: Sequence[Ask], faults: Sequence[NodeFault]) -> VenueRefusal:
        """What it means that no node gave a result, for these reasons."""
        fault = faults[0].fault if faults else UNKNOWN
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
        return Unreachable(
            f"{methods[0]}: {'; '.join(filter(None, reasons)) or 'not asked'}", fault
        )

    def _contradicted(self, refused: Sequence[tuple[Node, NodeFault]], asks: Sequence[Ask]) -> None:
        """Another node took what these refused: it was they who could not serve the method."""
        for node, fault in refused:
            if fault.fault.about is About.REQUEST:
                _log.info("refusal contradicted", host=node.host, reason=fault.fault.text)
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
        """Whether the node is of our chain; asked once, before anything else."""
        async with node.asking:
            if node.admitted or node.refusal:
                return node.admitted
            if node.rests_until([]) > time.monotonic():
                # Who had the lock before us found it failing.
                raise NodeFault(Fault(About.MOMENT, "failing", rest_s=0.001), node.host)
            genesis = await self.ask_node(node, Ask("getGenesisHash", (), _genesis_decoder))
            node.refusal = self._admission.refusal(genesis)
            node.admitted = not node.refusal
            if node.refusal and self._options.observed:
                _log.error("node not used", host=node.host, reason=node.refusal, genesis=genesis)
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
