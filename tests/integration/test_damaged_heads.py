"""A damaged head affects its order only: it is parked and named, and all others continue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio

from events.commands import orders, parked
from events.log import EventLog, Stored
from events.log.head import order_in
from events.types import OrderArmed, OrderSubmitted
from gateway.api.order_lookup import logged
from gateway.http.problems import Problem
from tests.support.log.workers import crew
from tests.support.waits import until

Edit = Callable[[bytes, bytes], bytes | None]
"""From the head, and that of another order, to what is put there; None: it is deleted."""

HARM: dict[str, Edit] = {
    "missing": lambda _head, _other: None,
    "empty": lambda _head, _other: b"",
    "cut off": lambda head, _other: head[:20],
    "without positions": lambda head, _other: head[:37],
    "a version far away": lambda head, _other: b"\xff" + head[1:],
    "another version": lambda head, _other: head[:3] + bytes([head[3] + 1]) + head[4:],
    "another hash, no body": lambda head, _other: head[:9] + b"x" + head[10:37] + b"\xc1" * 9,
    "another order's": lambda _head, other: other,
    "owed by an unknown stage": lambda head, _other: head[:36] + b"\xfd" + head[37:],
}
LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 10**9, 0, target_price="1000", time_in_force="GTC"
)


async def no_history(_: str) -> list[Stored]:
    """Nothing is read of these."""
    return []


async def harm(log: EventLog, client: Any, order_id: str, other: str, edit: Edit) -> None:
    keys = [log.keys.order(order_id), log.keys.order(other)]
    head, another = await client.mget(keys)
    # Not with its inbox entry: else the stage would go by the head that came along.
    if (edited := edit(head, another)) is None:
        await client.delete(keys[0])
    else:
        await client.set(keys[0], edited)


@pytest.mark.parametrize("what", HARM)
async def test_an_order_with_a_damaged_head_is_parked_and_others_continue(
    redis_url: str, tmp_path: Path, what: str
) -> None:
    async with (
        crew(redis_url, tmp_path) as team,
        redis.asyncio.from_url(redis_url) as client,
    ):
        ids = await team.submit(3)  # in one entry, which comes without heads
        await harm(team.log, client, ids[1], ids[2], HARM[what])
        workers = await team.all_stages()
        assert await team.ended([ids[0], ids[2]]) == ["confirmed", "confirmed"]

        async def listed() -> bool:
            return [order_id for order_id, _ in await team.log.parked()] == [ids[1]]

        if what != "owed by an unknown stage":  # who comes by it later says so
            await until(listed)
            [result] = await parked.parked(team.log, no_history)
            assert (result.order_id, result.order, result.fault) == (ids[1], None, parked.HEADLESS)
        assert not any(worker.task.done() for worker in workers)
        assert team.names(ids[1]) == ["OrderSubmitted"], "no event was appended"
        await refused(team.log, ids[1])
        [fresh] = await team.submit(1)
        assert await team.ended([fresh]) == ["confirmed"]


async def refused(log: EventLog, order_id: str) -> None:
    """Reads and commands answer that the order cannot be read."""
    [head] = await log.load([order_id])
    if head is None:
        assert await logged(log, order_id) is None
        assert (
            await orders.cancel(log, order_id, "ann")
        ).outcome is orders.CommandOutcome.NOT_FOUND
        return
    try:
        order = order_in(head, order_id)
    except msgspec.DecodeError:
        with pytest.raises(Problem) as told:
            await logged(log, order_id)
        assert told.value.code == "unreadable-order"
        position = await log.position()
        with pytest.raises(msgspec.DecodeError):
            await orders.cancel(log, order_id, "ann")
        assert await log.position() == position, "nothing was written"
    else:
        assert order.id == order_id


@pytest.mark.parametrize("what", ["missing", "empty", "cut off", "another version"])
async def test_trigger_books_are_built_from_the_undamaged_heads(
    redis_url: str, tmp_path: Path, what: str
) -> None:
    async with (
        crew(redis_url, tmp_path) as team,
        redis.asyncio.from_url(redis_url) as client,
    ):
        resting = [await team.place(LIMIT) for _ in range(3)]
        for order_id in resting:
            await team.append(order_id, OrderArmed(7))
        await harm(team.log, client, resting[1], resting[2], HARM[what])
        watcher = await team.watching()

        await until(lambda: watcher.resting >= 2)
        assert not watcher.task.done()
