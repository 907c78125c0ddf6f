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
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from events.log import DAMAGED, STAGE_NUMBER, Entry, EventLog, Head, LogError, decode_head, order_in
from events.metrics import VENUE
from events.order import Order, may_still_land
from events.types import Fact, OrderParked
from stages.runtime.fusion import Ahead, run_ahead_at_once
from stages.runtime.limiter import Limits
from stages.runtime.retry import RetryPolicy, after_expiry, after_refusal
from stages.runtime.stage import After, Answer, NotYet, Refused, Stage
from stages.runtime.writer import Desk, Named, Saying, Scribe, Work

SHORT_WAIT_MS = 50
"""Waits up to this long stay in memory, under the lease; longer ones go to the due-set."""
DELIVERIES_MAX = 5
"""So often an entry may be delivered without being settled, then it is taken for a killer."""
GROUP_MAX = 256
"""Orders that are loaded, asked about and appended together."""

_log = structlog.get_logger()


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An order and what the venue said about it."""

    work: Work
    answer: Answer


@dataclass
class Worker:
    """Works on groups of orders of one stage."""

    stage: Stage
    log: EventLog
    retry: RetryPolicy
    limits: Limits
    desk: Desk
    ahead: Ahead

    def __post_init__(self) -> None:
        self.scribe = Scribe(self.stage.name, self.log, self.desk)
        self._number = STAGE_NUMBER[self.stage.name]
        self._venue = VENUE.of(self.stage.name)
        self.one_by_one = self.stage.needs_permit and self.limits.concurrency > 0

    async def take(self, entries: Sequence[Entry]) -> None:
        """Works on what was delivered, until it is appended or goes on by itself."""
        named: list[Named] = []
        carried: list[Head | None] = []
        for entry in entries:
            shares = [
                (order_id, entry.share(place)) for place, order_id in enumerate(entry.order_ids)
            ]
            if entry.deliveries < DELIVERIES_MAX:
                named += shares
                if entry.head:
                    carried.append(decode_head(entry.head))
            elif len(shares) == 1:
                await self._look(shares, killer=True)
            else:
                _log.warning("entry keeps losing its worker", order_ids=entry.order_ids)
                await self.scribe.persist(lambda entry=entry: self.desk.split(entry))  # type: ignore[misc]  # mypy cannot type a bound loop variable
        if named and len(carried) == len(named):
            await self._sort(named, carried)
        elif named:
            await self._look(named)

    async def _look(self, named: Sequence[Named], *, killer: bool = False) -> None:
        """Loads heads, settles what is not owed, works on the rest."""
        heads: list[Head | None] = []

        async def load() -> None:
            heads[:] = await self.log.load([order_id for order_id, _ in named])

        await self.scribe.persist(load)
        await self._sort(named, heads, killer=killer)

    async def _sort(
        self, named: Sequence[Named], heads: Sequence[Head | None], *, killer: bool = False
    ) -> None:
        ready: list[Work] = []
        settled: list[Named] = []
        gone: list[str] = []
        for (order_id, share), head in zip(named, heads, strict=True):
            if head is None or head.owes != self._number:
                settled.append((order_id, share))
                gone += [order_id] if head is None or head.owes == DAMAGED else []
                continue
            try:
                work = Work(share, order_id, head, order_in(head, order_id))
            except msgspec.DecodeError as error:
                await self.scribe.park_unreadable(order_id, head, share, error)
                continue
            if killer:
                await self._park(work, "its worker died on it again and again")
            else:
                ready.append(work)
        if gone:
            await self.scribe.set_aside(gone)
        if settled:
            await self.scribe.settle(settled)
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
        """Ends what expired and lets wait what is not due yet. A wait longer than any is a clock
        that was set back, or another machine's: the due-set, which handed the order over, goes by
        the server's.
        """
        now_us = time.time_ns() // 1000
        wanted: list[Work] = []
        expired: list[Saying] = []
        early: list[tuple[Work, int]] = []
        for work in group:
            order = work.order
            expires = order.expires_at_us
            if may_still_land(order):
                wanted.append(work)
            elif expires is not None and now_us >= expires:
                expired.append(self.scribe.saying(work, [after_expiry(order, self.stage.name)]))
            elif 0 < (wait_us := order.next_attempt_at_us - now_us) <= self.retry.max_ms * 1000:
                early.append((work, wait_us // 1000 + 1))
            else:
                wanted.append(work)
        await self._say(expired)
        await self.scribe.wait(early)
        return wanted

    async def _paced(self, group: list[Work]) -> list[Work]:
        """Those whose turn has come under ORDERS_PER_MINUTE; the others wait in the due-set."""
        fresh = [work for work in group if self.stage.begin(work.order) is not None]
        # The same order may be there twice, once as it was before: that one waits alone.
        begun = [work for work in group if self.stage.begin(work.order) is None]
        waits = dict.fromkeys((work.order_id for work in fresh), 0)

        async def admit() -> None:
            waits.update(await self.limits.admit(list(waits)))

        if fresh and self.limits.orders_per_minute:
            await self.scribe.persist(admit)
        await self.scribe.wait([(w, waits[w.order_id]) for w in fresh if waits[w.order_id]])
        return [*begun, *(work for work in fresh if not waits[work.order_id])]

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
            if hasattr(answer, "__await__"):
                later.append((work, answer))
            else:
                now.append(Answered(work, answer))
        if later and self.one_by_one:
            await self._finish_later(*later[0])
        else:
            for work, awaitable in later:
                task = self.desk.spawn(self._finish_later(work, awaitable), [work.share])
                task.add_done_callback(partial(_drop, awaitable))
        if now:
            await self._finish(now)

    async def _finish_later(self, work: Work, answer: Awaitable[Answer]) -> None:
        asked = asyncio.ensure_future(answer)
        began = time.perf_counter()
        asked.add_done_callback(lambda _: self._venue.observe(time.perf_counter() - began))
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
        begun = await self.scribe.begin(work, begin)
        if begun is None:
            await self._look([(work.order_id, work.share)])
        elif self.stage.paced and self.limits.orders_per_minute:
            await self.scribe.persist(lambda: self.limits.started([work.order_id]))
        return begun

    async def _finish(self, answered: Sequence[Answered]) -> None:
        said: list[Saying] = []
        waiting: list[Work] = []
        for one in answered:
            try:
                saying = self._decide(one.work, one.answer)
            except LogError:
                raise
            except Exception as error:
                _log.exception("a bug met an order", stage=self.stage.name, **one.work.named)
                await self._park(one.work, f"{type(error).__name__}: {error}")
                continue
            if saying is None:
                waiting.append(one.work)
            else:
                said.append(saying)
        if waiting:
            self.desk.spawn(self._ask_again(waiting), [work.share for work in waiting])
        await self._say(said)

    def _decide(self, work: Work, answer: Answer) -> Saying | None:
        """What to say about an order; None is to ask again later."""
        begin = self.stage.begin(work.order)
        wait_ms = 0
        try:
            if isinstance(answer, Exception):
                raise answer
            facts = self.stage.decide(work.order, answer)
        except (Refused, OSError) as error:
            if may_still_land(work.order):
                return None  # that nobody answered says nothing of what was sent: ask again
            fact, wait_ms = self._refused(work.order, error)
            facts = [fact]
        if isinstance(facts, NotYet):
            return None
        saying = self.scribe.saying(work, facts if begin is None else [begin, *facts], wait_ms)
        if self.ahead and not wait_ms:
            run_ahead_at_once(saying.said, self.ahead)
        return saying

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
        await self.scribe.wait([(work, ms) for work, ms in waits if ms > SHORT_WAIT_MS])
        soon = [(work, ms) for work, ms in waits if ms <= SHORT_WAIT_MS]
        if soon:
            await asyncio.sleep(min(ms for _, ms in soon) / 1000)
            await self._work([work for work, _ in soon])

    async def _say(self, said: Sequence[Saying]) -> None:
        """Appends, then does what follows an append."""
        written = await self.scribe.append(said)
        if self.stage.paced and self.limits.orders_per_minute:
            begun = [
                saying.work.order_id
                for saying in written.done
                if saying.said.events[0].fact == self.stage.begin(saying.work.order)
            ]
            if begun:
                # The window counts from the start itself, so that it is never too short.
                await self.scribe.persist(lambda: self.limits.started(begun))
        await self._after([saying.said.order for saying in written.done])
        if written.again:
            await self._look(written.again)

    async def _after(self, orders: Sequence[Order]) -> None:
        """The effect that follows the append, under the permit where there is one."""
        after = self.stage.after
        if after is None and self.ahead:
            after = self.ahead["submitter"].after
        if after is None:
            return
        crossed = [order for order in orders if may_still_land(order)]
        if crossed and self.one_by_one:
            await self._timed(after, crossed)
        elif crossed:
            self.desk.spawn(self._timed(after, crossed))

    async def _timed(self, after: After, orders: Sequence[Order]) -> None:
        # Called here, not by whoever spawns us: who is killed before that has begun nothing.
        began = time.perf_counter()
        await after(orders)
        self._venue.observe(time.perf_counter() - began)

    async def _park(self, work: Work, reason: str) -> None:
        _log.error("order parked", stage=self.stage.name, reason=reason[:500], **work.named)
        parked = OrderParked(self.stage.name, reason[:500], "engine")
        await self._say([self.scribe.saying(work, [parked])])


def _drop(answer: Awaitable[Answer], _: object) -> None:
    """Ends a question that was never asked: its task was cancelled before its first step."""
    if inspect.iscoroutine(answer) and inspect.getcoroutinestate(answer) == inspect.CORO_CREATED:
        answer.close()
