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
async def operator(redis_url: str, database_url: str) -> AsyncIterator[Operator]:
    async with (
        opened(redis_url, database_url) as (log, archive),
        projecting(redis_url, database_url),
    ):
        yield Operator(log, archive, redis_url, database_url)


class Operator:
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
            await self.play.append([order_id], fact)
        await self.play.append([order_id], PARK)
        return order_id

    def command(self, *args: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "engine", "parked", *args],
            env=os.environ | self._environ, capture_output=True, text=True, check=False,
            timeout=HANG_S,
        )  # fmt: skip


async def test_a_parked_order_is_listed_with_its_reason(operator: Operator) -> None:
    order_id = await operator.parked_after(1)
    await operator.play.live(2)
    listed = operator.command("list", "--json")
    assert listed.returncode == 0, listed.stderr
    (row,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (row["orderId"], row["status"], row["reason"]) == (order_id, "routing", "a bug")
    shown = operator.command("show", order_id)
    assert "router: a bug, by engine" in shown.stdout


async def test_a_replay_returns_the_order_to_its_stage_and_records_the_actor(
    operator: Operator,
) -> None:
    order_id = await operator.parked_after(1)
    done = operator.command("requeue", order_id, "--reason", "fixed in 0.1.1", "--actor", "ada")
    assert done.returncode == 0, done.stderr
    last = (await operator.history(order_id))[-1].record.event()
    assert last.fact == OrderRequeued("fixed in 0.1.1", "ada")
    (head,) = await operator.log.load([order_id])
    assert head is not None
    assert head.owes == 1
    assert await operator.log.parked() == []
    inbox = operator.log.inbox("router", "test", lease_ms=1000)
    await inbox.open()
    assert order_id in {
        i for message in await inbox.take(10, block_ms=100) for i in message.order_ids
    }
    await inbox.close()


async def test_a_discard_fails_the_order_and_records_the_actor(operator: Operator) -> None:
    order_id = await operator.parked_after(3)  # built and signed, never sent
    done = operator.command(
        "discard", order_id, "--reason", "asked by the client", "--actor", "ada"
    )
    assert done.returncode == 0, done.stderr
    last = (await operator.history(order_id))[-1].record.event()
    assert last.fact == OrderFailed(
        "operator", "discarded", 0, detail="asked by the client", actor="ada"
    )
    assert last.status == "failed"


async def test_an_order_whose_transaction_may_land_cannot_be_discarded(operator: Operator) -> None:
    order_id = await operator.parked_after(4)  # TransactionSubmitted
    done = operator.command("discard", order_id)
    assert done.returncode == 1
    assert "may still land" in done.stderr
    assert (await operator.history(order_id))[-1].record.event().fact == PARK
    assert operator.command("requeue", order_id).returncode == 0


async def test_requeue_and_discard_refuse_an_order_that_is_not_parked(operator: Operator) -> None:
    (order_id,) = await operator.play.create()
    for act in ("requeue", "discard"):
        done = operator.command(act, order_id)
        assert done.returncode == 1
        assert "not parked" in done.stderr
    assert len(await operator.history(order_id)) == 1
    assert operator.command("requeue", "no-id").returncode == 2


async def test_a_replay_folds_the_order_again_where_its_head_cannot_be_read(
    operator: Operator,
) -> None:
    (order_id,) = await operator.play.create()
    await operator.play.append([order_id], after_submission()[0])
    (head,) = await operator.log.load([order_id])
    assert head is not None
    broken = replace(head, body=b"\xc1")
    request = await park_unreadable(
        operator.log,
        "router",
        order_id,
        broken,
        None,  # type: ignore[arg-type]
        ValueError("odd"),
    )
    await operator.log.append([request])
    (listed,) = await parked.parked(operator.log, operator.history)
    assert listed.order is not None
    assert listed.order.parked == "unreadable head: odd"
    await parked.replay(operator.log, operator.history, order_id, "mended", "ada")
    (mended,) = await operator.log.load([order_id])
    assert mended is not None
    assert mended.owes != PARKED
    assert (mended.order.status, mended.order.version) == ("routing", 4)
    await projected(operator.log, operator.archive)
    assert (await verify(operator.archive, operator.log, columns)).problems == []
