"""Death between `TransactionSubmitted` and the send: another worker sends the same bytes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from events.log import AppendRequest, AppendResult, EventLog
from events.secret import SecretBytes
from events.types import OrderConfirmed, TransactionBuilt, TransactionSubmitted
from stages.venues.simulated.chain import SimulatedChain, signature_of
from stages.venues.simulated.ledger import Landed, Ledger
from stages.venues.simulated.venue import Simulation
from tests.support.log.workers import Crew, crew
from tests.support.processes.engine_up import engine_up
from tests.support.waits import until

ORDERS = 20


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker in this process that has nothing to do soon looks at what others left."""
    monkeypatch.setattr("stages.runtime.runner.BLOCK_MS", 50)


class Witnessed(SimulatedChain):
    """Remembers what it was asked to send."""

    def __init__(self, simulation: Simulation, ledger: Path) -> None:
        super().__init__(simulation, ledger)
        self.sent: list[bytes] = []

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        self.sent += [raw.reveal() for raw in transactions]
        await super().send(transactions)


class Forgetful(Witnessed):
    """Never sends, and believes that it did."""

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        self.sent += [raw.reveal() for raw in transactions]


class Broken(Witnessed):
    """Cannot reach its node."""

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        self.sent += [raw.reveal() for raw in transactions]
        raise ConnectionResetError("no node")


class Stuck(Witnessed):
    """A send that never ends."""

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        self.sent += [raw.reveal() for raw in transactions]
        await asyncio.Event().wait()


class Buggy(Witnessed):
    """Fails with an error that no code expects."""

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        self.sent += [raw.reveal() for raw in transactions]
        raise ZeroDivisionError


class Deaf(EventLog):
    """A log that never answers to an append."""

    def append(
        self, requests: Sequence[AppendRequest], *, timeout_s: float | None = None
    ) -> asyncio.Future[list[AppendResult]]:
        del requests, timeout_s
        return asyncio.get_running_loop().create_future()


def rows(path: Path) -> list[Landed]:
    ledger = Ledger(path)
    landed = list(ledger.rows())
    ledger.close()
    return landed


async def assert_sent_once(team: Crew, ids: Sequence[str], chain: Witnessed) -> None:
    """Each order has one transaction, sent again as it was, and executed once."""
    assert await team.ended(ids) == ["confirmed"] * len(ids)
    landed = {row.order_id: row for row in rows(team.ledger_path)}
    assert len(rows(team.ledger_path)) == len(landed) == len(ids)
    for order_id in ids:
        facts = team.facts(order_id)
        [built] = [fact for fact in facts if isinstance(fact, TransactionBuilt)]
        [result] = [fact for fact in facts if isinstance(fact, TransactionSubmitted)]
        [confirmed] = [fact for fact in facts if isinstance(fact, OrderConfirmed)]
        assert {raw for raw in chain.sent if signature_of(raw) == built.signature} == {
            built.raw.reveal()
        }
        assert built.signature == result.signature == confirmed.signature
        assert built.signature == landed[order_id].signature
    assert len(set(chain.sent)) == len(ids)


@pytest.mark.parametrize("kind", [Forgetful, Broken, Buggy])
async def test_a_transaction_that_the_submitter_failed_to_send_is_sent_once_by_the_confirmer(
    redis_url: str, tmp_path: Path, kind: type[Witnessed]
) -> None:
    async with crew(redis_url, tmp_path) as team:
        lame = kind(team.simulation, team.ledger_path)
        again = Witnessed(team.simulation, team.ledger_path)
        await team.worker("router")
        await team.worker("builder")
        await team.worker(team.stage("submitter", chain=lame))
        ids = await team.submit(ORDERS)
        await team.until(lambda: len(team.of(TransactionSubmitted)) == ORDERS)
        assert rows(team.ledger_path) == []
        await team.worker(team.stage("confirmer", chain=again))
        await assert_sent_once(team, ids, again)


async def test_orders_of_a_submitter_killed_while_sending_are_sent_by_the_confirmer(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        lame = Stuck(team.simulation, team.ledger_path)
        again = Witnessed(team.simulation, team.ledger_path)
        await team.worker("router")
        await team.worker("builder")
        first = await team.worker(team.stage("submitter", chain=lame))
        ids = await team.submit(ORDERS)
        await team.until(lambda: len(team.of(TransactionSubmitted)) == ORDERS)
        await first.die()
        heir = Witnessed(team.simulation, team.ledger_path)
        await team.worker(team.stage("submitter", chain=heir))
        await team.worker(team.stage("confirmer", chain=again))
        await assert_sent_once(team, ids, again)
        await team.settled("submitter")
        assert heir.sent == []


async def test_a_submitter_killed_before_its_append_sends_nothing(
    redis_url: str, tmp_path: Path
) -> None:
    async with crew(redis_url, tmp_path) as team:
        chain = Witnessed(team.simulation, team.ledger_path)
        await team.worker("router")
        await team.worker("builder")
        ids = await team.submit(ORDERS)
        await team.until(lambda: len(team.of(TransactionBuilt)) == ORDERS)
        # Its log takes nothing: whatever it does, it may not send.
        deaf = Deaf(team.url, build="deaf")
        await deaf.open()
        lame = await team.worker(team.stage("submitter", chain=chain), log=deaf)
        await until(lambda: lame.held_orders)
        await lame.die()
        await deaf.close()
        assert chain.sent == []
        await team.worker("submitter")
        await team.worker("confirmer")
        assert await team.ended(ids) == ["confirmed"] * ORDERS
        assert set(team.executions().values()) == {1}


async def test_a_submitter_killed_between_append_and_send_loses_and_doubles_no_order(
    short_path: Path,
) -> None:
    async with engine_up(short_path / "d", venue_latency_ms=400, rebroadcast_ms=100) as engine:

        async def killed_in_the_gap() -> bool:
            """Whether it was: a send takes 400 ms, and this machine may take longer to kill."""
            before = len(engine.frames)
            sent = engine.watch("TransactionSubmitted")
            ids = await engine.submit_many(10)
            await sent.wait()
            pid = engine.kill("submitter", signal.SIGKILL)
            frames = {
                frame["orderId"]
                for frame in engine.frames[before:]
                if frame["event"] == "TransactionSubmitted"
            }
            early = {row.order_id for row in engine.ledger()}
            await engine.restarted("submitter", pid)
            await engine.ended(ids)
            assert frames
            return not early & frames

        await until(killed_in_the_gap)
        await engine.assert_each_ended_exactly_once()
        sent_of = [f["orderId"] for f in engine.frames if f["event"] == "TransactionSubmitted"]
        assert len(sent_of) == len(set(sent_of)) == len(engine.accepted)
        assert len(engine.ledger()) == len(engine.accepted)
