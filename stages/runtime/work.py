"""What the steps of the pipeline pass to each other, and what they all need.

Rule of this file: types only.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from events.hash_chain import EventBatch
from events.log import STAGE_NUMBER, Delivery, EventLog, InboxMessage, OrderHead
from events.metrics import VENUE
from events.order import Order
from events.order.wait_reasons import WaitReason
from events.types import Fact
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime.retry import RetryPolicy
from stages.runtime.stage import Answer, Later, Stage

OrderDelivery = tuple[str, Delivery]
"""An order id and the delivery that is acked once the order is settled."""


class WorkItem(msgspec.Struct, frozen=True, gc=False):
    """One order that a worker works on."""

    delivery: Delivery
    order_id: str
    head: OrderHead
    order: Order

    @property
    def log_context(self) -> dict[str, Any]:
        """Fields of a log line: the order id and the position of its newest event."""
        return log_context(self.order_id, self.head)


def log_context(order_id: str, head: OrderHead) -> dict[str, Any]:
    """See `WorkItem.log_context`. A head that this process has just written has no position yet."""
    where = {"position": head.positions[-1]} if head.positions else {}
    return {"order_id": order_id, **where}


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An order and the answer of the venue."""

    work: WorkItem
    answer: Answer


class Pending(NamedTuple):
    """An order whose answer comes later."""

    work: WorkItem
    answer: Later


class Decided(msgspec.Struct, frozen=True, gc=False):
    """What to write about an order."""

    work: WorkItem
    facts: Sequence[Fact]
    wait_ms: int = 0
    """How long the next delivery is delayed; 0: not at all."""


class PendingAppend(msgspec.Struct, frozen=True, gc=False):
    """The encoded facts of one order, ready to be appended."""

    work: WorkItem
    batch: EventBatch[Order]
    wait_ms: int = 0


class WorkTracker(Protocol):
    """Keeps track of tasks, and of the leases of the deliveries that they work on."""

    def spawn(self, work: Coroutine[Any, Any, None], deliveries: Sequence[Delivery] = ()) -> Any:
        """Runs work in a task of its own, which holds these deliveries."""
        ...

    def settled(self, deliveries: Sequence[Delivery]) -> None:
        """These deliveries are acked: their leases end."""
        ...

    def waiting(self) -> None:
        """An order was added to the due-set."""
        ...

    async def split(self, message: InboxMessage) -> None:
        """Replaces an inbox entry by one entry for each of its orders."""
        ...


class Wait(NamedTuple):
    """An order that is moved to the due-set."""

    work: WorkItem
    ms: int
    reason: WaitReason


class Context:
    """What all steps of one stage need. No step refers to another one."""

    def __init__(
        self,
        stage: Stage,
        log: EventLog,
        retry: RetryPolicy,
        limits: RateAndConcurrencyLimiter,
        in_flight: WorkTracker,
        fused: Mapping[str, Stage],
    ) -> None:
        self.stage = stage
        self.log = log
        self.retry = retry
        self.limits = limits
        self.in_flight = in_flight
        self.fused = fused
        """The stages whose facts are appended with those of this one; see `fusion`."""
        self.number = STAGE_NUMBER[stage.name]
        self.venue = VENUE.of(stage.name)
        self.permits = limits.permits if stage.needs_permit and limits.permits.limit else None
        """The permits of CONCURRENCY; None where the orders of this stage need none."""
        self.starts = limits.starts if stage.paced and limits.starts.limit else None
        """The starts of ORDERS_PER_MINUTE; None where orders of this stage start as they come."""
