"""One connection to the server, and what can go wrong on it.

redis-py's clients retry by themselves (which once wrote an entry twice) and pool connections (which
hides whether a command was sent). A link is one redis-py connection, one command at a time, no
retry: its errors say whether the command may have been carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import hiredis
from redis.asyncio.connection import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

CONNECT_TIMEOUT_S = 2.0

# Error codes of a server that is there but does not execute: nothing was written.
_NOT_NOW = ("LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MISCONF")


class LogError(Exception):
    """Base of the log's own errors."""


class Unavailable(LogError):
    """The server cannot be reached or does not execute now; nothing was written."""


class Unanswered(LogError):
    """The command was sent and no answer came: it may have been carried out."""


class Full(LogError):
    """The server has no memory left for new orders; nothing was written."""


class Fenced(LogError):
    """The log is of another epoch or layout than this process was started for."""


class Regressed(LogError):
    """The log is behind, or differs from, what was already read from it."""


class Missing(LogError):
    """There is no log on the server: it is new, or it has lost everything."""


def _as_log_error(error: ResponseError) -> Exception:
    text = str(error)
    code = text.partition(" ")[0]
    if code in _NOT_NOW:
        return Unavailable(text)
    if code == "OOM":
        return Full(text)
    if code == "FENCED":
        return Fenced(text)
    if code == "REGRESSED":
        return Regressed(text)
    if code == "MISSING":
        return Missing(text)
    return error


def _hung_up(connection: Connection) -> bool:
    """Whether the server closed the connection while it was idle."""
    reader = connection._reader
    return reader is not None and (reader.at_eof() or reader.exception() is not None)


class Link:
    """A lazily made connection; callers take turns."""

    def __init__(self, url: str, name: str = "engine") -> None:
        # The pool is used for what it knows about URLs only: it makes connections, keeps none.
        # socket_timeout=None: with one set, Python < 3.12 can lose a cancellation
        # (DESIGN trap 1); every call has its own asyncio.timeout instead.
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            client_name=name,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self.connects = 0
        """How often a connection was made: a reader compares it to notice a reconnect."""

    def _make(self) -> Connection:
        made = self._pool.make_connection()  # type: ignore[no-untyped-call]  # untyped in redis-py
        return cast(Connection, made)

    async def _connected(self, timeout_s: float) -> Connection:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._make()
        if _hung_up(connection):
            # Known before anything is sent: so this is Unavailable, not Unanswered.
            await connection.disconnect(nowait=True)
        if not connection.is_connected:
            try:
                async with asyncio.timeout(min(CONNECT_TIMEOUT_S, timeout_s)):
                    await connection.connect()  # type: ignore[no-untyped-call]  # untyped in redis-py
            except (RedisError, OSError, TimeoutError) as error:
                await connection.disconnect(nowait=True)
                raise Unavailable(f"log server: {error}") from error
            self.connects += 1
        return connection

    async def call(self, *command: bytes | str | int, timeout_s: float = 5.0) -> Any:
        """Runs one command and returns the raw RESP2 answer.

        Raises Unavailable, Unanswered, Full, Fenced, Regressed, or redis ResponseError.
        """
        return (await self.pipeline([command], timeout_s=timeout_s))[0]

    async def pipeline(
        self, commands: Sequence[Sequence[bytes | str | int]], *, timeout_s: float = 5.0
    ) -> list[Any]:
        """Runs commands in one write; raises the first error after reading all answers."""
        async with self._turn:
            connection = await self._connected(timeout_s)
            packed = b"".join(hiredis.pack_command(cast(Any, tuple(c))) for c in commands)
            answers: list[Any] = []
            failure: Exception | None = None
            try:
                async with asyncio.timeout(timeout_s):
                    await connection.send_packed_command([packed], check_health=False)
                    for _ in commands:
                        try:
                            answers.append(await connection.read_response())
                        except ResponseError as error:
                            failure = failure or _as_log_error(error)
            except (RedisError, OSError, TimeoutError) as error:
                await connection.disconnect(nowait=True)
                raise Unanswered(f"log server: {error!r}") from error
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
        if failure is not None:
            raise failure
        return answers

    async def close(self) -> None:
        """Closes the connection; a later call opens it again."""
        if self._connection is not None:
            await self._connection.disconnect(nowait=True)
