"""What the steps of the pipeline hand to each other, and what they all need.

Rule of this file: types only.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

import msgspec

from events.log import STAGE_NUMBER, Delivery, EventLog, InboxMessage, OrderHead
from events.metrics import VENUE
from events.order import Order
from events.streams.hash_chain import EventBatch
from events.types import Fact
from stages.runtime.limiter import RateAndConcurrencyLimiter
from stages.runtime.retry import RetryPolicy
from stages.runtime.stage import Answer, Later, Stage

Named = tuple[str, Delivery]
"""An order and the inbox share that its settling settles."""


class WorkItem(msgspec.Struct, frozen=True, gc=False):
    """One order in hand."""

    delivery: Delivery
    order_id: str
    head: OrderHead
    order: Order

    @property
    def log_context(self) -> dict[str, Any]:
        """What a line of the log says of it: which order, and its newest event."""
        return log_context(self.order_id, self.head)


def log_context(order_id: str, head: OrderHead) -> dict[str, Any]:
    """See `WorkItem.log_context`. A head that we wrote a moment ago does not know its position."""
    where = {"position": head.positions[-1]} if head.positions else {}
    return {"order_id": order_id, **where}


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An order and what the venue said about it."""

    work: WorkItem
    answer: Answer


class Pending(NamedTuple):
    """An order whose answer takes its time."""

    work: WorkItem
    answer: Later


class Decided(msgspec.Struct, frozen=True, gc=False):
    """What to write about an order."""

    work: WorkItem
    facts: Sequence[Fact]
    wait_ms: int = 0
    """The next stage sees it after so long."""


class PendingAppend(msgspec.Struct, frozen=True, gc=False):
    """The encoded facts of one order, ready to be appended."""

    work: WorkItem
    batch: EventBatch[Order]
    wait_ms: int = 0


class Holds(Protocol):
    """Whose hands the work is in."""

    def spawn(self, work: Coroutine[Any, Any, None], deliveries: Sequence[Delivery] = ()) -> Any:
        """Runs work in a task of its own."""
        ...

    def settled(self, deliveries: Sequence[Delivery]) -> None:
        """These need no lease any more."""
        ...

    def waiting(self) -> None:
        """Something went to the due-set."""
        ...

    async def split(self, message: InboxMessage) -> None:
        """Puts each order of an entry back on its own."""
        ...


class Context:
    """What all steps of one stage need. No step holds another one."""

    def __init__(
        self,
        stage: Stage,
        log: EventLog,
        retry: RetryPolicy,
        limits: RateAndConcurrencyLimiter,
        hands: Holds,
        fused: Mapping[str, Stage],
    ) -> None:
        self.stage = stage
        self.log = log
        self.retry = retry
        self.limits = limits
        self.hands = hands
        self.fused = fused
        """The stages whose facts join those of this one; see `fusion`."""
        self.number = STAGE_NUMBER[stage.name]
        self.venue = VENUE.of(stage.name)
        self.one_by_one = stage.needs_permit and limits.concurrency > 0
        """Whether each order is worked on alone, under a permit."""

    def permit(self) -> AbstractAsyncContextManager[None]:
        """One of CONCURRENCY, where that is limited."""
        return self.limits.permit() if self.one_by_one else nullcontext()
