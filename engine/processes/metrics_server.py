"""METRICS_PORT: where a process other than the gateway shows its metrics."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import structlog

from engine.settings import Settings


async def metered(settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, and serve /metrics for so long where METRICS_PORT asks for it."""
    async with listening(settings):
        await work


@contextlib.asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[None]:
    """Serves /metrics for the length of a block. A port that is taken does not stop the process."""
    if not settings.metrics_port:
        yield
        return
    from aiohttp import web

    from gateway.api.exposition import answer

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.metrics_host, settings.metrics_port).start()
        except OSError as error:
            structlog.get_logger().warning(
                "metrics_port_unavailable", port=settings.metrics_port, error=str(error)
            )
        yield
    finally:
        await runner.cleanup()
