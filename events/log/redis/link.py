"""One connection to the Redis server, and its errors.

redis-py's clients retry by themselves (which once wrote an entry twice) and pool connections (which
hides whether a command was sent). Here a call uses one connection, one write at a time and no
retry: its errors tell whether the command may have been executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import hiredis
from redis.asyncio.connection import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import InvalidResponse, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from events.log.redis.names import safe_name
from events.log.redis.refusals import UNANSWERED_TEXTS, UNSENT_TEXTS, is_permanent
from events.secret import SecretUrl
from events.telemetry.error_text import error_text

CONNECT_TIMEOUT_S = 2.0
# redis-py parses its own metadata for the version of each connection: a millisecond of CPU time.
_DRIVER = DriverInfo()

# Error codes of a server that answers but does not execute: nothing was written.
_NOT_NOW = (
    "LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MISCONF", "NOREPLICAS",
)  # fmt: skip
# The same of a server that no retry changes.
_NEVER = ("NOPERM", "NOAUTH", "WRONGPASS", "DENIED")


class LogError(Exception):
    """Base of the log's own errors."""


class Unavailable(LogError):
    """The server cannot be reached or does not execute now; nothing was written."""


class Rejected(Unavailable):
    """The server does not serve this client, and will not until a person changes its settings or
    ours: a login, a permission, a command or a database that it does not have.
    """


class OutcomeUnknown(LogError):
    """The command was sent and not answered: it may have been executed."""


class Full(LogError):
    """The server has no memory left for new orders; nothing was written."""


class Fenced(LogError):
    """The log has another epoch or layout than the one that this process opened."""


class LogTruncated(LogError):
    """The log ends before, or differs from, what was already read from it."""

    def __init__(self, detail: str, *, resume_after: int = 0) -> None:
        super().__init__(detail)
        self.resume_after = resume_after
        """The position after which the log continues; 0: not known."""


class Missing(LogError):
    """The server holds no log: it is new, or has lost its data."""


class Damaged(LogTruncated):
    """The log holds bytes that no build of the engine wrote."""


class TailTaken(LogError):
    """Foreign entries occupy the id of the next entry; nothing was written."""


def meta_number(value: bytes | None, what: str) -> int:
    """A field of `meta`; 0 where it is missing. Raises Damaged where it is not a number."""
    try:
        return int(value or 0)
    except ValueError:
        raise Damaged(f"the log's {what} is damaged: {value!r}") from None


def meta_text(value: bytes | None, what: str) -> str:
    """A field of `meta`; empty where it is missing. Raises Damaged where it is not UTF-8."""
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        raise Damaged(f"the log's {what} is damaged: {value!r}") from None


class Unsuitable(RuntimeError):
    """The server has wrong settings, or the log another layout: an operator has to act."""


class ClusterMismatch(LogError):
    """The orders of the log trade on another chain: they may be executed there already and would
    be executed again here.
    """


def other_chain(what: str, theirs: str) -> str:
    """The message for a log or an archive of another chain than the settings name."""
    return (
        f"the orders of this {what} trade on {theirs!r}, not on what VENUES and POOLS name:"
        " another chain needs a DATA_DIR (or servers) of its own"
    )


_BY_CODE: dict[str, type[LogError]] = (
    {
        "UNBLOCKED": OutcomeUnknown,  # demoted while a call waited, perhaps one behind a write
        "OOM": Full,
        "FENCED": Fenced,
        "REGRESSED": LogTruncated,
        "MISSING": Missing,
        "TAIL": TailTaken,
    }
    | dict.fromkeys(_NOT_NOW, Unavailable)
    | dict.fromkeys(_NEVER, Rejected)
)


def _as_log_error(error: ResponseError) -> Exception:
    text = str(error)
    code = text.partition(" ")[0]
    if code == "CHAIN":
        return ClusterMismatch(other_chain("log", text.partition(" ")[2]))
    if code in _BY_CODE:
        return _BY_CODE[code](text)
    low = text.lower()
    if any(part in low for part in UNSENT_TEXTS):
        return Unavailable(text)
    if any(part in low for part in UNANSWERED_TEXTS):
        return OutcomeUnknown(text)
    return error


class _Wire(asyncio.Protocol):
    """Parses the replies of one connection.

    redis-py opens the connection (URL, TLS, login) and is not used after that. Its reader takes
    140 µs a command, this one 50, and a single order waits for a dozen commands.
    """

    def __init__(self) -> None:
        self.lost = False
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=ResponseError)
        self._answers: list[Any] = []
        self._expected = 0
        self._waiter: asyncio.Future[list[Any]] | None = None

    def expect(self, answers: int) -> asyncio.Future[list[Any]]:
        """The replies to the next commands that are written. Raises OSError or RedisError."""
        self._waiter = asyncio.get_running_loop().create_future()
        self._expected = answers
        return self._waiter

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                self._answers.append(answer)
        except InvalidResponse as error:
            self._fail(error)
            return
        waiter = self._waiter
        if waiter is not None and not waiter.done() and len(self._answers) >= self._expected:
            waiter.set_result(self._answers)
            self._answers = []

    def eof_received(self) -> None:
        """Part of asyncio.Protocol; returning nothing closes the transport."""
        self._fail(ConnectionResetError("closed by the server"))

    def connection_lost(self, error: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self._fail(error or ConnectionResetError("closed"))

    def _fail(self, error: Exception) -> None:
        self.lost = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


class Server(NamedTuple):
    """The server at the other end of a connection."""

    connects: int
    """Number of the connection: commands sent `on` it are sent on no other."""
    run_id: str
    """Differs after each start and on each replica; empty where it is not known."""


class RedisConnection:
    """A connection that is opened at the first call; calls run one after another."""

    def __init__(self, url: SecretUrl | str, name: str = "engine") -> None:
        # The pool only parses the URL and creates connections; it keeps none.
        # socket_timeout=None: with one set, Python < 3.12 can lose a cancellation
        # while it waits for a reply; every call has its own asyncio.timeout instead.
        self._pool = ConnectionPool.from_url(
            SecretUrl.of(url).reveal(),
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            driver_info=_DRIVER,
            client_name=safe_name(name, default="engine"),
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self._connection: Connection | None = None
        self._transport: asyncio.Transport | None = None
        self._wire = _Wire()
        self._turn = asyncio.Lock()
        self._server: Server | None = None
        self.connects = 0
        """How often it connected: a reader compares it to detect a reconnect."""

    def _make(self) -> Connection:
        connection = self._pool.make_connection()  # type: ignore[no-untyped-call]  # untyped in redis-py
        return cast(Connection, connection)

    async def _connected(self, timeout_s: float) -> asyncio.Transport:
        # A connection that the server closed is detected before anything is sent: its failure is
        # Unavailable, not OutcomeUnknown.
        if self._transport is not None and not self._wire.lost:
            return self._transport
        await self._disconnect()
        self._connection = connection = self._make()
        try:
            async with asyncio.timeout(min(CONNECT_TIMEOUT_S, timeout_s)):
                await connection.connect()  # type: ignore[no-untyped-call]  # untyped in redis-py
        except BaseException as error:
            await self._disconnect()
            if isinstance(error, (RedisError, OSError, TimeoutError)):
                kind = Rejected if is_permanent(error) else Unavailable
                raise kind(f"log server: {str(error) or type(error).__name__}") from error
            raise
        writer = connection._writer
        assert writer is not None, "connect() has returned"
        self._wire = _Wire()
        self._transport = cast(asyncio.Transport, writer.transport)
        self._transport.set_protocol(self._wire)
        self.connects += 1
        return self._transport

    async def _disconnect(self) -> None:
        connection, self._connection, self._transport = self._connection, None, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def call(self, *command: bytes | str | int, timeout_s: float = 5.0) -> Any:
        """Runs one command and returns the raw RESP2 reply.

        Raises Unavailable, OutcomeUnknown, Full, Fenced, LogTruncated, or redis ResponseError.
        """
        return (await self.pipeline([command], timeout_s=timeout_s))[0]

    async def server(self, *, timeout_s: float = 5.0) -> Server:
        """The connected server; connects first where there is no connection. Raises as `call`."""
        known = self._server
        if known is None or known.connects != self.connects or self._wire.lost:
            try:
                info = (await self.call("INFO", "server", timeout_s=timeout_s)).decode()
            except ResponseError:  # INFO is not allowed on some managed servers
                info = ""
            lines = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
            known = self._server = Server(self.connects, lines.get("run_id", ""))
        return known

    async def pipeline(
        self,
        commands: Sequence[Sequence[bytes | str | int]],
        *,
        timeout_s: float = 5.0,
        on: Server | None = None,
    ) -> list[Any]:
        """Runs commands in one write; raises the first error after reading all replies.

        Raises Unavailable, and sends nothing, where the connection `on` was closed meanwhile.
        """
        async with self._turn:
            transport = await self._connected(timeout_s)
            if on is not None and on.connects != self.connects:
                raise Unavailable("log server: the connection was made again")
            packed = b"".join(hiredis.pack_command(cast(Any, tuple(c))) for c in commands)
            answered = self._wire.expect(len(commands))
            transport.write(packed)
            timer = asyncio.get_running_loop().call_later(timeout_s, _time_out, answered)
            try:
                answers = await answered
            except (RedisError, OSError) as error:  # TimeoutError is an OSError
                await self._disconnect()
                raise OutcomeUnknown(f"log server: {error_text(error)}") from error
            except BaseException:
                await self._disconnect()
                raise
            finally:
                timer.cancel()
        for number, answer in enumerate(answers):
            if isinstance(answer, ResponseError):
                fault = _as_log_error(answer)
                if number and isinstance(fault, Unavailable):  # earlier commands were executed
                    raise OutcomeUnknown(str(fault))
                raise fault
        return answers

    async def close(self) -> None:
        """Closes the connection; a later call opens it again."""
        await self._disconnect()


def _time_out(answered: asyncio.Future[list[Any]]) -> None:
    if not answered.done():
        answered.set_exception(TimeoutError("no answer in time"))
