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

from engine.client.address import address_of
from engine.client.event_stream import MEDIA, EventStream, stream_request
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
ELSEWHERE = "look at the URL, and at the proxies on the way"
REPEAT = "ask for its state, or repeat it: it may be done twice"

UPGRADE_REQUIRED = 426
FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
Accepts = Callable[[Answer, Json], bool]
Streams = Stream | EventStream
Missed = tuple[Answer | Failure, Json]


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
        """`url`: such as http://127.0.0.1:3000, or https://example.com/engine where a proxy serves
        the gateway below a path; `api_key`: where the gateway asks for one; `retry_for_s`: how
        long a request is tried again; `silence_s`: after which a stream is asked for a sign of
        life. Raises AddressError for another URL.
        """
        self._address = address_of(url)
        self._url = self._address.shown
        self._api_key = SecretText.of(api_key)
        self._retry_for_s = retry_for_s
        self._silence_s = silence_s
        self._reached = False
        self._missed = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        self._session = aiohttp.ClientSession(
            self._address.origin,
            timeout=timeout,
            headers=authorization(self._api_key),
            proxy=self._address.forward_proxy,
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
        # A redirected POST would arrive as a GET, and a redirected GET without its key.
        try:
            async with self._open.request(
                method, self._address.prefix + path, allow_redirects=False, **options
            ) as response:
                return _read(response, await response.read())
        except FAILURES as error:
            return _failure(error)

    async def connect(self, path: str, **params: str) -> Streams:
        """A stream. A gateway that was there before is waited for, and missed once aloud.

        It is a WebSocket, or Server-Sent Events where a proxy passes no upgrade on.
        """
        began, retries = time.monotonic(), 0
        while True:
            dialled = await self._dial(path, params)
            if isinstance(dialled, Streams):
                self._mark_reached()
                return dialled
            outcome, body = dialled
            verdict = judge(outcome, reached=self._reached, now_s=time.time())
            wait_s = pause_s(retries, verdict.after_s)
            over = not self._reached and time.monotonic() + wait_s - began > FIRST_FOR_S
            if verdict.action is not Action.RETRY or over:
                raise self._error(verdict, outcome, body)
            self._miss(outcome)
            retries += 1
            await asyncio.sleep(wait_s)

    async def _dial(self, path: str, params: dict[str, str]) -> Streams | Missed:
        try:
            socket = await self._open.ws_connect(
                self._address.prefix + path, params=params, autoping=False
            )
        except aiohttp.WSServerHandshakeError as error:
            refusal = _handshake(error)
            if not isinstance(refusal, Answer) or not refusal.is_final:
                return refusal, {}
            # 426 where a proxy drops the upgrade; else the event stream is refused alike, and has
            # the body, which aiohttp does not keep of a handshake.
            again = await self._dial_events(path, params)
            if isinstance(again, Streams) or refusal.status == UPGRADE_REQUIRED:
                return again
            alike = isinstance(again[0], Answer) and again[0].status == refusal.status
            return again if alike else (refusal, {})
        except FAILURES as error:
            return _failure(error)
        return Stream(socket, self._silence_s)

    async def _dial_events(self, path: str, params: dict[str, str]) -> Streams | Missed:
        path, params = stream_request(path, params)
        try:
            response = await self._open.get(
                self._address.prefix + path,
                params=params,
                headers={"Accept": MEDIA},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    sock_connect=CONNECT_TIMEOUT_S, sock_read=2 * self._silence_s
                ),
            )
            if response.status == 204 or _media(response) == MEDIA:
                return EventStream(response, self._silence_s)
            async with response:
                return _read(response, await response.read())
        except FAILURES as error:
            return _failure(error)

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
        if isinstance(outcome, Answer) and refused:
            line = f"HTTP {status}: a proxy on the way refuses the size of the request"
            return RefusedError(line, {"status": status})
        remedy = REMEDY if self._address.local else ELSEWHERE
        if outcome is Failure.NO_TLS:
            return UnreachableError(f"no TLS with {self._url}: {body.get('detail', '')}")
        if verdict.action is Action.UNREACHABLE:
            return UnreachableError(f"no gateway answers at {self._url}: {remedy}")
        if self._reached or verdict.action is Action.RETRY:
            return UnreachableError(f"no gateway answers: {self._url} {_words(outcome)}")
        if isinstance(outcome, Answer) and outcome.location:
            remedy = f"it redirects to {outcome.location[:200]}"
        return UnreachableError(
            f"what answers at {self._url} is not a gateway of this engine"
            f" (it {_words(outcome)}): {remedy}"
        )


def _failure(error: Exception) -> tuple[Failure, Json]:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        detail = f"{error.certificate_error}; SSL_CERT_FILE names the authorities to trust"
        return Failure.NO_TLS, {"detail": detail}
    if isinstance(error, aiohttp.ClientSSLError):
        return Failure.NO_TLS, {"detail": str(error.os_error)}
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return Failure.NOT_SENT, {}
    return Failure.BROKEN, {}


def _media(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _read(response: aiohttp.ClientResponse, raw: bytes) -> tuple[Answer, Json]:
    media = _media(response)
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
    location = response.headers.get("Location", "") if 300 <= response.status < 400 else ""
    code, date = str(document.get("code", "")), response.headers.get("Date", "")
    return Answer(response.status, media, code, after, date, complete, location), document


def _handshake(error: aiohttp.WSServerHandshakeError) -> Answer | Failure:
    """The refusal of a WebSocket; aiohttp keeps no body of it."""
    if error.status == 101:
        return Failure.BROKEN  # a proxy has changed the answer
    headers = dict(error.headers or {})
    media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    after, date = headers.get("Retry-After", ""), headers.get("Date", "")
    return Answer(error.status, media, f"HTTP {error.status}", after, date)


def _words(outcome: Answer | Failure) -> str:
    if outcome is Failure.NOT_SENT:
        return "does not answer"
    if outcome is Failure.NO_TLS:
        return "makes no TLS connection"
    if isinstance(outcome, Failure):
        return "broke the connection or gave no answer"
    return f"answers {outcome.status} {outcome.code or outcome.media}".rstrip()


def authorization(api_key: SecretText) -> dict[str, str]:
    """The headers that a key goes in."""
    return {"Authorization": f"Bearer {api_key.reveal()}"} if api_key else {}
