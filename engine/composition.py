"""Composition: each long-running process is put together here, and nowhere else.

Each function runs until `stop` is set, then ends what it began within two seconds. The URLs in
`settings` are never empty here: the commands have filled them in. Imports stay inside the
functions, so that a process loads only what it runs.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import secrets
import socket
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

import structlog

from engine.processes.lifecycle import STOP_PATIENCE_S
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.telemetry.build import build_id
from events.archive import Archive, ArchiveUnavailable
from events.log import (
    INBOX_ORDERS,
    ClusterMismatch,
    EventLog,
    LogTruncated,
    Missing,
    OutcomeUnknown,
    Unavailable,
)
from events.order import STAGES

if TYPE_CHECKING:
    from engine.venues import Trading

__all__ = ["STAGES", "make_log", "open_log", "run_gateway", "run_projector", "run_stages"]

FUSED_STAGES = ("builder", "submitter")
"""Whose words the router may say with its own."""
LOG_RETRY_S = 0.1
LOG_PATIENCE_S = 3.0
GATEWAY_LINGER_S = 0.003
MARKET_PATIENCE_S = 5.0
"""Stages begin after so long, whether there is anything to quote from or not: each order
then gets the reason for which it waits."""


def make_log(settings: Settings, *, chain: str = "", linger_s: float = 0.0) -> EventLog:
    """Return the log, not opened yet: one of this chain, or of any for who only reads it.

    `linger_s` is for a process whose callers come one by one.
    """
    # With few permits, an inbox entry names no more orders than can be in venue calls at once,
    # or one worker would sit on what others could do.
    inbox_orders = min(INBOX_ORDERS, settings.concurrency or INBOX_ORDERS)
    return EventLog(
        settings.redis_url,
        build=build_id(),
        chain=chain,
        inbox_orders=inbox_orders,
        idempotency_window_s=settings.idempotency_window_s,
        linger_s=linger_s,
    )


async def open_log(settings: Settings, log: EventLog, stop: asyncio.Event) -> bool:
    """Open the log, waiting as long as it takes. Returns False when stopped.

    A server without a log is new only if the archive is empty too; else it has lost everything,
    and to begin anew would be to forget orders that may have been sent. Raises SettingsError where
    the orders of the log trade on another chain.
    """
    waited = False
    began = asyncio.get_running_loop().time()
    while not stop.is_set():
        try:
            try:
                await log.open(create=False)
            except Missing:
                position = await _archived(settings)
                if position:
                    msg = f"the log is gone, the archive has {position} events: `engine repair`"
                    raise LogTruncated(msg) from None
                await log.open(create=True)
        except ClusterMismatch as error:
            raise SettingsError(str(error)) from None
        except (Unavailable, OutcomeUnknown, LogTruncated, ArchiveUnavailable) as error:
            # At a start all processes wait for one another for a moment: no cause for alarm.
            patient = asyncio.get_running_loop().time() - began < LOG_PATIENCE_S
            log_line = structlog.get_logger().info if patient else structlog.get_logger().warning
            log_line("waiting for the log", error=str(error))
            waited = True
            await asyncio.sleep(LOG_RETRY_S)
        else:
            if waited:
                structlog.get_logger().info("the log is open", epoch=log.epoch)
            return True
    return False


async def _archived(settings: Settings) -> int:
    archive = await Archive.open(settings.database_url, connections=1)
    try:
        return await archive.position()
    finally:
        await archive.close()


def tune() -> None:
    """Let the collector leave alone what lives as long as the process, and come by less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def run_stages(settings: Settings, names: Sequence[str], stop: asyncio.Event) -> None:
    """Run one or more stages in this process."""
    from engine.venues import chain_of, open_trading
    from stages import builder, confirmer, router, submitter
    from stages.runtime.limiter import RateAndConcurrencyLimiter
    from stages.runtime.retry import RetryPolicy
    from stages.runtime.runner import LEAVE_S, STOP_S, Runner
    from stages.triggers import watcher
    from stages.triggers.runner import TriggerRunner

    assert STOP_S + LEAVE_S <= STOP_PATIENCE_S, "a stage puts its orders back before it is ended"
    # Limits are counted by the stages: where there are any, nobody runs ahead.
    limited = settings.concurrency or settings.orders_per_minute
    runs_ahead = settings.fuse_stages and not limited
    signing = {"builder", "router", "watcher"} if runs_ahead else {"builder"}
    trading = open_trading(settings, signs=not signing.isdisjoint(names))
    market, chain = trading.market, trading.chain
    stages = {
        "router": lambda: router.stage(market),
        "builder": lambda: builder.stage(chain),
        "submitter": lambda: submitter.stage(chain),
        "confirmer": lambda: confirmer.stage(
            chain, attempts_max=settings.max_attempts, rebroadcast_ms=settings.rebroadcast_ms
        ),
        "watcher": lambda: watcher.stage(market),
    }
    retry = RetryPolicy(settings.max_attempts, settings.retry_base_ms, settings.retry_max_ms)
    process = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    log = make_log(settings, chain=chain_of(settings))
    limits = RateAndConcurrencyLimiter(
        settings.redis_url,
        process,
        concurrency=settings.concurrency,
        orders_per_minute=settings.orders_per_minute,
        lease_ms=settings.lease_ms,
    )
    try:
        if not await open_log(settings, log, stop):
            return
        tune()
        pools_too = not {"router", "builder", "watcher"}.isdisjoint(names)
        async with trading.live(pools_too):
            if pools_too:
                await _start(trading, stop, within_s=MARKET_PATIENCE_S)
            if stop.is_set():
                return
            async with asyncio.TaskGroup() as group:
                ahead = {n: stages[n]() for n in FUSED_STAGES} if runs_ahead else {}
                for name in names:
                    runner = Runner(
                        stages[name](),
                        log,
                        f"{name}-{process}",
                        retry,
                        settings.lease_ms,
                        limits,
                        ahead if name == "router" else {},
                    )
                    group.create_task(runner.run(stop), name=name)
                if "watcher" in names:
                    watching = TriggerRunner(
                        log,
                        market,
                        f"watching-{process}",
                        lease_ms=settings.lease_ms,
                        ahead=ahead and {"router": stages["router"](), **ahead},
                    )
                    group.create_task(watching.run(stop), name="watching")
    finally:
        await limits.close()
        await log.close()


async def _start(trading: Trading, stop: asyncio.Event, *, within_s: float) -> None:
    """Waits for what the stages trade with: no order is to lose its attempts to a process that has
    only just begun to read, or to settings that do not fit the cluster. Raises SettingsError.
    """
    await _wait_first(trading.ready(), stop, within_s)
    asking = asyncio.ensure_future(trading.unsuited())
    await _wait_first(asyncio.shield(asking), stop, None)
    if asking.done() and (unsuited := asking.result()):
        raise SettingsError(unsuited)
    asking.cancel()


async def _wait_first(work: Awaitable[object], stop: asyncio.Event, within_s: float | None) -> None:
    """Waits for whichever comes first."""
    tasks = [asyncio.ensure_future(work), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def keys_required(settings: Settings) -> bool:
    """Whether nobody comes in without a key."""
    if settings.require_keys != "auto":
        return settings.require_keys == "1"
    try:
        return not ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        return settings.host != "localhost"


async def run_gateway(settings: Settings, stop: asyncio.Event) -> None:
    """Serve HTTP and WebSocket."""
    from aiohttp import web

    from engine.recovery.idempotency_upgrade import keep_names
    from engine.recovery.settle import settler
    from engine.venues import chain_of, open_trading
    from gateway.api.audits import StoreUrls
    from gateway.app import STOP_S, make_app, make_runner
    from gateway.middleware.rate_limit import Rates
    from gateway.options import GatewayOptions

    assert STOP_S < STOP_PATIENCE_S, "the gateway's clients are told before it is ended"
    trading = open_trading(settings, signs=False)
    log = make_log(settings, chain=chain_of(settings), linger_s=GATEWAY_LINGER_S)
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
        market_fault=trading.fault,
        chain_facts=trading.facts,
        heartbeat_ms=settings.heartbeat_ms,
        # A worker that died is replaced within a lease.
        stuck_after_s=max(settings.stuck_after_s, 2 * settings.lease_ms / 1000),
        hosts=settings.allowed_hosts,
        origins=settings.allowed_origins,
        keys_required=keys_required(settings),
        rates=Rates(settings.rate_limit_per_s, settings.rate_limit_burst)
        if settings.rate_limit_per_s
        else None,
        sockets_max=settings.sockets_max,
        sockets_max_each=settings.sockets_max_each,
    )
    runner = make_runner(make_app(options))
    opening = asyncio.create_task(open_log(settings, log, stop))
    try:
        await runner.setup()
        # The door opens before the log does: /readyz says what is missing.
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
        await opening
        tune()
        async with trading.live(True):
            looking = asyncio.ensure_future(trading.watch_nodes())
            try:
                await stop.wait()
            finally:
                looking.cancel()
    finally:
        opening.cancel()
        await runner.cleanup()
        await archive.close()
        await log.close()


async def run_tracer(settings: Settings, stop: asyncio.Event) -> None:
    """Follow the log, and send a trace of each order."""
    from engine.telemetry.otlp import Collector
    from projections.feed.history_reader import HistoryReader
    from projections.traces.exporter import follow

    log = make_log(settings)
    archive = await Archive.open(settings.database_url, connections=2)
    past = HistoryReader(log, archive)
    collector = Collector(settings.otel_exporter_otlp_endpoint, build_id())
    try:
        if await open_log(settings, log, stop):
            await follow(
                log, past, collector.send, ratio=float(settings.otel_traces_sampler_arg), stop=stop
            )
    finally:
        collector.close()
        await past.close()
        await archive.close()
        await log.close()


async def run_projector(settings: Settings, stop: asyncio.Event) -> None:
    """Migrate Postgres, then fold the log into it."""
    from projections.postgres.migrate import MigrationError, migrated
    from projections.postgres.projector import run_projector as project

    log = make_log(settings)
    try:
        # First the tables: a log is founded only beside an archive that says it is empty.
        try:
            await migrated(settings.database_url, stop)
        except MigrationError as error:
            raise SettingsError(str(error)) from None
        if await open_log(settings, log, stop):
            tune()
            await project(
                log,
                settings.database_url,
                retain_events=settings.log_retain_events,
                stop=stop,
            )
    finally:
        await log.close()
