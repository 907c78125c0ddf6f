"""The archive: the long-term log and the projected orders in Postgres. The one door to reading it.

Every call may raise `ArchiveUnavailable`, within about a second when Postgres is gone: nothing on
the path of an order waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, NamedTuple, Self

import asyncpg
import msgspec

from events import listing
from events import order as orders
from events.chain import Record
from events.listing import BadCursor, Filters
from events.log.reading import Stored
from events.order import Order
from events.types import Event

ANSWER_S = 1.0
"""Bound of a call on behalf of a client."""

PAGE_S = 30.0
"""Bound of one page of a long read; nobody waits for it but an operator."""

PAGE_EVENTS = 2000
"""Events a page of a long read. Half a megabyte: Postgres is done with the next page, and has put
much of it into the socket, while this one is folded."""

NO_ORDER = "00000000-0000-0000-0000-000000000000"
"""Stands for the order of an event that cannot be read."""

PROJECTOR = "projector"
"""The checkpoint's name."""

_EVENTS = "SELECT position, time_us, hash, body FROM events "

# Joined by Postgres, a page is one value: asyncpg spends 2 µs on a row, msgspec 0.6 on an event.
_PAGE = """
SELECT string_agg(int8send(position), ''::bytea), string_agg(int8send(time_us), ''::bytea),
       string_agg(hash, ''::bytea), string_agg(body, ''::bytea)
FROM (SELECT position, time_us, hash, body FROM events
      WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3) AS page
"""


class ArchiveUnavailable(Exception):
    """Postgres cannot be reached, does not answer in time, or is not migrated yet."""


class Checkpoint(NamedTuple):
    """How far the projector is."""

    epoch: int
    position: int
    digest: bytes
    """SHA-256 of the log entry that holds `position`."""
    time_us: int
    """When the event there was written, by the log server's clock."""
    generation: int
    """Raised by each rebuild of the tables."""
    halted: str | None
    """Why the projector stopped, where it did."""


class OrderRow(NamedTuple):
    """An order as projected."""

    id: str
    version: int
    hash: bytes
    positions: tuple[int, ...]
    state: bytes
    columns: dict[str, Any]
    """All columns, as SQL shows them."""


class Page(NamedTuple):
    """Events in order, not decoded yet."""

    positions: tuple[int, ...]
    times: tuple[int, ...]
    hashes: bytes
    """All hashes, joined."""
    bodies: bytes
    """The msgpack array of all events."""

    def events(self) -> list[Event]:
        """The events. Raises `msgspec.DecodeError` where one of them cannot be read."""
        return _events.decode(self.bodies)

    def hash(self, at: int) -> bytes:
        """The hash of the `at`th event."""
        return self.hashes[32 * at : 32 * at + 32]

    def stored(self) -> list[Stored]:
        """The events with their exact bytes. Raises `msgspec.DecodeError` for what is no array."""
        records = map(Record, map(self.hash, range(len(self.positions))), _raws.decode(self.bodies))
        return [Stored(*row) for row in zip(self.positions, self.times, records, strict=True)]

    def until_time(self, time_us: int) -> Page:
        """Itself, where nothing is later than that, else what comes before the first later one."""
        for number, written_us in enumerate(self.times):
            if written_us > time_us:
                return Page.of(self.stored()[:number])
        return self

    @staticmethod
    def of(events: Sequence[Stored]) -> Page:
        """A page of these events."""
        return Page(
            tuple(e.position for e in events),
            tuple(e.time_us for e in events),
            b"".join(e.record.hash for e in events),
            array(len(events)) + b"".join(bytes(e.record.body) for e in events),
        )


def array(size: int) -> bytes:
    """The header of a msgpack array."""
    return b"\xdd" + size.to_bytes(4)


_events = msgspec.msgpack.Decoder(list[Event])
_raws = msgspec.msgpack.Decoder(list[msgspec.Raw])

_DOWN = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what an idle connection raises that was told that Postgres died
    asyncpg.PostgresConnectionError,
)
_NOT_NOW = (
    asyncpg.OperatorInterventionError,  # shutting down, starting up, query cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # the projector has not migrated yet
)


class Snapshot:
    """Postgres at one moment, whatever is written meanwhile: for proofs."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def checkpoint(self) -> Checkpoint | None:
        """The projector's checkpoint."""
        return await load_checkpoint(self._connection)

    async def events(self, after: int, until: int = 2**63 - 1) -> AsyncIterator[list[Stored]]:
        """All events after a position, with the exact bytes of each, whatever they are."""
        query = _EVENTS + "WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"
        while rows := await self._fetch(query, after, until, PAGE_EVENTS):
            yield [_stored(row) for row in rows]
            after = rows[-1]["position"]

    async def orders(self) -> AsyncIterator[list[OrderRow]]:
        """All projected orders, by id."""
        after = NO_ORDER
        query = "SELECT * FROM orders WHERE id > $1 ORDER BY id LIMIT $2"
        while rows := await self._fetch(query, after, PAGE_EVENTS):
            yield [_order_row(row) for row in rows]
            after = str(rows[-1]["id"])

    async def at(self, positions: Sequence[int]) -> list[Stored]:
        """The events at these positions, in order."""
        query = _EVENTS + "WHERE position = ANY($1::bigint[]) ORDER BY position"
        return [_stored(row) for row in await self._fetch(query, positions)]

    async def unfolded(self) -> int:
        """How many orders have events that could not be folded."""
        return int((await self._fetch("SELECT count(*) FROM projection_parked"))[0][0])

    async def _fetch(self, query: str, *values: Any) -> list[Any]:
        found: list[Any] = await self._connection.fetch(query, *values, timeout=PAGE_S)
        return found


class Archive:
    """A pool of connections, made when needed: opening it never fails."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, connections: int = 4) -> Self:
        """An archive that connects at the first call."""
        return cls(
            await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=connections,
                timeout=ANSWER_S,
                server_settings={"application_name": "engine-archive", "jit": "off"},
            )
        )

    async def close(self) -> None:
        """Closes all connections, at once where Postgres does not answer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._pool.close()
        except (*_DOWN, asyncpg.PostgresError):
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(
        self, timeout_s: float | None = ANSWER_S
    ) -> AsyncIterator[asyncpg.Connection]:
        """A connection for the length of a block, which ends after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s), self._pool.acquire(timeout=ANSWER_S) as found:
                yield found
        except (*_DOWN, *_NOT_NOW) as error:
            raise ArchiveUnavailable(f"Postgres: {str(error) or type(error).__name__}") from error

    # -- events --------------------------------------------------------------------------------

    async def read(self, after: int, limit: int) -> list[Stored]:
        """Up to `limit` events that follow a position, in order."""
        query = _EVENTS + "WHERE position > $1 ORDER BY position LIMIT $2"
        async with self.connection() as connection:
            return [_stored(row) for row in await connection.fetch(query, after, limit)]

    async def history(self, order_id: str) -> list[Stored]:
        """All archived events of an order, in order; empty for an unknown one."""
        query = "SELECT position, time_us, hash, body FROM order_events($1)"
        async with self.connection() as connection:
            return [_stored(row) for row in await connection.fetch(query, order_id)]

    async def pages(
        self, after: int, until: int = 2**63 - 1, *, events: int = PAGE_EVENTS
    ) -> AsyncGenerator[Page]:
        """All events after one position up to another, in big pages, the next being fetched."""
        async with (
            self.connection(None) as connection,
            contextlib.aclosing(read_pages(connection, after, until, events=events)) as pages,
        ):
            async for page in pages:
                yield page

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """One moment of Postgres, for as long as the block takes."""
        async with (
            self.connection(None) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Snapshot(connection)

    # -- orders --------------------------------------------------------------------------------

    async def order(self, order_id: str) -> Order | None:
        """The order as projected."""
        return (await self.orders([order_id])).get(order_id)

    async def orders(self, order_ids: Sequence[str]) -> dict[str, Order]:
        """Those of the orders that are projected."""
        query = "SELECT id, state FROM orders WHERE id = ANY($1::uuid[])"
        async with self.connection() as connection:
            rows = await connection.fetch(query, order_ids)
        return {str(row["id"]): orders.decode(row["state"]) for row in rows}

    async def find(
        self, filters: Filters, *, limit: int, cursor: str | None = None
    ) -> tuple[list[Order], str | None]:
        """Orders, newest first, and the cursor of the next page, None at the end.

        A page may be short, or even empty, before the end: a search for something rare stops
        after half a second and goes on from its cursor. Raises BadCursor.
        """
        before = listing.decode_cursor(cursor) if cursor else None
        async with self.connection() as connection:
            found, following = await listing.find(connection.fetch, filters, limit, before)
        return [orders.decode(state) for state in found], following

    # -- how far -------------------------------------------------------------------------------

    async def checkpoint(self) -> Checkpoint | None:
        """The projector's checkpoint, None before it ran for the first time."""
        async with self.connection() as connection:
            return await load_checkpoint(connection)

    async def position(self) -> int:
        """The newest archived position."""
        checkpoint = await self.checkpoint()
        return checkpoint.position if checkpoint else 0

    async def regression(self) -> str | None:
        """Why the projector refuses to go on, None while it does not."""
        checkpoint = await self.checkpoint()
        return checkpoint.halted if checkpoint else None


async def load_checkpoint(connection: asyncpg.Connection) -> Checkpoint | None:
    """The projector's checkpoint as this connection sees it."""
    row = await connection.fetchrow(
        "SELECT epoch, position, digest, time_us, generation, halted FROM checkpoints"
        " WHERE name = $1",
        PROJECTOR,
    )
    return Checkpoint(*row) if row else None


async def read_pages(
    connection: asyncpg.Connection, after: int, until: int, *, events: int = PAGE_EVENTS
) -> AsyncGenerator[Page]:
    """The events in (after, until] as this connection sees them, the next page being fetched."""
    following = _fetch(connection, after, until, events)
    try:
        while row := (await following)[0]:
            if row[0] is None:
                return
            positions = struct.unpack(f">{len(row[0]) // 8}q", row[0])
            following = _fetch(connection, positions[-1], until, events)
            await asyncio.sleep(0)  # sends the query: Postgres works while the caller folds
            times = struct.unpack(f">{len(positions)}q", row[1])
            yield Page(positions, times, row[2], array(len(positions)) + row[3])
    finally:
        following.cancel()
        await asyncio.wait([following])


def _fetch(
    connection: asyncpg.Connection, after: int, until: int, events: int
) -> asyncio.Task[list[Any]]:
    query = connection.fetch(_PAGE, after, until, events, timeout=PAGE_S)
    return asyncio.get_running_loop().create_task(query)


def _stored(row: Any) -> Stored:
    return Stored(row[0], row[1], Record(row[2], msgspec.Raw(row[3])))


def _order_row(row: Any) -> OrderRow:
    columns = dict(row)
    return OrderRow(
        str(row["id"]),
        row["version"],
        row["hash"],
        tuple(row["positions"]),
        row["state"],
        columns,
    )


__all__ = [
    "Archive",
    "ArchiveUnavailable",
    "BadCursor",
    "Checkpoint",
    "Filters",
    "OrderRow",
    "Page",
    "Snapshot",
    "load_checkpoint",
    "read_pages",
]
