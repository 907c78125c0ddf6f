"""Says what triggered, and sends what ran ahead. It knows the log, and no book."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog

from events.log import RESTING, AppendRequest, AppendStatus, EventLog, Fenced, LogError, OrderHead
from events.order import Order, may_still_land
from events.types import Fact, OrderParked
from stages.runtime.fusion import fuse_waiting
from stages.runtime.load import FAULT_WAIT_S
from stages.runtime.stage import Stage
from stages.runtime.work import log_context
from stages.triggers.expiry import order_of
from stages.triggers.pair_book import TriggerCandidate
from stages.triggers.watcher import first_slot, triggers
from stages.venues.venue_group import VenueGroup

UNITS_MAX = 500
"""Orders that are triggered in one append."""

_log = structlog.get_logger()


class Untriggered(NamedTuple):
    """Orders that were not triggered, and belong back into a book."""

    other_terms: list[Order]
    """They were amended meanwhile: this did not trigger them, something before it may have."""
    halted: list[Order]
    """The engine was halted: what happened triggers nothing later either."""


class _TriggerAppend(NamedTuple):
    touched: TriggerCandidate
    before: Order
    after: Order
    request: AppendRequest


class TriggerWriter:
    """What a watcher says."""

    def __init__(self, log: EventLog, market: VenueGroup, ahead: Mapping[str, Stage]) -> None:
        self._log = log
        self._market = market
        self._ahead = ahead
        """The stages that snipers run ahead through, up to the send."""
        self._sends: set[asyncio.Task[None]] = set()

    async def fire(self, candidate: Sequence[TriggerCandidate]) -> Untriggered:
        """Says what triggered. It tries until the log answers: orders in hand are in no book."""
        fired = Untriggered([], [])
        waiting = list(candidate)
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
                    fired.other_terms.append(order)
            again, halted = await self._write(appends)
            waiting += again
            fired.halted.extend(halted)
        return fired

    async def _prepare(
        self, candidate: TriggerCandidate, head: OrderHead, order: Order, facts: Sequence[Fact]
    ) -> _TriggerAppend:
        try:
            batch = self._log.new_events(head, order, facts)
            if order.kind.waits_for == "pool" and self._ahead:
                await fuse_waiting(batch, self._ahead)
            request, after = self._log.build_append(head, order, batch), batch.order
        except Exception as error:  # it must not hold up the others, again and again
            _log.exception("order parked", stage="watcher", **log_context(order.id, head))
            reason = f"{type(error).__name__}: {error}"[:500]
            parked = OrderParked("watcher", reason, "engine")
            request, after = self._log.build_append_of(head, order, [parked])
        return _TriggerAppend(candidate, order, after, request)

    async def _write(
        self, appends: Sequence[_TriggerAppend]
    ) -> tuple[list[TriggerCandidate], list[Order]]:
        """What is to be said again, and the orders that a halt kept from it."""
        again, halted, written = list[TriggerCandidate](), list[Order](), list[Order]()
        answers = await self._log.append([trigger_append.request for trigger_append in appends])
        for append_, answer in zip(appends, answers, strict=True):
            match answer.status:
                case AppendStatus.CONFLICT:
                    again.append(append_.touched)
                case AppendStatus.UNVERIFIED:  # for a moment only: what passes counts
                    again.append(append_.touched)
                    await asyncio.sleep(FAULT_WAIT_S)
                case AppendStatus.HALTED | AppendStatus.SUSPENDED:
                    halted.append(append_.before)
                case AppendStatus.CREATED | AppendStatus.EXISTS if may_still_land(append_.after):
                    written.append(append_.after)
        self._send(written)
        return again, halted

    def _send(self, orders: Sequence[Order]) -> None:
        """What the submitter does behind its append; the confirmer does it again, if we die."""
        after = self._ahead["submitter"].after if orders else None
        if after is not None:
            task = asyncio.create_task(after(orders), name="send")
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)

    async def sent(self) -> None:
        """Waits for the sends under way."""
        await asyncio.gather(*self._sends, return_exceptions=True)

    async def heads(self, order_ids: Sequence[str]) -> list[OrderHead | None]:
        """Asks until the log answers."""
        while True:
            try:
                return await self._log.load(order_ids)
            except Fenced:
                raise
            except LogError as error:
                _log.warning("log not available", stage="watcher", error=str(error))
                await asyncio.sleep(FAULT_WAIT_S)


def resting(head: OrderHead | None) -> Order | None:
    """The order, if it rests and this build can read it."""
    return order_of(head) if head is not None and head.owes == RESTING else None
