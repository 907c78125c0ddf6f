"""Group commit: appends of concurrent callers are written by one call.

A unit is (order, expected head, new events, new head, settled inbox share) and is written as a
whole or not at all. Units that arrive during a call wait for the next one, so batches grow with
load. New orders wait longer while the inboxes of the stages are long (back-pressure).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from redis.exceptions import ResponseError

from events.ids import ID_LENGTH
from events.log.append_call import encode_units, fixed_keys, layout_constants
from events.log.append_request import AppendRequest, AppendResult, AppendStatus
from events.log.head import PARKED, POSITIONS_KEPT, PREFIX_LENGTH, RESTING
from events.log.outcome_counters import tally
from events.log.redis.keys import GROUP, LAYOUT, Keys
from events.log.redis.library import RedisFunctions
from events.log.redis.link import (
    Fenced,
    LogError,
    OutcomeUnknown,
    RedisConnection,
    Rejected,
    TailTaken,
    Unavailable,
)
from events.log.redis.refusals import is_of_function, is_permanent
from events.metrics import APPEND, APPEND_FAILURES, WRITES
from events.order.wait_reasons import SHARE

UNITS_PER_CALL = 500
BYTES_PER_CALL = 1_000_000
BACKLOG_ENTRIES = 32
"""Unsettled inbox entries (of up to 128 orders) from which calls are delayed."""
BACKLOG_PAUSE_S = 0.1
"""The longest delay of a call, reached at twice as many entries."""
BUSY_CALLERS = 4
"""Callers in one call that indicate load: lingering then makes the next call larger."""

assert UNITS_PER_CALL < 2**16, "the number of an inbox entry in a call has two bytes"

_APPEND = APPEND.of()


def append_library() -> RedisFunctions:
    """The log's function library, with the constants that it shares with this package."""
    constants: dict[str, str | int] = {
        "GROUP": GROUP,
        "ID_LENGTH": ID_LENGTH,
        "PREFIX_LENGTH": PREFIX_LENGTH,
        "PARKED": PARKED,
        "RESTING": RESTING,
        "POSITIONS_KEPT": POSITIONS_KEPT,
        "REASON_SHARE": SHARE,
        **layout_constants(),
    }
    return RedisFunctions("events.log.redis", "functions.lua", constants)


class _Pending(msgspec.Struct, frozen=True, gc=False):
    units: Sequence[AppendRequest]
    done: asyncio.Future[list[AppendResult]]
    give_up_at: float | None


class Committer:
    """Group commit over one connection; one call at a time."""

    def __init__(
        self,
        link: RedisConnection,
        library: RedisFunctions,
        keys: Keys,
        *,
        inbox_orders: int,
        window_ms: int,
        linger_s: float,
    ) -> None:
        self._link = link
        self._library = library
        self._keys = keys
        self._fixed_keys = fixed_keys(keys)
        self._inbox_orders = inbox_orders
        self._window_ms = window_ms
        self._linger_s = linger_s
        self._backlog = 0
        self._queue: deque[_Pending] = deque()
        self._busy: asyncio.Task[None] | None = None
        self.epoch = b""
        self.clear_tail: Callable[[], Awaitable[None]] | None = None
        """Sets aside foreign entries that block the next append."""
        self.after_append: tuple[bytes | str | int, ...] | None = None
        """WAITAOF, where the server does not fsync every write itself."""

    def append(
        self, requests: Sequence[AppendRequest], *, timeout_s: float | None = None
    ) -> asyncio.Future[list[AppendResult]]:
        """The result of each unit, in order.

        Without a timeout it retries until the outcome is known. With one, it raises Unavailable
        (not written) or OutcomeUnknown (may be written) at most 0.3 s after the timeout.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[AppendResult]] = loop.create_future()
        if not requests:
            done.set_result([])
            return done
        give_up_at = None if timeout_s is None else loop.time() + timeout_s
        self._queue.append(_Pending(requests, done, give_up_at))
        if self._busy is None:
            self._busy = loop.create_task(self._drain(), name="group-commit")
        return done

    async def _drain(self) -> None:
        try:
            while self._queue:
                batch = self._take()
                if batch:
                    await self._commit(batch)
                if self._linger_s:
                    await asyncio.sleep(self._pause_s(len(batch)))
        finally:
            self._busy = None
            for pending in self._queue:
                pending.done.cancel()
            self._queue.clear()

    def _pause_s(self, callers: int) -> float:
        """How long units gather before the next call: longer, the more orders are unfinished.

        Orders that are accepted faster than they are finished only queue: finishing has priority.
        """
        behind = min(1.0, max(0, self._backlog - BACKLOG_ENTRIES) / BACKLOG_ENTRIES)
        # Back-pressure: new orders wait while the inboxes are long.
        return max(self._linger_s if callers >= BUSY_CALLERS else 0.0, behind * BACKLOG_PAUSE_S)

    def _take(self) -> list[_Pending]:
        batch: list[_Pending] = []
        units = size = 0
        now = asyncio.get_running_loop().time()
        while self._queue:
            pending = self._queue[0]
            if pending.give_up_at is not None and pending.give_up_at <= now:
                self._queue.popleft()
                if not pending.done.done():
                    pending.done.set_exception(Unavailable("log server: no answer to others"))
                continue
            bytes_ = sum(len(request.records) for request in pending.units)
            full = units + len(pending.units) > UNITS_PER_CALL or size + bytes_ > BYTES_PER_CALL
            if batch and full:
                break
            self._queue.popleft()
            if pending.done.cancelled():
                continue
            batch.append(pending)
            units += len(pending.units)
            size += bytes_
        return batch

    async def _commit(self, batch: list[_Pending]) -> None:
        loop = asyncio.get_running_loop()
        delay_s = 0.01
        unanswered = False
        while batch:
            deadlines = [p.give_up_at for p in batch if p.give_up_at is not None]
            timeout_s = max(0.05, min(deadlines) - loop.time()) if deadlines else 5.0
            try:
                requests = [u for p in batch for u in p.units]
                began = time.perf_counter()
                answers = await self._written(requests, timeout_s)
                _APPEND.observe(time.perf_counter() - began)
                tally(requests, answers)
            except (Unavailable, OutcomeUnknown) as error:
                APPEND_FAILURES.add()
                unanswered = unanswered or isinstance(error, OutcomeUnknown)
                batch = self._give_up(batch, error, unanswered)
                if batch:
                    await asyncio.sleep(min(delay_s, timeout_s))
                    delay_s = min(delay_s * 2, 0.5)
            except Exception as error:  # handed to the callers, who wait for it
                if isinstance(error, Fenced):
                    WRITES.add("fenced", len(requests))
                # After an unanswered call, the error of a later one does not tell its outcome.
                told = OutcomeUnknown(str(error)) if unanswered else error
                for pending in batch:
                    if not pending.done.done():
                        pending.done.set_exception(error if pending.give_up_at is None else told)
                return
            else:
                at = 0
                for pending in batch:
                    if not pending.done.done():
                        pending.done.set_result(answers[at : at + len(pending.units)])
                    at += len(pending.units)
                return

    @staticmethod
    def _give_up(batch: list[_Pending], error: LogError, unanswered: bool) -> list[_Pending]:
        """Fails callers whose timeout is over; the others are retried with the same bytes."""
        now = asyncio.get_running_loop().time()
        left = []
        for pending in batch:
            if pending.give_up_at is None or pending.give_up_at > now:
                left.append(pending)
            elif not pending.done.done():
                # After an unanswered call, the error of a later one does not tell its outcome.
                lost = OutcomeUnknown(str(error)) if unanswered else Unavailable(str(error))
                pending.done.set_exception(lost)
        return left

    async def _written(
        self, requests: Sequence[AppendRequest], timeout_s: float
    ) -> list[AppendResult]:
        try:
            return await self._call(requests, timeout_s)
        except TailTaken as error:  # nothing was written
            if self.clear_tail is None:
                raise
            try:
                async with asyncio.timeout(timeout_s):
                    await self.clear_tail()
            except (LogError, TimeoutError) as fault:
                raise Unavailable(f"{error}: {fault}") from fault
        return await self._call(requests, timeout_s)

    async def _call(
        self, requests: Sequence[AppendRequest], timeout_s: float
    ) -> list[AppendResult]:
        call = encode_units(requests, self._keys)
        server = await self._link.server(timeout_s=timeout_s)
        header = call.header(
            self.epoch,
            LAYOUT,
            server.run_id,
            inbox_orders=self._inbox_orders,
            window_ms=self._window_ms,
        )
        # On the same connection: WAITAOF covers only the writes of its own client.
        then = [self.after_append] if self.after_append else []
        try:
            answer = await self._library.call(
                self._link,
                "accept" if call.creates else "append",
                [*self._fixed_keys, *call.keys],
                *header,
                *call.arguments,
                timeout_s=timeout_s,
                on=server,
                then=then,
            )
        except ResponseError as error:
            if is_of_function(error):
                raise
            if is_permanent(error):
                raise Rejected(f"log server: {error}") from error
            # Such as an unknown reply of a proxy, which may have come after the write.
            raise OutcomeUnknown(f"log server: {error}") from error
        if then:
            answer, synced = answer
            if synced[0] < 1:
                raise OutcomeUnknown("log server: the write was not fsynced in time")
        self._backlog = int(answer[1])
        return [_appended(result) for result in answer[2:]]

    async def close(self) -> None:
        """Waits for the call in progress and for all queued units."""
        if self._busy is not None:
            await asyncio.wait([self._busy])


def _appended(result: int | bytes) -> AppendResult:
    if isinstance(result, int):
        created = result >= 0
        return AppendResult(AppendStatus.CREATED if created else AppendStatus.EXISTS, abs(result))
    if result.startswith(b"="):
        return AppendResult(AppendStatus.DUPLICATE, duplicate_of=result[1:])
    if result.startswith(b"+"):
        return AppendResult(AppendStatus.AMBIGUOUS, duplicate_of=result[1:])
    return AppendResult(AppendStatus(result.decode()))
