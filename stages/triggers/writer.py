"""Says what triggered, and sends what ran ahead. It knows the log, and no book."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog

from events.log import RESTING, EventLog, Fenced, Head, LogError, Result, Unit
from events.order import Order, may_still_land
from events.types import Fact, OrderParked
from stages.runtime.fusion import fuse_waiting
from stages.runtime.load import FAULT_WAIT_S
from stages.runtime.stage import Stage
from stages.runtime.work import about
from stages.triggers.expiry import order_of
from stages.triggers.pair_book import Touched
from stages.triggers.watcher import first_slot, triggers
from stages.venues.venue_group import Market

UNITS_MAX = 500
"""Orders that are triggered in one append."""

_log = structlog.get_logger()


class Fired(NamedTuple):
    """Orders that were not triggered, and belong back into a book."""

    other_terms: list[Order]
    """They were amended meanwhile: this did not trigger them, something before it may have."""
    halted: list[Order]
    """The engine was halted: what happened triggers nothing later either."""


class _Said(NamedTuple):
    touched: Touched
    before: Order
    after: Order
    unit: Unit


class Firing:
    """What a watcher says."""

    def __init__(self, log: EventLog, market: Market, ahead: Mapping[str, Stage]) -> None:
        self._log = log
        self._market = market
        self._ahead = ahead
        """The stages that snipers run ahead through, up to the send."""
        self._sends: set[asyncio.Task[None]] = set()

    async def fire(self, touched: Sequence[Touched]) -> Fired:
        """Says what triggered. It tries until the log answers: orders in hand are in no book."""
        fired = Fired([], [])
        waiting = list(touched)
        while waiting:
            some, waiting = waiting[:UNITS_MAX], waiting[UNITS_MAX:]
            heads = await self.heads([order_id for order_id, _ in some])
            said: list[_Said] = []
            for one, head in zip(some, heads, strict=True):
                order = resting(head)
                if head is None or order is None:
                    continue
                first = first_slot(order, self._market)
                facts = triggers(order, one.seen, first)
                if facts:
                    said.append(await self._said(one, head, order, facts))
                else:
                    fired.other_terms.append(order)
            again, halted = await self._write(said)
            waiting += again
            fired.halted.extend(halted)
        return fired

    async def _said(self, one: Touched, head: Head, order: Order, facts: Sequence[Fact]) -> _Said:
        try:
            said = self._log.say(head, order, facts)
            if order.kind.waits_for == "pool" and self._ahead:
                await fuse_waiting(said, self._ahead)
            unit, after = self._log.unit_of(head, order, said), said.order
        except Exception as error:  # it must not hold up the others, again and again
            _log.exception("order parked", stage="watcher", **about(order.id, head))
            reason = f"{type(error).__name__}: {error}"[:500]
            parked = OrderParked("watcher", reason, "engine")
            unit, after = self._log.unit(head, order, [parked])
        return _Said(one, order, after, unit)

    async def _write(self, said: Sequence[_Said]) -> tuple[list[Touched], list[Order]]:
        """What is to be said again, and the orders that a halt kept from it."""
        again, halted, written = list[Touched](), list[Order](), list[Order]()
        answers = await self._log.append([one.unit for one in said])
        for one, answer in zip(said, answers, strict=True):
            match answer.result:
                case Result.CONFLICT:
                    again.append(one.touched)
                case Result.UNVERIFIED:  # for a moment only: what passes counts
                    again.append(one.touched)
                    await asyncio.sleep(FAULT_WAIT_S)
                case Result.HALTED | Result.SUSPENDED:
                    halted.append(one.before)
                case Result.CREATED | Result.EXISTS if may_still_land(one.after):
                    written.append(one.after)
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

    async def heads(self, order_ids: Sequence[str]) -> list[Head | None]:
        """Asks until the log answers."""
        while True:
            try:
                return await self._log.load(order_ids)
            except Fenced:
                raise
            except LogError as error:
                _log.warning("log not available", stage="watcher", error=str(error))
                await asyncio.sleep(FAULT_WAIT_S)


def resting(head: Head | None) -> Order | None:
    """The order, if it rests and this build can read it."""
    return order_of(head) if head is not None and head.owes == RESTING else None
