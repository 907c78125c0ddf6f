"""A session of the projector: from one loaded checkpoint to the next fault.

A chunk is folded while the one before it is written. What Postgres refuses because of what is in it
is cut in halves until the one event to park is alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import asyncpg
import msgspec
import structlog

from events.archive import Checkpoint, load_checkpoint
from events.ids import parse_order_id
from events.log import (
    EventLog,
    LogReader,
    LogTruncated,
    Missing,
    Reason,
    Stored,
    Unavailable,
    other_chain,
)
from events.log import Refused as RefusedEntry
from events.metrics import PROJECTED, PROJECTION
from events.streams.hash_chain import follows
from events.types import Event
from projections.postgres import tables
from projections.postgres.batcher import Chunk, TailBatcher
from projections.postgres.log_identity import why_different_log
from projections.postgres.order_rows import OrderFold, Poison
from projections.postgres.tables import CheckpointConflict, Parked, ProjectionBatch
from projections.postgres.unreadable import Unreadable, read_event

IDLE_S = 1.0
VERIFY_S = 0.1
"""How old the last look at the checkpoint's entry in the log may be when a chunk is written. A log
that is emptied under us would have to outgrow us in that time to go unnoticed."""

STOP_S = 2.0

YIELD_EVENTS = 250
"""Events folded before the transaction under way gets its turn."""

RECHECK_EVENTS = 40_000
"""After a restart, heads of orders that ended this recently are told again to expire: more than
the chunks that can have been written without getting that far."""

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    struct.error,  # from here on: a value that cannot even be encoded
    ValueError,
    TypeError,
    ArithmeticError,
)
"""What is wrong with the chunk, and not with the world."""

_log = structlog.get_logger()


class ProjectorStopped(Exception):
    """Projecting cannot go on; a person has to look."""


PROMOTED = (
    "the log server was a replica until now: what its primary took last may be missing, also sends"
    " that were not archived yet; `engine repair --restored --yes` asks the chain"
)


class LogArchiveMismatch(ProjectorStopped):
    """The log and the archive do not belong together; only a person can tell which is right."""


class Refused(ProjectorStopped):
    """An event of the log does not continue its order: it is not archived, nor what follows it."""

    def __init__(self, position: int, reason: str, detail: str) -> None:
        super().__init__(f"position {position} of the log is refused ({reason}): {detail}")
        self.position = position
        self.reason = reason


class Session:
    """From one loaded checkpoint to the next fault."""

    def __init__(
        self,
        log: EventLog,
        connection: asyncpg.Connection,
        stop: asyncio.Event,
        written: Callable[[int, list[str]], Awaitable[None]],
        refuse: Callable[[Collection[RefusedEntry]], None],
    ) -> None:
        self._log = log
        self._connection = connection
        self._stop = stop
        self._written = written
        self._refuse = refuse
        self._fold = OrderFold()
        self._parked: set[str] = set()
        self._at = Checkpoint(0, 0, b"", 0, 0, None)
        """Through where the fold is; Postgres may be a step behind."""
        self._server = ""
        """Whom the log was read from when the session began."""
        self._verified_at = 0.0
        self._writing: asyncio.Task[None] | None = None
        self._refusal: Refused | None = None
        """What comes next, once what precedes it is written."""
        self.went_on = False
        """Whether it wrote something, or had nothing to write: what stopped it before is over."""

    async def begin(self) -> None:
        """Loads the checkpoint and checks it against the log. Raises Halted."""
        with contextlib.suppress(Missing):  # of a new epoch, if it was founded again
            await self._log.open(create=False)
        await tables.create_checkpoint(self._connection, self._log.epoch)
        await self._bind()
        checkpoint = await load_checkpoint(self._connection)
        assert checkpoint is not None, "created above"
        self._at = checkpoint
        self._parked = await tables.load_parked(self._connection)
        reader = self._log.reader("projector-check")
        self._server = await self._log.server_id()
        try:
            await self._verify(reader)
        finally:
            await reader.close()
        if not await self._log.is_verified(self._server):
            # A restart makes it forget that it was a replica; that we are suspended for it stays.
            suspended = PROMOTED in await self._log.suspended()
            if suspended or (await self._log.promoted() and await self._log.position()):
                raise LogArchiveMismatch(PROMOTED)
            await self._log.mark_verified(self._server)
        recent = self._at.position - RECHECK_EVENTS
        await self._written(self._at.position, await tables.ended_since(self._connection, recent))

    async def _bind(self) -> None:
        """The archive is of the chain that the log is of, once somebody who trades has said so."""
        theirs = await tables.bind(self._connection, self._log.chain)
        if self._log.chain and theirs != self._log.chain:
            raise LogArchiveMismatch(other_chain("archive", theirs))

    async def follow(self) -> None:
        """Projects until the stop or the first fault."""
        reader = self._log.reader("projector", epoch=self._at.epoch)
        checker = self._log.reader("projector-check")
        try:
            async with TailBatcher(reader, self._at.position, self._stop) as intake:
                while not self._stop.is_set():
                    # A chunk is folded while the one before it is being written.
                    chunk = await intake.take(IDLE_S)
                    if chunk is None or self._verification_is_due():
                        await self._settled()
                        await self._verify(checker)
                        behind = (await self._log.foreign()).behind
                        self._refuse([*behind, *reader.refused.values()])
                    if chunk is not None:
                        await self._project(chunk)
                    else:
                        await self._goes_on()
                        await self._written(self._at.position, [])
                    if intake.idle:
                        await self._settled()
                await self._settled()
        except LogTruncated as error:
            raise ProjectorStopped(str(error)) from error
        except msgspec.DecodeError as error:
            raise ProjectorStopped(
                f"the log cannot be read after {self._at.position}: {error}"
            ) from error
        finally:
            if self._writing is not None:
                await asyncio.wait([self._writing], timeout=STOP_S)
                self._writing.cancel()
                await asyncio.gather(self._writing, return_exceptions=True)
            await reader.close()
            await checker.close()

    async def _goes_on(self) -> None:
        """Withdraws what was reported by the session before."""
        if not self.went_on:
            await tables.halt(self._connection, None)
            self.went_on = True

    # -- is it the same log? -------------------------------------------------------------------

    def _verification_is_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._verified_at > VERIFY_S

    async def _verify(self, reader: LogReader) -> None:
        """Raises Foreign unless the log holds what stood there when the checkpoint was written."""
        if why := await why_different_log(self._log, reader, self._at):
            raise LogArchiveMismatch(why)
        if await self._log.server_id() != self._server:
            raise Unavailable("log server: another one answers now, and it is not verified")
        if not self._log.chain:
            await self._log.open(create=False)
            await self._bind()
        self._verified_at = asyncio.get_running_loop().time()

    # -- one chunk -----------------------------------------------------------------------------

    async def _project(self, chunk: Chunk) -> None:
        assert chunk.first == self._at.position + 1, "the log was read with a gap"
        before = self._at
        try:
            step = await self._folded(chunk)
        except REFUSED as error:
            _log.error("a chunk cannot be encoded", position=chunk.first, error=str(error))
            await self._settled()
            await self._isolate(chunk, before)
            raise CheckpointConflict from error
        await self._settled()
        self._writing = asyncio.create_task(self._write(chunk, step))
        if self._refusal is not None:
            await self._settled()
            raise self._refusal

    async def _settled(self) -> None:
        """Waits for the transaction under way. Raises what it raised."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        try:
            await writing
        except _Refused as refused:
            _log.error("postgres refuses a chunk", position=refused.chunk.first, error=str(refused))
            await self._isolate(refused.chunk, refused.before)
            raise CheckpointConflict from refused  # what was folded since is void

    async def _write(self, chunk: Chunk, step: ProjectionBatch) -> None:
        began = time.perf_counter()
        try:
            await tables.write(self._connection, step)
        except REFUSED as error:
            raise _Refused(chunk, step.before, str(error)) from error
        self.went_on = True  # the report was withdrawn in that transaction
        PROJECTION.of().observe(time.perf_counter() - began)
        PROJECTED.add(number=len(step.events))
        self._fold.drop(step.changes.ended)
        await self._written(step.after.position, step.changes.ended)

    async def _isolate(self, chunk: Chunk, before: Checkpoint) -> None:
        """Writes a refused chunk in ever smaller parts, until the one event to park is alone."""
        self._fold.clear()
        self._at = before
        self._parked = await tables.load_parked(self._connection)
        try:
            await tables.write(self._connection, await self._folded(chunk))
            if self._refusal is not None:
                raise self._refusal
            return
        except REFUSED as error:
            reason = str(error)
        if len(chunk.events) == 1:
            await self._check_new(chunk.events[0])
        else:
            for part in chunk.halves():
                await self._isolate(part, self._at if part.first > chunk.first else before)
            return
        self._fold.clear()
        self._at = before
        try:
            await tables.write(self._connection, await self._folded(chunk, refused=reason))
        except REFUSED as error:
            raise ProjectorStopped(f"Postgres refuses position {chunk.first}: {error}") from error

    async def _check_new(self, stored: Stored) -> None:
        """Raises Refused for the first event of an order that is there already."""
        event = read_event(stored.record.body, "")
        order_id = parse_order_id(event.order_id)
        if not order_id or event.version != 1:
            return
        if await tables.load_orders(self._connection, [order_id]):
            detail = f"version 1 of order {order_id}, which is there already"
            raise Refused(stored.position, Reason.DUPLICATE, detail)

    async def _folded(self, chunk: Chunk, *, refused: str = "") -> ProjectionBatch:
        """The chunk as rows, up to the first event that does not continue the log.

        `refused` says why its one event is not to be folded. Raises Refused where it is the first.
        """
        read = [read_event(stored.record.body, refused) for stored in chunk.events]
        await self._load([event for event in read if isinstance(event, Event)])
        rows: list[tuple[Any, ...]] = []
        parked: list[Parked] = []
        for number, (stored, event) in enumerate(zip(chunk.events, read, strict=True)):
            if number % YIELD_EVENTS == 0:
                await asyncio.sleep(0)
            position, time_us, record = stored
            if (refusal := self._judged(stored, event)) is not None:
                if not rows:
                    raise refusal
                self._refusal = refusal
                chunk = Chunk(chunk.events[:number], chunk.entries)
                break
            rows.append(
                (position, time_us, event.order_id, event.version, event.name, record.hash,
                 record.body)
            )  # fmt: skip
            if fault := self._fault(position, record.hash, event):
                parked.append(Parked(event.order_id, fault, position))
        before = self._at
        self._at = before._replace(
            position=chunk.last, digest=chunk.digest, time_us=chunk.events[-1].time_us
        )
        return ProjectionBatch(before, self._at, rows, self._fold.take(), parked)

    async def _load(self, events: Sequence[Event]) -> None:
        absent = self._fold.absent(events) - self._parked
        if not absent:
            return
        await self._settled()  # else the table may be older than what was dropped
        for folded in await tables.load_orders(self._connection, sorted(absent)):
            self._fold.hold(folded)

    def _judged(self, stored: Stored, event: Event | Unreadable) -> Refused | None:
        """Whether the log can have written an event: it continues its order's chain, as far as the
        order is known here. A row that is behind is no fault of the log's.
        """
        if event.order_id in self._parked or (isinstance(event, Unreadable) and not event.version):
            return None
        version, digest = self._fold.known(event.order_id)
        if event.version <= version:
            detail = f"version {event.version} of order {event.order_id}, which has {version}"
            return Refused(stored.position, Reason.DUPLICATE, detail)
        if event.version == version + 1 and not follows(
            digest, bytes(stored.record.body), stored.record.hash
        ):
            detail = f"version {event.version} of order {event.order_id} is not what was hashed"
            return Refused(stored.position, Reason.NOT_CHAINED, detail)
        return None

    def _fault(self, position: int, digest: bytes, event: Event | Unreadable) -> str:
        """Folds an event; says why it, or its order, cannot be folded."""
        if event.order_id in self._parked:
            return "an earlier event could not be folded"
        try:
            if isinstance(event, Unreadable):
                raise Poison(event.reason)
            self._fold.apply(position, digest, event)
        except Exception as error:  # a fold that raises must not hold up others
            _log.error(
                "order parked", order_id=event.order_id, position=position, error=repr(error)
            )
            self._parked.add(event.order_id)
            return str(error) or repr(error)
        return ""


class _Refused(Exception):
    """Postgres took none of a chunk, because of what is in it."""

    def __init__(self, chunk: Chunk, before: Checkpoint, reason: str) -> None:
        super().__init__(reason)
        self.chunk = chunk
        self.before = before
