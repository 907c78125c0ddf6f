"""The process that serves HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping

import structlog
from aiohttp import web

from engine.composition import stop_times
from engine.composition.log import make_log, open_log, tune
from engine.composition.routing_preview import preview_routing
from engine.processes.open_files import raise_limit, share_out, streams_max
from engine.recovery.idempotency_upgrade import keep_names
from engine.recovery.settle import settler
from engine.settings import Settings
from engine.venues import chain_of, open_trading
from events.archive import Archive
from gateway.api.audits import StoreUrls
from gateway.app import make_app, make_runner
from gateway.backends.hung_processes import Signs, no_signs
from gateway.middleware.rate_limit import Rates
from gateway.options import GatewayOptions

stop_times.check_gateway()

LINGER_S = 0.003
"""How long an append waits for the orders of other requests."""


def keys_required(settings: Settings) -> bool:
    """Whether every request needs an API key: as REQUIRE_KEYS says, else unless HOST is a loopback
    address. Pure.
    """
    if settings.require_keys != "auto":
        return settings.require_keys == "1"
    try:
        return not ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        return settings.host != "localhost"


async def run_gateway(
    settings: Settings,
    stop: asyncio.Event,
    restarts: Callable[[], Mapping[str, int] | None] = lambda: None,
    signs: Signs = no_signs,
) -> None:
    """Serves HTTP and WebSocket until `stop`. `restarts`, `signs`: see `GatewayOptions`."""
    files = raise_limit()
    plan = share_out(files)
    streams = streams_max(files, settings.sockets_max)
    if streams < settings.sockets_max:
        structlog.get_logger().warning(
            "open_files_low",
            open_files=files,
            sockets_max=settings.sockets_max,
            streams=streams,
        )
    trading = open_trading(settings, signs=False)
    log = make_log(settings, chain=chain_of(settings), linger_s=LINGER_S)
    log.before_joining = lambda: keep_names(log, settings.database_url)
    archive = await Archive.open(settings.database_url)
    options = GatewayOptions(
        log=log,
        archive=archive,
        tokens=trading.tokens,
        explorer=trading.explorer,
        settles=settler(settings, log, archive),
        records=StoreUrls(settings.redis_url, settings.database_url, settings.idempotency_window_s),
        account=settings.account,
        quotes=trading.market.ask,
        previews=preview_routing,
        market_fault=trading.fault,
        chain_facts=trading.facts,
        restarts=restarts,
        signs=signs,
        heartbeat_ms=settings.heartbeat_ms,
        concurrency=settings.concurrency,
        # A worker that died is replaced within a lease.
        stuck_after_s=max(settings.stuck_after_s, 2 * settings.lease_ms / 1000),
        hosts=settings.allowed_hosts,
        origins=settings.allowed_origins,
        keys_required=keys_required(settings),
        rates=Rates(settings.rate_limit_per_s, settings.rate_limit_burst)
        if settings.rate_limit_per_s
        else None,
        sockets_max=streams,
        sockets_max_each=settings.sockets_max_each,
    )
    runner = make_runner(
        make_app(options), access_log=settings.access_log, connections_max=plan.connections
    )
    opening = asyncio.create_task(open_log(settings, log, stop))
    try:
        await runner.setup()
        # The port opens before the log does: /readyz says what is missing.
        await web.TCPSite(runner, settings.host, settings.port, backlog=plan.backlog).start()
        if not await opening:
            return  # it was stopped before
        tune()
        async with trading.live(True):
            structlog.get_logger().info("process_ready")
            watching = asyncio.ensure_future(trading.watch_nodes())
            try:
                await stop.wait()
            finally:
                watching.cancel()
    finally:
        opening.cancel()
        await runner.cleanup()
        await archive.close()
        await log.close()
