"""A parked order is settled by its record on the chain, once, with the amounts that moved."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.commands import parked as parked_command
from engine.recovery import settle as settling
from engine.recovery.chain_history import open_wallet
from engine.recovery.replay_checks import CHECKS
from engine.recovery.settle import settle
from events.archive.history import everything, order_history
from events.audit.replay import Replay
from events.audit.verify import verify
from events.commands import parked
from events.log import Stored
from events.order import EXECUTED, Order, executed_by, executed_reason
from events.types import (
    Fill,
    OrderArmed,
    OrderConfirmed,
    OrderFailed,
    OrderParked,
    TransactionExpired,
    TransactionRecovered,
    TransactionSubmitted,
)
from projections.postgres.order_rows import columns
from stages import settlement
from stages.runtime.stage import VenueRefusal
from stages.venues import LegOutcome, Outcome
from stages.venues.record import Record
from stages.venues.simulated.ledger import Landed, Ledger
from tests.integration import test_repair
from tests.integration.test_repair import LIMIT, MARKET, SLOTS, Scene
from tests.support.log.projected import projected, projecting
from tests.support.log.workers import Crew
from tests.support.waits import HANG_S, until

scene = test_repair.scene

PARK = OrderParked("confirmer", "its worker died on it again and again", "engine")


class Operator:
    """Where an operator sits, beside the chain."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def history(self, order_id: str) -> Sequence[Stored]:
        return await order_history(self.scene.archive, self.scene.log, order_id)

    async def settle(self, order_id: str, signature: str = "") -> parked.Settled:
        wallet = open_wallet(self.scene.settings)
        try:
            return await settle(
                self.scene.log, self.scene.archive, self.history, wallet, order_id,
                signature=signature, reason="by the record", actor="ann",
            )  # fmt: skip
        finally:
            await wallet.close()

    async def refused(self, order_id: str, signature: str = "") -> str:
        """The code. Nothing was written."""
        position = await self.scene.log.position()
        with pytest.raises(parked.NotSettled) as caught:
            await self.settle(order_id, signature)
        assert await self.scene.log.position() == position
        return caught.value.code

    async def facts(self, order_id: str) -> list[Any]:
        return [stored.record.event().fact for stored in await self.history(order_id)]

    def lands(self, order_id: str, signature: str, **changes: Any) -> Landed:
        """What the chain executes."""
        slot = SLOTS.height() - 100
        landed = Landed(order_id, signature, 1, slot, True, 1_500_000_000, 149_000_000, "", 0)
        landed = landed._replace(**changes)
        ledger = Ledger(self.scene.settings.data_dir / "venue-ledger.sqlite")
        with ledger.writing():
            ledger.land([landed])
        ledger.close()
        return landed

    async def parked(self, *facts: Any, fact: Any = MARKET) -> str:
        order_id = await self.scene.crew.place(fact)
        for item in facts:
            await self.scene.crew.append(order_id, item)
        return order_id

    async def executed(self, *signatures: str, fact: Any = MARKET) -> str:
        """An order that a repair parked as executed."""
        order_parked = OrderParked("repair", executed_reason(signatures), "engine")
        before = [OrderArmed(7)] if fact is LIMIT else []
        return await self.parked(*before, order_parked, fact=fact)

    async def sound(self) -> None:
        """What an audit says of all there is."""
        scene = self.scene
        async with projecting(scene.redis_url, scene.database_url):
            await projected(scene.log, scene.archive)
        assert (await verify(scene.archive, scene.log, columns)).problems == []
        replay = Replay(CHECKS)
        async for page in everything(scene.archive, scene.log):
            replay.page(page)
        assert replay.mismatches == []


@pytest.fixture
def operator(scene: Scene) -> Operator:
    return Operator(scene)


async def sent(crew: Crew, order_id: str, *, lands: bool = True) -> str:
    """An order that is sent, and parked before its outcome was queried; its signature."""
    workers = [await crew.worker(name) for name in ("router", "builder")]
    await crew.until(lambda: len(crew.names(order_id)) == 4)
    for worker in workers:
        await worker.stop()
    transaction = (await crew.head(order_id)).order.transaction
    assert transaction is not None
    await crew.append(order_id, TransactionSubmitted(1, transaction.signature))
    if lands:
        await crew.chain().send([transaction.raw])
    await crew.append(order_id, PARK)
    return transaction.signature


# -- orders that a repair parked -------------------------------------------------------------------


async def test_an_order_executed_according_to_a_repair_is_confirmed_with_the_amounts_on_chain(
    scene: Scene,
    operator: Operator,
) -> None:
    crew = scene.crew
    order_id = await crew.place(MARKET)
    await scene.archived()
    signature = await sent(crew, order_id)
    await scene.lose()
    assert (await scene.repair()).parked == [order_id]
    async with scene.afterwards() as later:
        assert executed_by(await scene.logged(order_id)) == (signature,)
        assert len(await scene.log.parked()) == 1
        sent_at = SLOTS.height()
        await until(lambda: SLOTS.height() > sent_at + SLOTS.finality_slots)
        done = await operator.settle(order_id)
        assert not done.already
        [row] = [row for row in Ledger(later.ledger_path).rows() if row.order_id == order_id]
        order = await scene.logged(order_id)
        assert (order.status, order.parked, order.signature) == ("confirmed", "", signature)
        assert (order.amount_out, order.amount_taken) == (row.amount_out, row.amount_in)
        assert await scene.log.parked() == []
        assert await scene.log.parked_orders() == 0
        recovered, confirmed = (await operator.facts(order_id))[-2:]
        assert recovered == TransactionRecovered(signature, "by the record", "ann")
        assert isinstance(confirmed, OrderConfirmed)
        await projected(scene.log, scene.archive)
        listed = await scene.archive.order(order_id)
        assert listed is not None
        assert (listed.status, listed.parked, listed.signature) == ("confirmed", "", signature)
        # A second settlement appends no event.
        position = await scene.log.position()
        assert (await operator.settle(order_id)).already
        assert (await operator.settle(order_id, signature)).already
        with pytest.raises(parked.NotAllowed):
            await operator.settle(order_id, "another")
        assert await scene.log.position() == position
    await operator.sound()
    assert crew.executions() == {order_id: 1}


@pytest.mark.parametrize("fact", [MARKET, LIMIT], ids=["pending", "watching"])
async def test_an_order_is_settled_from_every_archived_status(
    operator: Operator, fact: Any
) -> None:
    order_id = await operator.executed("sig-1", fact=fact)
    operator.lands(order_id, "sig-1", amount_out=2_000_000_000_000)
    done = await operator.settle(order_id)
    assert (done.order.status, done.order.amount_out) == ("confirmed", 2_000_000_000_000)
    assert done.order.parked == ""
    head = (await operator.scene.log.load([order_id]))[0]
    assert head is not None
    assert head.owes == 0
    assert await operator.scene.log.resting() == 0
    await operator.sound()


async def test_a_transaction_that_failed_on_chain_fails_the_order(operator: Operator) -> None:
    order_id = await operator.parked(OrderParked("router", "a bug", "engine"))
    operator.lands(
        order_id, "sig-1", ok=False, amount_in=0, amount_out=0, reason="slippage-exceeded"
    )
    done = await operator.settle(order_id, "sig-1")
    assert (done.order.status, done.order.reason) == ("failed", "slippage-exceeded")
    assert (await operator.facts(order_id))[-1] == OrderFailed(
        "operator", "slippage-exceeded", 1, actor="ann"
    )
    await operator.sound()


async def test_a_transaction_that_is_not_final_or_unknown_is_refused(operator: Operator) -> None:
    order_id = await operator.executed("sig-1")
    assert await operator.refused(order_id) == "transaction-not-found"
    operator.lands(order_id, "sig-1", slot=SLOTS.height() + 10_000)
    assert await operator.refused(order_id) == "transaction-not-finalized"
    later = await operator.executed("sig-2")
    operator.lands(later, "sig-2", visible_us=time.time_ns() // 1000 + 3_600_000_000)
    assert await operator.refused(later) == "venue-unavailable"


async def test_an_order_executed_twice_is_settled_by_the_transaction_an_operator_names(
    operator: Operator,
) -> None:
    order_id = await operator.executed("sig-1", "sig-2")
    for signature in ("sig-1", "sig-2"):
        operator.lands(order_id, signature)
    assert await operator.refused(order_id) == "executed-more-than-once"
    assert await operator.refused(order_id, "sig-3") == "another-transaction-known"
    done = await operator.settle(order_id, "sig-2")
    assert done.order.signature == "sig-2"
    assert (await operator.facts(order_id))[-2].others == ("sig-1",)
    await operator.sound()


async def test_a_second_settlement_reports_that_the_order_is_already_settled(
    operator: Operator,
) -> None:
    order_id = await operator.executed("sig-1")
    operator.lands(order_id, "sig-1")
    first = await operator.settle(order_id)

    async def late(order: Order) -> list[Any]:
        record = Record("sig-1", Outcome("landed", 1, 1, amount_in=1), (order_id,))
        return settlement.recovered(order, record, "late", "bob")

    again = await parked.settle(operator.scene.log, operator.history, order_id, late)
    assert again.already
    assert again.order.version == first.order.version


async def test_an_order_that_changes_during_the_chain_query_is_decided_again(
    operator: Operator,
) -> None:
    order_id = await operator.executed("sig-1")
    operator.lands(order_id, "sig-1")
    versions: list[int] = []

    async def slow(order: Order) -> list[Any]:
        versions.append(order.version)
        if len(versions) == 1:  # another process appends to it meanwhile
            await operator.scene.crew.append(
                order_id, OrderParked("repair", executed_reason(["sig-1"]), "engine")
            )
        record = Record("sig-1", Outcome("landed", 5, 9, amount_in=7), (order_id,))
        return settlement.recovered(order, record, "slow", "bob")

    done = await parked.settle(operator.scene.log, operator.history, order_id, slow)
    assert versions == [2, 3]
    assert (done.order.version, done.order.amount_out) == (5, 5)


# -- unknown transactions --------------------------------------------------------------------------


async def test_an_unrecorded_transaction_settles_only_the_order_that_it_fits(
    operator: Operator,
) -> None:
    order_id = await operator.parked(OrderParked("router", "a bug", "engine"))
    other = await operator.parked(OrderParked("router", "a bug", "engine"))
    assert await operator.refused(order_id) == "signature-needed"
    operator.lands(other, "sig-other")
    assert await operator.refused(order_id, "sig-other") == "transaction-of-another-order"
    operator.lands(order_id, "sig-more", amount_in=1_500_000_001)
    assert await operator.refused(order_id, "sig-more") == "transaction-does-not-fit"
    operator.lands(order_id, "sig-1")
    assert (await operator.settle(order_id, "sig-1")).order.status == "confirmed"
    await operator.sound()


async def test_one_order_at_a_time_is_settled_by_a_named_transaction(
    scene: Scene, operator: Operator
) -> None:
    """Two at once would each find that no other order has it."""
    order_id = await operator.parked(OrderParked("router", "a bug", "engine"))
    operator.lands(order_id, "sig-1")
    reached, go = asyncio.Event(), asyncio.Event()

    facts = settling._Asked.facts

    async def slow(asked: Any, *terms: Any) -> Any:
        reached.set()
        await go.wait()
        return await facts(asked, *terms)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling._Asked, "facts", slow)
        first = asyncio.create_task(operator.settle(order_id, "sig-1"))
        await asyncio.wait_for(reached.wait(), HANG_S)
        assert await operator.refused(order_id, "sig-1") == "another-settlement"
        go.set()
        assert (await first).order.status == "confirmed"


def order(**changes: Any) -> Order:
    order = Order(
        "id-1", "main", 2, type="market", token_in="SOL", token_out="USDC", decimals_in=9,
        decimals_out=6, amount_in=10**9,
    )  # fmt: skip
    return replace(order, **changes)


def record(amount_in: int = 10**9, amount_out: int = 150_000_000, **changes: Any) -> Record:
    outcome = Outcome("landed", amount_out, 9, amount_in=amount_in, legs=(LegOutcome(1, 2),))
    return Record("sig", outcome, ("id-1",), ("SOL", "USDC"))._replace(**changes)


FITS: list[tuple[Order, Record]] = [
    (order(), record()),
    (order(), record(orders=())),
    (order(min_amount_out=150_000_000), record()),
    (order(type="limit", target_price="150"), record()),
    (order(exact_amount_out=150_000_000, max_amount_in=10**9, amount_in=0), record()),
    (order(type="sniper", max_price="0.0066666667"), record()),
]
FITS_NOT: list[tuple[Order, Record]] = [
    (order(), record(10**9 - 1)),
    (order(), record(10**9 + 1)),
    (order(), record(tokens=("USDC", "SOL"))),
    (order(), record(tokens=("SOL", "USDT"))),
    (order(), record(orders=("id-2",))),
    (order(), record(orders=("id-1", "id-2"))),
    (order(min_amount_out=150_000_001), record()),
    (order(type="limit", target_price="150.000001"), record()),
    (order(exact_amount_out=150_000_001, amount_in=0), record()),
    (order(exact_amount_out=149_999_999, amount_in=0), record()),
    (order(exact_amount_out=150_000_000, max_amount_in=10**9 - 1, amount_in=0), record()),
    (order(type="sniper", max_price="0.0066"), record()),
]


@pytest.mark.parametrize("number", range(len(FITS)))
def test_a_transaction_within_the_terms_fits(number: int) -> None:
    settlement.check(*FITS[number], known=False)


@pytest.mark.parametrize("number", range(len(FITS_NOT)))
def test_a_transaction_outside_the_terms_does_not_fit(number: int) -> None:
    with pytest.raises(VenueRefusal):
        settlement.check(*FITS_NOT[number], known=False)


def test_the_recorded_transaction_of_an_order_has_to_name_it_and_may_have_older_terms() -> None:
    # Its price may have been amended in a log that is lost.
    settlement.check(order(type="limit", target_price="151"), record(), known=True)
    for orders in ((), ("id-2",)):
        with pytest.raises(VenueRefusal, match="another-order"):
            settlement.check(order(), record(orders=orders), known=True)


def test_a_failure_has_to_name_the_order() -> None:
    failed = Record("sig", Outcome("failed", slot=9, reason="slippage-exceeded"), ())
    with pytest.raises(VenueRefusal, match="another-order"):
        settlement.check(order(), failed, known=False)


def test_fills_are_those_of_the_record_where_the_route_is_another_one() -> None:
    fill = Fill("pool-2", "SOL", "USDC", 9, 6, 1, 2)
    facts = settlement.recovered(order(), record(fills=(fill,), pool="pool-2"), "why", "ann")
    assert facts[0] == TransactionRecovered("sig", "why", "ann", pool="pool-2")
    assert isinstance(facts[1], OrderConfirmed)
    assert facts[1].fills == (fill,)


# -- what the log itself has sent ------------------------------------------------------------------


async def test_a_sent_order_that_is_parked_is_settled_by_its_own_transaction_alone(
    scene: Scene,
    operator: Operator,
) -> None:
    order_id = await scene.crew.place(MARKET)
    signature = await sent(scene.crew, order_id)
    assert await operator.refused(order_id, "another") == "another-transaction-known"
    with pytest.raises(parked.NotAllowed, match="may still land"):
        await parked.discard(scene.log, operator.history, order_id, "why", "ann")
    sent_at = SLOTS.height()
    await until(lambda: SLOTS.height() > sent_at + SLOTS.finality_slots)
    done = await operator.settle(order_id)
    assert (done.order.status, done.order.signature) == ("confirmed", signature)
    await operator.sound()


async def test_an_order_fails_once_its_transaction_is_proved_dead_and_not_before(
    scene: Scene,
    operator: Operator,
) -> None:
    order_id = await scene.crew.place(MARKET)
    signature = await sent(scene.crew, order_id, lands=False)
    assert await operator.refused(order_id) == "transaction-not-found"
    last = (await scene.logged(order_id)).transaction
    assert last is not None
    moved = SLOTS.height() + 10_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(SLOTS), "height", lambda _: moved)
        done = await operator.settle(order_id)
    assert (done.order.status, done.order.reason) == ("failed", "transaction-expired")
    proof = (await operator.facts(order_id))[-2]
    assert isinstance(proof, TransactionExpired)
    assert (proof.signature, proof.finalized_height > last.last_valid_height) == (signature, True)
    await operator.sound()


async def test_the_settle_command_prints_the_code_and_then_the_result(
    scene: Scene,
    operator: Operator,
) -> None:
    order_id = await operator.executed("sig-1")
    environ = os.environ | {
        "REDIS_URL": scene.redis_url,
        "DATABASE_URL": scene.database_url,
        "DATA_DIR": str(scene.settings.data_dir),
        "SLOT_MS": str(SLOTS.slot_ms),
    }

    def command(*args: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "engine", "parked", "settle", order_id, *args],
            env=environ, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    missing = command()
    assert (missing.returncode, "transaction-not-found" in missing.stderr) == (1, True)
    operator.lands(order_id, "sig-1")
    done = command("--actor", "ann")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [order_id, "confirmed", "sig-1"]
    again = command("--json")
    assert '"already": true' in again.stdout


def test_every_place_that_parks_orders_is_listed_and_has_its_note() -> None:
    """A new place that parks orders is added there with the command that ends it."""
    root = Path(settlement.__file__).parents[1]
    places = [
        f"{path.relative_to(root)}:{path.read_text(encoding='utf-8').count('OrderParked(')}"
        for package in ("engine", "events", "gateway", "projections", "stages")
        for path in sorted((root / package).rglob("*.py"))
        if "OrderParked(" in path.read_text(encoding="utf-8")
    ]
    assert places == [
        "events/order/events/order_parked.py:1",  # the fact itself
        "events/recovery/order_histories.py:1",  # executed on chain by …
        "stages/runtime/append.py:2",  # the log line of any; an exception, as the next but one
        "stages/runtime/pipeline.py:1",  # its worker died on it again and again; and exceptions
        "stages/runtime/settle.py:1",  # unreadable head: …
        "stages/triggers/writer.py:1",  # an exception
    ]
    for reason in ("its worker died", "TypeError: …", "unreadable head: …", EXECUTED):
        assert f"| `{reason}" in parked_command.NOTES
