"""A client of the gateway, for the commands of a person in a terminal."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from engine.folder import running
from engine.settings import Settings
from engine.values import SettingsError

REQUEST_TIMEOUT_S = 10.0
TRIES = 3
RECONNECT_S = 0.5
PORT = Settings().port
"""Who leaves it at that may mean any engine."""
TERMINAL = ("confirmed", "failed", "expired", "cancelled")
REMEDY = "start one with `make run`, or name the DATA_DIR of the one that runs"


class UnreachableError(Exception):
    """Nothing that is a gateway answers at the URL; one line says so."""


class RefusedError(Exception):
    """What the gateway refuses, as one line; `problem` is its document."""

    def __init__(self, line: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__(line)
        self.problem = problem or {}


def talk(work: Coroutine[Any, Any, int]) -> int:
    """Run a command; say in one line what the gateway refuses, or that it does not answer."""
    try:
        return asyncio.run(work)
    except (RefusedError, UnreachableError) as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1


def gateway_url(settings: Settings) -> str:
    """Return where the gateway of this DATA_DIR listens, else what HOST and PORT say."""
    found = running(settings.data_dir)
    if found and settings.port not in (PORT, urlsplit(found.gateway_url).port or settings.port):
        msg = (
            f"PORT={settings.port}, but the engine of DATA_DIR={settings.data_dir} is"
            f" {found.gateway_url}: set the DATA_DIR of the engine that you mean, too"
        )
        raise SettingsError(msg)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  # compared only
    return (found.gateway_url if found else "") or f"http://{host}:{settings.port}"


def connect(settings: Settings) -> Client:
    """Return a client of the gateway of this DATA_DIR, not entered yet."""
    return Client(gateway_url(settings), settings.api_key)


class Client:
    """Speaks HTTP and WebSocket to one gateway; use as an async context manager."""

    def __init__(self, url: str, api_key: str = "") -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._reached = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        self._session = aiohttp.ClientSession(self._url, timeout=timeout, headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open session."""
        assert self._session is not None, "use `async with Client(url)`"
        return self._session

    async def submit(self, order: dict[str, Any]) -> dict[str, Any]:
        """Post an order; tries again under the same key where the outcome is unclear.

        Raises RefusedError or UnreachableError.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return await self.ask("POST", "/api/orders/execute", json=order, headers=headers)

    async def ask(
        self, method: str, path: str, *, tries: int = TRIES, **options: Any
    ) -> dict[str, Any]:
        """Ask for what may be done twice; tries again where the gateway says 503.

        Raises RefusedError or UnreachableError.
        """
        for left in reversed(range(tries)):
            status, body, retry_after_s = await self._request(method, path, **options)
            if status < 300:
                return body
            if status != 503 or not left:
                line = f"{body.get('code')}: {body.get('detail') or body}"
                raise RefusedError(line, body)
            await asyncio.sleep(retry_after_s)
        raise AssertionError("the last try returns or raises")

    async def ready(self) -> dict[str, Any]:
        """What /readyz says, ready or not. Raises UnreachableError."""
        return (await self._request("GET", "/readyz"))[1]

    async def _request(
        self, method: str, path: str, **options: Any
    ) -> tuple[int, dict[str, Any], float]:
        try:
            async with self.session.request(method, path, **options) as answer:
                body = await answer.json(content_type=None)
                if not isinstance(body, dict):
                    raise ValueError
                self._reached = True
                return answer.status, body, float(answer.headers.get("Retry-After", 1))
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable() from error
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            msg = f"the gateway at {self._url} gave no answer: what was asked may have been done"
            raise UnreachableError(msg) from error
        except (ValueError, aiohttp.ClientError):  # whatever it is, it is none of ours
            raise self._stranger() from None

    def _unreachable(self) -> UnreachableError:
        return UnreachableError(f"no gateway answers at {self._url}: {REMEDY}")

    def _stranger(self) -> UnreachableError:
        return UnreachableError(f"what answers at {self._url} is no gateway of ours: {REMEDY}")

    async def follow(self, order_id: str) -> AsyncIterator[dict[str, Any]]:
        """Every event of one order from the first on, until it ended. Reconnects.

        Raises RefusedError, or UnreachableError where no gateway answers the first time.
        """
        seen = 0
        while True:
            socket = await self._connect("/api/orders/execute", orderId=order_id)
            async for frame in _frames(socket):
                if frame.get("event") == "notice":  # what was seen may be void
                    seen = 0
                if frame.get("version", 0) > seen:
                    seen = frame["version"]
                    yield frame
            if socket.close_code == 1000:
                return
            if socket.close_code == 4404:
                raise RefusedError(f"unknown-order: {order_id}")
            await asyncio.sleep(RECONNECT_S)

    async def head(self) -> str:
        """The newest position of the log. Raises UnreachableError."""
        return str(((await self.ready()).get("log") or {}).get("position", 0))

    async def events(self, after: str) -> AsyncIterator[dict[str, Any]]:
        """Every event of every order after a position or cursor. Reconnects and resumes.

        Raises RefusedError, or UnreachableError where no gateway answers the first time.
        """
        while True:
            socket = await self._connect("/api/events", after=after)
            async for frame in _frames(socket):
                after = frame.get("cursor", after)
                if "orderId" in frame:
                    yield frame
            await asyncio.sleep(RECONNECT_S)

    async def _connect(self, path: str, **params: str) -> aiohttp.ClientWebSocketResponse:
        """A socket. A gateway that was there before is waited for, and missed once aloud."""
        missed = False
        while True:
            try:
                socket = await self.session.ws_connect(path, params=params)
            except aiohttp.WSServerHandshakeError as error:
                if error.status != 503 or not self._reached:
                    raise RefusedError(f"the gateway refuses to tell: {error.status}") from error
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                if not self._reached:
                    raise self._unreachable() from error
            except aiohttp.ClientError:
                raise self._stranger() from None
            else:
                self._reached = True
                return socket
            if not missed:
                print(f"engine: {self._url} does not answer; trying again", file=sys.stderr)
            missed = True
            await asyncio.sleep(RECONNECT_S)


async def _frames(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[dict[str, Any]]:
    """Until the socket is closed, by whom ever."""
    try:
        async for message in socket:
            yield json.loads(message.data)
    finally:
        await socket.close()
