"""Drives one stage: keeps its inbox read, its leases renewed and its waiting orders handed over.

Knows policy, not Redis. What is done with a delivery is in `stages/runtime/pipeline.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from events.log import (
    SUSPECT_DELIVERY_COUNT,
    EventLog,
    Fenced,
    InboxMessage,
    LogError,
    LogTruncated,
)
from stages.runtime.fusion import Fused
from stages.runtime.in_flight import Hands
from stages.runtime.limiter import RateAndConcurrencyLimiter
from stages.runtime.load import FAULT_WAIT_S
from stages.runtime.pipeline import GROUP_MAX, process
from stages.runtime.retry import RetryPolicy
from stages.runtime.stage import Stage
from stages.runtime.work import Context

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


def group_entries(messages: Sequence[InboxMessage]) -> list[list[InboxMessage]]:
    """Entries put together to groups of about GROUP_MAX orders: small ones share a round trip."""
    groups: list[list[InboxMessage]] = []
    size = GROUP_MAX
    for message in messages:
        if size + len(message.order_ids) > GROUP_MAX:
            groups.append([])
            size = 0
        groups[-1].append(message)
        size += len(message.order_ids)
    return groups


@dataclass
class Runner:
    """One consumer of one stage."""

    stage: Stage
    log: EventLog
    consumer: str
    retry: RetryPolicy
    lease_ms: int
    limits: RateAndConcurrencyLimiter
    ahead: Fused = field(default_factory=dict)
    """The stages whose facts join those of this one, up to the send; none: its own only."""

    def __post_init__(self) -> None:
        self._inbox = self.log.inbox(self.stage.name, self.consumer, lease_ms=self.lease_ms)
        self._hands = Hands(self.stage.name, self._inbox)
        self._context = Context(
            self.stage, self.log, self.retry, self.limits, self._hands, self.ahead
        )
        limit = self.limits.concurrency
        self._in_hand_max = 2 * limit if self._context.one_by_one else IN_HAND_MAX

    # -- life ----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`, then puts back what is unfinished. Raises Fenced or Regressed."""
        self._hands.failure = asyncio.get_running_loop().create_future()
        loops = [
            asyncio.create_task(loop, name=f"{self.stage.name}-{name}")
            for name, loop in (
                ("deliver", self._deliver()),
                ("due", self._promote_delayed()),
                ("renew", self._renew()),
            )
        ]
        stopping = asyncio.create_task(stop.wait())
        until: list[asyncio.Future[Any]] = [*loops, stopping, self._hands.failure]
        try:
            await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop([stopping, *loops])
        for ended in (self._hands.failure, *loops):
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
        while self._hands.tasks and (left_s := give_up_at - loop.time()) > 0:
            await asyncio.wait(self._hands.tasks, timeout=left_s)
        for task in self._hands.tasks:
            task.cancel()
        await asyncio.gather(*self._hands.tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(self._inbox.deregister(), LEAVE_S)
        except (LogError, TimeoutError) as error:
            _log.warning("left without putting back", error=str(error))
        await self._inbox.close()

    # -- the loops -----------------------------------------------------------------------------

    async def _deliver(self) -> None:
        opened = False
        while True:
            try:
                if not opened:
                    await self._inbox.open()
                    opened = True
                while self._inbox.held_orders >= self._in_hand_max:
                    self._hands.room.clear()
                    await self._hands.room.wait()
                # One group after the other: what arrives meanwhile is read in one bite. Whatever
                # takes its time (venues, permits, waits) goes on in tasks of its own.
                messages = await self._inbox.take(ENTRIES_MAX, block_ms=BLOCK_MS)
                for group in group_entries(messages):
                    deliveries = [message.delivery(0) for message in group]
                    await asyncio.shield(
                        self._hands.spawn(process(group, self._context), deliveries)
                    )
                    await self._alone_with(group)
                if len(messages) >= BUSY_ENTRIES:
                    await asyncio.sleep(LINGER_S)
            except (Fenced, LogTruncated):
                raise
            except LogError as error:
                _log.warning("log not available", stage=self.stage.name, error=str(error))
                await asyncio.sleep(FAULT_WAIT_S)

    async def _alone_with(self, group: Sequence[InboxMessage]) -> None:
        """Takes nothing else while it holds a suspect: what that kills is then only its own."""
        suspects = [message for message in group if message.deliveries >= SUSPECT_DELIVERY_COUNT]
        while any(self._inbox.holds(message) for message in suspects):
            self._hands.room.clear()
            await self._hands.room.wait()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease_ms / 4000)
            try:
                for entry in await self._inbox.renew():
                    _log.warning("lease lost", stage=self.stage.name, entry=entry.decode())
                self._hands.room.set()
            except LogError as error:
                _log.warning("leases not renewed", stage=self.stage.name, error=str(error))

    async def _promote_delayed(self) -> None:
        while True:
            wait_s = DUE_POLL_S
            try:
                moved, next_ms = await self._inbox.promote_due()
                if moved:
                    continue
                if next_ms is not None:
                    wait_s = min(wait_s, max(next_ms, 1) / 1000)
            except LogError:
                wait_s = FAULT_WAIT_S
            self._hands.due_sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._hands.due_sooner.wait()
