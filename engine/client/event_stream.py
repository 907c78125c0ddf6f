"""Server-Sent Events in place of a WebSocket, where a proxy on the way passes no upgrade on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp

from engine.client.requests import Json

MEDIA = "text/event-stream"
ENDED = 1000
_EXECUTE = "/api/orders/execute"


def stream_request(path: str, params: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Path and parameters of the event stream that carries the same as a WebSocket."""
    if path == _EXECUTE:
        return f"/api/orders/{params['orderId']}/events", {}
    return path, params


class EventStream:
    """One response. `code` is known once `frames` has ended."""

    def __init__(self, response: aiohttp.ClientResponse, silence_s: float) -> None:
        """`silence_s`: the stream is given up after twice this time without a heartbeat."""
        self._response = response
        self._silence_s = silence_s
        self.code: int | None = ENDED if response.status == 204 else None
        """The code of the gateway's `close`; None where the connection broke."""

    async def frames(self) -> AsyncIterator[Json]:
        """Yields frames until the stream is closed, by either side, breaks or is silent.

        A heartbeat is a frame with its `cursor` alone.
        """
        try:
            async for block in self._blocks():
                try:
                    name, frame = _read(block)
                except ValueError:
                    return  # cut or changed on its way
                if name == "close":
                    self.code = int(frame.get("code", 0)) or None
                    return
                if frame and name != "problem":  # what follows a problem is its `close`
                    yield frame
        finally:
            self._response.close()

    async def _blocks(self) -> AsyncIterator[str]:
        """The events, each without the empty line that ends it."""
        rest = b""
        while True:
            try:
                async with asyncio.timeout(2 * self._silence_s):
                    chunk = await self._response.content.readany()
            except (TimeoutError, aiohttp.ClientError, OSError):
                return
            if not chunk:
                return
            *blocks, rest = (rest + chunk).split(b"\n\n")
            for block in blocks:
                yield block.decode(errors="replace")


def _read(block: str) -> tuple[str, Json]:
    """The name of an event and its frame. Raises ValueError."""
    fields: dict[str, str] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(":")
        fields[name] = value.removeprefix(" ")
    frame: Json = json.loads(fields["data"]) if "data" in fields else {}
    if "data" not in fields and "id" in fields:
        frame = {"cursor": fields["id"]}
    return fields.get("event", ""), frame
