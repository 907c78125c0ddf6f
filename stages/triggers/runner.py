"""Drives a watcher: keeps the books by the log's news, follows the pairs that it holds, triggers.

Every watcher keeps the book of every pair. The pairs are shared by leases, and only the holder of a
pair follows its ticks and pool events. A new holder starts where the last one stopped, or at the
first slot of an order that the last one did not know of. An order that is triggered twice is
refused by its version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress

import msgspec
import structlog

from events.ids import ENGINE_STREAM_ID
from events.log import EventLog, Fenced, LogError, LogTruncated, OrderHead, PairProgress, engine_in
from events.order import Order
from events.streams import EngineState
from events.telemetry.error_text import error_text
from events.telemetry.outages import LOG
from events.types import EngineStatus
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime.load import FAULT_WAIT_S
from stages.runtime.stage import Stage, VenueRefusal
from stages.triggers.expiry import expire, order_of
from stages.triggers.pair_book import PairBook, TriggerCandidate
from stages.triggers.pair_books import PairBooks
from stages.triggers.rebalance import preferred, rebalance
from stages.triggers.watcher import first_slot
from stages.triggers.writer import UNITS_MAX, TriggerWriter, resting
from stages.venues.venue_group import VenueGroup

NEWS_BLOCK_MS = 1000
LEAVE_S = 1.0
SLOTS_PER_STEP = 200
"""Slots of a pair that are looked at before the other pairs have their turn."""

_log = structlog.get_logger()


class TriggerRunner:
    """One watcher: its books, its leases, and the loops that drive them."""

    def __init__(
        self,
        log: EventLog,
        market: VenueGroup,
        watcher: str,
        *,
        lease_ms: int,
        limits: RateAndConcurrencyLimiter,
        ahead: Mapping[str, Stage] | None = None,
    ) -> None:
        self._log = log
        self._firing = TriggerWriter(log, market, limits, ahead or {})
        self._market = market
        self._name = watcher
        self._lease_ms = lease_ms
        self._watches = log.watches(watcher, lease_ms=lease_ms)
        self._books = PairBooks(market)
        self._built = asyncio.Event()
        self._news = 0
        """The orders that the news through this number name are in the books, and were compared
        with all ticks through `done` of their pair."""
        self._read = 0
        """The orders that the news through this number name may be in the books already."""
        self._slot = 0
        self._watchers: list[str] = []
        self._unreleased: list[str] = []
        """Pairs that are given to other watchers, until the log has answered their release."""
        self._claim_now = asyncio.Event()
        self._begun = asyncio.Event()
        self._halted = False
        self._floor = 0
        """Ticks and events through this slot trigger nothing: the engine was halted then."""

    @property
    def held(self) -> dict[str, int]:
        """The pairs that this watcher follows, and the slot through which it did."""
        return self._books.followed

    @property
    def resting(self) -> int:
        """The number of orders in the books."""
        return self._books.orders

    # -- life ----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`, then releases its pairs. Raises Fenced."""
        steps = (self._apply_book_updates, self._claim, self._follow, self._expire)
        tasks = [asyncio.create_task(self._repeat(step), name=step.__name__) for step in steps]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)
            await self._firing.sent()
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
            except LogTruncated:
                self._built.clear()
            except LogError as error:
                LOG.failed(error)
            except VenueRefusal as error:
                _log.debug("chain_unavailable", stage="watcher", error=error_text(error))
                self._built.clear()
            except Exception:
                # The books may be half changed: they are rebuilt from the heads.
                _log.exception("trigger_books_rebuilt")
                self._built.clear()
            await asyncio.sleep(FAULT_WAIT_S)

    async def _leave(self) -> None:
        with suppress(LogError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                held = self.held
                await self._watches.claim(held, self._news)
                await self._watches.release([*held, *self._unreleased])
                await self._watches.release()

    async def _expire(self) -> None:
        await expire(self._log, self._watches)

    # -- the books -----------------------------------------------------------------------------

    async def _apply_book_updates(self) -> None:
        """Reads news of the log and updates the books of the orders that they name."""
        if not self._built.is_set():
            await self._build()
        self._read, ids = await self._watches.news(self._news, block_ms=NEWS_BLOCK_MS)
        LOG.over()
        try:
            for at in range(0, len(ids), UNITS_MAX):
                some = ids[at : at + UNITS_MAX]
                await self._rest(self._heard(some, await self._firing.heads(some)))
        except LogError:
            self._built.clear()  # some are in the books and were not compared with missed ticks
            raise
        self._news = self._read

    async def _build(self) -> None:
        """Builds the books from the heads of all resting orders; news tell of later changes."""
        self._read = await self._watches.newest()
        await self._look_up_halt()
        before, books = self.held, PairBooks(self._market)
        async with aclosing(self._watches.resting()) as pages:
            async for heads in pages:
                for head in heads:
                    if (order := order_of(head)) is not None:
                        books.add(order)
        followed = {key: PairProgress(done, self._news) for key, done in before.items()}
        late = await self._missed_orders(followed.values())
        self._books = books
        self._news = self._read
        self._begin(followed, late)
        self._built.set()
        self._claim_now.set()

    async def _look_up_halt(self) -> None:
        """Ignores what happened before the last resume, whichever watcher followed the pairs."""
        engine = await self._engine()
        if engine is not None and engine.status is EngineStatus.RUNNING:
            self._floor = self._market.slot_at(engine.updated_at_us)
        elif engine is not None:
            self._floor = self._market.slot()

    async def _engine(self) -> EngineState | None:
        try:
            head = (await self._log.load([ENGINE_STREAM_ID]))[0]
            return None if head is None else engine_in(head)
        except msgspec.DecodeError:  # another build may read it
            return None

    def _heard(self, ids: Sequence[str], heads: Sequence[OrderHead | None]) -> list[Order]:
        """The orders that rest; the others are removed from the books."""
        orders: list[Order] = []
        for order_id, head in zip(ids, heads, strict=True):
            if (order := resting(head)) is not None:
                orders.append(order)
            else:
                self._books.discard(order_id)
        return orders

    async def _rest(self, orders: Sequence[Order]) -> None:
        """Puts orders into their books.

        Orders whose slots were looked at before they came are compared with those slots in books
        of their own: each slot is looked at once for all of them.
        """
        late = PairBooks(self._market)
        for order in orders:
            first = first_slot(order, self._market)
            book, is_new = self._put(order)
            if is_new and book.done is not None and first <= book.seen:
                late.add(order)
        for key, book in late.items():
            last = self._books[key].seen if key in self._books else self._slot
            book.begin(None, None, last, self._floor)
            while len(book) and book.seen < last:
                await self._fire(book.touched(self._market, min(last, book.seen + SLOTS_PER_STEP)))
                await asyncio.sleep(0)
            if key in self._books:
                self._books[key].by_price.follow(book.by_price)

    def _put(self, order: Order) -> tuple[PairBook, bool]:
        """As `PairBooks.add`. A new pair is claimed at once."""
        pairs = len(self._books)
        added = self._books.add(order)
        if len(self._books) > pairs:
            self._claim_now.set()
        return added

    # -- the pairs -----------------------------------------------------------------------------

    async def _claim(self) -> None:
        """Shares the pairs with the other watchers, and records how far its own were followed."""
        await self._built.wait()
        self._claim_now.clear()
        await self._look_up_halt()
        shares = preferred(self._name, self._books, self._watchers)
        # A release that failed is repeated: no other watcher gets the pair before its lease ends.
        claims = dict.fromkeys([*shares, *self._unreleased]) | self.held
        grant = await self._watches.claim(claims, self._news)
        changes = rebalance(shares, self.held, [*self._books], self._watchers, grant)
        for key in changes.stop:
            self._books[key].done = None
        self._unreleased = changes.give
        if changes.give:
            await self._watches.release(changes.give)
            self._unreleased = []
        self._begin(changes.begin, await self._missed_orders(changes.begin.values()))
        if grant.watchers != self._watchers:
            self._watchers = grant.watchers
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._lease_ms / 4000):
                await self._claim_now.wait()

    async def _missed_orders(self, followed: Iterable[PairProgress | None]) -> set[str] | None:
        """The orders that the last holders of these pairs may not know of; None: any order."""
        heard = [progress.news for progress in followed if progress is not None]
        through, late = min(heard, default=self._read), set[str]()
        try:
            while heard:
                through, named = await self._watches.all_news(through)
                late |= named
                if through >= self._read:  # else the books hold more by now
                    break
        except LogTruncated:  # these news are trimmed away
            return None
        return late

    def _begin(self, followed: Mapping[str, PairProgress | None], late: set[str] | None) -> None:
        for key, progress in followed.items():
            if key in self._books:
                slot = None if progress is None else progress.slot
                self._books[key].begin(slot, late, self._market.slot(), self._floor)
                self._begun.set()

    # -- ticks ---------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Follows the held pairs up to the newest slot."""
        await self._next_slot()
        if self._halted:
            self._halted = await self._log.halted() or bool(await self._log.suspended())
        while looked := [*self._look()]:
            await self._fire([candidate for _, _, candidates in looked for candidate in candidates])
            for book, last, _ in looked:
                if book.done is not None and book.seen >= last:  # not taken over again meanwhile
                    book.done = last
            await asyncio.sleep(0)

    def _look(self) -> Iterator[tuple[PairBook, int, list[TriggerCandidate]]]:
        """The held books that are behind, each with the slot through which it is looked at now and
        what was triggered there.
        """
        for book in self._books.values():
            if book.done is not None and book.seen < self._slot:
                last = min(self._slot, book.seen + SLOTS_PER_STEP)
                if self._halted:  # ticks and events trigger nothing
                    book.by_price.skip(last)
                    yield book, last, []
                else:
                    yield book, last, book.touched(self._market, last)

    async def _next_slot(self) -> None:
        """Waits for a new slot, or for a new pair to be followed."""
        waits = [
            asyncio.ensure_future(self._market.next_slot(self._slot)),
            asyncio.ensure_future(self._begun.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._begun.clear()
        self._slot = self._market.slot()

    async def _fire(self, candidates: Sequence[TriggerCandidate]) -> None:
        """Appends the triggers; puts orders that were not triggered back into their books."""
        untriggered = await self._firing.fire(candidates)
        for order in untriggered.halted:
            self._halted = True
            self._put(order)
        await self._rest(untriggered.other_terms)
