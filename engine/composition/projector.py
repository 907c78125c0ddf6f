"""The process that folds the log into Postgres."""

from __future__ import annotations

import asyncio

import structlog

from engine.composition import stop_times
from engine.composition.log import make_log, open_log, tune
from engine.setting_parser import SettingsError
from engine.settings import Settings
from projections.postgres import projector
from projections.postgres.migrate import MigrationError, migrated

stop_times.check_projector()


async def run_projector(settings: Settings, stop: asyncio.Event) -> None:
    """Migrates Postgres, then folds the log into it until `stop`."""
    log = make_log(settings)
    try:
        # First the tables: a log is created only beside an archive that is known to be empty.
        try:
            await migrated(settings.database_url, stop)
        except MigrationError as error:
            raise SettingsError(str(error)) from None
        if await open_log(settings, log, stop):
            tune()
            structlog.get_logger().info("process_ready")
            await projector.run_projector(
                log, settings.database_url, retain_events=settings.log_retain_events, stop=stop
            )
    finally:
        await log.close()
