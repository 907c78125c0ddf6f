"""Saying what was decided: append, hand on, let wait, park. Knows what an order's log can answer.

Nothing here decides anything but how to go on when the log refuses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from events.log import (
    Appended,
    Entry,
    EventLog,
    Fenced,
    Head,
    LogError,
    Regressed,
    Result,
    Share,
    Unit,
    head_of,
    settle_only,
)
from events.order import AT_ONCE, Order, may_still_land
from events.order.hash_chain import Said
from events.types import Fact, OrderFailed, OrderParked
from stages.runtime.quarantine import is_intact, park_unreadable
from stages.runtime.retry import after_expiry

FAULT_WAIT_S = 0.2
WRITTEN = (Result.CREATED, Result.EXISTS)
STOPPED = (Result.SUSPENDED, Result.HALTED)
UNVERIFIED = "the projector has not compared this log with the archive since its server started"
SUSPENDED_WAIT_MS = 1000
"""Between two tries to send while the log is suspended or halted."""

_log = structlog.get_logger()

Named = tuple[str, Share]
"""An order and the inbox share that its settling settles."""


class Work(msgspec.Struct, frozen=True, gc=False):
    """One order in hand."""

    share: Share
    order_id: str
    head: Head
    order: Order

    @property
    def named(self) -> dict[str, Any]:
        """What a line of the log says of it: which order, and its newest event."""
        return about(self.order_id, self.head)


def about(order_id: str, head: Head) -> dict[str, Any]:
    """See `Work.named`. A head that we wrote a moment ago does not know its position."""
    where = {"position": head.positions[-1]} if head.positions else {}
    return {"order_id": order_id, **where}


class Saying(msgspec.Struct, frozen=True, gc=False):
    """What to append about an order, and the ms after which the next stage sees it."""

    work: Work
    said: Said
    wait_ms: int = 0


class Written(NamedTuple):
    """What became of sayings."""

    done: list[Saying]
    """In the log."""
    again: list[Named]
    """Somebody else was there first: to be looked at again."""


class Desk(Protocol):
    """Whose hands the work is in: the runner."""

    def spawn(
        self, work: Coroutine[Any, Any, None], shares: Sequence[Share] = ()
    ) -> asyncio.Task[None]:
        """Runs work in a task of its own."""
        ...

    def settled(self, shares: Sequence[Share]) -> None:
        """These need no lease any more."""
        ...

    def waiting(self) -> None:
        """Something went to the due-set."""
        ...

    async def split(self, entry: Entry) -> None:
        """Puts each order of an entry back on its own."""
        ...


@dataclass
class Scribe:
    """Writes for one stage."""

    stage: str
    log: EventLog
    desk: Desk

    def saying(self, work: Work, facts: Sequence[Fact], wait_ms: int = 0) -> Saying:
        """Facts to append. Raises where they cannot be encoded: a venue's absurd number, a bug."""
        return Saying(work, self.log.say(work.head, work.order, facts), wait_ms)

    async def append(self, said: Sequence[Saying]) -> Written:
        """Says the facts, settles the shares and hands the orders on, each or not at all."""
        written = Written([], [])
        if not said:
            return written
        results = await self.log.append([self._unit(saying) for saying in said])
        suspended: list[tuple[Work, int]] = []
        for saying, appended in zip(said, results, strict=True):
            work = saying.work
            if appended.result in WRITTEN:
                written.done.append(saying)
            elif appended.result in STOPPED and work.order.time_in_force in AT_ONCE:
                failed = OrderFailed(self.stage, appended.result.value, work.order.attempts + 1)
                written.again.extend(await self._instead(work, failed))
            elif appended.result in (*STOPPED, Result.UNVERIFIED):
                suspended.append((work, SUSPENDED_WAIT_MS))
            elif appended.result is Result.LATE:
                # The send was refused: its time was over on the server's clock.
                written.again.extend(
                    await self._instead(work, after_expiry(work.order, self.stage))
                )
            else:
                _log.info("fenced", stage=self.stage, **work.named)
                written.again.append((work.order_id, work.share))
        if any(appended.result is Result.UNVERIFIED for appended in results):
            _log.warning("nothing is sent: see /readyz", stage=self.stage, reason=UNVERIFIED)
        self.desk.settled([saying.work.share for saying in written.done])
        if any(saying.wait_ms for saying in written.done):
            self.desk.waiting()
        await self.wait(suspended)
        return written

    def _unit(self, saying: Saying) -> Unit:
        """An order that has no place in its head any more (a bug) is parked, it alone."""
        work = saying.work
        try:
            return self.log.unit_of(
                work.head, work.order, saying.said, share=work.share, wait_ms=saying.wait_ms
            )
        except Exception as error:
            _log.exception("order parked", stage=self.stage, **work.named)
            parked = OrderParked(self.stage, f"{type(error).__name__}: {error}"[:500], "engine")
            return self.log.unit(work.head, work.order, [parked], share=work.share)[0]

    async def _instead(self, work: Work, fact: Fact) -> list[Named]:
        """Says something else of an order whose send was refused."""
        unit, _ = self.log.unit(work.head, work.order, [fact], share=work.share)
        [appended] = await self.log.append([unit])
        if appended.result is Result.CONFLICT:
            return [(work.order_id, work.share)]
        self.desk.settled([work.share])
        return []

    async def begin(self, work: Work, begin: Fact) -> Work | None:
        """Says a first fact and keeps the order in hand; None where somebody was there first."""
        unit, order = self.log.unit(work.head, work.order, [begin], wake=False)
        [appended] = await self.log.append([unit])
        if appended.result not in WRITTEN:
            return None
        return replace(work, head=head_of(unit.new), order=order)

    async def settle(self, named: Sequence[Named]) -> None:
        """Nothing to say about these."""
        await self._settle([settle_only(order_id, share) for order_id, share in named])

    async def wait(self, waits: Sequence[tuple[Work, int]]) -> None:
        """Moves orders to the due-set for so many ms, none further than to its expiry."""
        if not waits:
            return
        now_us = time.time_ns() // 1000
        units = []
        for work, ms in waits:
            expires = work.order.expires_at_us
            bound = ms
            if expires is not None and not may_still_land(work.order):
                bound = min(ms, max(1, (expires - now_us) // 1000 + 1))
            units.append(settle_only(work.order_id, work.share, wait_ms=bound))
        await self._settle(units)
        self.desk.waiting()

    async def park_unreadable(
        self, order_id: str, head: Head, share: Share, error: Exception
    ) -> None:
        """Parks an order of which only the fixed part of its head can be read, or none of it."""
        if not await is_intact(self.log, order_id, head):
            await self.set_aside([order_id])
            await self.settle([(order_id, share)])
            return
        _log.error("order parked", stage=self.stage, error=str(error), **about(order_id, head))
        await self._settle(
            [await park_unreadable(self.log, self.stage, order_id, head, share, error)]
        )

    async def set_aside(self, order_ids: Sequence[str]) -> None:
        """Lists orders as parked that are open and have no head, or a damaged one: nothing can be
        said of them before a repair. Others go on.
        """
        found: list[str] = []

        async def listed() -> None:
            found[:] = await self.log.open_among(order_ids)
            await self.log.set_aside(found)

        await self.persist(listed)
        for order_id in found:
            _log.error("head damaged", stage=self.stage, order_id=order_id, mend="engine repair")

    async def _settle(self, units: Sequence[Unit]) -> list[Appended]:
        answers = await self.log.append(units)
        self.desk.settled([unit.share for unit in units if unit.share is not None])
        return answers

    async def persist(self, act: Callable[[], Awaitable[object]]) -> None:
        """Repeats an idempotent act until the log answers: its outage costs no attempt."""
        while True:
            try:
                await act()
                return
            except (Fenced, Regressed):
                raise
            except LogError as error:
                _log.warning("log not available", stage=self.stage, error=str(error))
                await asyncio.sleep(FAULT_WAIT_S)
