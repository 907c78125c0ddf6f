"""A process of one or more stages."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from engine.composition import stop_times
from engine.composition.log import make_log, open_log, tune
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.venues import Trading, chain_of, open_trading
from events.log import EventLog, safe_name
from stages import builder, confirmer, router, submitter
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime.fusion import Fused
from stages.runtime.retry import RetryPolicy
from stages.runtime.runner import Runner
from stages.runtime.stage import Stage
from stages.triggers import watcher
from stages.triggers.runner import TriggerRunner

stop_times.check_stages()

FUSED_STAGES = ("builder", "submitter")
"""The stages whose facts may join the router's append."""
POOL_STAGES = frozenset({"router", "builder", "watcher"})
"""The stages that read pools."""
HOST_MAX = 32
"""Of the host's name in that of a worker, so that the process id behind it is never cut off."""
MARKET_PATIENCE_S = 5.0
"""Stages begin after so long, whether there is anything to quote from or not: each order
then gets the reason for which it waits."""


class Runnable(Protocol):
    """A part of the process that works until it is stopped."""

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then ends what it began."""


@dataclass(frozen=True)
class StageSet:
    """The stages, built from the settings."""

    by_name: Mapping[str, Stage]
    fused: Fused
    """The stages that run within the router's append, up to the send; empty without fusion."""

    @property
    def after_trigger(self) -> Fused:
        """The stages that run within the append of a trigger; empty without fusion."""
        return {"router": self.by_name["router"], **self.fused} if self.fused else {}


@dataclass(frozen=True)
class Worker:
    """What the runners of one process share."""

    name: str
    """Unique among all processes."""
    log: EventLog
    retry: RetryPolicy
    limits: RateAndConcurrencyLimiter
    lease_ms: int


def signing_stages(settings: Settings) -> frozenset[str]:
    """The stages that sign transactions and therefore read the wallet's key. Pure."""
    return frozenset({"builder", "router", "watcher"} if settings.fuse_stages else {"builder"})


def build_stages(settings: Settings, trading: Trading) -> StageSet:
    """Builds every stage. Opens nothing and asks nothing."""
    market, chain = trading.market, trading.chain
    stages = (
        router.stage(market),
        builder.stage(chain),
        submitter.stage(chain),
        confirmer.stage(
            chain, attempts_max=settings.max_attempts, rebroadcast_ms=settings.rebroadcast_ms
        ),
        watcher.stage(market),
    )
    by_name = {stage.name: stage for stage in stages}
    fused = {name: by_name[name] for name in FUSED_STAGES} if settings.fuse_stages else {}
    return StageSet(by_name, fused)


def build_runners(
    names: Collection[str], stages: StageSet, trading: Trading, worker: Worker
) -> dict[str, Runnable]:
    """Builds what the process runs, by name: a runner for each stage, and the trigger loop beside
    the watcher. The log is open.
    """
    runners: dict[str, Runnable] = {
        name: Runner(
            stages.by_name[name],
            worker.log,
            f"{name}-{worker.name}",
            worker.retry,
            worker.lease_ms,
            worker.limits,
            stages.fused if name == "router" else {},
        )
        for name in names
    }
    if "watcher" in names:
        runners["watching"] = TriggerRunner(
            worker.log,
            trading.market,
            f"watching-{worker.name}",
            lease_ms=worker.lease_ms,
            ahead=stages.after_trigger,
            limits=worker.limits,
        )
    return runners


async def run_stages(settings: Settings, names: Sequence[str], stop: asyncio.Event) -> None:
    """Runs one or more stages until `stop`."""
    trading = open_trading(settings, signs=not signing_stages(settings).isdisjoint(names))
    worker = _worker(settings)
    try:
        if not await open_log(settings, worker.log, stop):
            return
        tune()
        reads_pools = not POOL_STAGES.isdisjoint(names)
        async with trading.live(reads_pools):
            if reads_pools:
                await _wait_for_market(trading, stop, within_s=MARKET_PATIENCE_S)
            if stop.is_set():
                return
            runners = build_runners(names, build_stages(settings, trading), trading, worker)
            structlog.get_logger().info("process_ready")
            async with asyncio.TaskGroup() as group:
                for name, runner in runners.items():
                    group.create_task(runner.run(stop), name=name)
    finally:
        await worker.limits.close()
        await worker.log.close()


def _worker(settings: Settings) -> Worker:
    host = safe_name(socket.gethostname(), default="host")[:HOST_MAX]
    name = f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
    return Worker(
        name,
        make_log(settings, chain=chain_of(settings)),
        RetryPolicy(settings.max_attempts, settings.retry_base_ms, settings.retry_max_ms),
        RateAndConcurrencyLimiter(
            settings.redis_url,
            name,
            concurrency=settings.concurrency,
            orders_per_minute=settings.orders_per_minute,
            lease_ms=settings.lease_ms,
        ),
        settings.lease_ms,
    )


async def _wait_for_market(trading: Trading, stop: asyncio.Event, *, within_s: float) -> None:
    """Waits until there is something to quote from, and until the cluster has answered: no order
    loses its attempts to a process that has only just started to read, or to settings that do not
    fit the cluster. Raises SettingsError for such settings.
    """
    await _wait_first(trading.ready(), stop, within_s)
    asking = asyncio.ensure_future(trading.unsuited())
    await _wait_first(asyncio.shield(asking), stop, None)
    if asking.done() and (unsuited := asking.result()):
        raise SettingsError(unsuited)
    asking.cancel()


async def _wait_first(work: Awaitable[object], stop: asyncio.Event, within_s: float | None) -> None:
    """Waits for the work, the stop or the time, whichever comes first."""
    tasks = [asyncio.ensure_future(work), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
