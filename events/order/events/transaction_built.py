"""The event `TransactionBuilt`."""

from __future__ import annotations

from events.event import Fact
from events.order.order_event import OrderEvent
from events.order.state import Order, Transaction
from events.secret import SecretBytes
from events.status import Status


class TransactionBuilt(Fact, frozen=True, array_like=True, tag=True):
    """A transaction was signed. `raw` never leaves the engine: it permits a broadcast."""

    attempt: int
    signature: str
    last_valid_height: int
    raw: SecretBytes
    least_slot: int = 0
    """The slot of the node's answer with the blockhash: the transaction can only land in a later
    one. 0: unknown, as in logs of builds that did not record it."""


def _apply(order: Order, fact: TransactionBuilt, _: int) -> None:
    order.transaction = Transaction(
        fact.attempt, fact.signature, fact.last_valid_height, fact.raw, least_slot=fact.least_slot
    )
    order.signature = fact.signature
    order.transactions += 1


EVENT = OrderEvent(
    TransactionBuilt,
    transitions={
        Status.BUILDING: None,
        # A replacement of a transaction proved dead.
        Status.SUBMITTED: None,
    },
    apply=_apply,
)
