"""The event `TransactionRecovered`."""

from __future__ import annotations

from msgspec.structs import replace

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order, Transaction
from events.secret import SecretBytes
from events.status import OPEN, Status


class TransactionRecovered(Fact, frozen=True, array_like=True, tag=True):
    """An operator closes a parked order by the chain's record: this transaction is the order's, and
    its end follows in the same append.
    """

    signature: str
    reason: str
    actor: str
    dex: str = ""
    """Where it was executed; empty where the record does not tell, or where that is the route."""
    pool: str = ""
    others: tuple[str, ...] = ()
    """Further transactions that executed the order, if it was executed more than once."""


def _apply(order: Order, fact: TransactionRecovered, time_us: int) -> None:
    order.parked = ""
    order.in_doubt = False
    known = order.transaction
    if known is not None and known.signature == fact.signature:
        order.transaction = replace(known, submitted_at_us=known.submitted_at_us or time_us)
        return
    # By another route than the one that is known. There are no bytes to send: it has landed.
    order.transactions += 1
    order.transaction = Transaction(
        order.transactions, fact.signature, 0, SecretBytes(b""), time_us
    )
    order.signature = fact.signature
    order.dex, order.pool, order.price = fact.dex, fact.pool, ""
    order.quoted_amount_out = None
    order.legs = ()
    order.warnings = ()


EVENT = OrderEvent(
    TransactionRecovered,
    transitions=dict.fromkeys(OPEN, Status.SUBMITTED),
    apply=_apply,
)
