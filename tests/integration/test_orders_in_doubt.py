"""An order whose outcome no node tells: an operator lists it, and ends it once nothing can land."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import structlog

from engine import cli
from engine.doctor import waiting
from engine.venues import LEDGER
from events.audit.verify import verify
from events.commands import doubts
from events.commands.doubts import NotAllowed
from events.log import EventLog
from events.order import EXECUTED, Transaction
from events.secret import SecretUrl
from events.types import (
    OrderConfirmed,
    OrderFailed,
    OrderParked,
    TransactionInDoubt,
    TransactionSubmitted,
)
from projections.postgres.order_rows import columns
from stages.venues import Outcome
from stages.venues.simulated.chain import SimulatedChain
from stages.venues.simulated.venue import Simulation
from tests.support.log.projected import opened, projected, projecting
from tests.support.log.workers import Crew
from tests.support.waits import until

SHORT = Simulation(slot_ms=5, blockhash_slots=20)
LONG = Simulation(slot_ms=5, blockhash_slots=1_000_000)


class SilentChain(SimulatedChain):
    """Takes transactions and does not tell what became of them."""

    silent = True

    def outcomes(self, sent: Sequence[Transaction]) -> list[Outcome | Awaitable[Outcome]]:
        unknown = Outcome("unknown", reason="method-not-served", detail="getSignatureStatuses")
        return [unknown for _ in sent] if self.silent else super().outcomes(sent)


@pytest.fixture
async def team(redis_url: str, tmp_path: Path, simulation: Simulation) -> AsyncIterator[Crew]:
    log = EventLog(redis_url, build="test", chain="simulated")
    await log.open()
    crew = Crew(redis_url, tmp_path / LEDGER, simulation)
    await crew.open()
    yield crew
    await crew.close()
    await log.close()


@pytest.fixture
def engine(
    redis_url: str,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    simulation: Simulation,
) -> Callable[..., Awaitable[tuple[int, str, str]]]:
    """Runs `engine …` in a thread; its exit code, last line and errors."""
    for name, value in {
        "REDIS_URL": redis_url, "DATABASE_URL": database_url, "DATA_DIR": str(tmp_path),
        "VENUES": "simulated", "SLOT_MS": str(simulation.slot_ms),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    async def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()  # what the servers of the test logged before
        code = await asyncio.to_thread(cli.main, words)
        told = capsys.readouterr()
        return code, told.out.splitlines()[-1] if told.out else "", told.err

    return run


async def in_doubt(team: Crew, chain: SilentChain | None = None) -> str:
    """An order that was sent and of which no node tells the outcome."""
    chain = chain or SilentChain(team.simulation, team.ledger_path)
    for name in ("router", "builder", "submitter", "confirmer"):
        await team.worker(team.stage(name, chain=chain))
    [order_id] = await team.submit()
    await team.until(lambda: team.of(TransactionInDoubt))
    return order_id


@pytest.mark.parametrize("simulation", [SHORT])
async def test_an_order_in_doubt_is_listed_and_closed_once_nothing_can_land(
    team: Crew,
    engine: Callable[..., Awaitable[tuple[int, str, str]]],
    redis_url: str,
    database_url: str,
) -> None:
    order_id = await in_doubt(team)
    async with (
        opened(redis_url, database_url, chain="simulated") as (log, archive),
        projecting(redis_url, database_url, chain="simulated"),
    ):
        await projected(log, archive)
        code, out, _ = await engine("doubts", "list", "--json")
        assert (code, json.loads(out)["orderId"], json.loads(out)["detail"]) == (
            0, order_id, "getSignatureStatuses",
        )  # fmt: skip
        [finding] = [finding async for finding in waiting.look(SecretUrl(database_url))]
        assert (finding.status, finding.mend) == ("warning", "engine doubts list")
        assert finding.detail.startswith(
            "the outcome of 1 sent order is unknown, of the oldest since"
        )

        async def closed() -> bool:
            code, _, err = await engine(
                "doubts", "close", order_id, "--json", "--reason", "not in the wallet"
            )
            assert code == 0 or "may still land" in err
            return code == 0

        await until(closed)
        await team.ended([order_id])
        [event] = team.of(OrderFailed)
        assert isinstance(event.fact, OrderFailed)
        assert (event.fact.reason, event.fact.detail) == (doubts.REASON, "not in the wallet")
        code, _, err = await engine("doubts", "close", order_id)
        assert (code, "not in doubt" in err) == (1, True)
        await projected(log, archive)
        assert (await engine("doubts", "list"))[1] == "0 in doubt"
        assert [finding async for finding in waiting.look(SecretUrl(database_url))] == []
        assert (await verify(archive, log, columns)).problems == []
    assert not team.of(OrderConfirmed)


@pytest.mark.parametrize("simulation", [LONG])
async def test_an_order_whose_transaction_may_still_land_is_not_closed(
    team: Crew, engine: Callable[..., Awaitable[tuple[int, str, str]]]
) -> None:
    order_id = await in_doubt(team)
    code, _, err = await engine("doubts", "close", order_id)
    assert (code, "may still land" in err) == (1, True)
    transaction = (await team.head(order_id)).order.transaction
    assert transaction is not None
    with pytest.raises(NotAllowed, match="may still land"):
        await doubts.close(team.log, order_id, transaction.last_valid_height, "", "ann")
    assert not team.of(OrderFailed)


@pytest.mark.parametrize("simulation", [LONG])
async def test_only_orders_in_doubt_are_closed(team: Crew) -> None:
    for name in ("router", "builder", "submitter"):  # no confirmer: it is sent, without a doubt
        await team.worker(name)
    [order_id] = await team.submit()
    await team.until(lambda: team.of(TransactionSubmitted))
    with pytest.raises(NotAllowed, match="not in doubt"):
        await doubts.close(team.log, order_id, 2**62, "", "ann")
    with pytest.raises(NotAllowed, match="no such open order"):
        await doubts.close(team.log, "01a21e50-41f2-7000-9b84-c17e942321be", 2**62, "", "ann")
    signature = (await team.head(order_id)).order.signature
    await team.append(order_id, TransactionInDoubt(signature, "no-answer"))
    await team.append(
        order_id, OrderParked("confirmer", f"{EXECUTED}abc, whose events are lost", "e")
    )
    with pytest.raises(NotAllowed, match="executed on chain by abc"):
        await doubts.close(team.log, order_id, 2**62, "", "ann")


@pytest.mark.parametrize("simulation", [LONG])
async def test_a_doubt_is_a_line_when_it_begins_and_one_when_it_is_over(team: Crew) -> None:
    chain = SilentChain(team.simulation, team.ledger_path)
    with structlog.testing.capture_logs() as lines:
        order_id = await in_doubt(team, chain)
        chain.silent = False
        assert await team.ended([order_id]) == ["confirmed"]
        await until(lambda: any(line["event"] == "doubt_over" for line in lines))
    told = [line for line in lines if line["event"] in ("transaction_in_doubt", "doubt_over")]
    assert [(line["event"], line["log_level"], line["order_id"]) for line in told] == [
        ("transaction_in_doubt", "warning", order_id), ("doubt_over", "info", order_id),
    ]  # fmt: skip
    assert told[1]["status"] == "confirmed"
