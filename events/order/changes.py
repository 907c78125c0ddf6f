"""What each fact changes of an order: one function a fact.

Rule of this file: pure. A function writes into `after`, a copy that nobody else has yet. It never
judges: history is not up for debate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from events import types as t
from events.order.state import Order, Transaction
from events.secret import SecretBytes
from events.types import Event


def _submitted(after: Order, e: Event, f: t.OrderSubmitted) -> None:
    after.type = f.order_type
    after.token_in = f.token_in
    after.token_out = f.token_out
    after.decimals_in = f.decimals_in
    after.decimals_out = f.decimals_out
    after.amount_in = f.amount_in
    after.slippage_bps = f.slippage_bps
    after.min_amount_out = f.min_amount_out
    after.expires_at_us = f.expires_at_us
    after.client_order_id = f.client_order_id
    after.idempotency_key = f.idempotency_key
    after.target_price = f.target_price
    after.time_in_force = f.time_in_force
    after.min_liquidity = f.min_liquidity
    after.max_price = f.max_price
    after.exact_amount_out = f.exact_amount_out
    after.max_amount_in = f.max_amount_in
    after.created_at_us = e.time_us


def _nothing(_: Order, __: Event, ___: t.Fact) -> None:
    pass


def _routed(after: Order, _: Event, f: t.OrderRouted) -> None:
    after.dex = f.dex
    after.pool = f.pool
    after.quoted_amount_out = f.amount_out
    after.min_amount_out = f.min_amount_out
    after.price = f.price
    after.stale_route = False
    chosen = f.quotes[f.chosen] if 0 <= f.chosen < len(f.quotes) else None
    after.legs = chosen.legs if chosen is not None else ()
    after.warnings = chosen.warnings if chosen is not None else ()
    if after.exact_amount_out is not None:
        after.amount_in = f.amount_in
        after.max_amount_in = f.max_amount_in


def _built(after: Order, _: Event, f: t.TransactionBuilt) -> None:
    after.transaction = Transaction(
        f.attempt, f.signature, f.last_valid_height, f.raw, least_slot=f.least_slot
    )
    after.signature = f.signature
    after.transactions += 1


def _sent(after: Order, e: Event, _: t.TransactionSubmitted) -> None:
    if after.transaction is not None:
        after.transaction = replace(after.transaction, submitted_at_us=e.time_us)
    after.outages = 0


def _died(after: Order, _: Event, f: t.TransactionExpired) -> None:
    after.transaction = None
    after.attempts += f.handed_over
    after.in_doubt = False


def _in_doubt(after: Order, _: Event, f: t.TransactionInDoubt) -> None:
    after.in_doubt = True
    after.doubt = f.detail


def _confirmed(after: Order, _: Event, f: t.OrderConfirmed) -> None:
    after.signature = f.signature
    after.amount_out = f.amount_out
    after.executed_price = f.executed_price
    after.amount_taken = f.amount_in
    if after.exact_amount_out is not None:  # else it is what was asked for
        after.amount_in = f.amount_in or after.amount_in
    after.fee_lamports += f.fee_lamports
    after.rent_lamports += f.rent_lamports
    after.fills = f.fills
    after.in_doubt = False
    after.transaction = None


def _failed(after: Order, event: Event, f: t.OrderFailed) -> None:
    after.fee_lamports += f.fee_lamports
    _ended(after, event, f)


def _ended(after: Order, _: Event, f: t.OrderFailed | t.OrderExpired) -> None:
    after.failed_stage = f.stage
    after.reason = f.reason
    after.attempts = f.attempts
    after.in_doubt = False
    after.parked = ""
    after.transaction = None


def _attempt_failed(after: Order, _: Event, f: t.AttemptFailed) -> None:
    # One that spends no attempt tells of an outage of the nodes.
    after.outages = after.outages + 1 if f.attempt == after.attempts else 0
    after.attempts = f.attempt
    after.next_attempt_at_us = f.next_attempt_at_us
    after.stale_route = after.stale_route or f.stage == "builder"


def _parked(after: Order, _: Event, f: t.OrderParked) -> None:
    after.parked = f.reason or "parked"


def _replayed(after: Order, e: Event, _: t.OrderRequeued) -> None:
    after.parked = ""
    after.counts_from_us = e.time_us
    after.next_attempt_at_us = 0


def _recovered(after: Order, e: Event, f: t.TransactionRecovered) -> None:
    after.parked = ""
    after.in_doubt = False
    known = after.transaction
    if known is not None and known.signature == f.signature:
        after.transaction = replace(known, submitted_at_us=known.submitted_at_us or e.time_us)
        return
    # By another route than the one that is known. There are no bytes to send: it has landed.
    after.transactions += 1
    after.transaction = Transaction(after.transactions, f.signature, 0, SecretBytes(b""), e.time_us)
    after.signature = f.signature
    after.dex, after.pool, after.price = f.dex, f.pool, ""
    after.quoted_amount_out = None
    after.legs = ()
    after.warnings = ()


def _rested(after: Order, _: Event, f: t.OrderArmed) -> None:
    after.watch_slot = f.slot


def _triggered(after: Order, _: Event, f: t.OrderTriggered) -> None:
    after.triggered = True
    after.trigger_price = f.price
    after.watch_slot = f.slot
    after.paused_until_slot = 0
    after.attempts = after.outages = 0
    after.next_attempt_at_us = 0


def _retreated(after: Order, _: Event, f: t.OrderRearmed) -> None:
    after.triggered = False
    after.retreats += 1
    after.watch_slot = f.slot
    after.paused_until_slot = f.paused_until_slot
    after.next_attempt_at_us = 0
    after.in_doubt = False
    after.transaction = None
    # The route is gone, and the minimum that was fixed with it.
    after.dex = after.pool = after.price = after.signature = ""
    after.quoted_amount_out = after.min_amount_out = None
    after.legs = ()
    after.warnings = ()
    after.stale_route = False
    after.fee_lamports += f.fee_lamports


def _amended(after: Order, e: Event, f: t.OrderAmended) -> None:
    if after.target_price != f.target_price:
        after.counts_from_us = e.time_us
    after.target_price = f.target_price
    after.expires_at_us = f.expires_at_us
    after.time_in_force = "GTT" if f.expires_at_us else "GTC"
    after.retreats = 0
    after.paused_until_slot = 0


def _cancelled(after: Order, _: Event, f: t.OrderCancelled) -> None:
    after.reason = f.reason
    after.parked = ""
    after.transaction = None


CHANGES: dict[type[t.Fact], Callable[[Order, Event, Any], None]] = {
    t.OrderSubmitted: _submitted,
    t.RoutingStarted: _nothing,
    t.OrderRouted: _routed,
    t.TransactionBuilt: _built,
    t.TransactionSubmitted: _sent,
    t.TransactionExpired: _died,
    t.TransactionInDoubt: _in_doubt,
    t.OrderConfirmed: _confirmed,
    t.OrderFailed: _failed,
    t.OrderExpired: _ended,
    t.AttemptFailed: _attempt_failed,
    t.OrderParked: _parked,
    t.OrderRequeued: _replayed,
    t.TransactionRecovered: _recovered,
    t.OrderArmed: _rested,
    t.OrderTriggered: _triggered,
    t.OrderRearmed: _retreated,
    t.OrderAmended: _amended,
    t.OrderCancelled: _cancelled,
    # Of streams that are no orders: on an order, which only a damaged log has, they say nothing.
    t.EngineHalted: _nothing,
    t.EngineResumed: _nothing,
    t.KeyCreated: _nothing,
    t.KeyRotated: _nothing,
    t.KeyRevoked: _nothing,
}

assert CHANGES.keys() == set(t.FACTS.values()), "every event has its change"
