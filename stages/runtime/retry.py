"""What a refusal means for an order: another attempt later, or the end. Pure.

Attempts count the order's own failures before the send and transactions proved dead, never a send
without an answer: after that only the chain can tell. What nodes fail to do is no attempt: the
order waits as long as that lasts, ever longer between two tries, until its time is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from events import best_quote
from events.order import IMMEDIATE_TIFS, Order, may_still_land
from events.reason_codes import ReasonCode
from events.types import AttemptFailed, Fact, OrderExpired, OrderFailed
from stages.runtime.stage import VenueRefusal

OUTAGES: frozenset[ReasonCode] = best_quote.UNANSWERED - {"venue-timeout"} | {
    "method-not-served", "call-too-large", "wrong-cluster", "mainnet-not-allowed",
}  # fmt: skip
"""Codes of refusals that speak of the nodes, never of the order. A venue that answers too late is
not among them: another amount or route may be quick."""

DETAIL_MAX = 300
"""Characters of what nodes say that an event keeps."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter."""

    attempts_max: int = 3
    base_ms: int = 500
    max_ms: int = 30_000

    def backoff_ms(self, attempt: int, jitter: float) -> int:
        """Wait after failed attempt 1, 2 …; jitter in 0..1 takes up to half of it away."""
        full = min(self.max_ms, self.base_ms * 2 ** min(attempt - 1, 30))
        return max(1, int(full * (1 - jitter / 2)))


def after_refusal(
    order: Order,
    stage: str,
    error: VenueRefusal,
    policy: RetryPolicy,
    *,
    now_us: int,
    jitter: float,
) -> tuple[Fact, int]:
    """The fact to say and, for another attempt, the wait in ms (else 0)."""
    _check_not_sent(order)
    if error.code in OUTAGES and order.time_in_force not in IMMEDIATE_TIFS:
        wait_ms = policy.backoff_ms(order.outages + 1, jitter)
        again_us = now_us + wait_ms * 1000
        detail = error.detail[:DETAIL_MAX]
        return AttemptFailed(stage, order.attempts, error.code, detail, again_us), wait_ms
    attempt = order.attempts + 1
    tried_out = attempt >= policy.attempts_max and not order.patient
    if not error.retryable or tried_out or order.time_in_force in IMMEDIATE_TIFS:
        return OrderFailed(stage, error.code, attempt, error.detail), 0
    wait_ms = policy.backoff_ms(attempt, jitter)
    failed = AttemptFailed(stage, attempt, error.code, error.detail, now_us + wait_ms * 1000)
    return failed, wait_ms


def after_expiry(order: Order, stage: str) -> Fact:
    """The end of an order whose time is over and of which nothing can land any more.

    An order whose earlier transaction was proved dead has been `submitted`, so it fails instead.
    """
    _check_not_sent(order)
    if order.status.value == "submitted":
        return OrderFailed(stage, "expired", order.attempts)
    return OrderExpired(stage, "expires-at-passed", order.attempts)


def _check_not_sent(order: Order) -> None:
    """Not an assert: those can be switched off."""
    if may_still_land(order):
        raise RuntimeError(f"order {order.id} is sent: only the chain can tell its end")


PATIENT_RETREATS = 3
"""So many times an order that was led on is tried again in the next slot; then ever later,"""
PAUSE_SLOTS_MAX = 64
"""… up to this many slots: one whose amount is too small to be paid its target may never be, and on
a real chain each swap that fails costs its fee."""


def pause_slots(retreats: int) -> int:
    """How many slots an order that retreated so often before passes over a price that stays."""
    return int(min(2 ** min(max(0, retreats - PATIENT_RETREATS), 16), PAUSE_SLOTS_MAX))


def paused_until_slot(retreats: int, slot: int) -> int:
    """From which slot on the price of this slot counts again; 0 where that is the next one."""
    pause = pause_slots(retreats)
    return slot + pause if pause > 1 else 0
