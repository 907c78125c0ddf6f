"""Retry: what a refusal means for an order, another attempt or its end.

Attempts count an order's own failures before the send, and transactions proved dead. A send without
an answer never counts: only the chain can tell its outcome. An outage of the nodes does not count
either: the order waits, with growing backoff, until the outage or its own time is over.

Rule of this file: pure.
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
"""Codes of refusals that concern the nodes and never the order. `venue-timeout` is not one of them:
another amount or route may be answered in time."""

DETAIL_MAX = 300
"""Characters of a node's error that an event keeps."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter."""

    attempts_max: int = 3
    base_ms: int = 500
    max_ms: int = 30_000

    def backoff_ms(self, attempt: int, jitter: float) -> int:
        """The wait after failed attempt 1, 2, …; `jitter` in 0..1 shortens it by up to a half."""
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
    """The fact to append and the wait in ms until the next attempt; 0: there is none.

    Raises RuntimeError for an order whose transaction may still land, as `after_expiry` does.
    """
    _check_not_sent(order)
    if error.code in OUTAGES and order.time_in_force not in IMMEDIATE_TIFS:
        wait_ms = policy.backoff_ms(order.outages + 1, jitter)
        again_us = now_us + wait_ms * 1000
        detail = error.detail[:DETAIL_MAX]
        return AttemptFailed(stage, order.attempts, error.code, detail, again_us), wait_ms
    attempt = order.attempts + 1
    exhausted = attempt >= policy.attempts_max and not order.patient
    if not error.retryable or exhausted or order.time_in_force in IMMEDIATE_TIFS:
        return OrderFailed(stage, error.code, attempt, error.detail), 0
    wait_ms = policy.backoff_ms(attempt, jitter)
    failed = AttemptFailed(stage, attempt, error.code, error.detail, now_us + wait_ms * 1000)
    return failed, wait_ms


def after_expiry(order: Order, stage: str) -> Fact:
    """The fact that ends an order whose time is over and whose transactions cannot land.

    An order that was `submitted`, and whose transaction was proved dead, fails instead of expiring.
    """
    _check_not_sent(order)
    if order.status.value == "submitted":
        return OrderFailed(stage, "expired", order.attempts)
    return OrderExpired(stage, "expires-at-passed", order.attempts)


def _check_not_sent(order: Order) -> None:
    """An error and not an assert, which can be switched off."""
    if may_still_land(order):
        raise RuntimeError(f"order {order.id} is sent: only the chain can tell its end")


PATIENT_RETREATS = 3
"""Times that an order which returned to waiting is tried again in the next slot."""
PAUSE_SLOTS_MAX = 64
"""After that it pauses for up to so many slots: its amount may never be paid its target, and each
swap that fails on chain costs a fee."""


def pause_slots(retreats: int) -> int:
    """For how many slots an order that returned to waiting so often ignores an unchanged price."""
    return int(min(2 ** min(max(0, retreats - PATIENT_RETREATS), 16), PAUSE_SLOTS_MAX))


def paused_until_slot(retreats: int, slot: int) -> int:
    """The slot from which the price of `slot` counts again; 0: the next one."""
    pause = pause_slots(retreats)
    return slot + pause if pause > 1 else 0
