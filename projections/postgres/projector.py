"""The projector: folds the log into Postgres, in order, each event exactly once.

It resumes from its checkpoint, which moves in the transaction that writes the events. A fault ends
the session: the next one loads the checkpoint and compares it with the log. A log that ends before
the archive, or that is another one, stops the projector: it reports that and writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection

import asyncpg
import structlog

from events.archive.connect import connect
from events.log import EventLog, LogError
from events.log import Refused as RefusedEntry
from events.metrics import REFUSALS
from events.secret import SecretUrl
from events.telemetry.error_text import error_text
from events.telemetry.outages import ARCHIVE, LOG
from projections.postgres import tables
from projections.postgres.migrate import migrate
from projections.postgres.session import STOP_S, Session
from projections.postgres.stopped import LogArchiveMismatch, ProjectorStopped, Refused
from projections.postgres.tables import CheckpointConflict

BACKOFF_S = (0.05, 1.0)
"""First and longest wait before a new session."""

CONNECT_S = 2.0
ANSWER_S = 30.0

REPORTED_KEPT = 1000

EXPIRE_S = 1.0
EXPIRE_ORDERS = 1000
"""Heads of ended orders are set to expire once a second, or once there are this many."""

_log = structlog.get_logger()

_TRANSIENT = (
    LogError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # raised by an idle connection after Postgres died
)


SUSPENDED_BY = "projector: "


async def run_projector(
    log: EventLog, database_url: SecretUrl | str, *, retain_events: int, stop: asyncio.Event
) -> None:
    """Migrates Postgres, then projects until `stop` is set.

    Waits through outages of either server. Raises MigrationError for the database of another build.
    """
    projector = Projector(log, database_url, retain_events=retain_events, stop=stop)
    loop = asyncio.get_running_loop()
    work = loop.create_task(projector.run())
    stopped = loop.create_task(stop.wait())
    try:
        await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([work], timeout=STOP_S)
    finally:
        stopped.cancel()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


class Projector:
    """Sessions in a loop, and what outlives each of them."""

    def __init__(
        self,
        log: EventLog,
        database_url: SecretUrl | str,
        *,
        retain_events: int,
        stop: asyncio.Event,
    ) -> None:
        self._eventlog = log
        self._url = SecretUrl.of(database_url)
        self._retain = retain_events
        self._stop = stop
        self._migrated = False
        self._trimmed = 0
        self._halted = ""
        self._refused: set[str] = set()
        """Ids of the log entries already reported."""
        self._ended: list[str] = []
        self._expire_at = 0.0
        self._session: Session | None = None
        self._write_failed = False
        """Whether a write failed last: a session that only connects and reads ends no outage."""
        self._reported: str | None = None
        """The kind of the fault that stands in the log; None before the first report."""
        self._delay_s = BACKOFF_S[0]

    async def run(self) -> None:
        """Runs sessions until the stop."""
        longest = BACKOFF_S[1]
        while not self._stop.is_set():
            self._session = None
            begun = False
            try:
                async with self._connected() as connection:
                    self._session = Session(
                        self._eventlog, connection, self._stop, self._written, self._refuse
                    )
                    await self._session.begin()
                    begun = True
                    LOG.over()
                    if not self._write_failed:
                        await self._end_outage()
                    await self._resume_log()
                    await self._session.follow()
                    continue
            except CheckpointConflict:
                _log.info("checkpoint_moved")
            except ProjectorStopped as error:
                if self._session is not None and self._session.progressed:
                    self._halted = ""
                if str(error) != self._halted:  # once, not every second
                    _log.error("projector_halted", reason=str(error))
                    if isinstance(error, Refused):
                        REFUSALS.add(error.reason)
                self._halted = str(error)
                await self._report_stopped(str(error))
                if isinstance(error, LogArchiveMismatch):
                    await self._suspend_log(str(error))
                self._delay_s = longest
            except LogError as error:
                LOG.failed(error)
            except _TRANSIENT as error:
                self._write_failed = self._write_failed or begun
                ARCHIVE.failed(error)
                await self._report_fault(type(error).__name__, error_text(error))
            await self._pause(self._delay_s)
            self._delay_s = min(self._delay_s * 2, longest)

    async def _end_outage(self) -> None:
        """Postgres takes writes, as far as is known."""
        self._write_failed = False
        self._delay_s = BACKOFF_S[0]
        ARCHIVE.over()
        await self._report_fault("", "")

    async def _report_fault(self, kind: str, text: str) -> None:
        """Writes to the log why Postgres is behind: gateways read it there. Empty: it is not.

        Once a kind: each of these writes is an fsync of the log.
        """
        if kind != self._reported:
            with contextlib.suppress(LogError):
                await self._eventlog.report_archive_fault(text)
                self._reported = kind

    def _refuse(self, entries: Collection[RefusedEntry]) -> None:
        """Reports log entries that are not projected, each once."""
        for entry in entries:
            if entry.id in self._refused:
                continue
            if len(self._refused) >= REPORTED_KEPT:
                self._refused.clear()
            self._refused.add(entry.id)
            _log.error(
                "log_entry_refused", entry=entry.id, reason=entry.reason, detail=entry.detail
            )
            REFUSALS.add(entry.reason)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await connect(
            self._url,
            timeout=CONNECT_S,
            command_timeout=ANSWER_S,
            wished={"synchronous_commit": "on"},
            server_settings={"application_name": "engine-projector"},
        )
        try:
            if not self._migrated:
                for name in await migrate(connection):
                    _log.info("archive_migrated", name=name)
                self._migrated = True
            yield connection
        finally:
            connection.terminate()

    async def _suspend_log(self, reason: str) -> None:
        """Stops orders from being accepted: a log that is not the archived one lacks orders that
        may have been sent.
        """
        with contextlib.suppress(LogError):
            await self._eventlog.suspend(SUSPENDED_BY + reason)

    async def _resume_log(self) -> None:
        with contextlib.suppress(LogError):
            if (await self._eventlog.suspended()).startswith(SUSPENDED_BY):
                await self._eventlog.resume()

    async def _report_stopped(self, reason: str) -> None:
        try:
            async with self._connected() as connection:
                await tables.halt(connection, reason)
        except _TRANSIENT as error:
            _log.warning("projector_halt_unrecorded", error=error_text(error))

    async def _pause(self, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), delay_s)

    async def _written(self, position: int, ended: list[str]) -> None:
        """After a commit: expires heads of ended orders and trims archived events from the log."""
        if self._session is not None and self._session.progressed:
            await self._end_outage()
        self._ended += ended
        now = asyncio.get_running_loop().time()
        if self._ended and (len(self._ended) >= EXPIRE_ORDERS or now >= self._expire_at):
            # Rarely: each call is an fsync of the log, which delays appends.
            ended, self._ended = self._ended, []
            self._expire_at = now + EXPIRE_S
            await self._eventlog.expire_heads(ended)
        if position - self._trimmed >= max(1000, self._retain // 10):
            # Never past the checkpoint's own entry: the next session compares it.
            await self._eventlog.trim(max(1, position - self._retain))
            self._trimmed = position
