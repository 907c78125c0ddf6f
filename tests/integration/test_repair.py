"""A lost log is rebuilt: archived orders continue, and nothing is executed twice."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
import redis.asyncio
from msgspec.structs import replace

from engine.recovery import Done, Repaired, RepairError, Words, diagnose, plan, rebuild_log
from engine.recovery import repair as mend
from engine.recovery.chain_history import open_wallet
from engine.settings import Settings
from engine.venues import LEDGER
from events.archive import Archive
from events.audit.verify import verify
from events.commands import engine_switch, orders, parked
from events.commands.idempotency import claim_of, digest_of, names_of
from events.ids import new_order_id
from events.log import (
    PARKED,
    RESTING,
    AppendStatus,
    ClusterMismatch,
    EventLog,
    Fenced,
    LogTruncated,
    Missing,
    Stored,
)
from events.order import STAGES, Order
from events.recovery.log_rebuild import LogRebuild
from events.types import (
    Fact,
    OrderArmed,
    OrderCancelled,
    OrderParked,
    OrderSubmitted,
    RoutingStarted,
    TransactionSubmitted,
)
from projections.postgres.order_rows import columns
from stages.venues.simulated.venue import Simulation
from tests.support.log.played import Play, routed, submitted
from tests.support.log.projected import opened, projected, projecting
from tests.support.log.workers import Crew
from tests.support.waits import holds, pace, until

SLOTS = Simulation(slot_ms=5, blockhash_slots=4000)
LIFETIME_SLOTS = 20
"""What the repair waits for; that transactions live longer here only spares the tests the hurry."""
MARKET = OrderSubmitted("market", "SOL", "USDC", 9, 6, 1_500_000_000, 50)
LIMIT = OrderSubmitted(
    "limit", "SOL", "USDC", 9, 6, 1_500_000_000, 0, target_price="1000", time_in_force="GTC"
)


NOTHING_MORE = Words()


class Scene(NamedTuple):
    """A log, its archive, a chain and workers; no projector runs."""

    redis_url: str
    database_url: str
    log: EventLog
    archive: Archive
    crew: Crew
    settings: Settings

    async def archived(self) -> int:
        """Archives all there is."""
        async with projecting(self.redis_url, self.database_url):
            return await projected(self.log, self.archive)

    async def lose(self) -> None:
        """As a FLUSHALL, or a disk."""
        async with redis.asyncio.from_url(self.redis_url) as client:
            await client.flushdb()

    async def repair(self) -> Repaired:
        wallet = open_wallet(self.settings)
        try:
            return await rebuild_log(self.log, self.archive, wallet)
        finally:
            await wallet.close()

    async def mended(self, words: Words = NOTHING_MORE) -> Done:
        """As `engine repair --yes` does it."""
        return await mend(self.log, self.archive, words, lambda: open_wallet(self.settings))

    async def wrong(self) -> str:
        """What is wrong, empty where nothing is."""
        return plan(await diagnose(self.log, self.archive), self.log.chain, Words()).why

    @contextlib.asynccontextmanager
    async def afterwards(self) -> AsyncIterator[Crew]:
        """All stages, of processes that came after the repair, and a projector."""
        await self.log.open(create=False)
        crew = Crew(self.redis_url, self.settings.data_dir / LEDGER, SLOTS)
        crew.after = self.log.base
        try:
            await crew.open()
            async with projecting(self.redis_url, self.database_url):
                await crew.all_stages()
                yield crew
                await projected(self.log, self.archive)
        finally:
            await crew.close()
        assert (await verify(self.archive, self.log, columns)).problems == []

    async def logged(self, order_id: str) -> Order:
        head = (await self.log.load([order_id]))[0]
        assert head is not None
        return head.order


async def no_history(_: str) -> list[Stored]:
    """These heads can be read."""
    return []


@pytest.fixture
async def scene(
    redis_url: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr("engine.recovery.recreate_log.FENCED_S", 0.05)
    settings = Settings(
        data_dir=tmp_path,
        venues=("simulated",),
        slot_ms=SLOTS.slot_ms,
        blockhash_slots=LIFETIME_SLOTS,
    )
    crew = Crew(redis_url, tmp_path / LEDGER, SLOTS)
    async with opened(redis_url, database_url, chain="simulated") as (log, archive):
        await crew.open()
        yield Scene(redis_url, database_url, log, archive, crew, settings)
        await crew.close()


async def test_a_sound_log_needs_no_repair_and_a_lost_one_does(scene: Scene) -> None:
    await scene.archived()
    assert await scene.wrong() == "", "there never was an event"
    await Play(scene.log).live(3)
    await scene.archived()
    assert await scene.wrong() == ""
    await scene.lose()
    assert "gone, the archive has 18 events" in await scene.wrong()
    await scene.log.open()  # what a careless restart would do
    assert "ends at position 0" in await scene.wrong()


async def test_archived_orders_continue_after_the_repair(scene: Scene) -> None:
    crew = scene.crew
    named = OrderSubmitted(
        "market", "SOL", "USDC", 9, 6, 10**9, 50, client_order_id="c1", idempotency_key="k1"
    )
    pending = new_order_id()
    names = names_of(scene.log.keys, "main", pending, named)
    await scene.log.append([scene.log.build_creation(pending, "main", named, names)[0]])
    resting, parked, begun = [await crew.place(fact) for fact in (LIMIT, MARKET, MARKET)]
    await crew.append(resting, OrderArmed(7))
    await crew.append(parked, OrderParked("router", "a bug", "engine"))
    await crew.append(begun, RoutingStarted())
    await Play(scene.log).live(2)
    await engine_switch.halt(scene.log, "odd prices", "ann")
    end = await scene.archived()
    heads = await scene.log.load([pending, resting, parked, begun])
    await scene.lose()

    wallet = open_wallet(scene.settings)
    last = await wallet.last_height()
    done = await scene.repair()
    assert await wallet.finalized() > last
    await wallet.close()
    assert (done.epoch, done.position, done.open_orders, done.keys) == (2, end, 4, 2)
    with pytest.raises(Fenced):
        await scene.crew.log.append(
            [scene.log.build_creation(new_order_id(), "main", submitted())[0]]
        )
    await scene.log.open(create=False)
    assert (await scene.log.position(), scene.log.base) == (end, end)
    assert await scene.log.load([pending, resting, parked, begun]) == heads
    assert [head.owes for head in heads if head] == [1, RESTING, PARKED, 1]
    assert [order_id for order_id, _ in await scene.log.parked()] == [parked]
    assert (await scene.log.resting(), await scene.log.open_orders()) == (1, 4)
    assert await scene.log.halted()
    elsewhere = EventLog(scene.redis_url, build="test", chain="devnet")
    with pytest.raises(ClusterMismatch):
        await elsewhere.open(create=False)
    await elsewhere.close()
    assert names is not None
    for value in await scene.log.lookup_idempotency_keys(names.keys):
        assert value is not None
        assert claim_of(value) == (pending, digest_of(named))

    async with scene.afterwards() as later:
        await engine_switch.resume(scene.log, "ann")
        assert await later.ended([pending, begun]) == ["confirmed"] * 2
        assert (
            await orders.cancel(scene.log, resting, "ann")
        ).outcome is orders.CommandOutcome.DONE
    assert set(crew.executions().values()) == {1}


async def test_an_order_that_the_chain_has_executed_is_never_executed_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = scene.crew

    async def built(order_ids: list[str]) -> None:
        """Built, and no more: a submitter is not there."""
        workers = [await crew.worker(name) for name in ("router", "builder")]
        for order_id in order_ids:
            await crew.until(lambda order_id=order_id: len(crew.names(order_id)) == 4)  # type: ignore[misc]  # mypy cannot type a bound loop variable
        for worker in workers:
            await worker.stop()

    [known] = await crew.submit(1)
    await built([known])
    [unknown, late] = await crew.submit(2)
    await scene.archived()
    await built([unknown, late])
    for order_id in (known, unknown):  # the archive never hears of it
        transaction = (await scene.logged(order_id)).transaction
        assert transaction is not None
        await crew.append(order_id, TransactionSubmitted(1, transaction.signature))
        await crew.chain().send([transaction.raw])
    await scene.lose()

    # A repair waits until none of these transactions can land any more: the chain is there by now.
    height = Simulation.height
    monkeypatch.setattr(Simulation, "height", lambda self: height(self) + SLOTS.blockhash_slots)
    done = await scene.repair()
    assert (done.sent, done.parked) == ([known], [unknown])
    async with scene.afterwards() as later:
        assert "executed on chain by" in (await scene.logged(unknown)).parked
        assert await later.ended([known, late]) == ["confirmed", "confirmed"]
        # No command may end it otherwise, and no stage may execute it again.
        assert (
            await orders.cancel(scene.log, unknown, "ann")
        ).outcome is orders.CommandOutcome.TOO_LATE
        for act in (parked.replay, parked.discard):
            with pytest.raises(parked.NotAllowed, match="executed on chain by"):
                await act(scene.log, no_history, unknown, "why not", "ann")
    assert crew.executions() == {known: 1, unknown: 1, late: 1}


async def test_an_executed_order_past_its_expiry_does_not_expire(scene: Scene) -> None:
    crew = scene.crew
    order_id = await crew.place(replace(MARKET, expires_at_us=time.time_ns() // 1000))
    await scene.archived()
    await crew.append(order_id, RoutingStarted(), routed())
    built = crew.chain().build(await scene.logged(order_id))
    await crew.chain().send([built.raw])
    await scene.lose()
    assert (await scene.repair()).parked == [order_id]
    async with scene.afterwards() as later:
        await later.watching()

        async def open_still() -> bool:
            return not (await scene.logged(order_id)).terminal

        await holds(open_still, 0.5)  # two rounds of the stage that ends expired orders
    assert crew.executions() == {order_id: 1}


async def test_a_parked_order_executed_after_its_replay_is_detected(
    scene: Scene,
) -> None:
    crew = scene.crew
    order_id = await crew.place(MARKET)
    await crew.append(order_id, OrderParked("router", "a bug", "engine"))
    await scene.archived()
    await parked.replay(scene.log, no_history, order_id, "mended", "ann")  # lost with the log
    await crew.all_stages()
    assert await crew.ended([order_id]) == ["confirmed"]
    await scene.lose()
    assert (await scene.repair()).parked == [order_id]
    async with scene.afterwards():
        with pytest.raises(parked.NotAllowed, match="executed on chain by"):
            await parked.replay(scene.log, no_history, order_id, "mended", "ann")
    assert crew.executions() == {order_id: 1}


async def test_orders_that_only_the_damaged_log_has_are_taken_over(scene: Scene) -> None:
    crew = scene.crew
    old = await crew.place(MARKET)
    await crew.append(old, RoutingStarted())
    await scene.archived()
    await scene.lose()
    await scene.log.open()  # a careless restart, which took orders before it was noticed
    [fresh] = await crew.submit(1)
    await crew.append(fresh, RoutingStarted())
    assert await scene.wrong()

    done = await scene.repair()
    assert (done.adopted, done.torn, done.open_orders) == ([fresh], [], 2)
    assert (await crew.log.epoch_and_position())[1] == 4
    async with scene.afterwards() as later:
        assert await later.ended([old, fresh]) == ["confirmed", "confirmed"]


async def test_events_beyond_the_archive_are_kept_where_only_one_entry_is_missing(
    scene: Scene,
) -> None:
    crew = scene.crew
    order_id = await crew.place(MARKET)
    await scene.archived()
    await crew.append(order_id, OrderCancelled("ann", ""))
    async with redis.asyncio.from_url(scene.redis_url) as client:
        await client.xdel(scene.log.keys.log, "1-0")
    assert "no intact entry holds position 1" in await scene.wrong()
    assert (await scene.mended()).founded is None, "no node had to be asked"
    await scene.log.open(create=False)
    assert (scene.log.epoch, await scene.wrong()) == (1, "")
    assert (await scene.logged(order_id)).status == "cancelled"
    async with scene.afterwards():
        pass


async def test_events_beyond_the_archive_in_a_restored_log_are_reported_as_void(
    scene: Scene,
) -> None:
    crew = scene.crew
    order_id = await crew.place(MARKET)
    async with redis.asyncio.from_url(scene.redis_url) as client:
        copy = {key: await client.dump(key) or b"" for key in await client.keys("oee:*")}
        await crew.append(order_id, RoutingStarted())
        await scene.archived()
        await client.flushdb()
        for key, dumped in copy.items():
            await client.restore(key, 0, dumped)
    await crew.append(order_id, OrderCancelled("ann", ""))
    fresh = await crew.place(MARKET)
    assert "the log differs from the archive" in await scene.wrong()
    done = await scene.repair()
    assert (done.torn, done.adopted, done.epoch) == ([order_id], [fresh], 2)
    await scene.log.open(create=False)
    assert (await scene.logged(order_id)).status == "routing"


async def test_the_second_of_two_concurrent_repairs_is_refused_without_effect(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = await scene.crew.place(MARKET)
    await scene.archived()
    await scene.lose()
    fence, fenced, refused = LogRebuild.fence, asyncio.Event(), asyncio.Event()

    async def held_up(self: LogRebuild) -> None:
        await fence(self)
        fenced.set()
        await refused.wait()

    monkeypatch.setattr(LogRebuild, "fence", held_up)
    first = asyncio.create_task(scene.repair())
    await fenced.wait()
    with pytest.raises(RepairError, match="another repair is under way"):
        await scene.repair()
    refused.set()
    assert (await first).open_orders == 1
    async with scene.afterwards() as later:
        assert await later.ended([order_id]) == ["confirmed"]


async def test_a_log_created_during_a_repair_is_not_changed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.crew.place(MARKET)
    await scene.archived()
    await scene.lose()
    fence = LogRebuild.fence

    async def fenced(self: LogRebuild) -> None:
        await fence(self)
        await scene.log.open()  # a careless restart
        [fresh] = await Play(scene.log).create()
        created.append(fresh)

    created: list[str] = []
    monkeypatch.setattr(LogRebuild, "fence", fenced)
    with pytest.raises(RepairError, match="the log was rebuilt meanwhile"):
        await scene.repair()
    assert (await scene.logged(created[0])).status == "pending", "its head is there"


async def test_a_repair_that_broke_off_can_be_begun_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = await scene.crew.place(MARKET)
    await scene.archived()
    await scene.lose()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="the power"):

        async def fails(*_: object, **__: object) -> None:
            raise OSError("the power")

        patch.setattr("events.recovery.log_rebuild.LogRebuild.rebuild", fails)
        await scene.repair()
    with pytest.raises(Fenced):
        await scene.log.append([scene.log.build_creation(new_order_id(), "x", MARKET)[0]])
    assert await scene.wrong()
    assert (await scene.repair()).epoch == 3
    await scene.log.open(create=False)
    assert (await scene.logged(order_id)).status == "pending"
    assert await scene.wrong() == ""


async def test_a_repair_keeps_keys_of_open_orders_and_others_until_their_window_ends(
    scene: Scene,
) -> None:
    log = scene.log

    async def named(name: str, *facts: Fact) -> str:
        fact = replace(LIMIT, client_order_id=name)
        order_id = new_order_id()
        names = names_of(log.keys, "main", order_id, fact)
        await log.append([log.build_creation(order_id, "main", fact, names)[0]])
        for item in facts:
            await scene.crew.append(order_id, item)
        return order_id

    keys = {
        name: log.keys.idempotency("main", "client", name)
        for name in ("rests", "ended", "over", "left")
    }
    rests = await named("rests", OrderArmed(7))
    ended = await named("ended", OrderCancelled("ann"))
    over = await named("over", OrderCancelled("ann"))
    async with redis.asyncio.from_url(scene.redis_url) as client:
        until_ms = await client.pexpiretime(keys["ended"])
        await scene.archived()
        left = await named("left")
        # Both were placed, and one of them ended, longer ago than names are kept.
        await _aged(scene.database_url, [rests, over], days=30)
        await client.delete(log.keys.meta)
        done = await scene.repair()
        assert (done.adopted, done.keys) == ([left], 3)
        results = {name: await client.pexpiretime(key) for name, key in keys.items()}
    assert results == {"rests": -1, "left": -1, "ended": until_ms, "over": -2}
    await log.open(create=False)
    assert ended != rests


async def _aged(database_url: str, order_ids: list[str], *, days: int) -> None:
    """As if all that is archived of these orders had happened so much earlier."""
    connection = await asyncpg.connect(database_url)
    us = days * 86_400_000_000
    try:
        await connection.execute(
            "UPDATE events SET time_us = time_us - $2 WHERE order_id = ANY($1::uuid[])",
            order_ids, us,
        )  # fmt: skip
        await connection.execute(
            "UPDATE orders SET updated_us = updated_us - $2, created_us = created_us - $2"
            " WHERE id = ANY($1::uuid[])",
            order_ids, us,
        )  # fmt: skip
    finally:
        await connection.close()


async def test_a_log_written_again_under_running_stages_loses_nothing(scene: Scene) -> None:
    crew, ids = scene.crew, list[str]()
    enough, over = asyncio.Event(), asyncio.Event()

    async def submitting() -> None:
        while not enough.is_set():
            fresh = new_order_id()
            with contextlib.suppress(Fenced):  # nothing was written: a gateway answers 503
                [answer] = await crew.log.append(
                    [crew.log.build_creation(fresh, "main", MARKET)[0]]
                )
                # Suspended for a moment: the projector saw no log, and looks again.
                assert answer.status in (AppendStatus.CREATED, AppendStatus.SUSPENDED)
                ids.extend([fresh] if answer.status is AppendStatus.CREATED else [])
            await pace(0.01)

    async def kept_up() -> None:
        """As a supervisor does: restarts a worker that was fenced off."""
        workers = dict(zip(STAGES, await crew.all_stages(), strict=True))
        while not over.is_set():
            for name, worker in workers.items():
                if worker.task.done():
                    assert isinstance(worker.task.exception(), Fenced)
                    with contextlib.suppress(Missing, LogTruncated):
                        workers[name] = await crew.worker(name)
            await pace(0.01)

    async with projecting(scene.redis_url, scene.database_url, chain="simulated"):
        work = [asyncio.create_task(submitting()), asyncio.create_task(kept_up())]
        async with redis.asyncio.from_url(scene.redis_url) as client:
            for _ in range(3):
                before = len(ids)
                await until(lambda before=before: len(ids) >= before + 20)  # type: ignore[misc]  # mypy cannot type a bound loop variable
                await client.set(scene.log.keys.idempotency("main", "key", "odd"), b"nonsense")
                done = await scene.mended()
                assert (done.founded, len(done.steps), done.left) == (None, 1, [])
                assert not await client.exists(scene.log.keys.fenced)
        enough.set()
        await work[0]
        assert set(await crew.ended(ids)) == {"confirmed"}
        over.set()
        await work[1]
        await projected(scene.log, scene.archive)
    assert crew.executions() == dict.fromkeys(ids, 1)
    await scene.log.open(create=False)
    assert (scene.log.epoch, await scene.wrong()) == (1, "")
