"""A WebSocket of the gateway, as JSON frames, that ends when the other side falls silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable

import aiohttp

from engine.client.requests import Json

CLOSED = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)


class Stream:
    """One connection. `code` is known once `frames` has ended."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool], silence_s: float) -> None:
        """`silence_s`: after it a ping is sent, and after it again the connection is given up."""
        self._socket = socket
        self._silence_s = silence_s
        self.code: int | None = None
        """The code of the gateway's close frame; None where the connection broke. aiohttp's own
        `close_code` is 1000 after an end of stream, too."""

    async def frames(self) -> AsyncIterator[Json]:
        """Yields frames until the connection is closed, by either side, breaks or is silent."""
        try:
            async for text in self._texts():
                try:
                    frame = json.loads(text)
                except ValueError:
                    return  # cut or changed on its way
                yield frame
        finally:
            await self._close()

    async def _texts(self) -> AsyncIterator[str]:
        pinged = False
        while True:
            try:
                message = await self._socket.receive(self._silence_s)
            except TimeoutError:
                if pinged or not await self._send(self._socket.ping()):
                    return
                pinged = True
                continue
            pinged = False
            if message.type is aiohttp.WSMsgType.TEXT:
                yield message.data
            elif message.type is aiohttp.WSMsgType.PING:
                await self._send(self._socket.pong(message.data))
            elif message.type in CLOSED:
                if message.type is aiohttp.WSMsgType.CLOSE:
                    self.code = int(message.data or 0) or None
                return

    async def _send(self, sending: Awaitable[object]) -> bool:
        """Whether it was taken: a half-open connection takes nothing for long."""
        try:
            async with asyncio.timeout(self._silence_s):
                await sending
        except (TimeoutError, ConnectionError, aiohttp.ClientError):
            return False
        return True

    async def _close(self) -> None:
        await self._send(self._socket.close())
