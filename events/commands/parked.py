"""Commands on parked orders (dead letters): requeue, discard and settle.

Each is an event with an actor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from events.commands.execute import Decide, KeepsChanging, NotTaken, always, execute
from events.log import PARKED, EventLog, OrderHead, Stored, order_in
from events.order import Order, fold, may_still_land, was_executed
from events.types import Fact, OrderFailed, OrderRequeued, TransactionRecovered

TRIES = 5
"""The most attempts of a command: each may query the chain."""

History = Callable[[str], Awaitable[Sequence[Stored]]]
"""Returns all events of an order, from the log and the archive."""


class NotAllowed(Exception):
    """The order is not parked, or the command could contradict the chain."""

    code = "not-allowed"

    @property
    def detail(self) -> str:
        """The reason as text."""
        return str(self)


class NotSettled(Exception):
    """The chain's record does not settle the order; `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class ParkedOrder(NamedTuple):
    """A parked order."""

    order_id: str
    parked_ms: int
    order: Order | None
    """None where this build can read neither its head nor its events."""
    fault: str = "cannot be read by this build"
    """Why `order` is None."""


HEADLESS = "its head is missing or damaged: `engine repair`"


async def parked(log: EventLog, history: History, *, limit: int = 1000) -> list[ParkedOrder]:
    """All parked orders, oldest first. Raises LogError."""
    since = await log.parked(limit)
    heads = await log.load([order_id for order_id, _ in since])
    parked_orders = []
    for (order_id, ms), head in zip(since, heads, strict=True):
        if head is None or not _is_of(head, order_id):  # see `EventLog.set_aside`
            parked_orders.append(ParkedOrder(order_id, ms, None, HEADLESS))
        elif head.owes == PARKED:
            parked_orders.append(
                ParkedOrder(order_id, ms, await _readable(history, order_id, head))
            )
    return parked_orders


def _is_of(head: OrderHead, order_id: str) -> bool:
    """Whether the head belongs to the order. Another build may have written a parked one."""
    try:
        order_in(head, order_id)
    except msgspec.DecodeError:
        return head.owes == PARKED
    return True


async def replay(log: EventLog, history: History, order_id: str, reason: str, actor: str) -> Order:
    """Requeues a parked order; returns the order after it.

    Raises NotAllowed, LogError, or `msgspec.DecodeError` where its events cannot be read.
    """

    def decide(order: Order) -> list[Fact]:
        return decide_replay(order, reason, actor)

    return await _changed(log, history, order_id, always(decide))


async def discard(log: EventLog, history: History, order_id: str, reason: str, actor: str) -> Order:
    """Fails a parked order of which no transaction can land; returns the order after it.

    Raises as `replay` does.
    """

    def decide(order: Order) -> list[Fact]:
        return decide_discard(order, reason, actor)

    return await _changed(log, history, order_id, always(decide))


def decide_replay(order: Order, reason: str, actor: str) -> list[Fact]:
    """The events of `replay`. Pure. Raises NotAllowed."""
    _check_not_executed(order)
    return [OrderRequeued(reason, actor)]


def decide_discard(order: Order, reason: str, actor: str) -> list[Fact]:
    """The events of `discard`. Pure. Raises NotAllowed."""
    _check_not_executed(order)
    if may_still_land(order):
        raise NotAllowed(
            "its transaction is sent and may still land: only the chain can end it;"
            " requeue it, or `engine parked settle`"
        )
    return [OrderFailed("operator", "discarded", order.attempts, detail=reason, actor=actor)]


def _check_not_executed(order: Order) -> None:
    if was_executed(order):
        raise NotAllowed(
            f"{order.parked}: again, it would be executed twice; `engine parked settle` closes it"
        )


class Settled(NamedTuple):
    """A parked order that was closed."""

    order: Order
    already: bool
    """It was settled before; nothing was written."""


async def settle(
    log: EventLog,
    history: History,
    order_id: str,
    decide: Decide[Order],
    *,
    signature: str = "",
) -> Settled:
    """Closes a parked order with the events of `decide`, at the version that `decide` got.

    Raises as `replay` does, and the exceptions of `decide`.
    """
    head = (await log.load([order_id]))[0]
    if (head is None or head.owes != PARKED) and (
        settled := await _settled(history, order_id, signature)
    ):
        return Settled(settled, already=True)
    return Settled(await _changed(log, history, order_id, decide), already=False)


async def _settled(history: History, order_id: str, signature: str) -> Order | None:
    """The order, if it was settled before, with this signature where one is given."""
    events = [stored.record.event() for stored in await history(order_id)]
    for event in events:
        fact = event.fact
        if isinstance(fact, TransactionRecovered) and signature in ("", fact.signature):
            return fold(events)
    return None


async def _changed(log: EventLog, history: History, order_id: str, decide: Decide[Order]) -> Order:
    """The order after this command."""

    async def read(head: OrderHead | None) -> Order:
        if head is None or head.owes != PARKED:
            raise NotAllowed("the order is not parked")
        return await _order(history, order_id, head)

    try:
        executed = await execute(log, order_id, decide, read=read, tries=TRIES)
    except (KeepsChanging, NotTaken) as error:
        raise NotAllowed("the order keeps changing; try again") from error
    return executed.after


async def _order(history: History, order_id: str, head: OrderHead) -> Order:
    """The order of a head; folded from its events where the body is unreadable or older.

    Parking an unreadable order keeps its body unchanged.
    """
    try:
        if head.order.version == head.version:
            return head.order
    except msgspec.DecodeError:
        pass
    order = fold(stored.record.event() for stored in await history(order_id))
    if order is None or order.version != head.version:
        raise NotAllowed("its events are not all there")
    return order


async def _readable(history: History, order_id: str, head: OrderHead) -> Order | None:
    try:
        return await _order(history, order_id, head)
    except (msgspec.DecodeError, NotAllowed):
        return None
