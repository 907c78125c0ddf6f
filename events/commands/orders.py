"""Commands on open orders: cancel and amend.

Each command is an event with an actor, appended to the head that was loaded: a faster trigger, send
or expiry wins, and the command is decided again on the new state.
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
"""As a new expiry: the order does not expire."""


class CommandOutcome(Enum):
    """The outcome of a command."""

    DONE = "done"
    ALREADY = "already"
    """It was done before; nothing was written."""
    TOO_LATE = "too-late"
    """The order's status no longer permits the command."""
    CONFLICT = "conflict"
    """The order is not at the expected version, or kept changing."""
    NOT_FOUND = "not-found"
    """The order has no head: it is unknown, or ended long ago."""


class CommandResult(NamedTuple):
    """The outcome of a command, and the current order."""

    outcome: CommandOutcome
    order: Order | None


class Declined(Exception):
    """The order's state does not permit the command."""

    def __init__(self, outcome: CommandOutcome, order: Order | None) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.order = order


async def cancel(log: EventLog, order_id: str, actor: str, reason: str = "") -> CommandResult:
    """Cancels an order, unless a transaction of it may land. Raises LogError.

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
    """Changes the terms of a resting order; None leaves a term unchanged, and an expiry of NEVER
    removes it. Raises LogError.
    """

    def decide(order: Order) -> list[Fact]:
        return decide_amend(order, expected_version, target_price, expires_at_us, actor)

    return await _answered(log, order_id, decide)


def decide_cancel(order: Order, actor: str, reason: str) -> list[Fact]:
    """The events of `cancel`. Pure. Raises Declined."""
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
    """The events of `amend`. Pure. Raises Declined."""
    price = order.target_price if target_price is None else target_price
    expires = order.expires_at_us if expires_at_us is None else expires_at_us or None
    # Before the version check: a client that lost against a trigger gets TOO_LATE.
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
