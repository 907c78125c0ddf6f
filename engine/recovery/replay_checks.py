"""Decisions that an audit makes again: fact -> what its stage decides on the inputs it recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from events.audit.replay import Checks
from events.order import Order
from events.reason_codes import recorded
from events.types import (
    Fact,
    OrderConfirmed,
    OrderRearmed,
    OrderRouted,
    OrderTriggered,
    RoutingStarted,
    TransactionExpired,
)
from stages import confirmer, router
from stages.runtime.retry import pause_slots
from stages.runtime.stage import NotYet
from stages.triggers import watcher
from stages.venues import LegOutcome, Outcome, PoolEvent, Tick

_NO_LIMIT = 2**31


def _begun(order: Order, _: RoutingStarted) -> Sequence[Fact]:
    fact = router.begin(order)
    return [fact] if fact is not None else []


def _routed(order: Order, fact: OrderRouted) -> Sequence[Fact]:
    decided = router.decide(order, fact.quotes)
    if fact.chosen < 0:  # written before there were several routes a venue
        return [
            replace(item, chosen=-1) if isinstance(item, OrderRouted) else item for item in decided
        ]
    return decided


def _retreated(order: Order, fact: OrderRearmed) -> Sequence[Fact]:
    if fact.stage == "router":
        decided = router.decide(order, fact.quotes)
    else:
        # A pause of one slot is none; a longer one stands beside the slot, or, by older builds,
        # with it.
        slot = fact.slot - (1 if fact.paused_until_slot else pause_slots(order.retreats))
        failed = Outcome(
            "failed", slot=slot, reason=recorded(fact.reason), fee_lamports=fact.fee_lamports
        )
        decided = list(_facts(order, failed))
    if not fact.paused_until_slot:
        return [_as_by_older_builds(item) for item in decided]
    return decided


def _as_by_older_builds(fact: Fact) -> Fact:
    if not isinstance(fact, OrderRearmed) or not fact.paused_until_slot:
        return fact
    return replace(fact, slot=fact.paused_until_slot, paused_until_slot=0)


def _triggered(order: Order, fact: OrderTriggered) -> Sequence[Fact]:
    first = order.watch_slot
    if order.counts_from_us and fact.first_slot is not None:
        first = max(first, fact.first_slot)  # which slot that was, the watcher's venue knew
    seen = (
        Tick(fact.dex, fact.pool, fact.slot, fact.price)
        if fact.cause == "tick"
        else PoolEvent(fact.cause, fact.dex, fact.pool, fact.slot, fact.price, fact.liquidity)  # type: ignore[arg-type]  # of two words
    )
    decided = watcher.triggers(order, seen, first)
    if fact.first_slot is None:  # of a build that did not record it
        return [replace(item, first_slot=None) for item in decided]
    return decided


def _confirmed(order: Order, fact: OrderConfirmed) -> Sequence[Fact]:
    """The fills of an order that was settled by another transaction are of its own record."""
    landed = Outcome(
        "landed",
        amount_out=fact.amount_out,
        slot=fact.slot,
        amount_in=fact.amount_in,
        fee_lamports=fact.fee_lamports,
        rent_lamports=fact.rent_lamports,
        legs=tuple(
            LegOutcome(confirmed.amount_in, confirmed.amount_out, confirmed.leftover)
            for confirmed in fact.fills
        ),
    )
    decided = _facts(order, landed)
    if order.transaction is not None and not order.transaction.raw:
        return [
            replace(confirmed, fills=fact.fills)
            for confirmed in decided
            if isinstance(confirmed, OrderConfirmed)
        ]
    return decided


def _died(order: Order, fact: TransactionExpired) -> Sequence[Fact]:
    return _facts(order, Outcome("absent", finalized_height=fact.finalized_height))


def _facts(order: Order, outcome: Outcome) -> Sequence[Fact]:
    decided: Any = confirmer.decide(order, outcome, attempts_max=_NO_LIMIT)
    return [] if isinstance(decided, NotYet) else decided


CHECKS: Checks = {
    RoutingStarted: _begun,
    OrderRouted: _routed,
    OrderRearmed: _retreated,
    OrderTriggered: _triggered,
    OrderConfirmed: _confirmed,
    TransactionExpired: _died,
}
