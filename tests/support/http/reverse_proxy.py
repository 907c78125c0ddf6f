"""A reverse proxy as many are without further settings: it serves the gateway below a path, and
passes no upgrade to a WebSocket on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import hdrs, web

HOP_BY_HOP = frozenset({hdrs.CONNECTION, hdrs.UPGRADE, hdrs.TRANSFER_ENCODING, hdrs.CONTENT_LENGTH})


class ReverseProxy:
    """Streams are passed on as they come."""

    def __init__(self, upstream: str, prefix: str) -> None:
        self.url = ""
        self.refusal = 0
        """A status that is answered as a page in place of the gateway; 0: none."""
        self.requests = 0
        self._upstream = upstream
        self._prefix = prefix
        self._open: set[asyncio.Transport] = set()

    def cut(self) -> None:
        """Resets every connection that is open."""
        for transport in tuple(self._open):
            transport.abort()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Passes one request on."""
        self.requests += 1
        if self.refusal or not request.path.startswith(self._prefix):
            return web.Response(status=self.refusal or 404, text="<html>", content_type="text/html")
        headers = {k: v for k, v in request.headers.items() if k not in HOP_BY_HOP}
        target = self._upstream + request.raw_path.removeprefix(self._prefix)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.request(
                request.method, target, headers=headers, data=await request.read()
            ) as upstream,
        ):
            kept = {k: v for k, v in upstream.headers.items() if k not in HOP_BY_HOP}
            response = web.StreamResponse(status=upstream.status, headers=kept)
            assert request.transport is not None
            transport = request.transport
            self._open.add(transport)
            try:
                await response.prepare(request)
                async for chunk in upstream.content.iter_any():
                    await response.write(chunk)
            finally:
                self._open.discard(transport)
        return response


@contextlib.asynccontextmanager
async def reverse_proxy(upstream: str, prefix: str = "") -> AsyncIterator[ReverseProxy]:
    """A proxy before the gateway at `upstream`."""
    proxy = ReverseProxy(upstream, prefix)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
        yield proxy
    finally:
        await runner.cleanup()
