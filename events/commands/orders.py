"""What people may do about orders under way: cancel and amend.

Each command is an event with an actor, appended to the head that was loaded: a trigger, a send or
an expiry that is faster wins, and the command is decided again by what stands then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from events.commands.execute import KeepsChanging, NotTaken, always, execute
from events.ids import SYSTEM_STREAM_IDS
from events.log import EventLog, OrderHead, order_in
from events.order import Order, may_cancel, was_executed
from events.types import Fact, OrderAmended, OrderCancelled, Status

NEVER = 0
"""As a new expiry: the order expires no more."""


class CommandOutcome(Enum):
    """What became of a command."""

    DONE = "done"
    ALREADY = "already"
    """It had been done before; nothing was written."""
    TOO_LATE = "too-late"
    """The order is past where this can be done: see its status."""
    CONFLICT = "conflict"
    """The order is not at the version that was named, or kept changing."""
    NOT_FOUND = "not-found"
    """There is no head (any more): an order that ended long ago, or none."""


class CommandResult(NamedTuple):
    """What became of a command, and the order as it is now."""

    outcome: CommandOutcome
    order: Order | None


class Declined(Exception):
    """The order is not as the command needs it."""

    def __init__(self, outcome: CommandOutcome, order: Order | None) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.order = order


async def cancel(log: EventLog, order_id: str, actor: str, reason: str = "") -> CommandResult:
    """Calls an order off, unless something of it is out. Raises LogError.

    Raises `msgspec.DecodeError` for an order that this build cannot read, as `amend` does.
    """
    return await _answered(log, order_id, lambda order: decide_cancel(order, actor, reason))


async def amend(
    log: EventLog,
    order_id: str,
    expected_version: int,
    target_price: str | None,
    expires_at_us: int | None,
    actor: str,
) -> CommandResult:
    """Changes the terms of a resting order; None leaves a term as it is, and an expiry of NEVER

    takes it away. Raises LogError.
    """

    def decide(order: Order) -> list[Fact]:
        return decide_amend(order, expected_version, target_price, expires_at_us, actor)

    return await _answered(log, order_id, decide)


def decide_cancel(order: Order, actor: str, reason: str) -> list[Fact]:
    """Pure. Raises Declined."""
    if order.status is Status.CANCELLED:
        raise Declined(CommandOutcome.ALREADY, order)
    if not may_cancel(order):
        raise Declined(CommandOutcome.TOO_LATE, order)
    return [OrderCancelled(actor, reason)]


def decide_amend(
    order: Order,
    expected_version: int,
    target_price: str | None,
    expires_at_us: int | None,
    actor: str,
) -> list[Fact]:
    """Pure. Raises Declined."""
    price = order.target_price if target_price is None else target_price
    expires = order.expires_at_us if expires_at_us is None else expires_at_us or None
    # Before the version: a client that lost the order to a trigger is told so.
    if order.status is not Status.WATCHING or was_executed(order):
        raise Declined(CommandOutcome.TOO_LATE, order)
    if order.version != expected_version:
        raise Declined(CommandOutcome.CONFLICT, order)
    if (price, expires) == (order.target_price, order.expires_at_us):
        raise Declined(CommandOutcome.ALREADY, order)
    return [OrderAmended(actor, price, expires)]


async def _answered(
    log: EventLog, order_id: str, decide: Callable[[Order], Sequence[Fact]]
) -> CommandResult:
    async def read(head: OrderHead | None) -> Order:
        if head is None or order_id in SYSTEM_STREAM_IDS:
            raise Declined(CommandOutcome.NOT_FOUND, None)
        return order_in(head, order_id)

    try:
        executed = await execute(log, order_id, always(decide), read=read)
    except Declined as declined:
        return CommandResult(declined.outcome, declined.order)
    except (KeepsChanging, NotTaken) as error:
        return CommandResult(
            CommandOutcome.CONFLICT, error.state if isinstance(error.state, Order) else None
        )
    return CommandResult(CommandOutcome.DONE, executed.now)
