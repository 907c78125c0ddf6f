"""What is done with orders that were delivered: load, ask, decide, append.

The unit of work is a group of orders: what a read of the inbox brought, or one order where a permit
is needed or a venue takes its time. Groups are independent; a slow order holds up nobody.

What an order owes follows from its head, never from the entry that woke us: after a redelivery or a
conflict the head is loaded again, and what this stage does not owe is settled without a word.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from events.log import (
    STAGE_NUMBER,
    Entry,
    EventLog,
    Fenced,
    Head,
    LogError,
    Regressed,
    Result,
    Share,
    settle_only,
)
from events.log.head import head_of
from events.order import Order, may_still_land
from events.types import Fact, OrderParked
from stages.limiter import Limits
from stages.parking import park_unreadable
from stages.retry import RetryPolicy, after_expiry, after_refusal
from stages.stage import Answer, NotYet, Refused, Stage

SHORT_WAIT_MS = 50
"""Waits up to this long stay in memory, under the lease; longer ones go to the due-set."""
DELIVERIES_MAX = 5
"""So often an entry may be delivered without being settled, then it is taken for a killer."""
GROUP_MAX = 256
"""Orders that are loaded, asked about and appended together."""
FAULT_WAIT_S = 0.2
SUSPENDED_WAIT_MS = 1000
"""Between two tries to send while the log is suspended."""

_log = structlog.get_logger()


class Work(NamedTuple):
    """One order in hand."""

    share: Share
    order_id: str
    head: Head
    order: Order


class Answered(NamedTuple):
    """An order and what the venue said about it."""

    work: Work
    answer: Answer


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
class Worker:
    """Works on groups of orders of one stage."""

    stage: Stage
    log: EventLog
    retry: RetryPolicy
    limits: Limits
    desk: Desk

    def __post_init__(self) -> None:
        self._number = STAGE_NUMBER[self.stage.name]
        self.one_by_one = self.stage.needs_permit and self.limits.concurrency > 0

    async def take(self, entries: Sequence[Entry]) -> None:
        """Works on what was delivered, until it is appended or goes on by itself."""
        named: list[tuple[str, Share]] = []
        for entry in entries:
            shares = [
                (order_id, entry.share(place)) for place, order_id in enumerate(entry.order_ids)
            ]
            if entry.deliveries < DELIVERIES_MAX:
                named += shares
            elif len(shares) == 1:
                await self._look(shares, killer=True)
            else:
                _log.warning("entry keeps losing its worker", orders=len(shares))
                await self._persist(lambda entry=entry: self.desk.split(entry))  # type: ignore[misc]  # mypy cannot type a bound loop variable
        if named:
            await self._look(named)

    async def _look(self, named: Sequence[tuple[str, Share]], *, killer: bool = False) -> None:
        """Loads heads, settles what is not owed, works on the rest."""
        heads: list[Head | None] = []

        async def load() -> None:
            heads[:] = await self.log.load([order_id for order_id, _ in named])

        await self._persist(load)
        ready: list[Work] = []
        settled: list[tuple[str, Share]] = []
        for (order_id, share), head in zip(named, heads, strict=True):
            if head is None or head.owes != self._number:
                settled.append((order_id, share))
                continue
            try:
                work = Work(share, order_id, head, head.order)
            except msgspec.DecodeError as error:
                await self._park_unreadable(order_id, head, share, error)
                continue
            if killer:
                await self._park(work, "its worker died on it again and again")
            else:
                ready.append(work)
        if settled:
            await self.log.append([settle_only(*one) for one in settled])
            self.desk.settled([share for _, share in settled])
        if self.one_by_one:
            for work in ready:
                self.desk.spawn(self._work([work]), [work.share])
        elif ready:
            await self._work(ready)

    async def _work(self, group: list[Work]) -> None:
        group = await self._still_wanted(group)
        if self.stage.paced:
            group = await self._paced(group)
        if not group:
            return
        if not self.one_by_one:
            await self._ask(group)
            return
        async with self.limits.permit():
            await self._ask(group)

    async def _still_wanted(self, group: list[Work]) -> list[Work]:
        """Ends what expired and lets wait what is not due yet."""
        now_us = time.time_ns() // 1000
        wanted: list[Work] = []
        expired: list[tuple[Work, list[Fact], int]] = []
        early: list[tuple[Work, int]] = []
        for work in group:
            order = work.order
            expires = order.expires_at_us
            if may_still_land(order):
                wanted.append(work)
            elif expires is not None and now_us >= expires:
                expired.append((work, [after_expiry(order, self.stage.name)], 0))
            elif order.next_attempt_at_us > now_us:
                early.append((work, (order.next_attempt_at_us - now_us) // 1000 + 1))
            else:
                wanted.append(work)
        await self._append(expired)
        await self._wait(early)
        return wanted

    async def _paced(self, group: list[Work]) -> list[Work]:
        """Those whose turn has come under ORDERS_PER_MINUTE; the others wait in the due-set."""
        fresh = [work for work in group if self.stage.begin(work.order) is not None]
        waits = dict.fromkeys((work.order_id for work in group), 0)

        async def admit() -> None:
            waits.update(await self.limits.admit([work.order_id for work in fresh]))

        if fresh and self.limits.orders_per_minute:
            await self._persist(admit)
        await self._wait([(w, waits[w.order_id]) for w in fresh if waits[w.order_id]])
        return [work for work in group if not waits[work.order_id]]

    async def _ask(self, group: list[Work]) -> None:
        try:
            answers = self.stage.ask([work.order for work in group])
        except Exception as error:
            if len(group) > 1:
                for work in group:
                    await self._ask([work])
                return
            answers = [error]
        now: list[Answered] = []
        later: list[tuple[Work, Awaitable[Answer]]] = []
        for work, answer in zip(group, answers, strict=True):
            if inspect.isawaitable(answer):
                later.append((work, answer))
            else:
                now.append(Answered(work, answer))
        if later and self.one_by_one:
            await self._finish_later(*later[0])
        else:
            for work, awaitable in later:
                self.desk.spawn(self._finish_later(work, awaitable), [work.share])
        if now:
            await self._finish(now)

    async def _finish_later(self, work: Work, answer: Awaitable[Answer]) -> None:
        asked = asyncio.ensure_future(answer)
        begin = self.stage.begin(work.order)
        try:
            if begin is not None:
                begun = await self._begin(work, begin)
                if begun is None:
                    return
                work = begun
            try:
                async with asyncio.timeout(self.stage.deadline_s):
                    answered: Answer = await asked
            except Exception as error:
                answered = error
        finally:
            asked.cancel()
        await self._finish([Answered(work, answered)])

    async def _begin(self, work: Work, begin: Fact) -> Work | None:
        """Says that work has started, so that it shows while the venue takes its time."""
        unit, order = self.log.unit(work.head, work.order, [begin], wake=False)
        [appended] = await self.log.append([unit])
        if appended.result not in (Result.CREATED, Result.EXISTS):
            await self._look([(work.order_id, work.share)])
            return None
        await self._started([work])
        head = head_of(unit.new)
        return work._replace(head=head, order=order)

    async def _finish(self, answered: Sequence[Answered]) -> None:
        said: list[tuple[Work, list[Fact], int]] = []
        waiting: list[Work] = []
        for work, answer in answered:
            decision = await self._decide(work, answer)
            if decision is None:
                continue
            facts, wait_ms = decision
            if facts:
                said.append((work, facts, wait_ms))
            else:
                waiting.append(work)
        if waiting:
            self.desk.spawn(self._ask_again(waiting), [work.share for work in waiting])
        await self._append(said)

    async def _decide(self, work: Work, answer: Answer) -> tuple[list[Fact], int] | None:
        """Facts and the wait before the next stage sees the order; no facts: ask again later."""
        begin = self.stage.begin(work.order)
        begun = [] if begin is None else [begin]
        try:
            if isinstance(answer, Exception):
                raise answer
            decision = self.stage.decide(work.order, answer)
        except (Refused, OSError) as error:
            fact, wait_ms = self._refused(work.order, error)
            return [*begun, fact], wait_ms
        except LogError:
            raise
        except Exception as error:
            _log.exception("order parked", stage=self.stage.name, order_id=work.order_id)
            await self._park(work, f"{type(error).__name__}: {error}")
            return None
        if isinstance(decision, NotYet):
            return [], 0
        return [*begun, *decision], 0

    def _refused(self, order: Order, error: Refused | OSError) -> tuple[Fact, int]:
        if isinstance(error, OSError):  # TimeoutError too: the venue cannot be reached
            error = Refused("venue-unavailable", repr(error), retryable=True)
        return after_refusal(
            order,
            self.stage.name,
            error,
            self.retry,
            now_us=time.time_ns() // 1000,
            jitter=random.random(),
        )

    async def _ask_again(self, group: list[Work]) -> None:
        now_us = time.time_ns() // 1000
        waits = [(work, self.stage.wait_ms(work.order, now_us)) for work in group]
        await self._wait([(work, ms) for work, ms in waits if ms > SHORT_WAIT_MS])
        soon = [(work, ms) for work, ms in waits if ms <= SHORT_WAIT_MS]
        if soon:
            await asyncio.sleep(min(ms for _, ms in soon) / 1000)
            await self._work([work for work, _ in soon])

    # -- appending -----------------------------------------------------------------------------

    async def _append(self, said: Sequence[tuple[Work, list[Fact], int]]) -> None:
        """Says the facts, settles the shares and hands the orders on, each or not at all."""
        if not said:
            return
        units = []
        orders = []
        for work, facts, wait_ms in said:
            not_after = 0
            if self.stage.crosses_money and work.order.expires_at_us is not None:
                not_after = work.order.expires_at_us // 1000
            unit, order = self.log.unit(
                work.head,
                work.order,
                facts,
                share=work.share,
                wait_ms=wait_ms,
                not_after_ms=not_after,
                sends=self.stage.crosses_money,
            )
            units.append(unit)
            orders.append(order)
        results = await self.log.append(units)
        done: list[Order] = []
        again: list[tuple[str, Share]] = []
        written: list[Work] = []
        started: list[Work] = []
        suspended: list[tuple[Work, int]] = []
        for (work, facts, wait_ms), order, appended in zip(said, orders, results, strict=True):
            if appended.result in (Result.CREATED, Result.EXISTS):
                done.append(order)
                written.append(work)
                if facts[0] == self.stage.begin(work.order):
                    started.append(work)
                if wait_ms:
                    self.desk.waiting()
            elif appended.result is Result.SUSPENDED:
                suspended.append((work, SUSPENDED_WAIT_MS))
            elif appended.result is Result.LATE:
                expiry = after_expiry(work.order, self.stage.name)
                await self._append_late(work, expiry)
            else:
                _log.info("fenced", stage=self.stage.name, order_id=work.order_id)
                again.append((work.order_id, work.share))
        await self._wait(suspended)
        await self._started(started)
        await self._after(done)
        self.desk.settled([work.share for work in written])
        if again:
            await self._look(again)

    async def _after(self, orders: Sequence[Order]) -> None:
        """The effect that follows the append, under the permit where there is one."""
        if self.stage.after is None:
            return
        crossed = [order for order in orders if may_still_land(order)]
        if crossed and self.one_by_one:
            await self.stage.after(crossed)
        elif crossed:
            self.desk.spawn(self.stage.after(crossed))

    async def _append_late(self, work: Work, expiry: Fact) -> None:
        """The append that crosses money was refused: its time was over on the server's clock."""
        unit, _ = self.log.unit(work.head, work.order, [expiry], share=work.share)
        [appended] = await self.log.append([unit])
        if appended.result is Result.CONFLICT:
            await self._look([(work.order_id, work.share)])
        else:
            self.desk.settled([work.share])

    async def _started(self, works: Sequence[Work]) -> None:
        """Tells the pacing when work really started, so that its window is never too short."""
        if works and self.stage.paced and self.limits.orders_per_minute:
            ids = [work.order_id for work in works]
            await self._persist(lambda: self.limits.started(ids))

    async def _wait(self, waits: Sequence[tuple[Work, int]]) -> None:
        """Moves orders to the due-set for so many ms, none further than to its expiry."""
        if not waits:
            return
        now_us = time.time_ns() // 1000
        units = []
        for work, ms in waits:
            expires = work.order.expires_at_us
            if expires is not None and not may_still_land(work.order):
                ms = min(ms, max(1, (expires - now_us) // 1000 + 1))  # noqa: PLW2901  # it is the bounded wait
            units.append(settle_only(work.order_id, work.share, wait_ms=ms))
        await self.log.append(units)
        self.desk.settled([work.share for work, _ in waits])
        self.desk.waiting()

    async def _park(self, work: Work, reason: str) -> None:
        parked = OrderParked(self.stage.name, reason[:500], "engine")
        await self._append([(work, [parked], 0)])

    async def _park_unreadable(
        self, order_id: str, head: Head, share: Share, error: Exception
    ) -> None:
        _log.error("order parked", stage=self.stage.name, order_id=order_id, error=str(error))
        unit = await park_unreadable(self.log, self.stage.name, order_id, head, share, error)
        await self.log.append([unit])
        self.desk.settled([share])

    async def _persist(self, act: Callable[[], Awaitable[object]]) -> None:
        """Repeats an idempotent act until the log answers: its outage costs no attempt."""
        while True:
            try:
                await act()
                return
            except (Fenced, Regressed):
                raise
            except LogError as error:
                _log.warning("log not available", stage=self.stage.name, error=str(error))
                await asyncio.sleep(FAULT_WAIT_S)
