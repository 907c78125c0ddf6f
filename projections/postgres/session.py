"""A session of the projector: from one loaded checkpoint to the next fault.

A chunk is folded while the one before it is written. A chunk that Postgres refuses for its content
is halved until the one event to park is alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Awaitable, Callable, Collection

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
from projections.postgres import tables
from projections.postgres.batcher import Chunk, TailBatcher
from projections.postgres.chunk_fold import ChunkFold
from projections.postgres.log_identity import why_different_log
from projections.postgres.stopped import (
    PROMOTED,
    LogArchiveMismatch,
    ProjectorStopped,
    Refused,
)
from projections.postgres.tables import CheckpointConflict, ProjectionBatch
from projections.postgres.unreadable import read_event

IDLE_S = 1.0
VERIFY_S = 0.1
"""Greatest age of the last comparison of log and checkpoint when a chunk is written. A log that
was emptied would have to outgrow the archive in that time to go unnoticed."""

STOP_S = 2.0

RECHECK_EVENTS = 40_000
"""After a restart, the heads of orders that ended this recently are set to expire again: more than
the chunks that can have been written without that."""

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    struct.error,  # from here on: a value that cannot even be encoded
    ValueError,
    TypeError,
    ArithmeticError,
)
"""Errors of the chunk itself, not of the servers."""

_log = structlog.get_logger()


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
        self._fold = ChunkFold(connection, self._settled)
        self._server = ""
        """Id of the log's server when the session began."""
        self._verified_at = 0.0
        self._writing: asyncio.Task[None] | None = None
        self.progressed = False
        """Whether it wrote a chunk, or had nothing to write: an earlier stop is over."""

    async def begin(self) -> None:
        """Loads the checkpoint and checks it against the log.

        Raises LogArchiveMismatch, LogError or an error of asyncpg.
        """
        with contextlib.suppress(Missing):  # of a new epoch, where it was rebuilt
            await self._log.open(create=False)
        await tables.create_checkpoint(self._connection, self._log.epoch)
        await self._bind()
        checkpoint = await load_checkpoint(self._connection)
        assert checkpoint is not None, "created above"
        await self._fold.resume(checkpoint)
        reader = self._log.reader("projector-check")
        self._server = await self._log.server_id()
        try:
            await self._verify(reader)
        finally:
            await reader.close()
        if not await self._log.is_verified(self._server):
            # After a restart it no longer knows that it was a replica; the suspension stays.
            suspended = PROMOTED in await self._log.suspended()
            if suspended or (await self._log.promoted() and await self._log.position()):
                raise LogArchiveMismatch(PROMOTED)
            await self._log.mark_verified(self._server)
        recent = checkpoint.position - RECHECK_EVENTS
        ended = await tables.ended_since(self._connection, recent)
        await self._written(checkpoint.position, ended)

    async def _bind(self) -> None:
        """Ties the archive to the log's chain, once a process that trades has set that one."""
        theirs = await tables.bind(self._connection, self._log.chain)
        if self._log.chain and theirs != self._log.chain:
            raise LogArchiveMismatch(other_chain("archive", theirs))

    async def follow(self) -> None:
        """Projects until the stop or the first fault."""
        reader = self._log.reader("projector", epoch=self._fold.checkpoint.epoch)
        checker = self._log.reader("projector-check")
        try:
            async with TailBatcher(reader, self._fold.checkpoint.position, self._stop) as chunks:
                while not self._stop.is_set():
                    # A chunk is folded while the one before it is being written.
                    chunk = await chunks.take(IDLE_S)
                    if chunk is None or self._verification_is_due():
                        await self._settled()
                        await self._verify(checker)
                        behind = (await self._log.foreign()).behind
                        self._refuse([*behind, *reader.refused.values()])
                    if chunk is not None:
                        await self._project(chunk)
                    else:
                        await self._withdraw_report()
                        await self._written(self._fold.checkpoint.position, [])
                    if chunks.idle:
                        await self._settled()
                await self._settled()
        except LogTruncated as error:
            raise ProjectorStopped(str(error)) from error
        except msgspec.DecodeError as error:
            raise ProjectorStopped(
                f"the log cannot be read after {self._fold.checkpoint.position}: {error}"
            ) from error
        finally:
            if self._writing is not None:
                await asyncio.wait([self._writing], timeout=STOP_S)
                self._writing.cancel()
                await asyncio.gather(self._writing, return_exceptions=True)
            await reader.close()
            await checker.close()

    async def _withdraw_report(self) -> None:
        """Clears the stop that an earlier session reported."""
        if not self.progressed:
            await tables.halt(self._connection, None)
            self.progressed = True

    # -- log and checkpoint --------------------------------------------------------------------

    def _verification_is_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._verified_at > VERIFY_S

    async def _verify(self, reader: LogReader) -> None:
        """Raises LogArchiveMismatch unless the log is the one that the checkpoint was taken of."""
        if why := await why_different_log(self._log, reader, self._fold.checkpoint):
            raise LogArchiveMismatch(why)
        if await self._log.server_id() != self._server:
            raise Unavailable("log server: another one answers now, and it is not verified")
        if not self._log.chain:
            await self._log.open(create=False)
            await self._bind()
        self._verified_at = asyncio.get_running_loop().time()

    # -- one chunk -----------------------------------------------------------------------------

    async def _project(self, chunk: Chunk) -> None:
        assert chunk.first == self._fold.checkpoint.position + 1, "the log was read with a gap"
        before = self._fold.checkpoint
        try:
            batch = await self._fold.fold(chunk)
        except REFUSED as error:
            _log.error("chunk_unencodable", position=chunk.first, error=str(error))
            await self._settled()
            await self._isolate(chunk, before)
            raise CheckpointConflict from error
        await self._settled()
        self._writing = asyncio.create_task(self._write(chunk, batch))
        if self._fold.refusal is not None:
            await self._settled()
            raise self._fold.refusal

    async def _settled(self) -> None:
        """Waits for the transaction under way. Raises what it raised."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        try:
            await writing
        except _Refused as refused:
            _log.error("chunk_refused", position=refused.chunk.first, error=str(refused))
            await self._isolate(refused.chunk, refused.before)
            raise CheckpointConflict from refused  # what was folded since is void

    async def _write(self, chunk: Chunk, batch: ProjectionBatch) -> None:
        began = time.perf_counter()
        try:
            await tables.write(self._connection, batch)
        except REFUSED as error:
            raise _Refused(chunk, batch.before, str(error)) from error
        self.progressed = True  # the report was withdrawn in that transaction
        PROJECTION.of().observe(time.perf_counter() - began)
        PROJECTED.add(number=len(batch.events))
        self._fold.drop(batch.changes.ended)
        await self._written(batch.after.position, batch.changes.ended)

    async def _isolate(self, chunk: Chunk, before: Checkpoint) -> None:
        """Writes a refused chunk in halves of halves, until the one event to park is alone."""
        await self._fold.resume(before)
        try:
            await tables.write(self._connection, await self._fold.fold(chunk))
            if self._fold.refusal is not None:
                raise self._fold.refusal
            return
        except REFUSED as error:
            reason = str(error)
        if len(chunk.events) == 1:
            await self._check_new(chunk.events[0])
        else:
            for part in chunk.halves():
                at = self._fold.checkpoint if part.first > chunk.first else before
                await self._isolate(part, at)
            return
        self._fold.rewind(before)
        try:
            await tables.write(self._connection, await self._fold.fold(chunk, refused=reason))
        except REFUSED as error:
            raise ProjectorStopped(f"Postgres refuses position {chunk.first}: {error}") from error

    async def _check_new(self, stored: Stored) -> None:
        """Raises Refused for the first event of an order that Postgres has already."""
        event = read_event(stored.record.body, "")
        order_id = parse_order_id(event.order_id)
        if not order_id or event.version != 1:
            return
        if await tables.load_orders(self._connection, [order_id]):
            detail = f"version 1 of order {order_id}, which is there already"
            raise Refused(stored.position, Reason.DUPLICATE, detail)


class _Refused(Exception):
    """Postgres refused a chunk for its content; nothing of it was written."""

    def __init__(self, chunk: Chunk, before: Checkpoint, reason: str) -> None:
        super().__init__(reason)
        self.chunk = chunk
        self.before = before
