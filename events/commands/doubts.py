"""Orders in doubt: lists them, and lets an operator end one whose outcome no node knows."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from events.archive import Filters
from events.commands.execute import KeepsChanging, NotTaken, always, execute
from events.log import EventLog, OrderHead, order_in
from events.order import Order, Transaction, was_executed
from events.reason_codes import ReasonCode
from events.types import Fact, OrderFailed, Status

PAGE = 500
LOOKED_AT_MAX = 10 * PAGE
"""The most submitted orders that are examined."""
REASON: ReasonCode = "outcome-unknown"


class NotAllowed(Exception):
    """The order is not in doubt, or its transaction may still land."""


class Lists(Protocol):
    """The part of the archive that lists orders."""

    async def find(
        self, filters: Filters, *, limit: int, cursor: str | None = None
    ) -> tuple[list[Order], str | None]:
        """Orders, newest first, and the cursor of the next page."""
        ...


class Doubted(NamedTuple):
    """The orders in doubt, newest first."""

    orders: list[Order]
    all_seen: bool
    """Whether no more than `LOOKED_AT_MAX` orders are submitted."""


async def in_doubt(archive: Lists) -> Doubted:
    """The submitted orders whose outcome is unknown. Raises ArchiveUnavailable."""
    orders: list[Order] = []
    cursor = None
    for _ in range(LOOKED_AT_MAX // PAGE):
        page, cursor = await archive.find(
            Filters(statuses=(Status.SUBMITTED,)), limit=PAGE, cursor=cursor
        )
        orders += [order for order in page if order.in_doubt]
        if cursor is None:
            return Doubted(orders, all_seen=True)
    return Doubted(orders, all_seen=False)


async def close(
    log: EventLog, order_id: str, finalized_height: int, reason: str, actor: str
) -> Order:
    """Fails an order in doubt with the reason `outcome-unknown`; returns the order after it.

    The order is not sent again. A transaction can no longer land when `finalized_height` of the
    chain is past its last valid height. Raises NotAllowed, LogError, or `msgspec.DecodeError`.
    """

    async def read(head: OrderHead | None) -> Order:
        if head is None:
            raise NotAllowed("no such open order")
        return order_in(head, order_id)

    def decide(order: Order) -> list[Fact]:
        return decide_close(order, finalized_height, reason, actor)

    try:
        executed = await execute(log, order_id, always(decide), read=read)
    except (KeepsChanging, NotTaken) as error:
        raise NotAllowed("the order keeps changing; try again") from error
    return executed.after


def decide_close(order: Order, finalized_height: int, reason: str, actor: str) -> list[Fact]:
    """The events of `close`. Pure. Raises NotAllowed."""
    transaction = _transaction(order)
    if finalized_height <= transaction.last_valid_height:
        raise NotAllowed(
            f"its transaction may still land: the chain is final to height {finalized_height:,}"
            f" and not past {transaction.last_valid_height:,}"
        )
    return [OrderFailed("operator", REASON, order.attempts, detail=reason, actor=actor)]


def _transaction(order: Order) -> Transaction:
    """The transaction in doubt. Raises NotAllowed."""
    if order.status is not Status.SUBMITTED or not order.in_doubt or order.transaction is None:
        raise NotAllowed(f"the order is {order.status} and not in doubt")
    if was_executed(order):
        raise NotAllowed(f"{order.parked}: `engine parked settle` ends it")
    return order.transaction
