"""Appends triggers, and sends the transactions of orders whose stages were fused.

It knows the log and no book.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog

from events.log import RESTING, AppendRequest, AppendStatus, EventLog, Fenced, LogError, OrderHead
from events.order import Order, may_still_land
from events.telemetry.error_text import error_text
from events.telemetry.outages import LOG
from events.types import Fact, OrderParked
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime.append import log_outcomes
from stages.runtime.fusion import fuse_waiting
from stages.runtime.load import FAULT_WAIT_S
from stages.runtime.stage import Stage
from stages.runtime.work import log_context
from stages.triggers.expiry import order_of
from stages.triggers.pair_book import TriggerCandidate
from stages.triggers.watcher import first_slot, triggers
from stages.venues.venue_group import VenueGroup

UNITS_MAX = 500
"""Orders that are triggered in one append, at most."""

_log = structlog.get_logger()


class Untriggered(NamedTuple):
    """Orders that were not triggered and return to a book."""

    other_terms: list[Order]
    """Amended meanwhile: this event does not trigger them, an earlier one may."""
    halted: list[Order]
    """The engine is halted: this event does not trigger them later either."""


class _TriggerAppend(NamedTuple):
    candidate: TriggerCandidate
    before: Order
    after: Order
    request: AppendRequest
    facts: Sequence[Fact]
    permitted: bool
    """Whether it holds a permit, because the stages up to the send joined it."""


class TriggerWriter:
    """Appends the triggers of a watcher."""

    def __init__(
        self,
        log: EventLog,
        market: VenueGroup,
        limits: RateAndConcurrencyLimiter,
        ahead: Mapping[str, Stage],
    ) -> None:
        self._log = log
        self._market = market
        self._limits = limits
        self._ahead = ahead
        """The stages whose facts are appended with a sniper's trigger, up to the send."""
        self._sends: set[asyncio.Task[None]] = set()

    async def fire(self, candidates: Sequence[TriggerCandidate]) -> Untriggered:
        """Appends triggers. Repeats until the log answers: these orders are in no book now."""
        untriggered = Untriggered([], [])
        waiting = list(candidates)
        while waiting:
            some, waiting = waiting[:UNITS_MAX], waiting[UNITS_MAX:]
            heads = await self.heads([order_id for order_id, _ in some])
            appends: list[_TriggerAppend] = []
            for item, head in zip(some, heads, strict=True):
                order = resting(head)
                if head is None or order is None:
                    continue
                first = first_slot(order, self._market)
                facts = triggers(order, item.seen, first)
                if facts:
                    appends.append(await self._prepare(item, head, order, facts))
                else:
                    untriggered.other_terms.append(order)
            try:
                again, halted = await self._write(appends)
            finally:
                permitted = [append_.before.id for append_ in appends if append_.permitted]
                self._limits.permits.release(permitted)
            waiting += again
            untriggered.halted.extend(halted)
        return untriggered

    async def _prepare(
        self, candidate: TriggerCandidate, head: OrderHead, order: Order, facts: Sequence[Fact]
    ) -> _TriggerAppend:
        permitted = False
        try:
            batch = self._log.new_events(head, order, facts)
            if order.kind.waits_for == "pool" and self._ahead and await self._starts(order.id):
                permitted = True
                await fuse_waiting(batch, self._ahead)
            request, after = self._log.build_append(head, order, batch), batch.order
        except Exception as error:  # a bug: the order must not delay the others again and again
            _log.exception("order_step_failed", stage="watcher", **log_context(order.id, head))
            facts = [OrderParked("watcher", error_text(error)[:500], "engine")]
            request, after = self._log.build_append_of(head, order, facts)
        return _TriggerAppend(candidate, order, after, request, facts, permitted)

    async def _starts(self, order_id: str) -> bool:
        """Whether the limits let the order start at once, with a permit until it is released. Else
        the router starts it in its turn.
        """
        if not await self._limits.permits.take([order_id]):
            return False
        with suppress(LogError):
            waits = await self._limits.starts.admit([order_id])
            if not waits[order_id]:
                waits = await self._limits.starts.confirm([order_id])
            if not waits[order_id]:
                return True
        self._limits.permits.release([order_id])
        return False

    async def _write(
        self, appends: Sequence[_TriggerAppend]
    ) -> tuple[list[TriggerCandidate], list[Order]]:
        """The candidates to try again, and the orders that a halt refused."""
        again, halted, written = list[TriggerCandidate](), list[Order](), list[Order]()
        answers = await self._log.append([append_.request for append_ in appends])
        for append_, answer in zip(appends, answers, strict=True):
            match answer.status:
                case AppendStatus.CONFLICT:
                    again.append(append_.candidate)
                case AppendStatus.UNVERIFIED:  # for a moment only: what passes counts
                    again.append(append_.candidate)
                    await asyncio.sleep(FAULT_WAIT_S)
                case AppendStatus.HALTED | AppendStatus.SUSPENDED:
                    halted.append(append_.before)
                case AppendStatus.CREATED | AppendStatus.EXISTS:
                    log_outcomes(append_.facts, append_.before.id, answer)
                    if may_still_land(append_.after):
                        written.append(append_.after)
        self._send(written)
        return again, halted

    def _send(self, orders: Sequence[Order]) -> None:
        """Sends as the submitter does. The confirmer sends again if this process dies."""
        after = self._ahead["submitter"].after if orders else None
        if after is not None:
            ids = [order.id for order in orders]
            self._limits.permits.retain(ids)
            task = asyncio.create_task(after(orders), name="send")
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)
            task.add_done_callback(lambda _: self._limits.permits.release(ids))

    async def sent(self) -> None:
        """Waits for the sends under way."""
        await asyncio.gather(*self._sends, return_exceptions=True)

    async def heads(self, order_ids: Sequence[str]) -> list[OrderHead | None]:
        """The heads of orders. Repeats until the log answers. Raises Fenced."""
        while True:
            try:
                return await self._log.load(order_ids)
            except Fenced:
                raise
            except LogError as error:
                LOG.failed(error)
                await asyncio.sleep(FAULT_WAIT_S)


def resting(head: OrderHead | None) -> Order | None:
    """The order of a head, if it rests and this build can read it."""
    return order_of(head) if head is not None and head.owes == RESTING else None
