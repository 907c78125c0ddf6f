"""The archive over a pool of connections; each call has a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Self

import asyncpg

from events import streams
from events.archive import listing
from events.archive.connect import connect
from events.archive.listing import Filters
from events.archive.loss_table import load_losses
from events.archive.losses import Losses
from events.archive.page import Page
from events.archive.reader import (
    EVENTS,
    PAGE_EVENTS,
    PROJECTOR,
    Checkpoint,
    load_checkpoint,
    read_pages,
    stored,
)
from events.archive.snapshot import Snapshot
from events.log import Stored
from events.order import Order
from events.secret import SecretUrl

ANSWER_S = 1.0
"""The time limit of a call on behalf of a client."""

_DOWN = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # an idle connection after Postgres was terminated
    asyncpg.PostgresError,  # whatever the server refuses: this archive cannot be read now
)
_REJECTED = (
    asyncpg.InvalidAuthorizationSpecificationError,  # with it: a wrong password
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    asyncpg.UndefinedObjectError,  # a parameter of the session that the server does not have,
    asyncpg.InvalidParameterValueError,  # a value of one,
    asyncpg.PostgresSyntaxError,  # or `options`
)
_SHARED = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
"""A pooler gave the transactions of one session to several."""


class ArchiveUnavailable(Exception):
    """Postgres cannot be reached, does not answer in time, refuses, or is not migrated yet."""


class ArchiveRejected(ArchiveUnavailable):
    """Postgres refuses the connection until a person changes its settings or ours."""


def _is_rejection(error: Exception) -> bool:
    """Whether no retry changes this. Pure."""
    # PgBouncer has one code for all its errors, also for "no more connections allowed".
    if isinstance(error, asyncpg.ProtocolViolationError):
        return "startup parameter" in str(error)
    return isinstance(error, (*_REJECTED, *_SHARED))


def _unavailable(error: Exception) -> ArchiveUnavailable:
    kind = ArchiveRejected if _is_rejection(error) else ArchiveUnavailable
    text = str(error).partition("\n")[0]
    if isinstance(error, _SHARED):
        text += "; a pooler in transaction mode cannot be used: set pool_mode=session"
    return kind(f"Postgres: {text or type(error).__name__}")


class Archive:
    """A pool of connections, opened on demand: opening the pool never fails."""

    def __init__(self, pool: asyncpg.Pool, url: SecretUrl) -> None:
        self._pool = pool
        self.url = url

    @classmethod
    async def open(cls, url: SecretUrl | str, *, connections: int = 4) -> Self:
        """An archive that connects at the first call."""
        secret_url = SecretUrl.of(url)
        pool = await asyncpg.create_pool(
            secret_url.reveal(),
            min_size=0,
            max_size=connections,
            timeout=ANSWER_S,
            connect=functools.partial(connect, wished={"jit": "off"}),
            server_settings={"application_name": "engine-archive"},
        )
        return cls(pool, secret_url)

    async def close(self) -> None:
        """Closes all connections, forcibly where Postgres does not answer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._pool.close()
        except _DOWN:
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(
        self, timeout_s: float | None = ANSWER_S
    ) -> AsyncIterator[asyncpg.Connection]:
        """A connection for a block, which is cancelled after `timeout_s`."""
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._pool.acquire(timeout=ANSWER_S) as connection,
            ):
                yield connection
        except _DOWN as error:
            raise _unavailable(error) from error

    # -- events --------------------------------------------------------------------------------

    async def read(self, after: int, limit: int) -> list[Stored]:
        """Up to `limit` events that follow a position, in order."""
        query = EVENTS + "WHERE position > $1 ORDER BY position LIMIT $2"
        async with self.connection() as connection:
            return [stored(row) for row in await connection.fetch(query, after, limit)]

    async def losses(self) -> Losses:
        """All accepted losses."""
        async with self.connection() as connection:
            return await load_losses(connection)

    async def history(self, order_id: str) -> list[Stored]:
        """All archived events of an order, in order; empty for an unknown one."""
        query = "SELECT position, time_us, hash, body FROM order_events($1)"
        async with self.connection() as connection:
            return [stored(row) for row in await connection.fetch(query, order_id)]

    async def pages(
        self,
        after: int,
        until: int = 2**63 - 1,
        *,
        events: int = PAGE_EVENTS,
        without: Sequence[int] = (),
    ) -> AsyncGenerator[Page]:
        """All events in (after, until], in large pages, the next one prefetched; without the events
        at the positions `without`.
        """
        async with (
            self.connection(None) as connection,
            contextlib.aclosing(
                read_pages(connection, after, until, events=events, without=without)
            ) as pages,
        ):
            async for page in pages:
                yield page

    @contextlib.asynccontextmanager
    async def alone(self, number: int) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """Takes an advisory lock for a block, where it is free. The yielded function tells whether
        the lock is held; call it again later, since the connection may be lost.
        """
        try:
            connection = await self._pool.acquire(timeout=ANSWER_S)
        except _DOWN as error:
            raise _unavailable(error) from error

        async def held() -> bool:
            # Locking again is harmless: this connection holds the lock already.
            query = "SELECT pg_try_advisory_lock($1)"
            try:
                return bool(await connection.fetchval(query, number, timeout=ANSWER_S))
            except _DOWN:
                return False

        try:  # errors of the block are not converted
            yield held
        finally:
            with contextlib.suppress(*_DOWN):
                await self._pool.release(connection)  # which releases its locks

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """A consistent snapshot of Postgres for a block."""
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
        """The projected ones of these orders, by id."""
        query = "SELECT id, state FROM orders WHERE id = ANY($1::uuid[])"
        async with self.connection() as connection:
            rows = await connection.fetch(query, order_ids)
        return {str(row["id"]): streams.decode_order(row["state"]) for row in rows}

    async def signed(self, signature: str) -> list[str]:
        """The orders whose newest transaction is this one. A full scan: for rare queries."""
        query = "SELECT id FROM orders WHERE signature = $1"
        async with self.connection(None) as connection:
            return [str(row["id"]) for row in await connection.fetch(query, signature)]

    async def find(
        self, filters: Filters, *, limit: int, cursor: str | None = None
    ) -> tuple[list[Order], str | None]:
        """Orders, as sorted by the filters, and the cursor of the next page, None at the end.

        A page may be short, or even empty, before the end: a search with few hits stops after half
        a second and continues at its cursor. Raises BadCursor.
        """
        after = listing.decode_cursor(cursor) if cursor else None
        async with self.connection() as connection:
            rows, following = await listing.find(connection.fetch, filters, limit, after)
        return [streams.decode_order(state) for state in rows], following

    # -- progress ------------------------------------------------------------------------------

    async def checkpoint(self) -> Checkpoint | None:
        """The projector's checkpoint; None before its first run."""
        async with self.connection() as connection:
            return await load_checkpoint(connection)

    async def chain(self) -> str:
        """The chain on which the archived orders trade; empty while it is not known."""
        query = "SELECT to_jsonb(c) ->> 'chain' FROM checkpoints c WHERE name = $1"
        async with self.connection() as connection:  # the column may be younger than the database
            return await connection.fetchval(query, PROJECTOR) or ""

    async def position(self) -> int:
        """The newest archived position."""
        checkpoint = await self.checkpoint()
        return checkpoint.position if checkpoint else 0

    async def regression(self) -> str | None:
        """Why the projector has halted; None while it runs."""
        checkpoint = await self.checkpoint()
        return checkpoint.halted if checkpoint else None
