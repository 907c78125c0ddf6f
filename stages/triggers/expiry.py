"""Expiry: ends orders whose time is over, whether they wait for a price, a retry or their turn."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, assert_never

import msgspec

from events.log import AppendRequest, EventLog, OrderHead, PairLeases
from events.order import Order, may_still_land, was_executed
from events.telemetry.server_clock import CLOCK
from events.types import Fact
from stages.runtime.append import WRITTEN, log_outcomes
from stages.runtime.retry import after_expiry

POLL_S = 0.2
PER_ROUND = 500
"""Orders that one round looks at, at most."""
LOOK_AGAIN_MS = 1000
"""Between two looks at an expired order that only the chain or an operator can end now."""


class Expire(NamedTuple):
    """The order expires: its end is appended to this head."""

    head: OrderHead
    order: Order


class Wait(NamedTuple):
    """The order expires later: the index names it again then."""

    until_ms: int


class LookAgain(NamedTuple):
    """The order cannot be ended here and now: the index names it again then."""

    at_ms: int


class Forget(NamedTuple):
    """The order has ended: it leaves the index."""


class LeaveAlone(NamedTuple):
    """Another writer has just changed the index: it stays as it is."""


def decide_expiry(
    head: OrderHead | None, now_us: int
) -> Expire | Wait | LookAgain | Forget | LeaveAlone:
    """What is done about an order that the index of expiries names as due. Pure.

    `now_us` is the server's time.
    """
    if head is None:
        return Forget()
    order = order_of(head)
    if order is not None and order.terminal:
        return Forget()
    if order is not None and order.expires_at_us is None:
        return LeaveAlone()  # an amendment took it out of the index, another may have put it back
    if order is None or may_still_land(order) or was_executed(order):
        return LookAgain(now_us // 1000 + LOOK_AGAIN_MS)
    assert order.expires_at_us is not None, "the second condition"
    if order.expires_at_us > now_us:
        return Wait(-(-order.expires_at_us // 1000))
    return Expire(head, order)


async def expire(log: EventLog, watches: PairLeases) -> None:
    """One round. Another process may work on such an order: the version lets one of them write."""
    due = await watches.due(PER_ROUND)
    CLOCK.report()
    requests: list[AppendRequest] = []
    facts: list[Fact] = []
    for order_id, head in zip(due.order_ids, await log.load(due.order_ids), strict=True):
        decision = decide_expiry(head, due.time_us)
        match decision:
            case Expire(current, order):
                expired = after_expiry(order, "watcher")
                requests.append(log.build_append_of(current, order, [expired])[0])
                facts.append(expired)
            case Wait(at_ms) | LookAgain(at_ms):
                await watches.expires(order_id, at_ms)
            case Forget():
                await watches.expires(order_id, None)
            case LeaveAlone():
                pass
            case _:
                assert_never(decision)
    results = await log.append(requests)
    for request, fact, result in zip(requests, facts, results, strict=True):
        if result.status in WRITTEN:
            log_outcomes([fact], request.order_id, result)
    if len(due.order_ids) < PER_ROUND:
        await asyncio.sleep(POLL_S)


def order_of(head: OrderHead) -> Order | None:
    """The order of a head; None where this build cannot read it."""
    try:
        return head.order
    except msgspec.DecodeError:
        return None
