"""Every store is damaged in every way of a list, and the doctor's advice is followed until all is
sound: at most four commands, each of them the only one that is advised.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from engine.commands import repair
from engine.doctor import archive as archive_doctor
from engine.doctor import records
from engine.doctor.findings import Finding
from engine.settings import Settings
from engine.venues import LEDGER
from events.archive import Archive
from events.audit.verify import verify
from events.commands import engine_switch
from events.log import EventLog
from events.secret import SecretUrl
from projections.postgres.order_rows import columns
from stages.venues.simulated.venue import Simulation
from tests.conftest import Servers
from tests.integration.test_damage import ARCHIVE, BESIDE, LOG
from tests.support.log.damaged import CHAIN, Records, Template, built_template, copied
from tests.support.log.projected import projected, projecting
from tests.support.log.workers import ACCOUNT, Crew

STEPS = 4
"""So many commands at most, until all is sound."""
SLOTS = Simulation(slot_ms=5, blockhash_slots=4000)


class Scene(NamedTuple):
    """A copy of a small engine's records: orders of each kind, some of them not archived yet."""

    records: Records
    log: EventLog
    archive: Archive
    client: Any
    sql: asyncpg.Connection
    settings: Settings

    @property
    def end(self) -> int:
        """The last archived position."""
        return self.records.archived

    @property
    def resting(self) -> str:
        return self.records.orders["resting"]

    @property
    def parked(self) -> str:
        return self.records.orders["parked"]

    @property
    def begun(self) -> str:
        return self.records.orders["pending"]

    @property
    def ended(self) -> list[str]:
        return [self.records.orders["done"]]

    async def advice(self) -> Finding:
        """What the doctor says of the records, and which command it names: no other one."""
        redis_url, url = self.settings.redis_url, self.settings.database_url
        findings = [finding async for finding in archive_doctor.look(url)]
        findings += [
            finding async for finding in records.look(self.settings, redis_url, url, chain=CHAIN)
        ]
        named = {finding.command for finding in findings if finding.command}
        [told] = [finding for finding in findings if finding.name == records.NAME]
        assert told.status in ("ok", "failed"), told
        assert len(named) == (told.status == "failed"), told
        assert named <= {told.command}, told
        return told

    async def follow(self, command: str) -> int:
        """Does what is advised; its exit code."""
        parser = argparse.ArgumentParser()
        repair.arguments(parser)
        words = shlex.split(command)
        assert words[:2] == ["engine", "repair"], "no other command is needed"
        args = parser.parse_args(words[2:])
        return await asyncio.to_thread(repair.run, self.settings, args)

    async def problems(self) -> list[Any]:
        """What an audit finds."""
        return list((await verify(self.archive, self.log, columns)).problems)


@pytest.fixture(scope="module")
def template(servers: Servers) -> Iterator[Template]:
    with built_template(servers.redis_url, servers.database_url) as template:
        yield template


@pytest.fixture
async def scene(
    template: Template,
    redis_url: str,
    servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Scene]:
    monkeypatch.setattr("engine.recovery.recreate_log.FENCED_S", 0.01)
    monkeypatch.setattr("engine.recovery.recreate_log.POLL_S", 0.01)
    async with copied(template, redis_url, servers.database_url) as records:
        settings = Settings(
            data_dir=tmp_path, venues=("simulated",), slot_ms=SLOTS.slot_ms, blockhash_slots=4,
            redis_url=SecretUrl(redis_url), database_url=SecretUrl(records.database_url),
        )  # fmt: skip
        yield Scene(
            records, records.log, records.archive, records.client, records.database, settings
        )


Harm = Callable[[Scene], Awaitable[Any]]


def _of(damage: Any) -> Harm:
    """A damage of the audit's list."""
    return lambda scene: damage(scene.records)


DAMAGE: dict[str, dict[str, Harm]] = {}
"""Store -> what is done to it -> how."""


def run_sql(*statements: str) -> Harm:
    """Runs SQL, `:END` being the last position and `:X` the ids of orders."""

    async def harm(scene: Scene) -> None:
        for statement in statements:
            told = statement.replace(":END", str(scene.end))
            for name in ("resting", "parked", "begun"):
                told = told.replace(f":{name}", f"'{getattr(scene, name)}'")
            await scene.sql.execute(told.replace(":ended", f"'{scene.ended[0]}'"))

    return harm


DAMAGE["archive"] = {
    "the last row is edited": run_sql(
        "UPDATE events SET body = set_byte(body, 40, get_byte(body, 40) # 1) WHERE position = :END"
    ),
    "columns beside the body are edited": run_sql(
        "UPDATE events SET type = 'OrderFailed', version = 77, order_id = :resting"
        " WHERE position = 5"
    ),
    "a hole near the end": run_sql(
        "DELETE FROM events WHERE position BETWEEN :END - 3 AND :END - 1"
    ),
    "the end is deleted": run_sql("DELETE FROM events WHERE position > :END - 3"),
    "the duplicate is counted by the checkpoint": run_sql(
        "INSERT INTO events SELECT position + 1, time_us, order_id, version, type, hash, body"
        " FROM events WHERE position = :END",
        "UPDATE checkpoints SET position = :END + 1, halted = 'the log ends, the archive not'",
        "INSERT INTO projection_parked VALUES (:ended, 'version 6 follows 6', ARRAY[:END + 1])",
    ),
}
DAMAGE["read model"] = {
    "a row is edited": run_sql("UPDATE orders SET status = 'failed' WHERE id = :resting"),
    "a state is edited": run_sql("UPDATE orders SET state = 'x' WHERE id = :resting"),
    "two rows are swapped": run_sql(
        "UPDATE orders o SET state = p.state, hash = p.hash FROM orders p"
        " WHERE (o.id, p.id) IN ((:resting, :parked), (:parked, :resting))"
    ),
    "all rows are deleted": run_sql("TRUNCATE orders"),
    "the table of unfolded orders is dropped": run_sql("DROP TABLE projection_parked"),
}


async def entries(scene: Scene) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return list(await scene.client.xrange(scene.log.keys.log))


async def put(scene: Scene, kept: list[tuple[Any, Any]]) -> None:
    """The stream, made of these entries."""
    await scene.client.delete(scene.log.keys.log)
    for entry_id, fields in kept:
        await scene.client.xadd(scene.log.keys.log, fields, id=entry_id)


async def edited_entry(scene: Scene, at: int, value: bytes | None = None) -> None:
    kept = await entries(scene)
    entry_id, fields = kept[at]
    data = bytearray(fields[b"b"])
    data[-1] ^= 1
    kept[at] = (entry_id, fields | {b"b": bytes(data) if value is None else value})
    await put(scene, kept)


async def again(scene: Scene, at: int, entry_id: str) -> None:
    """An entry stands there once more."""
    fields = (await entries(scene))[at][1]
    await scene.client.xadd(
        scene.log.keys.log, fields, id=entry_id.format(end=scene.records.position + 1)
    )


DAMAGE["log"] = {
    "the last entry is edited": lambda s: edited_entry(s, -1),
    "an old entry stands behind the end": lambda s: again(s, 0, "{end}-0"),
    "an entry stands far behind the end": lambda s: again(s, 0, "999999999999-0"),
    "the stream is a string": lambda s: s.client.set(s.log.keys.log, "x"),
    "everything is deleted": lambda s: s.client.flushdb(),
}


def meta(**fields: Any) -> Harm:
    """Edits fields of meta; None deletes one."""

    async def harm(scene: Scene) -> None:
        for name, value in fields.items():
            if value is None:
                await scene.client.hdel(scene.log.keys.meta, name)
            else:
                await scene.client.hset(scene.log.keys.meta, name, value)

    return harm


DAMAGE["meta"] = {
    "no position": meta(position=None),
    "a position that is not a number": meta(position="x"),
    "no epoch": meta(epoch=None),
    "another epoch": meta(epoch=9),
    "no layout": meta(layout=None),
    "another layout": meta(layout="77"),
    "another chain": meta(chain="local"),
    "the mark of a halt": meta(halted=None),
    "a suspension that is never lifted": meta(suspended="because"),
    "no number of the news": meta(news=None),
    "news that are not a number": meta(news="x"),
    "a base that is not a number": meta(base="x"),
}


def head(edit: Callable[[bytes], bytes | None], which: str = "begun") -> Harm:
    """Edits the head of an order; None deletes it."""

    async def harm(scene: Scene) -> None:
        key = scene.log.keys.order(getattr(scene, which))
        value = edit(await scene.client.get(key))
        await (scene.client.delete(key) if value is None else scene.client.set(key, value))

    return harm


async def swapped_heads(scene: Scene) -> None:
    keys = [scene.log.keys.order(i) for i in (scene.resting, scene.begun)]
    first, second = await scene.client.mget(keys)
    await scene.client.mset({keys[0]: second, keys[1]: first})


DAMAGE["heads"] = {
    "one is deleted": head(lambda _: None),
    "one is empty": head(lambda _: b""),
    "one is cut off": head(lambda data: data[:20]),
    "one lacks its positions": head(lambda data: data[:-9]),
    "of a resting order one is deleted": head(lambda _: None, "resting"),
    "of a parked order one is deleted": head(lambda _: None, "parked"),
    "two are swapped": swapped_heads,
}
DAMAGE["lists"] = {
    "open orders are deleted": lambda s: s.client.delete(s.log.keys.open),
    "a member is not an order": lambda s: s.client.zadd(s.log.keys.open, {"x": 1}),
    "open orders are a string": lambda s: s.client.set(s.log.keys.open, "x"),
    "parked orders are deleted": lambda s: s.client.delete(s.log.keys.parked),
    "an order is listed as parked": lambda s: s.client.zadd(s.log.keys.parked, {s.begun: 1}),
    "an expiry is inserted": lambda s: s.client.zadd(s.log.keys.expiry, {s.begun: 1}),
    "the numbers owed are edited": lambda s: s.client.hset(s.log.keys.owed, 1, 77),
    "the numbers owed are deleted": lambda s: s.client.delete(s.log.keys.owed),
}
DAMAGE["inboxes"] = {
    "its entries are deleted": lambda s: s.client.xtrim(
        s.log.keys.inbox("router"), maxlen=0, approximate=False
    ),
    "one is a string": lambda s: s.client.set(s.log.keys.inbox("router"), "x"),
    "an entry has no known field": lambda s: s.client.xadd(s.log.keys.inbox("router"), {"x": "y"}),
}


async def never_due(scene: Scene) -> None:
    await scene.client.xtrim(scene.log.keys.inbox("router"), maxlen=0, approximate=False)
    await scene.client.zadd(scene.log.keys.due("router"), {scene.begun: 10**15})


DAMAGE["due-set"] = {
    "an order waits for a time that never comes": never_due,
    "it is a string": lambda s: s.client.set(s.log.keys.due("router"), "x"),
}


DAMAGE["idempotency keys"] = {
    "a client's name is deleted": lambda s: s.client.delete(
        s.log.keys.idempotency(ACCOUNT, "client", "a")
    ),
    "a key is inserted": lambda s: s.client.set(
        s.log.keys.idempotency(ACCOUNT, "key", "foreign"), s.begun.encode() + bytes(32)
    ),
}
DAMAGE["watching"] = {
    "the books' stream is a string": lambda s: s.client.set(s.log.keys.book, "x"),
    "the leases are a string": lambda s: s.client.set(s.log.keys.leases, "x"),
    "the slots are a string": lambda s: s.client.set(s.log.keys.slots, "x"),
    "the watchers are a string": lambda s: s.client.set(s.log.keys.watchers, "x"),
}
DAMAGE["schema"] = {
    f"{table} lacks {column}": run_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
    for table, column in (
        ("events", "order_id"), ("events", "version"), ("events", "type"), ("orders", "state"),
        ("orders", "price"), ("checkpoints", "epoch"), ("checkpoints", "name"),
        ("projection_parked", "positions"), ("migrations", "sha256"),
    )
} | {
    "a column of events has another type": run_sql(
        "ALTER TABLE events ALTER COLUMN version TYPE text"
    ),
    "a column of orders has another type": run_sql(
        "ALTER TABLE orders ALTER COLUMN version TYPE text"
    ),
}  # fmt: skip
CASES = [
    *(pytest.param(harm, id=f"{store}: {what}") for store, ways in DAMAGE.items()
      for what, harm in ways.items()),
    *(pytest.param(_of(damage), id=damage.__name__) for damage in (*LOG, *ARCHIVE, *BESIDE)),
]  # fmt: skip


async def test_undamaged_records_need_no_repair(scene: Scene) -> None:
    told = await scene.advice()
    assert (told.status, told.command) == ("ok", ""), told


@pytest.mark.parametrize("harm", CASES)
async def test_the_doctors_advice_repairs_every_damage(
    scene: Scene, harm: Harm, request: pytest.FixtureRequest
) -> None:
    await harm(scene)
    advised: list[Finding] = []
    while (told := await scene.advice()).command:
        advised.append(told)
        assert len(advised) <= STEPS, advised
        assert await scene.follow(told.command) == 0, (advised, await scene.advice())
    assert told.status == "ok", told
    assert advised, "the damage was not seen"
    assert await scene.follow(advised[0].command) == 0, "twice is the same as once"
    await goes_on(scene)
    result = request.node.callspec.id, advised[0].detail, *(told.command for told in advised)
    print("|", " | ".join(result), "|")


async def test_events_only_in_the_log_survive_a_repair_of_an_older_position_mark(
    scene: Scene,
) -> None:
    """The heads of its orders name the entries behind the mark: the log wrote them."""
    late = scene.records.orders["late"]
    before = await scene.log.load([late, scene.records.orders["unnamed"]])
    await scene.client.hset(scene.log.keys.meta, "position", scene.end)
    assert await scene.follow((await scene.advice()).command) == 0
    await scene.log.open(create=False)
    after = await scene.log.load([late, scene.records.orders["unnamed"]])
    for head, other in zip(before, after, strict=True):
        assert head is not None
        assert other is not None
        assert (head.version, head.hash) == (other.version, other.hash)


async def goes_on(scene: Scene) -> None:
    """A new order is confirmed, open orders continue, and nothing is executed twice."""
    settings = scene.settings
    crew = Crew(settings.redis_url.reveal(), settings.data_dir / LEDGER, SLOTS)
    await scene.log.open(create=False)
    crew.after = await scene.log.position()
    try:
        await crew.open()
        async with projecting(
            settings.redis_url.reveal(), settings.database_url.reveal(), chain=CHAIN
        ):
            await engine_switch.resume(scene.log, "ann")
            await crew.all_stages()
            fresh = await crew.submit(1)
            assert await crew.ended([*fresh, scene.begun]) == ["confirmed", "confirmed"]
            await projected(scene.log, scene.archive)
    finally:
        await crew.close()
    assert set(crew.executions().values()) == {1}
    [resting, parked] = await scene.log.load([scene.resting, scene.parked])
    assert resting is not None
    assert parked is not None
    assert (resting.order.status, parked.order.parked) == ("watching", "a bug")
    assert await scene.problems() == []
