"""The way to the nodes: several URLs, time-outs, backoff, failover. Knows HTTP, no methods.

A node that fails rests for a while, longer each time in a row, and the next one is asked; the
first that does not rest is preferred. Every call ends within `deadline_s`. All calls may be asked
twice: reads change nothing, and a transaction's bytes are taken once by the chain.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog

from events.meters import RPC, RPC_FAILURES
from stages.venues import Refused
from stages.venues.solana.clusters import Admission
from stages.venues.solana.options import RpcOptions

T = TypeVar("T")

NODE_FAULTS = {-32001, -32004, -32005, -32011, -32014, -32016, -32429, -32603, 429}
"""JSON-RPC errors of one node at one time (behind, unhealthy, without history, busy), not of what
was asked: another may answer."""
REST_MAX_S = 60.0
"""However long a node asks for."""
UNREADABLE = "unreadable answer"

_log = structlog.get_logger()


class RpcError(Refused):
    """A node's considered refusal: asking again would not help. `number` is JSON-RPC's code."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__("node-refused", f"{number}: {message[:200]}")
        self.number = number


class Unreachable(Refused):
    """No node answered within the bounds. What was sent may have arrived all the same."""

    def __init__(self, detail: str) -> None:
        super().__init__("venue-unavailable", detail, retryable=True)


class _NodeFault(Exception):
    """This node, this time. `rest_s` is what it asked for itself."""

    def __init__(self, says: str, rest_s: float = 0.0) -> None:
        super().__init__(says)
        self.rest_s = rest_s


class _Fault(msgspec.Struct, gc=False):
    code: int
    message: str = ""


class _Reply(msgspec.Struct, gc=False):
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: _Fault | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Reply)
_genesis_decoder = msgspec.json.Decoder(str)


class _Node:
    """One URL and how it has been lately."""

    def __init__(self, number: int, url: str) -> None:
        self.number = number
        self.url = url
        self.host = urlsplit(url).hostname or "?"
        self.failures = 0
        self.rests_until = 0.0
        self.admitted = False
        self.refusal = ""
        self.asking = asyncio.Lock()


Ask = tuple[str, Sequence[Any], msgspec.json.Decoder[Any]]
"""A method, its parameters, and how its answer is read."""


class RpcLink:
    """Calls methods on whichever node answers."""

    def __init__(self, options: RpcOptions, admission: Admission) -> None:
        if not options.urls:
            raise ValueError("no RPC URL")
        self._options = options
        self._admission = admission
        self._nodes = [_Node(number, url) for number, url in enumerate(options.urls)]
        self._ids = count(1)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, params: Sequence[Any], answer: msgspec.json.Decoder[T]) -> T:
        """The answer. Raises RpcError, Unreachable, or Refused if no node is of our chain."""
        found: T = (await self.together([(method, params, answer)]))[0]
        return found

    async def together(self, asks: Sequence[Ask]) -> list[Any]:
        """The answers of one and the same node, asked one after the other. Raises as `call`."""
        ends = time.monotonic() + self._options.deadline_s
        said = "not asked"
        for _ in range(self._options.tries_max):
            node = self._next_node()
            if not await self._rested(node, ends) or time.monotonic() >= ends:
                break
            try:
                async with asyncio.timeout(max(0.001, ends - time.monotonic())):
                    if await self._admit(node):
                        found = [await self._timed(node, *ask) for ask in asks]
                        node.failures, node.rests_until = 0, 0.0
                        return found
            except _NodeFault as fault:
                said = str(fault)
                RPC_FAILURES.add(asks[0][0])
                self._rest(node, fault.rest_s)
            except TimeoutError:
                said = "no answer in time"
                RPC_FAILURES.add(asks[0][0])
                self._rest(node, 0.0)
        raise Unreachable(f"{asks[0][0]}: {said}")

    @property
    def nodes(self) -> int:
        """How many there are that may be used."""
        return sum(not node.refusal for node in self._nodes)

    async def everywhere(self, asks: Sequence[Ask]) -> list[list[Any]]:
        """The answers of every node that gives them. Raises as `call` where none does."""

        async def ask(node: _Node) -> list[Any] | None:
            ends = time.monotonic() + self._options.deadline_s
            for _ in range(self._options.tries_max):
                if not await self._rested(node, ends) or time.monotonic() >= ends:
                    break
                try:
                    async with asyncio.timeout(max(0.001, ends - time.monotonic())):
                        if not await self._admit(node):
                            break
                        said = [await self._timed(node, *one) for one in asks]
                        node.failures, node.rests_until = 0, 0.0
                        return said
                except RpcError:  # it will say the same again
                    break
                except (_NodeFault, TimeoutError) as fault:
                    RPC_FAILURES.add(asks[0][0])
                    self._rest(node, getattr(fault, "rest_s", 0.0))
            return None

        now = time.monotonic()
        usable = [one for one in self._nodes if not one.refusal and one.rests_until <= now]
        found = await asyncio.gather(*map(ask, usable or [self._next_node()]))
        answered = [one for one in found if one is not None]
        if not answered:
            raise Unreachable(f"{asks[0][0]}: no node answers")
        return answered

    def _next_node(self) -> _Node:
        usable = [node for node in self._nodes if not node.refusal]
        if not usable:
            raise Refused(self._nodes[0].refusal, "no node of SOLANA_RPC_URL may be used")
        now = time.monotonic()
        return min(usable, key=lambda node: (max(node.rests_until, now), node.number))

    async def _rested(self, node: _Node, ends: float) -> bool:
        """Waits until the node may be asked; False, at once, if that is too late for us."""
        wait_s = node.rests_until - time.monotonic()
        if wait_s <= 0:
            return True
        # Those who wait for the same node do not come back all at once.
        wait_s += random.uniform(0, self._options.backoff_s)
        if time.monotonic() + wait_s >= ends:
            return False
        await asyncio.sleep(wait_s)
        return True

    def _rest(self, node: _Node, asked_s: float) -> None:
        now = time.monotonic()
        if now >= node.rests_until:  # of many calls that fail together, one counts
            node.failures += 1
        most_s = min(
            self._options.backoff_s * 2 ** min(node.failures - 1, 16), self._options.backoff_max_s
        )
        rest_s = min(asked_s, REST_MAX_S) or random.uniform(most_s / 2, most_s)
        node.rests_until = max(node.rests_until, now + rest_s)

    async def _admit(self, node: _Node) -> bool:
        """Whether the node is of our chain; asked once, before anything else."""
        async with node.asking:
            if node.admitted or node.refusal:
                return node.admitted
            if time.monotonic() < node.rests_until:  # who had the lock before us found it failing
                raise _NodeFault(f"{node.host}: failing")
            genesis = await self._ask(node, "getGenesisHash", (), _genesis_decoder)
            node.refusal = self._admission.refusal(genesis)
            node.admitted = not node.refusal
            if node.refusal:
                _log.error("node not used", host=node.host, reason=node.refusal, genesis=genesis)
            return node.admitted

    async def _timed(
        self, node: _Node, method: str, params: Sequence[Any], answer: msgspec.json.Decoder[T]
    ) -> T:
        began = time.perf_counter()
        found = await self._ask(node, method, params, answer)
        RPC.of(method).observe(time.perf_counter() - began)
        return found

    async def _ask(
        self, node: _Node, method: str, params: Sequence[Any], answer: msgspec.json.Decoder[T]
    ) -> T:
        number = next(self._ids)
        body = _encoder.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            reply = _decoder.decode(await self._post(node, body))
            if reply.id != number and not (reply.id is None and reply.error):
                raise _NodeFault(f"{node.host}: {UNREADABLE}")
            if reply.error is not None:
                raise _refusal(node, reply.error)
            return answer.decode(reply.result)
        except msgspec.MsgspecError as error:
            raise _NodeFault(f"{node.host}: {UNREADABLE}") from error

    async def _post(self, node: _Node, body: bytes) -> bytes:
        try:
            async with self._connected().post(
                node.url, data=body, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise _NodeFault(f"{node.host}: HTTP {response.status}", _retry_after(response))
                return await response.read()
        except TimeoutError:
            raise _NodeFault(f"{node.host}: no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The name alone: aiohttp's messages can hold the URL, and that a key.
            raise _NodeFault(f"{node.host}: {type(error).__name__}") from None

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._options.timeout_s),
                connector=aiohttp.TCPConnector(limit=self._options.connections),
                headers={"Content-Type": "application/json"},
            )
        return self._session


def _refusal(node: _Node, fault: _Fault) -> Exception:
    if fault.code in NODE_FAULTS:
        return _NodeFault(f"{node.host}: {fault.code} {fault.message[:200]}")
    return RpcError(fault.code, fault.message)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """What the node asks for, in seconds or as a date; 0 if nothing that we understand."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0
