"""HTTP and WebSocket to one gateway, as JSON: tries again what may be tried again.

What changes something is tried again under the same Idempotency-Key, or not at all.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, Self

import aiohttp

from engine.client.refusals import RefusedError, UnreachableError
from events.secret import SecretText

REQUEST_TIMEOUT_S = 10.0
TRIES = 3
RECONNECT_S = 0.5
REMEDY = "start one with `make run`, or name the DATA_DIR of the one that runs"

Json = dict[str, Any]


class Transport:
    """Use as an async context manager."""

    def __init__(self, url: str, api_key: SecretText | str = "") -> None:
        """`url`: such as http://127.0.0.1:3000; `api_key`: where the gateway asks for one."""
        self._url = url.rstrip("/")
        self._api_key = SecretText.of(api_key)
        self._reached = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
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

    async def ask(self, method: str, path: str, *, tries: int = TRIES, **options: Any) -> Json:
        """Asks for what may be done twice; tries again where the gateway says 503, or goes silent.

        `options` are those of `aiohttp.ClientSession.request`. Raises RefusedError, or
        UnreachableError.
        """
        for left in reversed(range(tries)):
            try:
                status, body, retry_after_s = await self.request(method, path, **options)
            except UnreachableError:
                if not left or not self._reached:
                    raise
                await asyncio.sleep(RECONNECT_S)
                continue
            if status < 300:
                return body
            if status not in (429, 503) or not left:
                line = f"{body.get('code')}: {body.get('detail') or body}"
                raise RefusedError(line, body)
            await asyncio.sleep(retry_after_s)
        raise AssertionError("the last try returns or raises")

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, Json, float]:
        """Status, body and Retry-After (s) of one try. Raises UnreachableError."""
        try:
            async with self._open.request(method, path, **options) as answer:
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
        except (ValueError, aiohttp.ClientError):  # another kind of server answered
            raise self._stranger() from None

    async def connect(self, path: str, **params: str) -> aiohttp.ClientWebSocketResponse:
        """A socket. A gateway that was there before is waited for, and missed once aloud."""
        missed = False
        while True:
            try:
                socket = await self._open.ws_connect(path, params=params)
            except aiohttp.WSServerHandshakeError as error:
                if error.status not in (429, 503) or not self._reached:
                    line = f"the gateway refuses to tell: {error.status}"
                    raise RefusedError(line, {"status": error.status}) from error
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

    def _unreachable(self) -> UnreachableError:
        return UnreachableError(f"no gateway answers at {self._url}: {REMEDY}")

    def _stranger(self) -> UnreachableError:
        return UnreachableError(
            f"what answers at {self._url} is not a gateway of this engine: {REMEDY}"
        )


def authorization(api_key: SecretText) -> dict[str, str]:
    """The headers that a key goes in."""
    return {"Authorization": f"Bearer {api_key.reveal()}"} if api_key else {}


async def frames_of(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Json]:
    """Until the socket is closed, by whom ever, or breaks."""
    try:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                yield json.loads(message.data)
    finally:
        await socket.close()
