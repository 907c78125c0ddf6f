"""Rows of the archive that no store has any more: the loss is named, accepted by a person, and
hides nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from engine.commands import audit
from engine.doctor import records
from events.archive.history import GivenUp, everything, order_history
from events.archive.losses import digest_of
from events.audit.replay import Replay
from events.audit.verdict import Verdict
from events.audit.verify import verify
from events.commands import orders
from projections.feed.history_reader import HistoryGap, HistoryReader
from projections.postgres.order_rows import columns
from projections.postgres.rebuild import rebuild
from tests.integration import test_repair_damage
from tests.integration.test_repair_damage import Scene, goes_on
from tests.support.log.damaged import CHAIN
from tests.support.log.workers import ACCOUNT

template = test_repair_damage.template
scene = test_repair_damage.scene

LOSES = "engine repair --accept-loss --yes"
MENDS = "engine repair --yes"


async def trimmed(scene: Scene) -> None:
    """The log keeps nothing that the archive has, but its last entry."""
    kept = [
        entry_id
        for entry_id, _ in await scene.client.xrange(scene.log.keys.log)
        if int(entry_id.split(b"-")[0]) < scene.end
    ]
    if kept:
        await scene.client.xdel(scene.log.keys.log, *kept)


async def placed(scene: Scene, name: str) -> list[int]:
    """Where the archived events of an order stand."""
    query = "SELECT positions FROM orders WHERE id = $1"
    return list(await scene.sql.fetchval(query, scene.records.orders[name]))


async def take(scene: Scene, *positions: int) -> list[tuple[Any, ...]]:
    """Deletes rows of the archive; returns them."""
    await trimmed(scene)
    rows = await scene.sql.fetch("SELECT * FROM events WHERE position = ANY($1)", positions)
    await scene.sql.execute("DELETE FROM events WHERE position = ANY($1)", positions)
    return [tuple(row) for row in rows]


async def edit(scene: Scene, position: int) -> None:
    """Changes one byte of a row."""
    await trimmed(scene)
    await scene.sql.execute(
        "UPDATE events SET body = set_byte(body, 40, get_byte(body, 40) # 1) WHERE position = $1",
        position,
    )


async def put_back(scene: Scene, rows: list[tuple[Any, ...]]) -> None:
    """As from a backup."""
    await scene.sql.copy_records_to_table("events", records=rows)


async def accept(scene: Scene) -> None:
    """Follows the advice, which is to accept the loss."""
    told = await scene.advice()
    assert told.command == LOSES, told
    assert await scene.follow(f'{told.command} --reason "no backup"') == 0
    told = await scene.advice()
    assert (told.status, told.command) == ("ok", ""), told


async def verdict(scene: Scene) -> Verdict:
    return await verify(scene.archive, scene.log, columns)


async def codes(scene: Scene) -> set[tuple[int, str]]:
    return {(problem.position, problem.code) for problem in (await verdict(scene)).problems}


LOST: dict[str, Callable[[dict[str, list[int]]], list[int]]] = {
    "an event in the middle of an order": lambda at: [at["done"][1]],
    "the first event of an order": lambda at: [at["done"][0]],
    "the last event of an order": lambda at: [at["done"][-1]],
    "all events of an order that ended": lambda at: at["failed"],
    "the first event of an open order": lambda at: [at["resting"][0]],
    "the last event of an open order": lambda at: [at["resting"][-1]],
    "the only event of an open order": lambda at: at["pending"],
    "an event of an order that continues in the log": lambda at: [at["unnamed"][0]],
    "events of several orders": lambda at: [at["done"][1], at["parked"][0], at["bunch 1"][2]],
}


@pytest.mark.parametrize("which", LOST.values(), ids=LOST)
async def test_deleted_rows_without_another_copy_can_be_accepted_as_lost(
    scene: Scene, which: Callable[[dict[str, list[int]]], list[int]]
) -> None:
    names = [name for name in scene.records.orders if name != "late"]
    lost = which({name: await placed(scene, name) for name in names})
    before = {str(r["id"]): tuple(r) for r in await scene.sql.fetch("SELECT * FROM orders")}
    await take(scene, *lost)
    assert await scene.follow(MENDS) == 1, "nothing is given up silently"
    await accept(scene)
    after = await verdict(scene)
    assert after.problems == []
    assert set(lost) <= {loss.position for loss in after.accepted}
    assert {(loss.reason, loss.digest == b"") for loss in after.accepted} <= {
        ("no backup", True), ("no backup", False)
    }  # fmt: skip
    rows = {str(r["id"]): tuple(r) for r in await scene.sql.fetch("SELECT * FROM orders")}
    assert rows == before, "the read model keeps the last states"
    await rebuild(scene.settings.database_url)
    rows = {str(r["id"]): tuple(r) for r in await scene.sql.fetch("SELECT * FROM orders")}
    assert rows == before, "and a rebuild keeps them, too"
    await goes_on(scene)


async def test_damaged_rows_without_another_copy_can_be_accepted_as_lost(scene: Scene) -> None:
    at = (await placed(scene, "done"))[1]
    await edit(scene, at)
    await accept(scene)
    assert at in {loss.position for loss in (await verdict(scene)).accepted}
    await goes_on(scene)


async def test_reads_name_the_accepted_loss_and_return_all_other_events(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    order_id, positions = scene.records.orders["done"], await placed(scene, "done")
    at = positions[1]
    await take(scene, at)
    await scene.client.delete(scene.log.keys.order(order_id))
    await accept(scene)
    with pytest.raises(GivenUp, match=f"{at}"):
        await order_history(scene.archive, scene.log, order_id)
    past = HistoryReader(scene.log, scene.archive)
    try:
        with pytest.raises(HistoryGap, match="accepted as lost"):
            await past.order(order_id)
        with pytest.raises(HistoryGap) as caught:
            await past.page(at - 1)
        assert caught.value.resume_after in range(at, positions[-1] + 1)
    finally:
        await past.close()
    losses = await scene.archive.losses()
    replay = Replay(losses=losses)
    async with aclosing(everything(scene.archive, scene.log, losses=losses)) as pages:
        async for page in pages:
            replay.page(page)
    done = replay.order(order_id)
    assert done is not None
    assert done.status == "confirmed"
    capsys.readouterr()
    assert await command(scene, "verify") == 0
    told = capsys.readouterr().out
    assert "sound," in told
    assert f"events accepted as lost at position {at}" in told
    assert "no backup" in told
    assert await command(scene, "verify", "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert at in [loss["position"] for loss in body["acceptedLosses"]]
    assert await command(scene, "replay") == 0
    assert await command(scene, "export") == 0
    capsys.readouterr()
    assert await command(scene, "show", order_id) == 1
    assert "accepted as lost" in capsys.readouterr().err


@pytest.mark.parametrize("column", ["hash", "body"])
async def test_a_lost_column_that_cannot_be_derived_is_accepted_with_all_its_rows(
    scene: Scene, column: str
) -> None:
    await trimmed(scene)
    await scene.sql.execute(f"ALTER TABLE events DROP COLUMN {column}")
    await accept(scene)
    assert len((await verdict(scene)).accepted) >= scene.end - 5
    await goes_on(scene)


async def test_a_column_of_times_is_restored_from_a_backup_alone(scene: Scene) -> None:
    await scene.sql.execute("ALTER TABLE events DROP COLUMN time_us")
    redis_url, url = scene.settings.redis_url, scene.settings.database_url
    [told] = [
        finding async for finding in records.look(scene.settings, redis_url, url, chain=CHAIN)
    ]
    assert (told.status, told.command) == ("failed", "")
    assert "time_us" in told.detail
    assert "backup" in told.mend


async def test_a_further_loss_is_not_covered(scene: Scene) -> None:
    done, failed = await placed(scene, "done"), await placed(scene, "failed")
    await take(scene, done[1])
    await accept(scene)
    accepted = len((await verdict(scene)).accepted)
    await take(scene, done[3], failed[0])
    assert {(done[3], "gap"), (failed[0], "gap")} <= await codes(scene)
    assert await scene.follow(MENDS) == 1
    await accept(scene)
    assert len((await verdict(scene)).accepted) > accepted
    await goes_on(scene)


async def test_a_row_that_changed_since_is_a_new_loss(scene: Scene) -> None:
    at = (await placed(scene, "done"))[1]
    await edit(scene, at)
    await accept(scene)
    await scene.sql.execute("UPDATE events SET time_us = time_us + 1 WHERE position = $1", at)
    assert (at, "accepted") in await codes(scene)
    await accept(scene)
    await scene.sql.execute("DELETE FROM events WHERE position = $1", at)
    assert (at, "gap") in await codes(scene)
    await accept(scene)


async def test_a_row_that_was_put_back_unequal_is_a_new_loss(scene: Scene) -> None:
    at = (await placed(scene, "done"))[1]
    rows = await take(scene, at)
    await accept(scene)
    await put_back(scene, rows)
    await edit(scene, at)
    assert (at, "accepted") in await codes(scene)
    await accept(scene)


async def test_rows_from_a_backup_end_the_accepted_loss(scene: Scene) -> None:
    rows = await take(scene, *(await placed(scene, "done"))[1:3], *await placed(scene, "pending"))
    await accept(scene)
    await put_back(scene, rows)
    assert (rows[0][0], "accepted") in await codes(scene), "it may not stay accepted"
    told = await scene.advice()
    assert told.command == MENDS, told
    assert await scene.follow(told.command) == 0
    result = await verdict(scene)
    assert (result.problems, result.accepted) == ([], ())
    await goes_on(scene)


async def test_forged_losses_of_positions_without_a_loss_are_reported_and_repaired(
    scene: Scene,
) -> None:
    await trimmed(scene)
    at = (await placed(scene, "done"))[1]
    forge = "INSERT INTO accepted_losses VALUES ($1, $2, $3, 'x', 'eve', 1, 'x')"
    async with scene.archive.snapshot() as snapshot:
        [row] = [event async for event in snapshot.labelled(at - 1) if event.stored.position == at]
    for position, digest in (
        (at, digest_of([row])),
        (at + 1, bytes(32)),
        (scene.end + 7, b""),
        (0, b""),
    ):
        await scene.sql.execute(forge, position, scene.records.orders["done"], digest)
    assert {(at, "accepted"), (at + 1, "accepted"), (scene.end + 7, "accepted"),
            (0, "accepted")} == await codes(scene)  # fmt: skip
    assert await scene.follow((await scene.advice()).command) == 0
    result = await verdict(scene)
    assert (result.problems, result.accepted) == ([], ())


async def test_a_forged_state_of_an_accepted_loss_is_reported(scene: Scene) -> None:
    at = (await placed(scene, "done"))[1]
    await take(scene, at)
    await accept(scene)
    await scene.sql.execute("UPDATE accepted_losses SET state = 'x' WHERE state IS NOT NULL")
    assert "accepted" in {code for _, code in await codes(scene)}
    await accept(scene)


async def test_a_row_that_the_log_still_has_is_restored_and_not_accepted_as_lost(
    scene: Scene,
) -> None:
    at = (await placed(scene, "done"))[1]
    await scene.sql.execute("DELETE FROM events WHERE position = $1", at)
    await scene.sql.execute(
        "INSERT INTO accepted_losses VALUES ($1, $2, '', 'x', 'eve', 1, 'x')",
        at, scene.records.orders["done"],
    )  # fmt: skip
    assert (at, "accepted") in await codes(scene)
    told = await scene.advice()
    assert told.command == MENDS, told
    assert await scene.follow(told.command) == 0
    result = await verdict(scene)
    assert (result.problems, result.accepted) == ([], ())


async def test_an_order_without_a_row_resumes_from_the_state_in_its_head(scene: Scene) -> None:
    at = await placed(scene, "resting")
    await take(scene, *at)
    await scene.sql.execute("DELETE FROM orders WHERE id = $1", scene.resting)
    await accept(scene)
    assert await placed(scene, "resting") == at
    assert [loss.resumed is None for loss in (await verdict(scene)).accepted] == [True, False]
    await goes_on(scene)


async def test_an_order_without_any_remaining_copy_is_given_up(scene: Scene) -> None:
    order_id, at = scene.records.orders["done"], await placed(scene, "done")
    await take(scene, at[1])
    await scene.client.delete(scene.log.keys.order(order_id))
    await scene.sql.execute("DROP TABLE orders")
    await accept(scene)
    with pytest.raises(GivenUp, match=order_id):
        await order_history(scene.archive, scene.log, order_id)
    assert await scene.archive.order(order_id) is None
    await goes_on(scene)


async def test_a_loss_of_an_order_with_unarchived_events_is_not_accepted(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its head is newer than every lost event: no state is left that follows them."""
    await take(scene, *await placed(scene, "resting"))
    await scene.sql.execute("DELETE FROM orders WHERE id = $1", scene.resting)
    await scene.log.open(create=False)
    cancelled = await orders.cancel(scene.log, scene.resting, "ann")
    assert cancelled.outcome is orders.CommandOutcome.DONE
    assert await scene.follow(f'{LOSES} --reason "no backup"') == 1
    assert "are not archived yet" in capsys.readouterr().err
    assert (await verdict(scene)).accepted == ()


@pytest.mark.parametrize(
    "harm",
    [
        lambda s: s.client.delete(s.log.keys.order(s.begun)),
        lambda s: s.client.delete(s.log.keys.order(s.resting)),
        lambda s: s.client.delete(s.log.keys.open),
        lambda s: s.client.flushdb(),
        lambda s: s.sql.execute("TRUNCATE orders"),
    ],
    ids=["head", "head of the order", "lists", "log", "read model"],
)
async def test_other_damage_is_repaired_beside_an_accepted_loss(scene: Scene, harm: Any) -> None:
    rows = await take(scene, (await placed(scene, "resting"))[0], (await placed(scene, "done"))[2])
    await accept(scene)
    name = scene.log.keys.idempotency(ACCOUNT, "client", "resting")
    before, accepted = await scene.client.get(name), (await verdict(scene)).accepted
    await harm(scene)
    while (told := await scene.advice()).command:
        assert told.command == MENDS, told
        assert await scene.follow(told.command) == 0
    assert told.status == "ok", told
    assert (await verdict(scene)).accepted == accepted
    if await scene.client.hget(scene.log.keys.meta, "epoch") == b"1":
        assert await scene.client.get(name) == before, "its client may ask again"
    assert rows
    await goes_on(scene)


async def command(scene: Scene, *words: str) -> int:
    """An `engine audit` command, on its own thread as it has a loop of its own."""
    parser = argparse.ArgumentParser()
    audit.arguments(parser)
    return await asyncio.to_thread(audit.run, scene.settings, parser.parse_args(words))
