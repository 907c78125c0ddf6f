"""Runners in this process, each as apart from the others as a process would be: it has a log, a
limiter and a consumer name of its own, stops in good order or dies silently.

What happens is read from the log by a follower: tests wait for events, never for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from events.ids import new_order_id
from events.log import AppendStatus, EventLog, LogError, OrderHead, Stored
from events.order import STAGES
from events.types import TERMINAL, Event, Fact, OrderSubmitted
from stages import builder, confirmer, router, submitter
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime import runner
from stages.runtime.retry import RetryPolicy
from stages.runtime.runner import Runner
from stages.runtime.stage import Stage
from stages.triggers import runner as trigger_runner
from stages.triggers import watcher
from stages.triggers.runner import TriggerRunner
from stages.venues import Chain, Venue
from stages.venues.simulated.chain import SimulatedChain
from stages.venues.simulated.ledger import Ledger
from stages.venues.simulated.venue import DEXES, SimulatedVenue, Simulation
from stages.venues.venue_group import VenueGroup
from tests.support.log.log_server import LogServer
from tests.support.waits import HANG_S, pace, until

ACCOUNT = "main"
LEASE_MS = 200
QUICK = Simulation(slot_ms=5, blockhash_slots=100)
"""Transactions live half a second, and 0.16 s more pass until they are proved dead."""
PATIENT = Simulation(slot_ms=5, blockhash_slots=4000)
"""No transaction dies while a test runs."""

_numbers = count(1)


_patient: dict[ModuleType, tuple[int, dict[str, float]]] = {}


@contextlib.contextmanager
def patient(module: ModuleType, **bounds_s: float) -> Iterator[None]:
    """Bounds of a stop for as long as any worker stops.

    Workers stop side by side: each restoring what it met would leave the bounds of another behind.
    """
    users, own = _patient.get(module, (0, {name: getattr(module, name) for name in bounds_s}))
    _patient[module] = (users + 1, own)
    for name, bound_s in bounds_s.items():
        setattr(module, name, bound_s)
    try:
        yield
    finally:
        users, own = _patient.pop(module)
        if users > 1:
            _patient[module] = (users - 1, own)
        else:
            for name, bound_s in own.items():
                setattr(module, name, bound_s)


class Worker(Runner):
    """A runner that can also die: then it neither finishes nor puts back anything."""

    dead = False
    _patience_s = HANG_S

    async def _stop(self, loops: Sequence[asyncio.Task[Any]]) -> None:
        if not self.dead:
            with patient(runner, STOP_S=self._patience_s, LEAVE_S=HANG_S):
                await super()._stop(loops)
            return
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await asyncio.sleep(0)  # a task that never began would warn about its coroutine
        for task in self._in_flight.tasks:
            task.cancel()
        await asyncio.gather(*self._in_flight.tasks, return_exceptions=True)
        await self._inbox.close()

    @property
    def held_orders(self) -> int:
        return self._inbox.held_orders

    def start(self) -> None:
        self._asked = asyncio.Event()
        self._looks = 0
        take = self._inbox.take

        async def counted(*args: Any, **options: Any) -> Any:
            self._looks += 1
            try:
                return await take(*args, **options)
            finally:
                self._looks -= 1

        self._inbox.take = counted  # type: ignore[method-assign]  # only looked at from outside
        self.task = asyncio.create_task(self.run(self._asked), name=self.consumer)

    async def stop(self) -> None:
        """As SIGTERM does."""
        self._asked.set()
        await self.task

    async def stand_still(self) -> None:
        """As SIGSTOP does, for what it would take: it keeps what it has and is given no more."""

        async def never(*_: Any, **__: Any) -> list[Any]:
            await asyncio.Event().wait()
            return []

        self._inbox.take = never  # type: ignore[method-assign]  # that is the point
        await until(lambda: not self._looks)  # one under way may still bring something

    def patience(self, stop_s: float) -> None:
        """How long a stop waits for what is in hand."""
        self._patience_s = stop_s

    async def die(self) -> None:
        """As SIGKILL does; its appends under way may still arrive."""
        self.dead = True
        self._asked.set()
        await self.task
        end_limits(self.limits)


def end_limits(limits: RateAndConcurrencyLimiter) -> None:
    """The end of a process for its limits: nothing is returned or extended any more."""
    for part in (limits.permits, limits.starts):
        if part._keeper is not None:
            part._keeper.cancel()
            part._keeper.add_done_callback(lambda _: None)
    limits.permits.limit = limits.starts.limit = 0


class Watcher(TriggerRunner):
    """One that can also die: then it gives nothing back."""

    dead = False

    def start(self) -> None:
        self._asked = asyncio.Event()
        self.task = asyncio.create_task(self.run(self._asked), name=self._name)

    async def _leave(self) -> None:
        if not self.dead:
            with patient(trigger_runner, LEAVE_S=HANG_S):
                await super()._leave()

    async def stop(self) -> None:
        """As SIGTERM does."""
        self._asked.set()
        await self.task

    async def die(self) -> None:
        """As SIGKILL does; its appends under way may still arrive."""
        self.dead = True
        await self.stop()


class Crew:
    """Workers over one log, and the events that they appended."""

    def __init__(self, url: str, ledger: Path, simulation: Simulation) -> None:
        self.url = url
        self.simulation = simulation
        self.ledger_path = ledger
        self.log = EventLog(url, build="test")
        self.seen: list[tuple[Stored, Event]] = []
        """Every event of the log, in order."""
        self.after = 0
        """Where the log begins."""
        self._news = asyncio.Condition()
        self._workers: list[Worker] = []
        self._watchers: list[Watcher] = []
        self._closing: list[Any] = [self.log]
        self._follower: asyncio.Task[None] | None = None

    # -- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        await self.log.open()
        self._follower = asyncio.create_task(self._follow(), name="crew-follower")

    async def close(self) -> None:
        for worker in self._workers:
            if not worker.task.done():
                await worker.die()
        for running in self._watchers:
            if not running.task.done():
                await running.die()
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        for item in reversed(self._closing):
            await item.close()
        self._closing.clear()

    async def _follow(self) -> None:
        reader = self.log.reader("crew")
        self._closing.append(reader)
        while True:
            try:
                await self._read(reader)
            except LogError:
                await pace(0.02)

    async def _read(self, reader: Any) -> None:
        after = self.seen[-1][0].position if self.seen else self.after
        async for batches in reader.tail(after, block_ms=200):
            async with self._news:
                for batch in batches:
                    for position, record in enumerate(batch.records, batch.first):
                        if position > after:
                            stored = Stored(position, batch.time_us, record)
                            self.seen.append((stored, record.event()))
                            after = position
                self._news.notify_all()

    # -- workers -------------------------------------------------------------------------------

    def chain(self) -> SimulatedChain:
        """A door of its own to the one chain."""
        return SimulatedChain(self.simulation, self.ledger_path)

    def venues(self) -> list[Venue]:
        return [SimulatedVenue(name, fee, self.simulation) for name, fee in DEXES]

    def stage(
        self,
        name: str,
        *,
        chain: Chain | None = None,
        venues: Sequence[Venue] | None = None,
        attempts_max: int = 3,
        rebroadcast_ms: int = 50,
    ) -> Stage:
        chain = chain or self.chain()
        match name:
            case "router":
                return router.stage(VenueGroup(venues or self.venues(), timeout_s=HANG_S))
            case "builder":
                return builder.stage(chain)
            case "submitter":
                return submitter.stage(chain)
            case "watcher":
                return watcher.stage(VenueGroup(venues or self.venues(), timeout_s=HANG_S))
        return confirmer.stage(chain, attempts_max=attempts_max, rebroadcast_ms=rebroadcast_ms)

    async def worker(
        self,
        stage: Stage | str,
        *,
        lease_ms: int = LEASE_MS,
        permit_lease_ms: int = 10_000,
        attempts_max: int = 3,
        backoff_ms: tuple[int, int] = (20, 100),
        url: str = "",
        log: EventLog | None = None,
        ahead: Sequence[str] = (),
        **limits: Any,
    ) -> Worker:
        """Starts one. `lease_ms` is how soon it takes over from others, and four times its own

        rhythm of renewal: one with a long lease never renews, as one that is stopped does not.
        """
        stage = self.stage(stage) if isinstance(stage, str) else stage
        if log is None:
            log = EventLog(url or self.url, build="worker")
            self._closing.append(log)
            await log.open()
        consumer = f"{stage.name}-{next(_numbers)}"
        limiter = RateAndConcurrencyLimiter(self.url, consumer, lease_ms=permit_lease_ms, **limits)
        self._closing.append(limiter)
        further = {name: self.stage(name) for name in ahead}
        retry = RetryPolicy(attempts_max, *backoff_ms)
        worker = Worker(stage, log, consumer, retry, lease_ms, limiter, further)
        worker.start()
        self._workers.append(worker)
        return worker

    async def all_stages(self, **options: Any) -> list[Worker]:
        """One worker a stage."""
        return [await self.worker(name, **options) for name in STAGES]

    async def watching(
        self,
        *,
        name: str = "",
        lease_ms: int = LEASE_MS,
        venues: Sequence[Venue] | None = None,
        ahead: Sequence[str] = (),
        **limits: Any,
    ) -> Watcher:
        """Starts what drives the books. By its name follows which pairs it prefers."""
        log = EventLog(self.url, build="worker")
        self._closing.append(log)
        await log.open()
        market = VenueGroup(venues or self.venues(), timeout_s=HANG_S)
        name = name or f"watching-{next(_numbers)}"
        limiter = RateAndConcurrencyLimiter(self.url, name, **limits)
        self._closing.append(limiter)
        watcher = Watcher(
            log,
            market,
            name,
            lease_ms=lease_ms,
            limits=limiter,
            ahead={name: self.stage(name, venues=venues) for name in ahead},
        )
        watcher.start()
        self._watchers.append(watcher)
        return watcher

    async def engine(self, **options: Any) -> Watcher:
        """All of it: one worker a stage, and one that watches."""
        await self.all_stages(**options)
        return await self.watching()

    # -- orders --------------------------------------------------------------------------------

    async def submit(self, number: int = 1, *, to: str = "USDC", **fields: Any) -> list[str]:
        """New orders in one append; their ids."""
        fact = OrderSubmitted("market", "SOL", to, 9, 6, 1_500_000_000, 50, **fields)
        ids = [new_order_id() for _ in range(number)]
        requests = [self.log.build_creation(order_id, ACCOUNT, fact)[0] for order_id in ids]
        assert {a.status for a in await self.log.append(requests)} <= {AppendStatus.CREATED}
        return ids

    async def place(self, fact: OrderSubmitted) -> str:
        """One new order; its id."""
        order_id = new_order_id()
        [answer] = await self.log.append([self.log.build_creation(order_id, ACCOUNT, fact)[0]])
        assert answer.status is AppendStatus.CREATED
        return order_id

    async def head(self, order_id: str) -> OrderHead:
        head = (await self.log.load([order_id]))[0]
        assert head is not None
        return head

    async def append(self, order_id: str, *facts: Fact, wake: bool = True) -> None:
        """Appends facts to an order as another writer."""
        head = await self.head(order_id)
        [answer] = await self.log.append(
            [self.log.build_append_of(head, head.order, facts, wake=wake)[0]]
        )
        assert answer.status is AppendStatus.CREATED

    def facts(self, order_id: str) -> list[Fact]:
        """The facts of an order that were read so far."""
        return [event.fact for _, event in self.seen if event.order_id == order_id]

    def names(self, order_id: str) -> list[str]:
        return [type(fact).__name__ for fact in self.facts(order_id)]

    def of(self, kind: type[Fact]) -> list[Event]:
        """All events of a kind, in the order of the log."""
        return [event for _, event in self.seen if isinstance(event.fact, kind)]

    def statuses(self) -> dict[str, str]:
        return {event.order_id: event.status for _, event in self.seen}

    # -- waiting -------------------------------------------------------------------------------

    async def until(self, true: Callable[[], object]) -> None:
        """Looks again at every batch of the log. Hangs when nothing came for HANG_S."""
        async with self._news:
            while not true():
                try:
                    async with asyncio.timeout(HANG_S):
                        await self._news.wait()
                except TimeoutError:
                    tail = [(e.order_id[-6:], e.version, e.fact) for _, e in self.seen[-12:]]
                    message = f"no news for {HANG_S} s; the log ends with {tail}"
                    raise AssertionError(message) from None

    async def ended(self, ids: Sequence[str]) -> list[str]:
        """Waits until all have ended; their statuses."""
        expected = set(ids)

        def over() -> bool:
            return expected <= {i for i, status in self.statuses().items() if status in TERMINAL}

        await self.until(over)
        statuses = self.statuses()
        return [statuses[order_id] for order_id in ids]

    async def settled(self, stage: str) -> None:
        """Waits until nothing is delivered or pending in an inbox: that leaves no event."""
        key, link = self.log.keys.inbox(stage), LogServer(self.log)

        async def empty() -> bool:
            return not await link.call("XLEN", key)

        await until(empty, f"an empty inbox of the {stage}")

    def executions(self) -> dict[str, int]:
        """How often each order was carried out, by the venue's own ledger."""
        ledger = Ledger(self.ledger_path)
        done: dict[str, int] = {}
        for row in ledger.rows():
            done[row.order_id] = done.get(row.order_id, 0) + row.ok
        ledger.close()
        return done


@contextlib.asynccontextmanager
async def crew(url: str, folder: Path, simulation: Simulation = PATIENT) -> AsyncIterator[Crew]:
    """A log to work on, for the length of a block."""
    crew = Crew(url, folder / "ledger.sqlite", simulation)
    try:
        await crew.open()
        yield crew
    finally:
        await crew.close()


class Gate:
    """A place where a worker can be held up."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def passing(self) -> None:
        self.reached.set()
        await self.open.wait()
