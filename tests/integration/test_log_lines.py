"""What is logged about an order says which one, and how far it was."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from events.log import Delivery, EventLog, InboxMessage
from events.types import OrderCancelled, OrderFailed
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.runtime.append import append, encode
from stages.runtime.retry import RetryPolicy
from stages.runtime.stage import Stage
from stages.runtime.work import Context, Decided, WorkItem
from stages.submitter import stage as submitter
from stages.venues import VenueRefusal
from tests.support.http.served import served


class Hands:
    """Hands that hold nothing."""

    def spawn(self, work: Coroutine[Any, Any, None], deliveries: Sequence[Delivery] = ()) -> Any:
        raise AssertionError(f"nothing is spawned: {work} {deliveries}")

    def settled(self, deliveries: Sequence[Delivery]) -> None: ...

    def waiting(self) -> None: ...

    async def split(self, message: InboxMessage) -> None: ...


async def in_hand(log: EventLog, order_id: str) -> WorkItem:
    [head] = await log.load([order_id])
    assert head is not None
    return WorkItem(Delivery(1, b"1-0", 1, 0), order_id, head, head.order)


async def test_a_write_that_came_too_late_names_the_order_and_the_position_it_knew(
    redis_url: str,
) -> None:
    async with served(redis_url) as gateway:
        await gateway.accepted()
        order_id = await gateway.accepted()
        work = await in_hand(gateway.log, order_id)
        await gateway.append(order_id, OrderCancelled("ann"))
        stage = Stage("router", lambda _, __: [])
        limits = RateAndConcurrencyLimiter(redis_url, "router-1")
        ctx = Context(stage, gateway.log, RetryPolicy(), limits, Hands(), {})
        late = Decided(work, [OrderFailed("router", "no-route", 1)])
        with structlog.testing.capture_logs() as lines:
            await append([encode(late, ctx)], ctx)
        await limits.close()
    [line] = [line for line in lines if line["event"] == "version_conflict"]
    assert (line["stage"], line["order_id"], line["position"]) == ("router", order_id, 2)
    assert line["log_level"] == "debug", "another writer was faster: no operator has to know"


async def test_a_send_that_failed_names_its_orders(redis_url: str) -> None:
    class Silent:
        async def send(self, _: Sequence[bytes]) -> None:
            raise VenueRefusal("venue-unavailable")

    async with served(redis_url) as gateway:
        order = (await in_hand(gateway.log, await gateway.accepted())).order
    after = submitter(Silent()).after  # type: ignore[arg-type]  # it sends, and no more is asked
    assert after is not None
    with structlog.testing.capture_logs() as lines:
        await after([order])
    assert [line["order_ids"] for line in lines] == [[order.id]]
