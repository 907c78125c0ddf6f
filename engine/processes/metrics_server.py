"""METRICS_PORT: where a process shows its metrics and, in `/healthz`, its own sign of life."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from engine.processes.signs_of_life import HEART
from engine.settings import Settings

if TYPE_CHECKING:  # a process without METRICS_PORT does not load it
    from aiohttp import web

TRY_S = 0.5
"""How long the work waits for the port."""
RETRY_S = 2.0
"""Between two tries of a port that is taken."""


async def metered(settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    """Does the work, and serves METRICS_PORT for so long, where it is set."""
    async with listening(settings):
        await work


@contextlib.asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[None]:
    """Serves /metrics and /healthz for the length of a block. A port that is taken does not stop
    the process, which tries it again.
    """
    if not settings.metrics_port:
        yield
        return
    from aiohttp import web

    from gateway.api.exposition import answer

    app = web.Application()
    app.router.add_get("/metrics", answer)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    opening = asyncio.create_task(_open(runner, settings), name="metrics-port")
    await asyncio.wait([opening], timeout=TRY_S)  # a free port is open before the work begins
    try:
        yield
    finally:
        opening.cancel()
        await asyncio.wait([opening])
        await runner.cleanup()


async def _open(runner: web.AppRunner, settings: Settings) -> None:
    """Opens the port, as soon as it is free."""
    from aiohttp import web

    told = False
    while True:
        try:
            await web.TCPSite(runner, settings.metrics_host, settings.metrics_port).start()
        except OSError as error:
            if not told:
                structlog.get_logger().warning(
                    "metrics_port_unavailable", port=settings.metrics_port, error=str(error)
                )
            told = True
            await asyncio.sleep(RETRY_S)
        else:
            if told:
                structlog.get_logger().info("metrics_port_opened", port=settings.metrics_port)
            return


async def healthz(_: web.Request) -> web.Response:
    """200 while this process shows life, else 503; one whose event loop hangs does not answer."""
    from aiohttp import web

    if HEART.is_beating():
        return web.json_response({"status": "ok"})
    return web.json_response({"status": "silent"}, status=503)
