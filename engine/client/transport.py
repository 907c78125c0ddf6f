"""HTTP and WebSocket to one gateway, as JSON. `retry_policy` decides what is tried again.

What changes something is tried again under the same Idempotency-Key, or where it may be done twice;
else only where it was certainly not done.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Self

import aiohttp

from engine.client.refusals import OutcomeUnknownError, RefusedError, UnreachableError
from engine.client.requests import Json
from engine.client.retry_policy import (
    PROBLEM,
    Action,
    Answer,
    Failure,
    Verdict,
    judge,
    pause_s,
    stays_unknown,
)
from engine.client.stream import Stream
from events.secret import SecretText

REQUEST_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
RETRY_FOR_S = 30.0
"""How long a request is tried again where a gateway answered before: longer than a restart."""
FIRST_FOR_S = 5.0
"""The same where none answered yet."""
SILENCE_S = 10.0
"""Above the interval of heartbeats."""
RECONNECT_S = 0.5
TEXT = "text/plain"
"""Media type of an answer other than JSON, and the member that its text is returned as."""
REMEDY = "start one with `make run`, or name the DATA_DIR of the one that runs"
REPEAT = "ask for its state, or repeat it: it may be done twice"

Accepts = Callable[[Answer, Json], bool]


def _accepts_none(_: Answer, __: Json) -> bool:
    return False


class Transport:
    """Use as an async context manager."""

    def __init__(
        self,
        url: str,
        api_key: SecretText | str = "",
        *,
        retry_for_s: float = RETRY_FOR_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        """`url`: such as http://127.0.0.1:3000; `api_key`: where the gateway asks for one;
        `retry_for_s`: how long a request is tried again; `silence_s`: after which a stream is
        asked for a sign of life.
        """
        self._url = url.rstrip("/")
        self._api_key = SecretText.of(api_key)
        self._retry_for_s = retry_for_s
        self._silence_s = silence_s
        self._reached = False
        self._missed = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        self._session = aiohttp.ClientSession(
            self._url, timeout=timeout, headers=authorization(self._api_key)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def _open(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use `async with Client(url)`"
        return self._session

    async def ask(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        unknown: str = REPEAT,
        accepts: Accepts = _accepts_none,
        **options: Any,
    ) -> Json:
        """Asks until there is an answer that speaks about the request.

        `repeatable`: whether it may be done twice; `unknown`: how to find out what became of it;
        `accepts`: whether to take an answer other than JSON, or a failure. `options` are those of
        `aiohttp.ClientSession.request`. Raises RefusedError, UnreachableError, or
        OutcomeUnknownError.
        """
        began, retries, unclear = time.monotonic(), 0, False
        key = options.get("headers", {}).get("Idempotency-Key", "")
        while True:
            outcome, body = await self._attempt(method, path, **options)
            if isinstance(outcome, Answer) and accepts(outcome, body):
                verdict = Verdict(Action.RETURN)
            else:
                verdict = judge(outcome, reached=self._reached, now_s=time.time())
            unclear = unclear or (verdict.may_be_done and method != "GET")
            if verdict.action is Action.RETURN:
                self._mark_reached()
                return body
            wait_s = pause_s(retries, verdict.after_s)
            over = time.monotonic() + wait_s - began > self._patience_s
            if verdict.action is not Action.RETRY or over or (unclear and not repeatable):
                raise self._error(verdict, outcome, body, unclear, unknown, key)
            self._miss(outcome)
            retries += 1
            await asyncio.sleep(wait_s)

    async def _attempt(
        self, method: str, path: str, **options: Any
    ) -> tuple[Answer | Failure, Json]:
        redirects = method == "GET"  # a redirected POST would arrive as a GET
        try:
            async with self._open.request(
                method, path, allow_redirects=redirects, **options
            ) as response:
                return _read(response, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Failure.NOT_SENT, {}
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return Failure.BROKEN, {}

    async def connect(self, path: str, **params: str) -> Stream:
        """A stream. A gateway that was there before is waited for, and missed once aloud."""
        began, retries = time.monotonic(), 0
        while True:
            outcome: Answer | Failure
            try:
                socket = await self._open.ws_connect(path, params=params, autoping=False)
            except aiohttp.WSServerHandshakeError as error:
                outcome = _handshake(error)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                outcome = Failure.NOT_SENT
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                outcome = Failure.BROKEN
            else:
                self._mark_reached()
                return Stream(socket, self._silence_s)
            verdict = judge(outcome, reached=self._reached, now_s=time.time())
            wait_s = pause_s(retries, verdict.after_s)
            over = not self._reached and time.monotonic() + wait_s - began > FIRST_FOR_S
            if verdict.action is not Action.RETRY or over:
                raise self._error(verdict, outcome, {})
            self._miss(outcome)
            retries += 1
            await asyncio.sleep(wait_s)

    @property
    def _patience_s(self) -> float:
        return self._retry_for_s if self._reached else min(self._retry_for_s, FIRST_FOR_S)

    def _mark_reached(self) -> None:
        self._reached, self._missed = True, False

    def _miss(self, outcome: Answer | Failure) -> None:
        """Says once for each outage that it is waited for."""
        if not self._missed:
            print(f"engine: {self._url} {_words(outcome)}; trying again", file=sys.stderr)
        self._missed = True

    def _error(
        self,
        verdict: Verdict,
        outcome: Answer | Failure,
        body: Json,
        unclear: bool = False,
        unknown: str = "",
        key: str = "",
    ) -> Exception:
        status = outcome.status if isinstance(outcome, Answer) else 0
        refused = verdict.action is Action.REFUSED
        if unclear and (not refused or verdict.may_be_done or stays_unknown(status)):
            answer = f"{self._url} {_words(outcome)}"
            if verdict.action is Action.STRANGER:
                answer = f"what answers at {self._url} is not a gateway of this engine"
            line = f"the outcome is unknown, {answer}: {unknown}"
            order_id = str(body.get("orderId", ""))
            return OutcomeUnknownError(line, idempotency_key=key, order_id=order_id)
        if isinstance(outcome, Answer) and outcome.media == PROBLEM:
            detail = body.get("detail") or "the gateway refuses the stream"
            return RefusedError(f"{outcome.code}: {detail}", body or {"status": status})
        if verdict.action is Action.UNREACHABLE:
            return UnreachableError(f"no gateway answers at {self._url}: {REMEDY}")
        if self._reached or verdict.action is Action.RETRY:
            return UnreachableError(f"no gateway answers: {self._url} {_words(outcome)}")
        return UnreachableError(
            f"what answers at {self._url} is not a gateway of this engine: {REMEDY}"
        )


def _read(response: aiohttp.ClientResponse, raw: bytes) -> tuple[Answer, Json]:
    media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    body: Any = None
    if media.endswith("json"):
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
    document: Json = body if isinstance(body, dict) else {}
    if media == TEXT:
        document = {TEXT: raw.decode(errors="replace")}
    after = response.headers.get("Retry-After", "")
    complete = isinstance(body, dict)
    code, date = str(document.get("code", "")), response.headers.get("Date", "")
    return Answer(response.status, media, code, after, date, complete), document


def _handshake(error: aiohttp.WSServerHandshakeError) -> Answer:
    """The refusal of a WebSocket; aiohttp keeps no body of it."""
    headers = dict(error.headers or {})
    media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    after, date = headers.get("Retry-After", ""), headers.get("Date", "")
    return Answer(error.status, media, f"HTTP {error.status}", after, date)


def _words(outcome: Answer | Failure) -> str:
    if outcome is Failure.NOT_SENT:
        return "does not answer"
    if isinstance(outcome, Failure):
        return "broke the connection or gave no answer"
    return f"answers {outcome.status} {outcome.code}".rstrip()


def authorization(api_key: SecretText) -> dict[str, str]:
    """The headers that a key goes in."""
    return {"Authorization": f"Bearer {api_key.reveal()}"} if api_key else {}
