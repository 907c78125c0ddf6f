"""Drives one stage: reads its inbox, renews its leases, and moves due orders to the inbox.

Knows policy, not Redis. `stages/runtime/pipeline.py` works on what was read.
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
from events.telemetry.outages import LOG
from events.telemetry.server_clock import CLOCK
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime.fusion import Fused
from stages.runtime.in_flight import InFlight
from stages.runtime.load import FAULT_WAIT_S
from stages.runtime.pipeline import GROUP_MAX, process
from stages.runtime.retry import RetryPolicy
from stages.runtime.stage import Stage
from stages.runtime.work import Context

IN_HAND_MAX = 2000
ENTRIES_MAX = 16
"""Inbox entries that one read takes, at most."""
BUSY_ENTRIES = 3
LINGER_S = 0.008
"""After a read of BUSY_ENTRIES, the next read waits so long: more orders then share its round trips
and its fsync. An order that comes alone does not wait."""
BLOCK_MS = 1000
DUE_POLL_S = 0.5
CLOCK_S = 1.0
"""How often the log server's clock is asked."""
STOP_S = 1.0
"""How long a stop waits for the orders that are worked on."""
LEAVE_S = 1.0
"""How long it then waits for putting the others back."""

_log = structlog.get_logger()


def group_entries(messages: Sequence[InboxMessage]) -> list[list[InboxMessage]]:
    """Groups entries to at most GROUP_MAX orders, so that small entries share a round trip."""
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
    """The stages whose facts are appended with those of this one; none: its own only."""

    def __post_init__(self) -> None:
        self._inbox = self.log.inbox(self.stage.name, self.consumer, lease_ms=self.lease_ms)
        self._in_flight = InFlight(self.stage.name, self._inbox)
        self._context = Context(
            self.stage, self.log, self.retry, self.limits, self._in_flight, self.ahead
        )
        permits = self._context.permits
        self._in_hand_max = IN_HAND_MAX if permits is None else min(IN_HAND_MAX, 2 * permits.limit)

    # -- life ----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`, then puts unfinished orders back. Raises Fenced or LogTruncated."""
        self._in_flight.failure = asyncio.get_running_loop().create_future()
        loops = [
            asyncio.create_task(loop, name=f"{self.stage.name}-{name}")
            for name, loop in (
                ("deliver", self._deliver()),
                ("due", self._promote_delayed()),
                ("renew", self._renew()),
                ("clock", self._read_clock()),
            )
        ]
        stopping = asyncio.create_task(stop.wait())
        until: list[asyncio.Future[Any]] = [*loops, stopping, self._in_flight.failure]
        try:
            await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop([stopping, *loops])
        for ended in (self._in_flight.failure, *loops):
            if ended.done() and not ended.cancelled():
                if isinstance(ended.exception(), Fenced):
                    _log.error(
                        "consumer_fenced", stage=self.stage.name, error=str(ended.exception())
                    )
                ended.result()

    async def _stop(self, loops: Sequence[asyncio.Task[Any]]) -> None:
        """Waits STOP_S for the orders that are worked on, and puts the others back."""
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + STOP_S
        # In a loop: a group that ends may leave new tasks, for answers that come later.
        while self._in_flight.tasks and (left_s := give_up_at - loop.time()) > 0:
            await asyncio.wait(self._in_flight.tasks, timeout=left_s)
        for task in self._in_flight.tasks:
            task.cancel()
        await asyncio.gather(*self._in_flight.tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(self._inbox.deregister(), LEAVE_S)
        except (LogError, TimeoutError) as error:
            _log.warning("inbox_not_returned", error=str(error))
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
                    self._in_flight.room.clear()
                    await self._in_flight.room.wait()
                # One group after the other: entries that arrive meanwhile share the next read.
                # Venues, permits and waits are awaited in tasks of their own.
                messages = await self._inbox.take(ENTRIES_MAX, block_ms=BLOCK_MS)
                LOG.over()
                for group in group_entries(messages):
                    deliveries = [message.delivery(0) for message in group]
                    await asyncio.shield(
                        self._in_flight.spawn(process(group, self._context), deliveries)
                    )
                    await self._alone_with(group)
                if len(messages) >= BUSY_ENTRIES:
                    await asyncio.sleep(LINGER_S)
            except (Fenced, LogTruncated):
                raise
            except LogError as error:
                LOG.failed(error)
                await asyncio.sleep(FAULT_WAIT_S)

    async def _alone_with(self, group: Sequence[InboxMessage]) -> None:
        """Reads nothing while it works on a suspect, which may end the process."""
        suspects = [message for message in group if message.deliveries >= SUSPECT_DELIVERY_COUNT]
        while any(self._inbox.holds(message) for message in suspects):
            self._in_flight.room.clear()
            await self._in_flight.room.wait()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease_ms / 4000)
            try:
                for entry in await self._inbox.renew():
                    _log.warning("lease_lost", stage=self.stage.name, entry=entry.decode())
                self._in_flight.room.set()
            except LogError as error:
                LOG.failed(error)

    async def _read_clock(self) -> None:
        while True:
            with suppress(LogError):
                await self.log.read_clock()
            CLOCK.report()
            await asyncio.sleep(CLOCK_S)

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
            self._in_flight.due_sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._in_flight.due_sooner.wait()
