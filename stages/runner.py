"""Drives one stage: deliver, load, ask, decide, append. Knows policy, not Redis.

The unit of work is a group of orders: the bite of an inbox entry, or one order where a permit is
needed or a venue takes its time. Groups are independent; a slow order holds up nobody.

What an order owes follows from its head, never from the entry that woke us: after a redelivery or a
conflict the head is loaded again, and what this stage does not owe is settled without a word.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
IN_HAND_MAX = 2000
ENTRIES_MAX = 16
"""Inbox entries a read takes at most: under load they are full, else they are few."""
GROUP_MAX = 256
"""Orders that are loaded, asked about and appended together."""
BLOCK_MS = 1000
DUE_POLL_S = 0.5
FAULT_WAIT_S = 0.2
STOP_S = 1.0
"""How long a stop waits for the orders in hand, and then for putting the rest back."""

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

    def __post_init__(self) -> None:
        self._inbox = self.log.inbox(self.stage.name, self.consumer, lease_ms=self.lease_ms)
        self._number = STAGE_NUMBER[self.stage.name]
        self._tasks: set[asyncio.Task[None]] = set()
        self._due_sooner = asyncio.Event()
        self._room = asyncio.Event()
        self._failure: asyncio.Future[None] | None = None
        self._single = self.stage.needs_permit and self.limits.concurrency > 0
        self._in_hand_max = 2 * self.limits.concurrency if self._single else IN_HAND_MAX

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
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(self._inbox.leave(), STOP_S)
        except (LogError, TimeoutError) as error:
            _log.warning("left without putting back", error=str(error))
        await self._inbox.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """The owner of a group's task: only a changed log ends the process."""
        try:
            await work
        except (Fenced, Regressed) as error:
            if self._failure is not None and not self._failure.done():
                self._failure.set_exception(error)
        except Exception:
            # The entry stays ours and unsettled; the lease lets it be delivered again.
            _log.exception("work lost its way", stage=self.stage.name)

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
                for group in bites(await self._inbox.take(ENTRIES_MAX, block_ms=BLOCK_MS)):
                    await self._guarded(self._take(group))
            except (Fenced, Regressed):
                raise
            except LogError as error:
                _log.warning("log not available", stage=self.stage.name, error=str(error))
                await asyncio.sleep(FAULT_WAIT_S)

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
            try:
                async with asyncio.timeout(wait_s):
                    await self._due_sooner.wait()
            except TimeoutError:
                pass

    # -- one group -----------------------------------------------------------------------------

    async def _take(self, entries: Sequence[Entry]) -> None:
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
                await self._persist(lambda entry=entry: self._inbox.split(entry))  # type: ignore[misc]  # mypy cannot type a bound loop variable
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
            self._settled(share for _, share in settled)
        if self._single:
            for work in ready:
                self._spawn(self._work([work]))
        elif ready:
            await self._work(ready)

    async def _work(self, group: list[Work]) -> None:
        group = await self._still_wanted(group)
        if self.stage.paced:
            group = await self._paced(group)
        if not group:
            return
        if not self._single:
            await self._ask(group)
            return
        async with self.limits.permit():
            await self._ask(group)

    async def _still_wanted(self, group: list[Work]) -> list[Work]:
        """Ends what expired and lets wait what is not due yet."""
        now_us = time.time_ns() // 1000
        wanted = []
        for work in group:
            order = work.order
            expires = order.expires_at_us
            if expires is not None and now_us >= expires and not may_still_land(order):
                await self._append([(work, [after_expiry(order, self.stage.name)], 0)])
            elif order.next_attempt_at_us > now_us and not may_still_land(order):
                await self._wait(work, (order.next_attempt_at_us - now_us) // 1000 + 1)
            else:
                wanted.append(work)
        return wanted

    async def _paced(self, group: list[Work]) -> list[Work]:
        """Those whose turn has come under ORDERS_PER_MINUTE; the others wait in the due-set."""
        fresh = [work for work in group if self.stage.begin(work.order) is not None]
        waits = dict.fromkeys((work.order_id for work in group), 0)

        async def admit() -> None:
            waits.update(await self.limits.admit([work.order_id for work in fresh]))

        if fresh and self.limits.orders_per_minute:
            await self._persist(admit)
        for work in fresh:
            if waits[work.order_id]:
                await self._wait(work, waits[work.order_id])
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
        if later and self._single:
            await self._finish_later(*later[0])
        else:
            for work, awaitable in later:
                self._spawn(self._finish_later(work, awaitable))
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
            self._spawn(self._ask_again(waiting))
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
        soon: list[Work] = []
        wait_ms = SHORT_WAIT_MS
        for work in group:
            needed_ms = self.stage.wait_ms(work.order, now_us)
            if needed_ms > SHORT_WAIT_MS:
                await self._wait(work, needed_ms)
            else:
                soon.append(work)
                wait_ms = min(wait_ms, needed_ms)
        if soon:
            await asyncio.sleep(wait_ms / 1000)
            await self._work(soon)

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
            )
            units.append(unit)
            orders.append(order)
        results = await self.log.append(units)
        done: list[Order] = []
        again: list[tuple[str, Share]] = []
        written: list[Work] = []
        started: list[Work] = []
        for (work, facts, wait_ms), order, appended in zip(said, orders, results, strict=True):
            if appended.result in (Result.CREATED, Result.EXISTS):
                done.append(order)
                written.append(work)
                if facts[0] == self.stage.begin(work.order):
                    started.append(work)
                if wait_ms:
                    self._due_sooner.set()
            elif appended.result is Result.LATE:
                expiry = after_expiry(work.order, self.stage.name)
                await self._append_late(work, expiry)
            else:
                _log.info("fenced", stage=self.stage.name, order_id=work.order_id)
                again.append((work.order_id, work.share))
        await self._started(started)
        await self._after(done)
        self._settled(work.share for work in written)
        if again:
            await self._look(again)

    async def _after(self, orders: Sequence[Order]) -> None:
        """The effect that follows the append, under the permit where there is one."""
        if self.stage.after is None:
            return
        crossed = [order for order in orders if may_still_land(order)]
        if crossed and self._single:
            await self.stage.after(crossed)
        elif crossed:
            self._spawn(self.stage.after(crossed))

    async def _append_late(self, work: Work, expiry: Fact) -> None:
        """The append that crosses money was refused: its time was over on the server's clock."""
        unit, _ = self.log.unit(work.head, work.order, [expiry], share=work.share)
        [appended] = await self.log.append([unit])
        if appended.result is Result.CONFLICT:
            await self._look([(work.order_id, work.share)])
        else:
            self._settled([work.share])

    async def _started(self, works: Sequence[Work]) -> None:
        """Tells the pacing when work really started, so that its window is never too short."""
        if works and self.stage.paced and self.limits.orders_per_minute:
            ids = [work.order_id for work in works]
            await self._persist(lambda: self.limits.started(ids))

    async def _wait(self, work: Work, wait_ms: int) -> None:
        """Moves an order to the due-set, no further than to its expiry."""
        expires = work.order.expires_at_us
        if expires is not None and not may_still_land(work.order):
            left_ms = (expires - time.time_ns() // 1000) // 1000 + 1
            wait_ms = min(wait_ms, max(left_ms, 1))
        await self.log.append([settle_only(work.order_id, work.share, wait_ms=wait_ms)])
        self._settled([work.share])
        self._due_sooner.set()

    async def _park(self, work: Work, reason: str) -> None:
        parked = OrderParked(self.stage.name, reason[:500], "engine")
        await self._append([(work, [parked], 0)])

    async def _park_unreadable(
        self, order_id: str, head: Head, share: Share, error: Exception
    ) -> None:
        _log.error("order parked", stage=self.stage.name, order_id=order_id, error=str(error))
        unit = await park_unreadable(self.log, self.stage.name, order_id, head, share, error)
        await self.log.append([unit])
        self._settled([share])

    def _settled(self, shares: Iterable[Share]) -> None:
        self._inbox.settled(shares)
        self._room.set()

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
