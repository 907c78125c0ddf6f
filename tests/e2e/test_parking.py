"""Operators and parked orders: each act is an event with an actor; none contradicts the chain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from events.archive import Archive
from events.archive.history import order_history
from events.audit.verify import verify
from events.commands import parked
from events.log import PARKED, EventLog, Stored
from events.types import OrderFailed, OrderParked, OrderRequeued
from projections.postgres.order_rows import columns
from stages.runtime.settle import park_unreadable
from tests.support.log.played import Play, after_submission
from tests.support.log.projected import opened, projected, projecting
from tests.support.waits import HANG_S

PARK = OrderParked("router", "a bug", "engine")


@pytest.fixture
async def desk(redis_url: str, database_url: str) -> AsyncIterator[Desk]:
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        yield Desk(log, archive, redis_url, database_url)


class Desk:
    """Where an operator sits."""

    def __init__(self, log: EventLog, archive: Archive, redis_url: str, database_url: str) -> None:
        self.log = log
        self.archive = archive
        self.play = Play(log)
        self._environ = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}

    async def history(self, order_id: str) -> Sequence[Stored]:
        return await order_history(self.archive, self.log, order_id)

    async def parked_after(self, steps: int) -> str:
        """An order that was parked after so many steps."""
        (order_id,) = await self.play.create()
        for fact in after_submission()[:steps]:
            await self.play.say([order_id], fact)
        await self.play.say([order_id], PARK)
        return order_id

    def command(self, *args: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "engine", "parked", *args],
            env=os.environ | self._environ, capture_output=True, text=True, check=False,
            timeout=HANG_S,
        )  # fmt: skip


async def test_a_parked_order_is_listed_with_its_reason(desk: Desk) -> None:
    order_id = await desk.parked_after(1)
    await desk.play.live(2)
    listed = desk.command("list", "--json")
    assert listed.returncode == 0, listed.stderr
    (row,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (row["orderId"], row["status"], row["reason"]) == (order_id, "routing", "a bug")
    shown = desk.command("show", order_id)
    assert "router: a bug, by engine" in shown.stdout


async def test_a_replay_puts_it_back_to_its_stage_and_says_who_did(desk: Desk) -> None:
    order_id = await desk.parked_after(1)
    done = desk.command("requeue", order_id, "--reason", "fixed in 0.1.1", "--actor", "ada")
    assert done.returncode == 0, done.stderr
    last = (await desk.history(order_id))[-1].record.event()
    assert last.fact == OrderRequeued("fixed in 0.1.1", "ada")
    (head,) = await desk.log.load([order_id])
    assert head is not None
    assert head.owes == 1
    assert await desk.log.parked() == []
    inbox = desk.log.inbox("router", "test", lease_ms=1000)
    await inbox.open()
    assert order_id in {i for entry in await inbox.take(10, block_ms=100) for i in entry.order_ids}
    await inbox.close()


async def test_a_discard_fails_the_order_and_says_who_did(desk: Desk) -> None:
    order_id = await desk.parked_after(3)  # built and signed, never sent
    done = desk.command("discard", order_id, "--reason", "asked by the client", "--actor", "ada")
    assert done.returncode == 0, done.stderr
    last = (await desk.history(order_id))[-1].record.event()
    assert last.fact == OrderFailed(
        "operator", "discarded", 0, detail="asked by the client", actor="ada"
    )
    assert last.status == "failed"


async def test_an_order_whose_transaction_may_land_cannot_be_discarded(desk: Desk) -> None:
    order_id = await desk.parked_after(4)  # TransactionSubmitted
    done = desk.command("discard", order_id)
    assert done.returncode == 1
    assert "may still land" in done.stderr
    assert (await desk.history(order_id))[-1].record.event().fact == PARK
    assert desk.command("requeue", order_id).returncode == 0


async def test_an_order_that_is_not_parked_is_left_alone(desk: Desk) -> None:
    (order_id,) = await desk.play.create()
    for act in ("requeue", "discard"):
        done = desk.command(act, order_id)
        assert done.returncode == 1
        assert "not parked" in done.stderr
    assert len(await desk.history(order_id)) == 1
    assert desk.command("requeue", "no-id").returncode == 2


async def test_a_replay_folds_the_order_again_where_its_head_cannot_be_read(desk: Desk) -> None:
    (order_id,) = await desk.play.create()
    await desk.play.say([order_id], after_submission()[0])
    (head,) = await desk.log.load([order_id])
    assert head is not None
    broken = replace(head, body=b"\xc1")
    unit = await park_unreadable(desk.log, "router", order_id, broken, None, ValueError("odd"))  # type: ignore[arg-type]
    await desk.log.append([unit])
    (listed,) = await parked.parked(desk.log, desk.history)
    assert listed.order is not None
    assert listed.order.parked == "unreadable head: odd"
    await parked.replay(desk.log, desk.history, order_id, "mended", "ada")
    (mended,) = await desk.log.load([order_id])
    assert mended is not None
    assert mended.owes != PARKED
    assert (mended.order.status, mended.order.version) == ("routing", 4)
    await projected(desk.log, desk.archive)
    assert (await verify(desk.archive, desk.log, columns)).problems == []
