"""Drives the books: follows ticks and pool events of the pairs that are ours, and triggers orders.

Every watcher keeps the book of every pair, from news of the log; the pairs are shared by leases,
and only the holder of a pair follows its ticks. Whoever takes a pair over begins where the last
holder said it was, and a while before: what it triggers again is refused by the version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from hashlib import sha256
from typing import TypeVar

import structlog

from events.ids import ENGINE_ID
from events.log import RESTING, EventLog, Fenced, Head, LogError, Regressed, Result, Unit
from events.order import Order, may_still_land
from events.types import OrderParked, Status
from stages.ahead import run_ahead
from stages.expiry import expire, order_of
from stages.market import Market
from stages.pair_book import PairBook, Touched
from stages.scribe import FAULT_WAIT_S
from stages.stage import Stage
from stages.venues import Pair
from stages.watcher import triggers

NEWS_BLOCK_MS = 1000
LEAVE_S = 1.0
UNITS_MAX = 500
"""Orders that are triggered in one append."""
SLOTS_PER_STEP = 200
"""Ticks of a pair that are looked at before others have their turn."""

Known = TypeVar("Known")

_log = structlog.get_logger()


def preferred(pair: str, watchers: Iterable[str]) -> str:
    """Who of those that live follows a pair: all agree, and few pairs move as one comes or goes."""
    return max(watchers, key=lambda name: sha256(f"{pair} {name}".encode()).digest())


class Watching:
    """One watcher."""

    def __init__(
        self,
        log: EventLog,
        market: Market,
        watcher: str,
        *,
        lease_ms: int,
        ahead: Mapping[str, Stage] | None = None,
    ) -> None:
        self._log = log
        self._ahead = ahead or {}
        """The stages that snipers run ahead through, up to the send."""
        self._sends: set[asyncio.Task[None]] = set()
        self._market = market
        self._name = watcher
        self._lease_ms = lease_ms
        self._watches = log.watches(watcher, lease_ms=lease_ms)
        self._books: dict[str, PairBook] = {}
        self._built = asyncio.Event()
        self._news = 0
        self._slot = 0
        self._watchers: list[str] = []
        self._claim_now = asyncio.Event()
        self._begun = asyncio.Event()
        self._halted = False
        self._floor = 0
        """What happened through this slot counts no more."""

    @property
    def held(self) -> dict[str, int]:
        """The pairs that are followed here, and through which slot."""
        return {key: book.done for key, book in self._books.items() if book.done is not None}

    @property
    def resting(self) -> int:
        """How many orders are in the books."""
        return sum(len(book) for book in self._books.values())

    # -- life ----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Watches until `stop`, then gives its pairs to the others. Raises Fenced."""
        steps = (self._hear, self._claim, self._follow, self._expire)
        tasks = [asyncio.create_task(self._repeat(step), name=step.__name__) for step in steps]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, *self._sends, return_exceptions=True)
            await self._leave()
            await self._watches.close()
        for task in tasks:
            if not task.cancelled():
                task.result()
        if not stop.is_set():
            raise RuntimeError("a part of the watcher ended by itself")

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
                continue
            except Fenced:
                raise
            except Regressed:
                self._built.clear()
            except LogError as error:
                _log.warning("log not available", stage="watcher", error=str(error))
            except Exception:
                # Whatever it was in the middle of: the heads know better.
                _log.exception("the books are made anew")
                self._built.clear()
            await asyncio.sleep(FAULT_WAIT_S)

    async def _leave(self) -> None:
        with suppress(LogError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                held = self.held
                await self._watches.claim(held)
                await self._watches.release(list(held))
                await self._watches.release()

    async def _expire(self) -> None:
        await expire(self._log, self._watches)

    # -- the books -----------------------------------------------------------------------------

    async def _hear(self) -> None:
        """Takes in what changed."""
        if not self._built.is_set():
            await self._build()
        self._news, ids = await self._watches.news(self._news, block_ms=NEWS_BLOCK_MS)
        for at in range(0, len(ids), UNITS_MAX):
            some = ids[at : at + UNITS_MAX]
            heads = await self._persist(lambda some=some: self._log.load(some))  # type: ignore[misc]  # mypy cannot type a bound loop variable
            await self._fire(self._heard(some, heads))

    async def _build(self) -> None:
        """Makes the books from the heads; what follows comes as news."""
        self._news = await self._watches.newest()
        await self._look_up_halt()
        before, books = self.held, dict[str, PairBook]()
        async with aclosing(self._watches.resting()) as pages:
            async for heads in pages:
                for head in heads:
                    if (order := order_of(head)) is not None:
                        _book_of(books, order).add(order)
        for key, done in before.items():
            if key in books:
                books[key].begin(done, self._market.slot(), self._floor)
                self._begun.set()
        self._books = books
        self._built.set()
        self._claim_now.set()

    async def _look_up_halt(self) -> None:
        """What passed before the last resume is over, whoever followed the pairs then."""
        head = (await self._log.load([ENGINE_ID]))[0]
        engine = None if head is None else order_of(head)
        if engine is not None and engine.status is Status.RUNNING:
            self._floor = self._market.slot_at(engine.updated_at_us)
        elif engine is not None:
            self._floor = self._market.slot()

    def _heard(self, ids: Sequence[str], heads: Sequence[Head | None]) -> list[Touched]:
        touched: list[Touched] = []
        for order_id, head in zip(ids, heads, strict=True):
            order = order_of(head) if head is not None and head.owes == RESTING else None
            if order is None:
                for book in self._books.values():
                    book.discard(order_id)
                continue
            book, known = self._put(order)
            if book.done is not None and order.watch_slot <= book.seen and not known:
                missed = book.missed(self._market, order, self._floor)
                touched += [missed] if missed else []
        return touched

    def _put(self, order: Order) -> tuple[PairBook, bool]:
        """Its book, and whether it was there already."""
        pairs = len(self._books)
        book = _book_of(self._books, order)
        if len(self._books) > pairs:
            self._claim_now.set()
        known = book.knows(order)
        book.add(order)
        return book, known

    # -- the pairs -----------------------------------------------------------------------------

    async def _claim(self) -> None:
        """Shares the pairs with the other watchers, and says how far ours were followed."""
        await self._built.wait()
        self._claim_now.clear()
        await self._look_up_halt()
        held = self.held
        wanted = [
            key
            for key in self._books
            if self._watchers and preferred(key, self._watchers) == self._name
        ]
        claims = await self._watches.claim(dict.fromkeys(wanted) | held)
        given = [key for key in held if key not in wanted and self._watchers]
        if given:
            await self._watches.release(given)
        for key, book in self._books.items():
            if key not in claims.held or key in given:
                book.done = None
            elif book.done is None:
                book.begin(claims.held[key], self._market.slot(), self._floor)
                self._begun.set()
        if claims.watchers != self._watchers:
            self._watchers = claims.watchers
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._lease_ms / 4000):
                await self._claim_now.wait()

    # -- ticks ---------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Follows the pairs that are ours up to the newest slot."""
        await self._next_slot()
        if self._halted:
            self._halted = await self._log.halted() or bool(await self._log.suspended())
        while looked := [*self._look()]:
            await self._fire([one for _, _, touched in looked for one in touched])
            for book, last, _ in looked:
                if book.done is not None and book.seen >= last:  # not taken over anew meanwhile
                    book.done = last
            await asyncio.sleep(0)

    def _look(self) -> Iterator[tuple[PairBook, int, list[Touched]]]:
        """Looks at what is new in each pair of ours, through some slot."""
        for book in self._books.values():
            if book.done is not None and book.seen < self._slot:
                last = min(self._slot, book.seen + SLOTS_PER_STEP)
                if self._halted:  # what happens now triggers nothing
                    book.limits.skip(last)
                    yield book, last, []
                else:
                    yield book, last, book.touched(self._market, last)

    async def _next_slot(self) -> None:
        """Waits for a new slot, or for a pair to be begun."""
        waits = [
            asyncio.ensure_future(self._market.next_slot(self._slot)),
            asyncio.ensure_future(self._begun.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        self._begun.clear()
        self._slot = self._market.slot()

    async def _fire(self, touched: Sequence[Touched]) -> None:
        """Says what triggered; puts back what is not to be triggered now."""
        waiting = list(touched)
        while waiting:
            some, waiting = waiting[:UNITS_MAX], waiting[UNITS_MAX:]
            ids = [order_id for order_id, _ in some]
            heads = await self._persist(lambda ids=ids: self._log.load(ids))  # type: ignore[misc]  # as above
            said: list[tuple[Touched, Order, Unit]] = []
            sent: dict[str, Order] = {}
            for one, head in zip(some, heads, strict=True):
                order = order_of(head) if head is not None and head.owes == RESTING else None
                if head is None or order is None:
                    continue
                facts = triggers(order, one.seen)
                if not facts:
                    self._put(order)
                    continue
                try:
                    if order.type == "sniper" and self._ahead:
                        facts, _ = await run_ahead(order, facts, self._ahead)
                    unit, after = self._log.unit(head, order, facts)
                except Exception as error:  # it must not hold up the others, again and again
                    _log.exception("order parked", stage="watcher", order_id=order.id)
                    reason = f"{type(error).__name__}: {error}"[:500]
                    parked = OrderParked("watcher", reason, "engine")
                    unit, after = self._log.unit(head, order, [parked])
                said.append((one, order, unit))
                if may_still_land(after):
                    sent[order.id] = after
            answers = await self._log.append([unit for _, _, unit in said])
            written = []
            for (one, order, _), answer in zip(said, answers, strict=True):
                if answer.result is Result.CONFLICT:
                    waiting.append(one)
                elif answer.result is Result.UNVERIFIED:  # for a moment only: what passes counts
                    waiting.append(one)
                    await asyncio.sleep(FAULT_WAIT_S)
                elif answer.result in (Result.HALTED, Result.SUSPENDED):
                    self._halted = True
                    self._put(order)
                elif answer.result is not Result.LATE and order.id in sent:
                    written.append(sent[order.id])
            self._send(written)

    def _send(self, orders: Sequence[Order]) -> None:
        """What the submitter does behind its append; the confirmer does it again, if we die."""
        after = self._ahead["submitter"].after if orders else None
        if after is not None:
            task = asyncio.create_task(after(orders), name="send")
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)

    async def _persist(self, ask: Callable[[], Awaitable[Known]]) -> Known:
        """Asks until the log answers: orders in hand are in no book."""
        while True:
            try:
                return await ask()
            except Fenced:
                raise
            except LogError as error:
                _log.warning("log not available", stage="watcher", error=str(error))
                await asyncio.sleep(FAULT_WAIT_S)


def _book_of(books: dict[str, PairBook], order: Order) -> PairBook:
    pair = Pair(order.token_in, order.token_out, order.decimals_in, order.decimals_out)
    return books.get(pair.key) or books.setdefault(pair.key, PairBook(pair))
