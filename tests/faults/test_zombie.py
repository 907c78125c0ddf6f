"""Workers that are suspended beyond their lease and then resume: their appends are refused.

In this process a worker with a very long lease of its own stands for one that is stopped: it never
renews, and a gate holds it up where it hurts most. The last test stops a real process.
"""

from __future__ import annotations

import dataclasses
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.venues import LEDGER
from events.order import Order
from events.secret import SecretBytes
from events.types import (
    OrderConfirmed,
    OrderRouted,
    RoutingStarted,
    TransactionBuilt,
    TransactionExpired,
    TransactionSubmitted,
)
from stages.runtime.stage import Later, Stage
from stages.venues import Built
from stages.venues.simulated.chain import SimulatedChain
from stages.venues.simulated.venue import Simulation
from tests.support.log.workers import PATIENT, Crew, Gate, Worker, crew
from tests.support.processes.child import stage_process
from tests.support.processes.engine_up import is_running, settings_for
from tests.support.waits import holds, until

NEVER_MS = 3_600_000
ORDERS = 10


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker in this process that has nothing to do soon looks at what others left."""
    monkeypatch.setattr("stages.runtime.runner.BLOCK_MS", 50)


def gated(stage: Stage, gate: Gate) -> Stage:
    """The stage, held up between its question and its answer."""

    async def answer(asked: Any) -> Any:
        await gate.passing()
        return await asked.awaitable if isinstance(asked, Later) else asked

    def ask(orders: Sequence[Order]) -> list[Any]:
        return [Later(answer(asked)) for asked in stage.ask(orders)]

    return dataclasses.replace(stage, ask=ask)


class Counting(SimulatedChain):
    """Counts what it is asked to send, and may be held up before it does."""

    gate: Gate | None = None

    def __init__(self, simulation: Simulation, ledger: Path) -> None:
        super().__init__(simulation, ledger)
        self.sent: Counter[bytes] = Counter()

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        if self.gate is not None:
            await self.gate.passing()
        self.sent.update(raw.reveal() for raw in transactions)
        await super().send(transactions)


class LateChain(SimulatedChain):
    """Builds with a new blockhash each time: two builds of one order are two transactions."""

    builds = 0

    def build(self, order: Order) -> Built:
        LateChain.builds += 1
        self._simulation = Simulation(slot_ms=5, blockhash_slots=5000 + LateChain.builds)
        return super().build(order)


async def holding(worker: Worker, orders: int) -> None:
    await until(lambda: worker.held_orders >= orders)


async def given_up(worker: Worker) -> None:
    """Waits until it knows that nothing of what it holds is its own any more."""
    await until(lambda: not worker.held_orders)


async def rest_of(team: Crew, *but: str) -> None:
    for name in ("router", "builder", "submitter", "confirmer"):
        if name not in but:
            await team.worker(name)


async def test_a_router_resumed_late_cannot_change_the_route(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        gate = Gate()
        zombie = await team.worker(gated(team.stage("router"), gate), lease_ms=NEVER_MS)
        ids = await team.submit(ORDERS)
        await team.until(lambda: len(team.of(RoutingStarted)) == ORDERS)
        await holding(zombie, ORDERS)
        await team.all_stages()
        assert await team.ended(ids) == ["confirmed"] * ORDERS
        before = len(team.seen)
        gate.open.set()
        await given_up(zombie)
        assert await team.log.position() == before
        assert len(team.of(OrderRouted)) == len(team.of(RoutingStarted)) == ORDERS
        assert set(team.executions().values()) == {1}


async def test_a_builder_resumed_late_cannot_replace_the_transaction(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        gate = Gate()
        later = LateChain(team.simulation, team.ledger_path)
        stage = team.stage("builder", chain=later)
        zombie = await team.worker(gated(stage, gate), lease_ms=NEVER_MS)
        await team.worker("router")
        ids = await team.submit(ORDERS)
        await holding(zombie, ORDERS)
        await team.worker(team.stage("builder", chain=LateChain(team.simulation, team.ledger_path)))
        await team.until(lambda: len(team.of(TransactionBuilt)) == ORDERS)
        before = len(team.seen)
        gate.open.set()
        await given_up(zombie)
        assert await team.log.position() == before
        await rest_of(team, "router", "builder")
        assert await team.ended(ids) == ["confirmed"] * ORDERS
        assert len(team.of(TransactionBuilt)) == ORDERS
        assert set(team.executions().values()) == {1}


async def test_a_submitter_resumed_late_before_its_append_does_not_send(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        gate = Gate()
        chain = Counting(team.simulation, team.ledger_path)
        stage = team.stage("submitter", chain=chain)
        zombie = await team.worker(gated(stage, gate), lease_ms=NEVER_MS)
        await rest_of(team, "submitter")
        ids = await team.submit(ORDERS)
        await holding(zombie, ORDERS)
        await team.worker("submitter")
        assert await team.ended(ids) == ["confirmed"] * ORDERS
        before = len(team.seen)
        gate.open.set()
        await given_up(zombie)
        assert await team.log.position() == before
        assert not chain.sent
        assert len(team.of(TransactionSubmitted)) == ORDERS
        assert set(team.executions().values()) == {1}


@pytest.mark.parametrize("dead_by_then", [False, True])
async def test_a_submitter_resumed_late_after_its_append_sends_a_transaction_that_cannot_land_twice(
    redis_url: str, tmp_path: Path, dead_by_then: bool
) -> None:
    """Its transaction has landed by then, or is proved dead and has been replaced."""
    quick = Simulation(slot_ms=5, blockhash_slots=40)
    async with crew(redis_url, tmp_path, quick if dead_by_then else PATIENT) as team:
        chain = Counting(team.simulation, team.ledger_path)
        chain.gate = Gate()
        zombie = await team.worker(team.stage("submitter", chain=chain), lease_ms=NEVER_MS)
        await team.worker("router")
        await team.worker("builder")
        ids = await team.submit(ORDERS)
        await team.until(lambda: len(team.of(TransactionSubmitted)) == ORDERS)
        await zombie.stand_still()
        # No process sends again: only time decides about these transactions.
        rebroadcast_ms = NEVER_MS if dead_by_then else 50
        confirmer = team.stage("confirmer", rebroadcast_ms=rebroadcast_ms, attempts_max=9)
        if dead_by_then:
            confirmer = dataclasses.replace(confirmer, wait_ms=lambda _, __: 20)
        await team.worker(confirmer)
        await team.until(
            lambda: len(team.of(TransactionExpired if dead_by_then else OrderConfirmed)) >= ORDERS
        )
        await team.worker("submitter")
        assert await team.ended(ids) == ["confirmed"] * ORDERS
        before = team.executions()
        chain.gate.open.set()
        await until(lambda: len(chain.sent) == ORDERS)
        # The venue takes what it gets at once, or not at all.
        await holds(lambda: team.executions() == before, 0.05)
        assert set(before.values()) == {1}
        assert len(before) == ORDERS


# -- a real process --------------------------------------------------------------------------------


async def test_a_process_stopped_beyond_its_lease_is_fenced_when_it_resumes(
    redis_url: str, tmp_path: Path
) -> None:
    settings = settings_for(
        tmp_path,
        redis_url=redis_url,
        database_url="postgresql://unknown@127.0.0.1:1/none",  # the log is there: it is not read
        lease_ms=300,
        log_level="debug",
    )
    # Its quotes take longer than a busy machine takes to stop it.
    late = replace(settings, venue_latency_ms=2500, venue_timeout_ms=60_000)
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    async with crew(redis_url, tmp_path) as team:
        team.ledger_path = tmp_path / LEDGER
        async with stage_process(late, "router", output=old) as zombie:
            ids = await team.submit(ORDERS)
            await team.until(lambda: len(team.of(RoutingStarted)) == ORDERS)
            zombie.send_signal(signal.SIGSTOP)  # its quotes are on the way
            async with stage_process(
                settings, "router", "builder", "submitter", "confirmer", output=new
            ) as heir:
                assert await team.ended(ids) == ["confirmed"] * ORDERS
                heir.send_signal(signal.SIGSTOP)  # what is written now, the zombie has written
                before = await team.log.position()
                zombie.send_signal(signal.SIGCONT)
                await until(lambda: old.read_text().count("version_conflict") >= ORDERS)
                assert await team.log.position() == before
                heir.send_signal(signal.SIGCONT)
                # It is a good worker again.
                more = await team.submit(ORDERS)
                assert await team.ended(more) == ["confirmed"] * ORDERS
        assert zombie.pid and not is_running(zombie.pid)
        assert len(team.of(OrderRouted)) == 2 * ORDERS
        assert team.executions() == dict.fromkeys([*ids, *more], 1)
