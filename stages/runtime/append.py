"""Append: writes the facts of each order, all or none, and sorts orders by the log's answer.

The only decision made here is what follows a refused append.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from events.log import AppendRequest, AppendResult, AppendStatus, Delivery
from events.order import IMMEDIATE_TIFS
from events.order.wait_reasons import WaitReason
from events.telemetry.error_text import error_text
from events.types import (
    Fact,
    OrderConfirmed,
    OrderExpired,
    OrderFailed,
    OrderParked,
    TransactionInDoubt,
)
from stages.runtime.retry import after_expiry
from stages.runtime.work import Context, Decided, OrderDelivery, PendingAppend, Wait, WorkItem

WRITTEN = (AppendStatus.CREATED, AppendStatus.EXISTS)
STOPPED = (AppendStatus.SUSPENDED, AppendStatus.HALTED)
UNVERIFIED = "the projector has not compared this log with the archive since its server started"
SUSPENDED_WAIT_MS = 1000
"""Between two attempts to append a send while the log is suspended or halted."""

_log = structlog.get_logger()


class Written(NamedTuple):
    """The orders of a group, by what became of their append."""

    appended: list[PendingAppend]
    """Written to the log."""
    retry: list[OrderDelivery]
    """Another writer was faster: they are loaded again."""
    suspended: list[Wait]
    """The log accepts no sends now; each with the ms until it is tried again."""


def log_outcomes(facts: Sequence[Fact], order_id: str, result: AppendResult) -> None:
    """Logs the facts of an append that are news about an order, once they are written."""
    about = {"order_id": order_id, "position": result.position}
    for fact in facts:
        match fact:
            case OrderConfirmed():
                _log.debug("order_confirmed", signature=fact.signature, **about)
            case OrderFailed():
                _log.info(
                    "order_failed",
                    stage=fact.stage,
                    reason=fact.reason,
                    detail=fact.detail,
                    **about,
                )
            case OrderExpired():
                _log.debug("order_expired", **about)
            case OrderParked():
                _log.error("order_parked", stage=fact.stage, reason=fact.reason, **about)
            case TransactionInDoubt():
                _log.warning(
                    "transaction_in_doubt", signature=fact.signature, reason=fact.reason,
                    detail=fact.detail, **about,
                )  # fmt: skip


def encode(decided: Decided, ctx: Context) -> PendingAppend:
    """The facts as records. Raises where they cannot be encoded, such as a number out of range."""
    work = decided.work
    return PendingAppend(
        work, ctx.log.new_events(work.head, work.order, decided.facts), decided.wait_ms
    )


async def append(appends: Sequence[PendingAppend], ctx: Context) -> Written:
    """Writes the facts, acks the deliveries and passes the orders to their next stage."""
    written = Written([], [], [])
    if not appends:
        return written
    results = await ctx.log.append([_request(pending, ctx) for pending in appends])
    ends: list[tuple[WorkItem, Fact]] = []
    for pending, result in zip(appends, results, strict=True):
        work = pending.work
        if result.status in WRITTEN:
            written.appended.append(pending)
            log_outcomes([event.fact for event in pending.batch.events], work.order_id, result)
            if work.order.in_doubt and not pending.batch.order.in_doubt:
                _log.info(
                    "doubt_over",
                    status=pending.batch.order.status.value,
                    order_id=work.order_id,
                    position=result.position,
                )
        elif (fact := _end_of(work, result, ctx.stage.name)) is not None:
            ends.append((work, fact))
        elif result.status in (*STOPPED, AppendStatus.UNVERIFIED):
            halted = result.status is AppendStatus.HALTED
            reason = WaitReason.HALT if halted else WaitReason.SUSPENDED
            written.suspended.append(Wait(work, SUSPENDED_WAIT_MS, reason))
        else:
            _log.debug("version_conflict", stage=ctx.stage.name, **work.log_context)
            written.retry.append((work.order_id, work.delivery))
    if any(result.status is AppendStatus.UNVERIFIED for result in results):
        _log.warning("sends_suspended", stage=ctx.stage.name, reason=UNVERIFIED)
    written.retry.extend(await _append_ends(ends, ctx))
    return written


def _end_of(work: WorkItem, result: AppendResult, stage: str) -> Fact | None:
    """The fact that ends an order whose send was refused; None where it is tried again. Pure."""
    if result.status in STOPPED and work.order.time_in_force in IMMEDIATE_TIFS:
        return OrderFailed(stage, result.status.value, work.order.attempts + 1)
    if result.status is AppendStatus.LATE:  # its time was over on the server's clock
        return after_expiry(work.order, stage)
    return None


async def _append_ends(ends: Sequence[tuple[WorkItem, Fact]], ctx: Context) -> list[OrderDelivery]:
    """Appends the ends of orders. Returns the orders that another writer has changed meanwhile."""
    if not ends:
        return []
    requests = [
        ctx.log.build_append_of(work.head, work.order, [fact], delivery=work.delivery)[0]
        for work, fact in ends
    ]
    results = await ctx.log.append(requests)
    settled: list[Delivery] = []
    conflicts: list[OrderDelivery] = []
    for (work, fact), result in zip(ends, results, strict=True):
        if result.status is AppendStatus.CONFLICT:
            conflicts.append((work.order_id, work.delivery))
        else:
            settled.append(work.delivery)
        if result.status in WRITTEN:
            log_outcomes([fact], work.order_id, result)
    ctx.in_flight.settled(settled)
    return conflicts


def _request(pending: PendingAppend, ctx: Context) -> AppendRequest:
    """The append request. An order that cannot be encoded any more (a bug) is parked, it alone."""
    work = pending.work
    try:
        return ctx.log.build_append(
            work.head, work.order, pending.batch, delivery=work.delivery, wait_ms=pending.wait_ms
        )
    except Exception as error:
        _log.exception("order_step_failed", stage=ctx.stage.name, **work.log_context)
        parked = OrderParked(ctx.stage.name, error_text(error)[:500], "engine")
        return ctx.log.build_append_of(work.head, work.order, [parked], delivery=work.delivery)[0]
