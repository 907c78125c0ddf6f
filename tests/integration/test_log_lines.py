"""What is logged about an order says which one, and how far it was."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from events.log import Entry, EventLog, Share
from events.types import OrderCancelled, OrderFailed
from stages.runtime.writer import Scribe, Work
from stages.submitter import stage as submitter
from stages.venues import Refused
from tests.support.http.served import served


class Hands:
    """A desk that holds nothing."""

    def spawn(self, work: Coroutine[Any, Any, None], shares: Sequence[Share] = ()) -> Any:
        raise AssertionError(f"nothing is spawned: {work} {shares}")

    def settled(self, shares: Sequence[Share]) -> None: ...

    def waiting(self) -> None: ...

    async def split(self, entry: Entry) -> None: ...


async def in_hand(log: EventLog, order_id: str) -> Work:
    [head] = await log.load([order_id])
    assert head is not None
    return Work(Share(1, b"1-0", 1, 0), order_id, head, head.order)


async def test_a_write_that_came_too_late_names_the_order_and_the_position_it_knew(
    redis_url: str,
) -> None:
    async with served(redis_url) as gateway:
        await gateway.accepted()
        order_id = await gateway.accepted()
        work = await in_hand(gateway.log, order_id)
        await gateway.say(order_id, OrderCancelled("ann"))
        scribe = Scribe("router", gateway.log, Hands())
        with structlog.testing.capture_logs() as lines:
            await scribe.append([scribe.saying(work, [OrderFailed("router", "no-route", 1)])])
    [line] = [line for line in lines if line["event"] == "fenced"]
    assert (line["stage"], line["order_id"], line["position"]) == ("router", order_id, 2)


async def test_a_send_that_failed_names_its_orders(redis_url: str) -> None:
    class Silent:
        async def send(self, _: Sequence[bytes]) -> None:
            raise Refused("venue-unavailable")

    async with served(redis_url) as gateway:
        order = (await in_hand(gateway.log, await gateway.accepted())).order
    after = submitter(Silent()).after  # type: ignore[arg-type]  # it sends, and no more is asked
    assert after is not None
    with structlog.testing.capture_logs() as lines:
        await after([order])
    assert [line["order_ids"] for line in lines] == [[order.id]]
