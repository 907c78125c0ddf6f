"""Settlement: what the chain's record of a transaction means for a parked order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from events import money
from events.order import Order, evolve, status_after
from events.types import (
    Event,
    Fact,
    OrderConfirmed,
    OrderFailed,
    TransactionExpired,
    TransactionRecovered,
)
from stages import confirmer
from stages.runtime.stage import VenueRefusal
from stages.venues.record import Record

STAGE = "operator"


def check(order: Order, record: Record, *, known: bool) -> None:
    """Checks that the transaction is the order's. Raises VenueRefusal where it is not.

    `known`: the log or a repair names it as the order's, so it has to name the order itself. The
    amounts of any other transaction have to be within the order's terms.
    """
    named = f"{record.signature} names"
    if any(order_id != order.id for order_id in record.orders):
        raise VenueRefusal("transaction-of-another-order", f"{named} {', '.join(record.orders)}")
    if not record.orders and (known or record.outcome.state == "failed"):
        raise VenueRefusal("transaction-of-another-order", f"{named} no order")
    if record.tokens is not None and record.tokens != (order.token_in, order.token_out):
        detail = f"{record.signature} swaps {' for '.join(record.tokens)}"
        raise VenueRefusal("transaction-does-not-fit", detail)
    if not known and record.outcome.state == "landed" and (why := _outside(order, record)):
        raise VenueRefusal("transaction-does-not-fit", f"{record.signature}: {why}")


def _outside(order: Order, record: Record) -> str:
    """The first of the order's terms that the amounts violate, in words; empty: none."""
    taken, given = record.outcome.amount_in, record.outcome.amount_out

    def into(units: int) -> str:
        return f"{money.to_tokens(units, order.decimals_in)} {order.token_in}"

    def out(units: int) -> str:
        return f"{money.to_tokens(units, order.decimals_out)} {order.token_out}"

    if order.exact_amount_out is not None:
        if given != order.exact_amount_out:
            return f"it gave {out(given)}, the order asks for {out(order.exact_amount_out)}"
        if order.max_amount_in is not None and taken > order.max_amount_in:
            return f"it took {into(taken)}, the order allows {into(order.max_amount_in)}"
    elif taken != order.amount_in:
        return f"it took {into(taken)}, the order gives {into(order.amount_in)}"
    least = order.min_amount_out or 0
    if order.target_price:
        units = money.price_units(order.target_price)
        least = max(least, money.amount_at(taken, order.decimals_in, units, order.decimals_out))
    if order.max_price:
        units = money.price_units(order.max_price)
        least = max(least, money.amount_for(taken, order.decimals_in, units, order.decimals_out))
    return (
        "" if given >= least else f"it gave {out(given)}, the order asks for at least {out(least)}"
    )


def recovered(
    order: Order, record: Record, reason: str, actor: str, others: Sequence[str] = ()
) -> list[Fact]:
    """The facts that end the order by this record."""
    recovered_fact = TransactionRecovered(
        record.signature, reason, actor, record.dex, record.pool, tuple(others)
    )
    outcome = record.outcome
    if outcome.state == "failed":
        failed = OrderFailed(
            STAGE,
            outcome.reason,
            order.attempts + 1,
            actor=actor,
            fee_lamports=outcome.fee_lamports,
        )
        return [recovered_fact, failed]
    sent = _after(order, recovered_fact)
    decided = confirmer.decide(sent, outcome, attempts_max=1)
    assert isinstance(decided, list), "what landed is decided"
    return [recovered_fact, *(_with_fills(sent, fact, record) for fact in decided)]


def _with_fills(sent: Order, fact: Fact, record: Record) -> Fact:
    """The event with the swaps of the record, where the route is not known any more."""
    if isinstance(fact, OrderConfirmed) and not sent.legs:
        return replace(fact, fills=record.fills)
    return fact


def _after(order: Order, fact: TransactionRecovered) -> Order:
    event = Event(
        order.id, order.version + 1, order.updated_at_us, status_after(order, fact),
        order.account, "", fact,
    )  # fmt: skip
    return evolve(order, event)


def dead(order: Order, finalized_height: int, reason: str, actor: str) -> list[Fact]:
    """The facts that end an order whose transaction was proved dead."""
    assert order.transaction is not None, "only what was sent can be dead"
    transaction = order.transaction
    proof = TransactionExpired(
        transaction.attempt, transaction.signature, transaction.last_valid_height, finalized_height
    )
    failed = OrderFailed(
        STAGE, "transaction-expired", order.attempts + 1, detail=reason, actor=actor
    )
    return [proof, failed]
