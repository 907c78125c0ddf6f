"""Drives one stage: keeps its inbox read, its leases renewed and its waiting orders handed over.

Knows policy, not Redis. What is done with a group of orders is in `stages/runtime/worker.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from events.log import SUSPECT_DELIVERIES, Entry, EventLog, Fenced, LogError, Regressed, Share
from stages.runtime.fusion import Ahead
from stages.runtime.limiter import Limits
from stages.runtime.retry import RetryPolicy
from stages.runtime.stage import Stage
from stages.runtime.worker import GROUP_MAX, Worker
from stages.runtime.writer import FAULT_WAIT_S

IN_HAND_MAX = 2000
ENTRIES_MAX = 16
"""Inbox entries a read takes at most: under load they are full, else they are few."""
BUSY_ENTRIES = 3
LINGER_S = 0.008
"""After a read of so many entries, others follow: a moment later they are read in one bite, and
three round trips and an fsync are shared by more orders. Alone, an order waits for nobody."""
BLOCK_MS = 1000
DUE_POLL_S = 0.5
STOP_S = 1.0
"""How long a stop waits for the orders in hand."""
LEAVE_S = 1.0
"""How long it waits then for putting the rest back."""

_log = structlog.get_logger()


def bites(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries put together to groups of about GROUP_MAX orders: small ones share a round trip."""
    groups: list[list[Entry]] = []
    size = GROUP_MAX
    for entry in entries:
        if size + len(entry.order_ids) > GROUP_MAX:
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += len(entry.order_ids)
    return groups


@dataclass
class Runner:
    """One consumer of one stage."""

    stage: Stage
    log: EventLog
    consumer: str
    retry: RetryPolicy
    lease_ms: int
    limits: Limits
    ahead: Ahead = field(default_factory=dict)
    """The stages that this one runs ahead through, up to the send; none: it says its own only."""

    def __post_init__(self) -> None:
        self._inbox = self.log.inbox(self.stage.name, self.consumer, lease_ms=self.lease_ms)
        self._tasks: set[asyncio.Task[None]] = set()
        self._due_sooner = asyncio.Event()
        self._room = asyncio.Event()
        self._failure: asyncio.Future[None] | None = None
        self._worker = Worker(self.stage, self.log, self.retry, self.limits, self, self.ahead)
        limit = self.limits.concurrency
        self._in_hand_max = 2 * limit if self._worker.one_by_one else IN_HAND_MAX

    # -- life ----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`, then puts back what is unfinished. Raises Fenced or Regressed."""
        self._failure = asyncio.get_running_loop().create_future()
        loops = [
            asyncio.create_task(loop, name=f"{self.stage.name}-{name}")
            for name, loop in (
                ("deliver", self._deliver()),
                ("due", self._hand_over_due()),
                ("renew", self._renew()),
            )
        ]
        stopping = asyncio.create_task(stop.wait())
        until: list[asyncio.Future[Any]] = [*loops, stopping, self._failure]
        try:
            await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop([stopping, *loops])
        for ended in (self._failure, *loops):
            if ended.done() and not ended.cancelled():
                ended.result()

    async def _stop(self, loops: Sequence[asyncio.Task[Any]]) -> None:
        """Takes nothing new, lets what is in hand end if it is quick, puts the rest back."""
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + STOP_S
        # Again and again: a group that ends leaves what takes its time to tasks of their own.
        while self._tasks and (left_s := give_up_at - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(self._inbox.leave(), LEAVE_S)
        except (LogError, TimeoutError) as error:
            _log.warning("left without putting back", error=str(error))
        await self._inbox.close()

    # -- what the worker asks of us --------------------------------------------------------------

    def spawn(
        self, work: Coroutine[Any, Any, None], shares: Sequence[Share] = ()
    ) -> asyncio.Task[None]:
        """Runs work in a task of its own; the entries of `shares` are in its hands."""
        task = asyncio.create_task(self._guarded(work, shares))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step has not begun the work: end that quietly.
        task.add_done_callback(lambda _: work.close())
        return task

    def settled(self, shares: Sequence[Share]) -> None:
        """These need no lease any more."""
        self._inbox.settled(shares)
        self._room.set()

    def waiting(self) -> None:
        """Something of ours went to the due-set."""
        self._due_sooner.set()

    async def split(self, entry: Entry) -> None:
        """Puts each order of an entry back on its own."""
        await self._inbox.split(entry)

    async def _guarded(self, work: Coroutine[Any, Any, None], shares: Sequence[Share]) -> None:
        """Only a changed log ends the process; a bug that got this far costs a lease."""
        try:
            await work
        except (Fenced, Regressed) as error:
            if self._failure is not None and not self._failure.done():
                self._failure.set_exception(error)
        except Exception:
            # Not renewed from here on, so somebody (we too) is given it again, and counts.
            _log.exception("work lost its way", stage=self.stage.name)
            self._inbox.abandon(shares)
            self._room.set()

    # -- the loops -----------------------------------------------------------------------------

    async def _deliver(self) -> None:
        opened = False
        while True:
            try:
                if not opened:
                    await self._inbox.open()
                    opened = True
                while self._inbox.held_orders >= self._in_hand_max:
                    self._room.clear()
                    await self._room.wait()
                # One group after the other: what arrives meanwhile is read in one bite. Whatever
                # takes its time (venues, permits, waits) goes on in tasks of its own.
                entries = await self._inbox.take(ENTRIES_MAX, block_ms=BLOCK_MS)
                for group in bites(entries):
                    shares = [entry.share(0) for entry in group]
                    await asyncio.shield(self.spawn(self._worker.take(group), shares))
                    await self._alone_with(group)
                if len(entries) >= BUSY_ENTRIES:
                    await asyncio.sleep(LINGER_S)
            except (Fenced, Regressed):
                raise
            except LogError as error:
                _log.warning("log not available", stage=self.stage.name, error=str(error))
                await asyncio.sleep(FAULT_WAIT_S)

    async def _alone_with(self, group: Sequence[Entry]) -> None:
        """Takes nothing else while it holds a suspect: what that kills is then only its own."""
        suspects = [entry for entry in group if entry.deliveries >= SUSPECT_DELIVERIES]
        while any(self._inbox.holds(entry) for entry in suspects):
            self._room.clear()
            await self._room.wait()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease_ms / 4000)
            try:
                for entry in await self._inbox.renew():
                    _log.warning("lease lost", stage=self.stage.name, entry=entry.decode())
                self._room.set()
            except LogError as error:
                _log.warning("leases not renewed", stage=self.stage.name, error=str(error))

    async def _hand_over_due(self) -> None:
        while True:
            wait_s = DUE_POLL_S
            try:
                moved, next_ms = await self._inbox.due()
                if moved:
                    continue
                if next_ms is not None:
                    wait_s = min(wait_s, max(next_ms, 1) / 1000)
            except LogError:
                wait_s = FAULT_WAIT_S
            self._due_sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._due_sooner.wait()
