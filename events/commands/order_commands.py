"""What people may do about orders under way and about the engine: cancel, amend, halt, resume.

Each act is an event with an actor, appended to the head that was loaded: a trigger, a send or an
expiry that is faster wins, and the act is judged again by what stands then.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from events.ids import ENGINE_ID
from events.log import EMPTY, EventLog, Head, Result, head_of, new_order, order_in
from events.order import Order, may_cancel, was_executed
from events.types import (
    EngineHalted,
    EngineResumed,
    Fact,
    OrderAmended,
    OrderCancelled,
    Status,
)

WRITTEN = (Result.CREATED, Result.EXISTS)
TRIES = 20
"""So often an act is judged anew; an order has fewer events than that before it is sent."""
NEVER = 0
"""As a new expiry: the order expires no more."""
ACT_S = 5.0
"""How long the log may take to answer an append."""


class Outcome(Enum):
    """What became of an act."""

    DONE = "done"
    ALREADY = "already"
    """It had been done before; nothing was written."""
    TOO_LATE = "too-late"
    """The order is past where this can be done: see its status."""
    CONFLICT = "conflict"
    """The order is not at the version that was named, or kept changing."""
    NOT_FOUND = "not-found"
    """There is no head (any more): an order that ended long ago, or none."""


class Answer(NamedTuple):
    """What became of an act, and the order as it is now."""

    outcome: Outcome
    order: Order | None


class _Settled(Exception):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


async def cancel(log: EventLog, order_id: str, actor: str, reason: str = "") -> Answer:
    """Calls an order off, unless something of it is out. Raises LogError.

    Raises `msgspec.DecodeError` for an order that this build cannot read, as all acts do.
    """

    def judge(order: Order) -> Fact:
        if order.status is Status.CANCELLED:
            raise _Settled(Outcome.ALREADY)
        if not may_cancel(order):
            raise _Settled(Outcome.TOO_LATE)
        return OrderCancelled(actor, reason)

    return await _act(log, order_id, judge)


async def amend(
    log: EventLog,
    order_id: str,
    expected_version: int,
    target_price: str | None,
    expires_at_us: int | None,
    actor: str,
) -> Answer:
    """Changes the terms of a resting order; None leaves a term as it is, and an expiry of NEVER

    takes it away. Raises LogError.
    """

    def judge(order: Order) -> Fact:
        price = order.target_price if target_price is None else target_price
        expires = order.expires_at_us if expires_at_us is None else expires_at_us or None
        # Before the version: whoever lost the order to a trigger is told so.
        if order.status is not Status.WATCHING or was_executed(order):
            raise _Settled(Outcome.TOO_LATE)
        if order.version != expected_version:
            raise _Settled(Outcome.CONFLICT)
        if (price, expires) == (order.target_price, order.expires_at_us):
            raise _Settled(Outcome.ALREADY)
        return OrderAmended(actor, price, expires)

    return await _act(log, order_id, judge)


async def halt(log: EventLog, reason: str, actor: str) -> Answer:
    """Lets nothing be sent and no trigger fire from now on. Raises LogError."""
    return await _switch(log, EngineHalted(reason, actor), Status.HALTED)


async def resume(log: EventLog, actor: str, reason: str = "") -> Answer:
    """Ends a halt. Raises LogError."""
    return await _switch(log, EngineResumed(reason, actor), Status.RUNNING)


async def engine_state(log: EventLog) -> Order | None:
    """The engine's own state (`status` halted or running, `reason`); None: never halted."""
    head = (await log.load([ENGINE_ID]))[0]
    return None if head is None else head.order


async def _act(log: EventLog, order_id: str, judge: Callable[[Order], Fact]) -> Answer:
    order = None
    said: list[bytes] = []
    for _ in range(TRIES):
        head = (await log.load([order_id]))[0] if order_id != ENGINE_ID else None
        if head is None:
            return Answer(Outcome.NOT_FOUND, None)
        order = order_in(head, order_id)
        # A try whose answer was lost may have been written, and something else have followed.
        if said and any(one.record.hash in said for one in await log.history(head.positions)):
            return Answer(Outcome.DONE, order)
        try:
            fact = judge(order)
        except _Settled as settled:
            return Answer(settled.outcome, order)
        unit, after = log.unit(head, order, [fact])
        answer = (await log.append([unit], timeout_s=ACT_S))[0]
        if answer.result in WRITTEN:
            return Answer(Outcome.DONE, after)
        said.append(head_of(unit.new).hash)
    return Answer(Outcome.CONFLICT, order)


async def _switch(log: EventLog, fact: EngineHalted | EngineResumed, wanted: Status) -> Answer:
    order = None
    for _ in range(TRIES):
        head = (await log.load([ENGINE_ID]))[0]
        order = None if head is None else head.order
        now = Status.RUNNING if order is None else order.status
        said: Fact = fact
        if now is wanted:
            if await log.halted() is (wanted is Status.HALTED):
                return Answer(Outcome.ALREADY, order)
            # The mark that gates sends is not what the events say (a damaged log): there and back.
            said = _opposite(fact)
        before = order or new_order(ENGINE_ID, "")
        after = await _append(log, head or EMPTY, before, said)
        if after is not None and said is fact:
            return Answer(Outcome.DONE, after)
    return Answer(Outcome.CONFLICT, order)


def _opposite(fact: EngineHalted | EngineResumed) -> Fact:
    other = EngineResumed if isinstance(fact, EngineHalted) else EngineHalted
    return other("the mark in the log was not what its events say", fact.actor)


async def _append(log: EventLog, head: Head, order: Order, fact: Fact) -> Order | None:
    """The engine's state after it; None where somebody else was there first."""
    unit, after = log.unit(head, order, [fact])
    answer = (await log.append([unit], timeout_s=ACT_S))[0]
    if answer.result is Result.EXISTS and not order.version:
        # Ids of orders are nobody else's, so that one that exists is ours; this one is shared.
        found = (await log.load([order.id]))[0]
        return after if found is not None and found.hash == head_of(unit.new).hash else None
    return after if answer.result in WRITTEN else None
