"""The process that exports a trace of each order."""

from __future__ import annotations

import asyncio

import structlog

from engine.composition.log import make_log, open_log
from engine.settings import Settings
from engine.telemetry.build import build_id
from engine.telemetry.otlp import Collector
from events.archive import Archive
from projections.feed.history_reader import HistoryReader
from projections.traces.exporter import follow


async def run_tracer(settings: Settings, stop: asyncio.Event) -> None:
    """Follows the log and sends a trace of each order until `stop`."""
    log = make_log(settings)
    archive = await Archive.open(settings.database_url, connections=2)
    history = HistoryReader(log, archive)
    collector = Collector(settings.otel_exporter_otlp_endpoint, build_id())
    ratio = float(settings.otel_traces_sampler_arg)
    try:
        if await open_log(settings, log, stop):
            structlog.get_logger().info("process_ready")
            await follow(log, history, collector.send, ratio=ratio, stop=stop)
    finally:
        collector.close()
        await history.close()
        await archive.close()
        await log.close()
