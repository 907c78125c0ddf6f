"""Builder: has the transaction of a route built and signed, and appends its bytes to the log."""

from __future__ import annotations

from collections.abc import Sequence

from events.order import Order, next_attempt
from events.types import Fact, TransactionBuilt
from stages.runtime.stage import Later, Stage, VenueRefusal
from stages.venues import Built, Chain


def decide(order: Order, built: Built) -> list[Fact]:
    """The event that records the transaction of the next attempt."""
    return [
        TransactionBuilt(
            attempt=next_attempt(order),
            signature=built.signature,
            last_valid_height=built.last_valid_height,
            raw=built.raw,
            least_slot=built.least_slot,
        )
    ]


def stage(chain: Chain) -> Stage:
    """The stage on a chain."""

    def build(order: Order) -> Built | Later | VenueRefusal:
        try:
            built = chain.build(order)
            return built if isinstance(built, Built) else Later(built)
        except VenueRefusal as error:
            return error

    def ask(orders: Sequence[Order]) -> Sequence[Built | Later | VenueRefusal]:
        return [build(order) for order in orders]

    return Stage(name="builder", ask=ask, decide=decide)
