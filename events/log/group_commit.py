"""Appending: callers bring one order at a time, the log writes what gathers as one batch.

A unit is (order, expected head, new events, new head, settled inbox share): all or none of it.
While a call is under way the next units gather, so batches grow by themselves under load.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

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
    TailTaken,
    Unavailable,
)
from events.metrics import APPEND, APPEND_FAILURES, WRITES

UNITS_PER_CALL = 500
BYTES_PER_CALL = 1_000_000
BACKLOG_ENTRIES = 32
"""Inbox entries (of up to 128 orders) that stages have before them when acceptance slows down;"""
BACKLOG_PAUSE_S = 0.1
"""… by so much a call at most, at twice as many."""
BUSY_CALLERS = 4
"""So many in one call mean load: there, lingering lets the next call carry more."""

assert UNITS_PER_CALL < 2**16, "the number of an inbox entry in a call has two bytes"

_APPEND = APPEND.of()


def append_library() -> RedisFunctions:
    """The functions of the log, with the constants that they share with this package."""
    constants: dict[str, str | int] = {
        "GROUP": GROUP,
        "ID_LENGTH": ID_LENGTH,
        "PREFIX_LENGTH": PREFIX_LENGTH,
        "PARKED": PARKED,
        "RESTING": RESTING,
        "POSITIONS_KEPT": POSITIONS_KEPT,
        **layout_constants(),
    }
    return RedisFunctions("events.log.redis", "functions.lua", constants)


class _Pending(msgspec.Struct, frozen=True, gc=False):
    units: Sequence[AppendRequest]
    done: asyncio.Future[list[AppendResult]]
    give_up_at: float | None


class Committer:
    """Group commit over one link; one call under way at a time."""

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
        """Makes room where entries that the log did not write stand in the way of the next."""
        self.after_append: tuple[bytes | str | int, ...] | None = None
        """WAITAOF, where the server does not fsync by itself."""

    def append(
        self, requests: Sequence[AppendRequest], *, timeout_s: float | None = None
    ) -> asyncio.Future[list[AppendResult]]:
        """One answer a unit, in order.

        Without a timeout it keeps trying until the outcome is known. With one, it fails with
        Unavailable (not written) or Unanswered (may be written) within 0.3 s of the time's end.
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
        """How long new orders gather before the next call: the longer, the more are unfinished.

        What is accepted faster than it is finished only lies around, cold: finishing goes first.
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
                # Once a call went unanswered, a refusal of the next says nothing about it.
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
        """Fails those whose time is over; the rest is tried again, with the same bytes."""
        now = asyncio.get_running_loop().time()
        left = []
        for pending in batch:
            if pending.give_up_at is None or pending.give_up_at > now:
                left.append(pending)
            elif not pending.done.done():
                # Once a call went unanswered, a later refusal says nothing about the first.
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
        # On one connection, or WAITAOF would answer for a client that has written nothing.
        then = [self.after_append] if self.after_append else []
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
        if then:
            answer, synced = answer
            if synced[0] < 1:
                raise OutcomeUnknown("log server: the write was not fsynced in time")
        self._backlog = int(answer[1])
        return [_appended(result) for result in answer[2:]]

    async def close(self) -> None:
        """Waits for the call under way; what still gathers is written too."""
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
