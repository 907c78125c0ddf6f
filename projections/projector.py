"""The projector: folds the log into Postgres, in order, each event once.

It goes on from its checkpoint, which moves in the transaction that writes what lies behind it. Any
fault ends the session: memory is forgotten, the checkpoint loaded again, and checked against the
log. A log that is behind the archive, or another one, stops it: it says so and writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import asyncpg
import msgspec
import structlog

from events import types
from events.archive import NO_ORDER, Checkpoint, load_checkpoint
from events.ids import parse_order_id
from events.log import EventLog, LogError, LogReader, Regressed
from events.types import Event
from projections import tables
from projections.intake import Chunk, Intake
from projections.migrate import migrate
from projections.orders import OrderFold, Poison
from projections.tables import Moved, Parked, Step

BACKOFF_S = (0.05, 1.0)
"""First and longest wait before a new session."""

IDLE_S = 1.0
VERIFY_S = 0.1
"""How old the last look at the checkpoint's entry in the log may be when a chunk is written. A log
that is emptied under us would have to outgrow us in that time to go unnoticed."""

CONNECT_S = 2.0
ANSWER_S = 30.0
STOP_S = 2.0

YIELD_EVENTS = 250
"""Events folded before the transaction under way gets its turn."""

EXPIRE_S = 1.0
EXPIRE_ORDERS = 1000
"""Heads of orders that ended are told to expire once a second, or once there are so many."""

RECHECK_EVENTS = 40_000
"""After a restart, heads of orders that ended this recently are told again to expire: more than
the chunks that can have been written without getting that far."""

_log = structlog.get_logger()

_REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    struct.error,  # from here on: a value that cannot even be encoded
    ValueError,
    TypeError,
    ArithmeticError,
)
_TRANSIENT = (
    LogError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what an idle connection raises that was told that Postgres died
)


SUSPENDED_BY = "projector: "


class Halted(Exception):
    """Projecting cannot go on; a person has to look."""


class Foreign(Halted):
    """The log and the archive do not belong together; only a person can tell which is right."""


async def run_projector(
    log: EventLog, database_url: str, *, retain_events: int, stop: asyncio.Event
) -> None:
    """Migrates Postgres, then projects until `stop` is set.

    Outages of either server are waited out. Raises MigrationError where the database was made by
    another build.
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
    """One projector; `run` is its whole life."""

    def __init__(
        self, log: EventLog, database_url: str, *, retain_events: int, stop: asyncio.Event
    ) -> None:
        self._eventlog = log
        self._url = database_url
        self._retain = retain_events
        self._stop = stop
        self._migrated = False
        self._trimmed = 0
        self._halted = ""
        self._ended: list[str] = []
        self._expire_at = 0.0

    async def run(self) -> None:
        """Session after session until the stop."""
        first, longest = BACKOFF_S
        delay = first
        while not self._stop.is_set():
            try:
                async with self._connected() as connection:
                    session = Session(self._eventlog, connection, self._stop, self._written)
                    await session.begin()
                    delay, self._halted = first, ""
                    await self._let_go()
                    await session.follow()
                    continue
            except Moved:
                _log.info("the checkpoint was moved by somebody else")
            except Halted as error:
                if str(error) != self._halted:  # once, not every second
                    _log.error("projecting stopped", reason=str(error))
                self._halted = str(error)
                await self._say_halted(str(error))
                if isinstance(error, Foreign):
                    await self._hold_up(str(error))
                delay = longest
            except _TRANSIENT as error:
                _log.warning("projecting interrupted", error=repr(error))
            await self._pause(delay)
            delay = min(delay * 2, longest)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            self._url,
            timeout=CONNECT_S,
            command_timeout=ANSWER_S,
            server_settings={"application_name": "engine-projector", "synchronous_commit": "on"},
        )
        try:
            if not self._migrated:
                for name in await migrate(connection):
                    _log.info("migrated", name=name)
                self._migrated = True
            yield connection
        finally:
            connection.terminate()

    async def _hold_up(self, reason: str) -> None:
        """A log that is not the one we archived has forgotten orders that may have been sent."""
        with contextlib.suppress(LogError):
            await self._eventlog.suspend(SUSPENDED_BY + reason)

    async def _let_go(self) -> None:
        with contextlib.suppress(LogError):
            if (await self._eventlog.suspended()).startswith(SUSPENDED_BY):
                await self._eventlog.resume()

    async def _say_halted(self, reason: str) -> None:
        try:
            async with self._connected() as connection:
                await tables.halt(connection, reason)
        except _TRANSIENT as error:
            _log.warning("cannot write down that projecting stopped", error=repr(error))

    async def _pause(self, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), delay_s)

    async def _written(self, position: int, ended: list[str]) -> None:
        """After a commit: what is archived may go from Redis."""
        self._ended += ended
        now = asyncio.get_running_loop().time()
        if self._ended and (len(self._ended) >= EXPIRE_ORDERS or now >= self._expire_at):
            # Seldom: each call is an fsync of the log that some order waits for.
            ended, self._ended = self._ended, []
            self._expire_at = now + EXPIRE_S
            await self._eventlog.expire_heads(ended)
        if position - self._trimmed >= max(1000, self._retain // 10):
            # Never past the checkpoint's own entry: it is what the next session is checked by.
            await self._eventlog.trim(max(1, position - self._retain))
            self._trimmed = position


class Session:
    """From one loaded checkpoint to the next fault."""

    def __init__(
        self,
        log: EventLog,
        connection: asyncpg.Connection,
        stop: asyncio.Event,
        written: Callable[[int, list[str]], Awaitable[None]],
    ) -> None:
        self._log = log
        self._connection = connection
        self._stop = stop
        self._written = written
        self._fold = OrderFold()
        self._parked: set[str] = set()
        self._at = Checkpoint(0, 0, b"", 0, 0, None)
        """Through where the fold is; Postgres may be a step behind."""
        self._verified_at = 0.0
        self._writing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Loads the checkpoint and checks it against the log. Raises Halted."""
        await tables.found(self._connection, self._log.epoch)
        checkpoint = await load_checkpoint(self._connection)
        assert checkpoint is not None, "founded above"
        self._at = checkpoint
        self._parked = await tables.load_parked(self._connection)
        reader = self._log.reader("projector-check")
        try:
            await self._verify(reader)
        finally:
            await reader.close()
        await tables.halt(self._connection, None)
        recent = self._at.position - RECHECK_EVENTS
        await self._written(self._at.position, await tables.ended_since(self._connection, recent))

    async def follow(self) -> None:
        """Projects until the stop or the first fault."""
        reader, checker = self._log.reader("projector"), self._log.reader("projector-check")
        try:
            async with Intake(reader, self._at.position, self._stop) as intake:
                while not self._stop.is_set():
                    # A chunk is folded while the one before it is being written.
                    chunk = await intake.take(IDLE_S)
                    if chunk is None or self._verification_is_due():
                        await self._settled()
                        await self._verify(checker)
                    if chunk is not None:
                        await self._project(chunk)
                    else:
                        await self._written(self._at.position, [])
                    if intake.idle:
                        await self._settled()
                await self._settled()
        except Regressed as error:
            raise Halted(str(error)) from error
        except msgspec.DecodeError as error:
            raise Halted(f"the log cannot be read after {self._at.position}: {error}") from error
        finally:
            if self._writing is not None:
                await asyncio.wait([self._writing], timeout=STOP_S)
                self._writing.cancel()
                await asyncio.gather(self._writing, return_exceptions=True)
            await reader.close()
            await checker.close()

    # -- is it the same log? -------------------------------------------------------------------

    def _verification_is_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._verified_at > VERIFY_S

    async def _verify(self, reader: LogReader) -> None:
        """Raises Foreign unless the log holds what stood there when the checkpoint was written."""
        at = self._at
        if at.epoch != self._log.epoch:
            raise Foreign(f"the log is of epoch {self._log.epoch}, the archive of {at.epoch}")
        head = await self._log.position()
        if head < at.position:
            raise Foreign(f"the log ends at position {head}, the archive at {at.position}")
        if at.position:
            entry = await reader.entry_at(at.position)
            if entry is None:
                raise Foreign(f"the log no longer holds position {at.position}")
            if sha256(entry.data).digest() != at.digest:
                raise Foreign(f"the log differs from the archive at position {at.position}")
        self._verified_at = asyncio.get_running_loop().time()

    # -- one chunk -----------------------------------------------------------------------------

    async def _project(self, chunk: Chunk) -> None:
        assert chunk.first == self._at.position + 1, "the log was read with a gap"
        before = self._at
        try:
            step = await self._folded(chunk)
        except _REFUSED as error:
            _log.error("a chunk cannot be encoded", first=chunk.first, error=str(error))
            await self._settled()
            await self._isolate(chunk, before)
            raise Moved from error
        await self._settled()
        self._writing = asyncio.create_task(self._write(chunk, step))

    async def _settled(self) -> None:
        """Waits for the transaction under way. Raises what it raised."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        try:
            await writing
        except _Refused as refused:
            _log.error("postgres refuses a chunk", first=refused.chunk.first, error=str(refused))
            await self._isolate(refused.chunk, refused.before)
            raise Moved from refused  # what was folded since is void

    async def _write(self, chunk: Chunk, step: Step) -> None:
        try:
            await tables.write(self._connection, step)
        except _REFUSED as error:
            raise _Refused(chunk, step.before, str(error)) from error
        self._fold.drop(step.changes.ended)
        await self._written(chunk.last, step.changes.ended)

    async def _isolate(self, chunk: Chunk, before: Checkpoint) -> None:
        """Writes a refused chunk in ever smaller parts, until the one event to park is alone."""
        self._fold.clear()
        self._at = before
        self._parked = await tables.load_parked(self._connection)
        try:
            await tables.write(self._connection, await self._folded(chunk))
            return
        except _REFUSED as error:
            reason = str(error)
        if len(chunk.events) > 1:
            for part in chunk.halves():
                await self._isolate(part, self._at if part.first > chunk.first else before)
            return
        self._fold.clear()
        self._at = before
        try:
            await tables.write(self._connection, await self._folded(chunk, refused=reason))
        except _REFUSED as error:
            raise Halted(f"Postgres refuses position {chunk.first}: {error}") from error

    async def _folded(self, chunk: Chunk, *, refused: str = "") -> Step:
        """The chunk as rows. `refused` says why its one event is not to be folded."""
        read = [_read(stored.record.body, refused) for stored in chunk.events]
        await self._load([event for event in read if isinstance(event, Event)])
        rows: list[tuple[Any, ...]] = []
        parked: list[Parked] = []
        for number, (stored, event) in enumerate(zip(chunk.events, read, strict=True)):
            if number % YIELD_EVENTS == 0:
                await asyncio.sleep(0)
            position, time_us, record = stored
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
        return Step(before, self._at, rows, self._fold.take(), parked)

    async def _load(self, events: Sequence[Event]) -> None:
        absent = self._fold.absent(events) - self._parked
        if not absent:
            return
        await self._settled()  # else the table may be older than what was dropped
        for folded in await tables.load_orders(self._connection, sorted(absent)):
            self._fold.hold(folded)

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


class Unreadable(NamedTuple):
    """As much of an event as can be known."""

    order_id: str
    version: int
    name: str
    reason: str


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    order_id: str
    version: int


_envelope = msgspec.msgpack.Decoder(_Envelope)


def _read(body: msgspec.Raw, refused: str) -> Event | Unreadable:
    try:
        event = types.decode(body)
        return _unreadable(event.order_id, event.version, event.name, refused) if refused else event
    except msgspec.DecodeError as error:
        reason = f"cannot be read: {error}"
    try:
        known = _envelope.decode(body)
        return _unreadable(known.order_id, known.version, "Unknown", reason)
    except msgspec.DecodeError:
        return Unreadable(NO_ORDER, 0, "Unknown", reason)


def _unreadable(order_id: str, version: int, name: str, reason: str) -> Unreadable:
    version = version if 0 <= version < 2**31 else 0
    return Unreadable(parse_order_id(order_id) or NO_ORDER, version, name, reason)
