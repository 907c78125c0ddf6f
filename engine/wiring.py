"""Composition: each long-running process is put together here, and nowhere else.

Each function runs until `stop` is set, then ends what it began within two seconds. The URLs in
`settings` are never empty here: the commands have filled them in. Imports stay inside the
functions, so that a process loads only what it runs.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import socket
from collections.abc import Sequence

import structlog

from engine.build import build_id
from engine.settings import Settings
from events.log import INBOX_ORDERS, EventLog, Unanswered, Unavailable
from events.order import STAGES

__all__ = ["STAGES", "make_log", "open_log", "run_gateway", "run_projector", "run_stages"]

LOG_RETRY_S = 0.5


def make_log(settings: Settings) -> EventLog:
    """Return the log, not opened yet."""
    # With few permits, an inbox entry names no more orders than can be in venue calls at once,
    # or one worker would sit on what others could do.
    inbox_orders = min(INBOX_ORDERS, settings.concurrency or INBOX_ORDERS)
    return EventLog(
        settings.redis_url,
        build=build_id(),
        inbox_orders=inbox_orders,
        idempotency_window_s=settings.idempotency_window_s,
    )


async def open_log(log: EventLog, stop: asyncio.Event) -> bool:
    """Open the log, waiting for its server as long as it takes. Returns False when stopped."""
    while not stop.is_set():
        try:
            await log.open()
        except (Unavailable, Unanswered) as error:
            structlog.get_logger().warning("waiting for the log", error=str(error))
            await asyncio.sleep(LOG_RETRY_S)
        else:
            return True
    return False


def tune() -> None:
    """Let the collector leave alone what lives as long as the process, and come by less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def run_stages(settings: Settings, names: Sequence[str], stop: asyncio.Event) -> None:
    """Run one or more stages in this process."""
    from engine.markets import open_trading
    from stages import builder, confirmer, router, submitter
    from stages.limiter import Limits
    from stages.retry import RetryPolicy
    from stages.runner import Runner

    market, chain, _ = open_trading(settings)
    stages = {
        "router": lambda: router.stage(market),
        "builder": lambda: builder.stage(chain),
        "submitter": lambda: submitter.stage(chain),
        "confirmer": lambda: confirmer.stage(
            chain, attempts_max=settings.max_attempts, rebroadcast_ms=settings.rebroadcast_ms
        ),
    }
    retry = RetryPolicy(settings.max_attempts, settings.retry_base_ms, settings.retry_max_ms)
    process = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    log = make_log(settings)
    limits = Limits(
        settings.redis_url,
        process,
        concurrency=settings.concurrency,
        orders_per_minute=settings.orders_per_minute,
        lease_ms=settings.lease_ms,
    )
    try:
        if not await open_log(log, stop):
            return
        tune()
        async with asyncio.TaskGroup() as group:
            for name in names:
                runner = Runner(
                    stages[name](), log, f"{name}-{process}", retry, settings.lease_ms, limits
                )
                group.create_task(runner.run(stop), name=name)
    finally:
        await limits.close()
        await log.close()


async def run_gateway(settings: Settings, stop: asyncio.Event) -> None:
    """Serve HTTP and WebSocket."""
    raise NotImplementedError


async def run_projector(settings: Settings, stop: asyncio.Event) -> None:
    """Migrate Postgres, then fold the log into it."""
    raise NotImplementedError
