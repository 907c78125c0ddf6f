"""One node: its URL, its connection, when it rests, and what it takes. Knows HTTP, no methods."""

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

from events.reason_codes import MaybeReason
from events.secret import SecretUrl
from stages.venues.solana.rpc.faults import SIZED, About, Fault, Reply, meaning, shown, words_of
from stages.venues.solana.rpc.options import RpcOptions

T = TypeVar("T")

REST_MAX_S = 60.0
"""However long a node asks for."""
METHOD_REST_S = 60.0
"""How long a method rests at a node that refused it twice in a row."""
SIZE_KEPT_S = 600.0
"""How long a node's limit is believed: plans change."""
BODY_MAX = 65_536
"""Bytes that are read of an answer without a result."""
PAGE_BYTES = 1_000
"""A page identifies itself within so many bytes."""
UNREADABLE = "unreadable answer"

_log = structlog.get_logger()


class NodeFault(Exception):
    """This node gave no result for this method. The text names the host, never the URL."""

    def __init__(self, fault: Fault, host: str, method: str = "") -> None:
        super().__init__(f"{host}: {fault.text}" if host else fault.text)
        self.fault, self.method = fault, method


class _Envelope(msgspec.Struct, gc=False):
    """Errors are read leniently: a proxy in front of a node writes its own."""

    id: Any = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Envelope)
_ids = count(1)


class _Rest:
    """Until when something rests, and how often in a row it failed."""

    def __init__(self) -> None:
        self.until = 0.0
        self.failures = 0
        self.reason = ""

    def add(self, rest_s: float, reason: str) -> None:
        self.until = max(self.until, time.monotonic() + rest_s)
        self.reason = reason


class Node:
    """One URL of SOLANA_RPC_URL. Times are of the monotonic clock."""

    def __init__(self, number: int, url: SecretUrl, options: RpcOptions) -> None:
        self.number = number
        self.host = urlsplit(url.reveal()).hostname or "?"
        self.local = self.host in {"localhost", "::1"} or self.host.startswith("127.")
        """Whether it runs on this machine: then it is reached without a proxy."""
        self.admitted = False
        self.refusal: MaybeReason = ""
        self.asking = asyncio.Lock()
        self._url = url
        self._secrets = url.parts()
        self._options = options
        self._rest = _Rest()
        self._methods: dict[str, _Rest] = {}
        self._sizes: dict[str, tuple[int, float, str]] = {}

    # -- when it may be asked ------------------------------------------------------------------

    def rests_until(self, methods: Sequence[str]) -> float:
        """When all of these methods may be asked."""
        rests = (self._methods.get(name) for name in self._first(methods))
        return max([self._rest.until, *(rest.until for rest in rests if rest is not None)])

    def _first(self, methods: Sequence[str]) -> list[str]:
        """The methods with the first one of all: a node is asked for its cluster before anything
        else.
        """
        return list(methods) if self.admitted else ["getGenesisHash", *methods]

    def unserved(self, methods: Sequence[str]) -> str:
        """Why one of these methods is not served here, with its name; empty if all may be asked."""
        now = time.monotonic()
        for name in self._first(methods):
            rest = self._methods.get(name)
            if rest is not None and rest.failures > 1 and rest.until > now:
                return f"{name}: {self.host}: {rest.reason}"
        return ""

    def resting(self) -> str:
        """Why it rests as a whole; empty where it does not."""
        resting = self._rest.until > time.monotonic()
        return f"{self.host}: {self._rest.reason}" if resting else ""

    def size_max(self, method: str) -> int:
        """How many items a call may hold; 0: no limit is known."""
        most, until, _ = self._sizes.get(method, (0, 0.0, ""))
        return most if until > time.monotonic() else 0

    def limited(self, methods: Sequence[str]) -> str:
        """By which words calls of these methods are limited; empty where none is known."""
        known = [(name, self._sizes[name]) for name in methods if self.size_max(name)]
        return "; ".join(
            f"{name}: {self.host}: at most {most} a call: {reason}"
            for name, (most, _, reason) in known
        )

    def served(self, methods: Sequence[str]) -> None:
        """It answered these: it and they are well again."""
        self._rest = _Rest()
        for name in methods:
            rest = self._methods.pop(name, None)
            if rest is not None and rest.failures > 1 and self._options.observed:
                _log.info("node_method_served", host=self.host, method=name)

    def take(self, method: str, fault: Fault) -> None:
        """Rests, or what it must, after this fault."""
        match fault.about:
            case About.REQUEST | About.BLOCK:
                return
            case About.SIZE:
                self._limit(method, fault)
            case About.METHOD:
                self._rest_method(method, fault)
            case About.NODE | About.MOMENT:
                self._rest.failures += time.monotonic() >= self._rest.until
                asked_s = min(fault.rest_s, REST_MAX_S)
                self._rest.add(asked_s or self._backoff_s(self._rest.failures), fault.text)

    def _limit(self, method: str, fault: Fault) -> None:
        known = self.size_max(method)
        most = min(known, fault.size_max) if known else fault.size_max
        self._sizes[method] = most, time.monotonic() + SIZE_KEPT_S, fault.text
        if most != known and self._options.observed:
            _log.warning(
                "node_batch_reduced", host=self.host, method=method, most=most,
                reason=fault.text,
            )  # fmt: skip

    def _rest_method(self, method: str, fault: Fault) -> None:
        """Once may be a hiccup of a proxy; twice in a row is how the node is."""
        rest = self._methods.setdefault(method, _Rest())
        rest.failures += time.monotonic() >= rest.until
        if rest.failures == 1:
            rest.add(self._backoff_s(1), fault.text)
            return
        if rest.failures == 2 and self._options.observed:
            _log.warning("node_method_unserved", host=self.host, method=method, reason=fault.text)
        rest.add(random.uniform(METHOD_REST_S / 2, METHOD_REST_S), fault.text)

    def _backoff_s(self, failures: int) -> float:
        most_s = min(
            self._options.backoff_s * 2 ** min(max(failures - 1, 0), 16),
            self._options.backoff_max_s,
        )
        return random.uniform(most_s / 2, most_s)

    # -- asking it -----------------------------------------------------------------------------

    async def ask(
        self,
        session: aiohttp.ClientSession,
        method: str,
        params: Sequence[Any],
        answer: msgspec.json.Decoder[T],
    ) -> T:
        """The result. Raises NodeFault."""
        number = next(_ids)
        body = _encoder.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        status, retry_after_s, text = await self._post(session, body)
        size = len(params[0]) if method in SIZED else 0
        try:
            envelope = _decoder.decode(text)
            ours = envelope.id == number or envelope.id == str(number)
            if status == 200 and envelope.error is None and ours:
                return answer.decode(envelope.result)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            envelope, ours = _Envelope(), False
        reply = self._reply(status, envelope, text)
        fault = meaning(method, reply, size=size)
        if fault.about is About.REQUEST and not (ours or envelope.id is None):
            fault = fault._replace(about=About.NODE)  # an answer to another question
        fault = fault._replace(rest_s=max(fault.rest_s, retry_after_s))
        raise NodeFault(fault, self.host, method)

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> tuple[int, float, bytes]:
        """Status, Retry-After in seconds, body. Raises NodeFault where the node does not answer."""
        try:
            async with session.post(
                self._url.reveal(), data=body, allow_redirects=False
            ) as response:
                if response.status == 200:
                    return 200, 0.0, await response.read()
                text = await response.content.read(BODY_MAX)
                return response.status, _retry_after(response), text
        except TimeoutError:
            raise self._fault(About.MOMENT, "no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The name alone: aiohttp's messages can hold the URL, and that a key.
            raise self._fault(About.NODE, type(error).__name__) from None

    def _fault(self, about: About, text: str) -> NodeFault:
        return NodeFault(Fault(about, text), self.host)

    def _reply(self, status: int, envelope: _Envelope, text: bytes) -> Reply:
        error = envelope.error
        if error is None:
            words = (_words_in(text) or UNREADABLE) if status == 200 else _text_of(text)
            return self._shown(status, None, words)
        number, data = None, None
        if isinstance(error, dict):
            code, data = error.get("code"), error.get("data")
            number = _number(code)
            words = words_of(error) or ("" if number is not None else str(code or ""))
        else:
            words = words_of(error)
        failed = isinstance(data, dict) and data.get("err") is not None
        return self._shown(status, number, words, failed=failed)

    def _shown(self, status: int, number: int | None, text: str, *, failed: bool = False) -> Reply:
        parts = [f"HTTP {status}" if status != 200 else "", "" if number is None else f"{number}"]
        text = shown(text, self._secrets)
        return Reply(status, number, " ".join(filter(None, [*parts, text])), failed)


def _number(code: Any) -> int | None:
    """`error.code`: some proxies write it as text."""
    try:
        return None if isinstance(code, bool | float) or code is None else int(code)
    except (TypeError, ValueError):
        return None


def _text_of(body: bytes) -> str:
    """The text of a body that is not an answer of JSON-RPC: mostly of a proxy."""
    try:
        return words_of(msgspec.json.decode(body)) or body.decode(errors="replace")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return body.decode(errors="replace")


def _words_in(body: bytes) -> str:
    """The text of a body that came with 200 without an answer: of a page, or in a field for a
    message. Empty for what may be an answer cut short, whose bytes may look like any words.
    """
    try:
        return words_of(msgspec.json.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        page = b"<html" in body[:PAGE_BYTES].lower()
        return body[:BODY_MAX].decode(errors="replace") if page else ""


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """The node's Retry-After in seconds, also of a date; 0 if it is absent or cannot be read."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until_s = _unix_s(text)
    if until_s is None:
        return 0.0
    # By the node's own clock, where it tells it: this machine's may be another.
    sent_s = _unix_s(response.headers.get("Date", ""))
    return max(0.0, until_s - (time.time() if sent_s is None else sent_s))


def _unix_s(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
