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
from engine.settings import Settings, SettingsError

REQUEST_TIMEOUT_S = 10.0
TRIES = 3
PORT = Settings().port
"""Who leaves it at that may mean any engine."""
TERMINAL = ("confirmed", "failed", "expired", "cancelled")


class RefusedError(Exception):
    """The gateway's problem document, as one line."""

    def __init__(self, line: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__(line)
        self.problem = problem or {}


def talk(work: Coroutine[Any, Any, int]) -> int:
    """Run a command; say in one line what the gateway refuses, or that it does not answer."""
    try:
        return asyncio.run(work)
    except (RefusedError, aiohttp.ClientError, TimeoutError) as error:
        print(f"engine: {str(error) or 'no answer'}", file=sys.stderr)
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


class Client:
    """Speaks HTTP and WebSocket to one gateway; use as an async context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        self._session = aiohttp.ClientSession(self._url, timeout=timeout)
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

        Raises RefusedError, or OSError and aiohttp errors when the gateway cannot be reached.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return await self.ask("POST", "/api/orders/execute", json=order, headers=headers)

    async def ask(
        self, method: str, path: str, *, tries: int = TRIES, **options: Any
    ) -> dict[str, Any]:
        """Ask for what may be done twice; tries again where the gateway says 503.

        Raises RefusedError, or OSError and aiohttp errors when the gateway cannot be reached.
        """
        for left in reversed(range(tries)):
            async with self.session.request(method, path, **options) as answer:
                body: dict[str, Any] = await answer.json(content_type=None)
                if answer.status < 300:
                    return body
                if answer.status != 503 or not left:
                    line = f"{body.get('code')}: {body.get('detail') or body}"
                    raise RefusedError(line, body)
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
        raise AssertionError("the last try returns or raises")

    async def follow(self, order_id: str) -> AsyncIterator[dict[str, Any]]:
        """Every event of one order from the first on, until it ended. Reconnects."""
        seen = 0
        while True:
            try:
                async with self.session.ws_connect(
                    f"/api/orders/execute?orderId={order_id}"
                ) as socket:
                    async for message in socket:
                        frame = json.loads(message.data)
                        if frame.get("version", 0) > seen:
                            seen = frame["version"]
                            yield frame
                    if socket.close_code == 1000:
                        return
                    if socket.close_code == 4404:
                        raise RefusedError(f"unknown-order: {order_id}")
            except aiohttp.WSServerHandshakeError as error:
                raise RefusedError(f"{error.status}: {error.message}") from error
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.5)

    async def head(self) -> str:
        """The newest position of the log."""
        async with self.session.get("/readyz") as answer:
            ready = await answer.json(content_type=None)
            return str((ready.get("log") or {}).get("position", 0))

    async def events(self, after: str) -> AsyncIterator[dict[str, Any]]:
        """Every event of every order after a position or cursor. Reconnects and resumes."""
        while True:
            try:
                async with self.session.ws_connect(
                    "/api/events", params={"after": after}
                ) as socket:
                    async for message in socket:
                        frame = json.loads(message.data)
                        after = frame.get("cursor", after)
                        if "orderId" in frame:
                            yield frame
            except aiohttp.WSServerHandshakeError as error:
                raise RefusedError(f"{error.status}: {error.message}") from error
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.5)
