"""What the events of an order mean: `Order`, the table of legal transitions, `evolve` and `fold`.

Rule of this file: pure. No clock, no network, no randomness; the same events give the same order
on any machine. `evolve` never judges (history is not up for debate): an event that `NEXT` does not
allow leaves the status alone, and the audit is what reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from events import types as t
from events.types import TERMINAL, Event, Status


class Transaction(msgspec.Struct, frozen=True, array_like=True):
    """The one transaction of an order that may be alive."""

    attempt: int
    signature: str
    last_valid_height: int
    raw: bytes
    submitted_at_us: int = 0
    """0 until `TransactionSubmitted`."""


class Order(msgspec.Struct, array_like=True):
    """An order as its events left it. Amounts in base units, times in µs.

    Not frozen for speed alone: only `evolve` and `advance` write.
    """

    id: str
    account: str = ""
    version: int = 0
    status: Status = Status.PENDING
    type: str = "market"
    token_in: str = ""
    token_out: str = ""
    decimals_in: int = 0
    decimals_out: int = 0
    amount_in: int = 0
    slippage_bps: int = 0
    min_amount_out: int | None = None
    expires_at_us: int | None = None
    client_order_id: str | None = None
    idempotency_key: str | None = None
    created_at_us: int = 0
    updated_at_us: int = 0
    dex: str = ""
    pool: str = ""
    quoted_amount_out: int | None = None
    price: str = ""
    transaction: Transaction | None = None
    attempts: int = 0
    """Failures before the send and transactions proved dead."""
    next_attempt_at_us: int = 0
    in_doubt: bool = False
    parked: str = ""
    """Why the engine stopped work on this order; empty when it did not."""
    signature: str = ""
    amount_out: int | None = None
    executed_price: str = ""
    failed_stage: str = ""
    reason: str = ""
    target_price: str = ""
    time_in_force: str = ""
    min_liquidity: int | None = None
    max_price: str = ""
    watch_slot: int = 0
    """The first slot whose ticks count, once the order rests."""
    triggered: bool = False
    """Whether what a limit or sniper order waits for has happened (and not retreated)."""
    retreats: int = 0
    """How often the price retreated since the order was submitted or amended."""
    transactions: int = 0
    """How many were built."""
    counts_from_us: int = 0
    """What happened before does not count: the target price was amended then, or an operator put
    the order back to work. 0: all since `watch_slot` counts."""

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen to this order any more."""
        return self.status in TERMINAL


# ---------------------------------------------------------------------------------------------
# What may follow what: status -> event -> status after it. `None` is "no order yet".

_ANYTIME: dict[type[t.Fact], Status | None] = {
    t.AttemptFailed: None,
    t.OrderParked: None,
    t.OrderReplayed: None,
}
_BEFORE_SEND: dict[type[t.Fact], Status | None] = {
    **_ANYTIME,
    t.OrderFailed: Status.FAILED,
    t.OrderExpired: Status.EXPIRED,
    t.OrderCancelled: Status.CANCELLED,
}

_TRANSITIONS: dict[Status | None, dict[type[t.Fact], Status | None]] = {
    None: {t.OrderSubmitted: Status.PENDING, t.EngineHalted: Status.HALTED},
    Status.PENDING: {
        **_BEFORE_SEND,
        t.RoutingStarted: Status.ROUTING,
        t.OrderRested: Status.WATCHING,
    },
    Status.WATCHING: {
        **_BEFORE_SEND,
        t.OrderAmended: None,
        t.OrderTriggered: Status.PENDING,
    },
    Status.ROUTING: {
        **_BEFORE_SEND,
        t.OrderRouted: Status.BUILDING,
        t.OrderRetreated: Status.WATCHING,
    },
    Status.BUILDING: {
        **_BEFORE_SEND,
        t.TransactionBuilt: None,
        t.TransactionSubmitted: Status.SUBMITTED,
    },
    # A replacement of a transaction proved dead is built and sent without leaving `submitted`.
    Status.SUBMITTED: {
        **_ANYTIME,
        t.TransactionBuilt: None,
        t.TransactionSubmitted: None,
        t.TransactionExpired: None,
        t.TransactionInDoubt: None,
        t.OrderConfirmed: Status.CONFIRMED,
        t.OrderFailed: Status.FAILED,
        # Only of a transaction that failed on chain: it cannot land any more.
        t.OrderRetreated: Status.WATCHING,
    },
    Status.CONFIRMED: {},
    Status.FAILED: {},
    Status.EXPIRED: {},
    Status.CANCELLED: {},
    Status.HALTED: {t.EngineResumed: Status.RUNNING},
    Status.RUNNING: {t.EngineHalted: Status.HALTED},
}

NEXT: dict[Status | None, dict[type[t.Fact], Status]] = {
    before: {fact: after or before or Status.PENDING for fact, after in row.items()}
    for before, row in _TRANSITIONS.items()
}


def status_after(order: Order | None, fact: t.Fact) -> Status:
    """The status that follows; an event that `NEXT` does not allow leaves it as it was."""
    before = order.status if order is not None and order.version else None
    return NEXT[before].get(type(fact)) or before or Status.PENDING


# ---------------------------------------------------------------------------------------------
# Who has the next word: (status, state of the transaction) -> stage.

STAGES = ("router", "builder", "submitter", "confirmer", "watcher")
"""Their numbers stand in heads: new ones are appended."""

WAITING_TYPES = frozenset({"limit", "sniper"})
"""Types of orders that wait for a price or a pool before they are routed."""


AT_ONCE = frozenset({"IOC", "FOK"})
"""Times in force of orders that are filled by their first attempt or not at all."""


def owed_by(order: Order) -> str | None:
    """The stage that owes this order its next event, or None.

    Nobody owes a resting order anything: a tick, a cancel or its expiry comes, or nothing does.
    """
    status = order.status
    if order.parked or status in _OWED_BY_NOBODY:
        return None
    if status is Status.PENDING and not order.triggered and order.type in WAITING_TYPES:
        return "watcher"
    if status in (Status.PENDING, Status.ROUTING):
        return "router"
    if order.transaction is None:
        return "builder"
    return "confirmer" if order.transaction.submitted_at_us else "submitter"


_OWED_BY_NOBODY = TERMINAL | {Status.WATCHING, Status.HALTED, Status.RUNNING}


def may_cancel(order: Order) -> bool:
    """Whether nothing was ever said to be sent, so that a cancel wins."""
    return order.status in _MAY_CANCEL


_MAY_CANCEL = frozenset(
    status for status, row in _TRANSITIONS.items() if status and t.OrderCancelled in row
)


def next_attempt(order: Order) -> int:
    """The number of the order's next transaction: never one that was used before."""
    return max(order.attempts, order.transactions) + 1


def may_still_land(order: Order) -> bool:
    """Whether a transaction of this order is out, so that only the chain can tell its end."""
    return (
        order.status is Status.SUBMITTED
        and order.transaction is not None
        and bool(order.transaction.submitted_at_us)
    )


# ---------------------------------------------------------------------------------------------
# evolve: one function a fact, writing what changes into `after`, a copy that nobody else has yet.


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
    after.created_at_us = e.time_us


def _nothing(_: Order, __: Event, ___: t.Fact) -> None:
    pass


def _routed(after: Order, _: Event, f: t.OrderRouted) -> None:
    after.dex = f.dex
    after.pool = f.pool
    after.quoted_amount_out = f.amount_out
    after.min_amount_out = f.min_amount_out
    after.price = f.price


def _built(after: Order, _: Event, f: t.TransactionBuilt) -> None:
    after.transaction = Transaction(f.attempt, f.signature, f.last_valid_height, f.raw)
    after.signature = f.signature
    after.transactions += 1


def _sent(after: Order, e: Event, _: t.TransactionSubmitted) -> None:
    if after.transaction is not None:
        after.transaction = replace(after.transaction, submitted_at_us=e.time_us)


def _died(after: Order, _: Event, __: t.TransactionExpired) -> None:
    after.transaction = None
    after.attempts += 1
    after.in_doubt = False


def _in_doubt(after: Order, _: Event, __: t.TransactionInDoubt) -> None:
    after.in_doubt = True


def _confirmed(after: Order, _: Event, f: t.OrderConfirmed) -> None:
    after.signature = f.signature
    after.amount_out = f.amount_out
    after.executed_price = f.executed_price
    after.in_doubt = False
    after.transaction = None


def _ended(after: Order, _: Event, f: t.OrderFailed | t.OrderExpired) -> None:
    after.failed_stage = f.stage
    after.reason = f.reason
    after.attempts = f.attempts
    after.in_doubt = False
    after.parked = ""
    after.transaction = None


def _attempt_failed(after: Order, _: Event, f: t.AttemptFailed) -> None:
    after.attempts = f.attempt
    after.next_attempt_at_us = f.next_attempt_at_us


def _parked(after: Order, _: Event, f: t.OrderParked) -> None:
    after.parked = f.reason or "parked"


def _replayed(after: Order, e: Event, _: t.OrderReplayed) -> None:
    after.parked = ""
    after.counts_from_us = e.time_us
    after.next_attempt_at_us = 0


def _rested(after: Order, _: Event, f: t.OrderRested) -> None:
    after.watch_slot = f.slot


def _triggered(after: Order, _: Event, f: t.OrderTriggered) -> None:
    after.triggered = True
    after.watch_slot = f.slot
    after.attempts = 0
    after.next_attempt_at_us = 0


def _retreated(after: Order, _: Event, f: t.OrderRetreated) -> None:
    after.triggered = False
    after.retreats += 1
    after.watch_slot = f.slot
    after.next_attempt_at_us = 0
    after.in_doubt = False
    after.transaction = None
    # The route is gone, and the minimum that was fixed with it.
    after.dex = after.pool = after.price = after.signature = ""
    after.quoted_amount_out = after.min_amount_out = None


def _amended(after: Order, e: Event, f: t.OrderAmended) -> None:
    if after.target_price != f.target_price:
        after.counts_from_us = e.time_us
    after.target_price = f.target_price
    after.expires_at_us = f.expires_at_us
    after.time_in_force = "GTT" if f.expires_at_us else "GTC"
    after.retreats = 0


def _cancelled(after: Order, _: Event, f: t.OrderCancelled) -> None:
    after.reason = f.reason
    after.parked = ""
    after.transaction = None


def _engine(after: Order, e: Event, f: t.EngineHalted | t.EngineResumed) -> None:
    after.type = "engine"
    after.created_at_us = after.created_at_us or e.time_us
    after.reason = f.reason


_EVOLVE: dict[type[t.Fact], Callable[[Order, Event, Any], None]] = {
    t.OrderSubmitted: _submitted,
    t.RoutingStarted: _nothing,
    t.OrderRouted: _routed,
    t.TransactionBuilt: _built,
    t.TransactionSubmitted: _sent,
    t.TransactionExpired: _died,
    t.TransactionInDoubt: _in_doubt,
    t.OrderConfirmed: _confirmed,
    t.OrderFailed: _ended,
    t.OrderExpired: _ended,
    t.AttemptFailed: _attempt_failed,
    t.OrderParked: _parked,
    t.OrderReplayed: _replayed,
    t.OrderRested: _rested,
    t.OrderTriggered: _triggered,
    t.OrderRetreated: _retreated,
    t.OrderAmended: _amended,
    t.OrderCancelled: _cancelled,
    t.EngineHalted: _engine,
    t.EngineResumed: _engine,
}


_copy: Callable[[Order], Order] = Order.__copy__  # type: ignore[attr-defined]  # not in its stubs
"""What `copy.copy` comes to, without looking it up: a sixth of the fold."""


def evolve(order: Order | None, event: Event) -> Order:
    """The order after `event`; the one before is left as it was. Never raises."""
    after = Order(event.order_id, account=event.account) if order is None else _copy(order)
    advance(after, event)
    return after


def advance(order: Order, event: Event) -> None:
    """`evolve` in place, for folds that own the order and let nobody else see it."""
    fact = event.fact
    kind = type(fact)
    before = order.status if order.version else None
    order.version = event.version
    order.updated_at_us = event.time_us
    order.status = NEXT[before].get(kind) or before or Status.PENDING
    _EVOLVE[kind](order, event, fact)


def fold(events: Iterable[Event], order: Order | None = None) -> Order | None:
    """The order that `events` add up to; None for no events."""
    for event in events:
        order = evolve(order, event)
    return order


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Order)


encode: Callable[[Order], bytes] = _encoder.encode
"""The order as it stands in heads and in the `orders` table."""

decode: Callable[[bytes], Order] = _decoder.decode
"""Inverse of `encode`. Raises `msgspec.DecodeError`."""
