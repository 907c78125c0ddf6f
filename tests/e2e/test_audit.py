"""The audit commands on real servers: a sound log, a lagging one, a moving one, a damaged one."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from engine.commands import audit
from engine.recovery.replay_checks import CHECKS
from events.archive import Archive
from events.archive.history import everything
from events.archive.listing import Filters
from events.audit.replay import Replay
from events.audit.verdict import Verdict
from events.audit.verify import verify
from events.commands import engine_switch
from events.log import EventLog
from events.types import TransactionBuilt
from projections.postgres.order_rows import columns
from tests.support.log.played import Play, failed
from tests.support.log.projected import opened, projected, projecting
from tests.support.waits import HANG_S


@contextlib.asynccontextmanager
async def history(
    redis_url: str, database_url: str, orders: int = 20
) -> AsyncIterator[tuple[EventLog, Archive, Play, list[str]]]:
    """A log with confirmed, failed and waiting orders, projected; the projector is gone again."""
    async with opened(redis_url, database_url) as (log, archive):
        play = Play(log)
        async with projecting(redis_url, database_url):
            ids = await play.live(orders)
            bad = await play.create(3)
            await play.append(bad, failed())
            await play.create(2)
            await projected(log, archive)
        yield log, archive, play, ids


async def proof(log: EventLog, archive: Archive) -> Verdict:
    return await verify(archive, log, columns)


async def test_a_sound_engine_is_proved_sound(redis_url: str, database_url: str) -> None:
    async with history(redis_url, database_url) as (log, archive, _, _):
        verdict = await proof(log, archive)
    assert verdict == Verdict(128, 25, 128, 128, 128, [])


async def test_archive_lag_is_reported_and_is_not_a_problem(
    redis_url: str, database_url: str
) -> None:
    async with history(redis_url, database_url) as (log, archive, play, _):
        await play.live(10)
        verdict = await proof(log, archive)
        assert verdict.problems == []
        assert (verdict.archived, verdict.head, verdict.events) == (128, 188, 188)


async def test_a_trimmed_log_is_proved_from_the_archive(redis_url: str, database_url: str) -> None:
    async with history(redis_url, database_url, orders=100) as (log, archive, play, _):
        await log.trim(await log.position())
        await play.live(1)
        verdict = await proof(log, archive)
    assert verdict.problems == []
    assert verdict.compared < verdict.archived


async def test_halts_are_projected_and_proved_and_are_in_no_list_of_orders(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url) as (log, archive):
        async with projecting(redis_url, database_url):
            ids = await Play(log).live(3)
            for _ in range(2):
                await engine_switch.halt(log, "odd", "ann")
                await engine_switch.resume(log, "ann")
            await projected(log, archive)
        verdict = await proof(log, archive)
        assert (verdict.problems, verdict.orders) == ([], 3), "the engine's stream is not an order"
        listed, _ = await archive.find(Filters(), limit=10)
        assert {order.id for order in listed} == set(ids)


async def test_verify_reports_a_running_engine_as_sound(redis_url: str, database_url: str) -> None:
    async with (
        history(redis_url, database_url) as (log, archive, play, _),
        projecting(redis_url, database_url, retain_events=500),
    ):
        stop = asyncio.Event()

        async def live() -> None:
            while not stop.is_set():
                await play.live(50)

        work = asyncio.create_task(live())
        for _ in range(5):
            verdict = await proof(log, archive)
            assert verdict.problems == []
        stop.set()
        await work
        assert verdict.head > 1000


TAMPERED = {
    "a flipped byte": (
        "UPDATE events SET body = set_byte(body, length(body) - 1,"
        " get_byte(body, length(body) - 1) # 1) WHERE position = 42",
        42,
    ),
    "a flipped hash": (
        "UPDATE events SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1) WHERE position = 42",
        42,
    ),
    "a deleted row": ("DELETE FROM events WHERE position = 42", 42),
    "a deleted tail": ("DELETE FROM events WHERE position > 120", 121),
    "a deleted start": ("DELETE FROM events WHERE position < 5", 1),
    "two rows changed over": (
        "UPDATE events e SET order_id = o.order_id, version = o.version, type = o.type,"
        " hash = o.hash, body = o.body FROM events o"
        " WHERE (e.position, o.position) IN ((41, 61), (61, 41))",
        41,
    ),
    "another time": ("UPDATE events SET time_us = time_us + 1 WHERE position = 42", 42),
    "a row of orders": ("UPDATE orders SET status = 'failed' WHERE 1 = ANY(positions)", 101),
    "a missing order": ("DELETE FROM orders WHERE 1 = ANY(positions)", 101),
    "an old state": (
        "UPDATE orders o SET state = p.state FROM orders p"
        " WHERE 1 = ANY(o.positions) AND 2 = ANY(p.positions)",
        101,
    ),
}


@pytest.mark.parametrize("damage", TAMPERED)
async def test_damage_in_postgres_is_reported_at_its_first_position(
    redis_url: str, database_url: str, damage: str
) -> None:
    sql, expected = TAMPERED[damage]
    async with history(redis_url, database_url) as (log, archive, _, _):
        connection = await asyncpg.connect(database_url)
        assert not (await connection.execute(sql)).endswith(" 0")
        await connection.close()
        verdict = await proof(log, archive)
    assert verdict.problems
    assert verdict.problems[0].position == expected


@pytest.mark.parametrize("damage", ["a flipped byte", "two rows changed over", "a deleted row"])
async def test_damage_in_the_archive_is_detected_without_the_log(
    redis_url: str, database_url: str, damage: str
) -> None:
    """Behind the trimmed log nothing but the chain can tell."""
    sql, expected = TAMPERED[damage]
    async with history(redis_url, database_url) as (log, archive, _, _):
        client = redis.asyncio.Redis.from_url(redis_url)
        await client.xtrim(log.keys.log, minid="128-0", approximate=False)
        await client.aclose()
        connection = await asyncpg.connect(database_url)
        await connection.execute(sql)
        await connection.close()
        verdict = await proof(log, archive)
    assert verdict.compared < 5
    assert verdict.problems[0].position == expected


async def test_damage_in_redis_is_detected(redis_url: str, database_url: str) -> None:
    async with history(redis_url, database_url) as (log, archive, _, ids):
        client = redis.asyncio.Redis.from_url(redis_url)
        key = log.keys.order(ids[0])
        head: Any = await client.get(key)
        await client.set(key, head[:40] + bytes([head[40] ^ 1]) + head[41:])
        assert [p.code for p in (await proof(log, archive)).problems] == ["head"]
        await client.set(key, head)
        assert (await proof(log, archive)).problems == []
        entries: Any = await client.xrange(log.keys.log)
        entry, fields = entries[3]
        await client.delete(log.keys.log)
        for entry_id, kept in entries:
            if entry_id == entry:
                data = bytearray(fields[b"b"])
                data[-1] ^= 1
                kept = fields | {b"b": bytes(data)}  # noqa: PLW2901
            await client.xadd(log.keys.log, kept, id=entry_id)
        first = (await proof(log, archive)).problems[0]
        assert (first.store, first.code, first.position) == ("log", "entry", 80)
        await client.flushdb()
        assert (await proof(log, archive)).problems[0].code == "log"
        await client.aclose()


async def _without(client: Any, key: str, *numbers: int) -> None:
    """The log's entries of these numbers, counted from 0, are gone."""
    entries: Any = await client.xrange(key)
    await client.xdel(key, *(entries[number][0] for number in numbers))


LOG_HARM: dict[str, Any] = {
    "an entry in the middle": lambda client, keys: _without(client, keys.log, 5),
    "the second entry": lambda client, keys: _without(client, keys.log, 1),
    "the newest entry": lambda client, keys: _without(client, keys.log, -1),
    "all of it": lambda client, keys: client.delete(keys.log),
    "the mark of a halt": lambda client, keys: client.hset(keys.meta, "halted", 1),
    "an open order in no list": lambda client, keys: client.delete(keys.open),
}


@pytest.mark.parametrize("harm", LOG_HARM.values(), ids=LOG_HARM.keys())
async def test_missing_keys_in_redis_are_reported_and_all_others_compared(
    redis_url: str, database_url: str, harm: Any
) -> None:
    async with history(redis_url, database_url) as (log, archive, play, _):
        await play.create()  # one that is open
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        assert (await proof(log, archive)).problems == []
        client = redis.asyncio.Redis.from_url(redis_url)
        await harm(client, log.keys)
        await client.aclose()
        async with asyncio.timeout(HANG_S):
            verdict = await proof(log, archive)
        assert verdict.problems != []


async def test_a_row_under_an_unknown_order_id_is_detected(
    redis_url: str, database_url: str
) -> None:
    async with history(redis_url, database_url) as (log, archive, _, ids):
        connection = await asyncpg.connect(database_url)
        result = "00000000-0000-0000-0000-000000000000"
        await connection.execute(
            "CREATE TEMP TABLE x AS SELECT * FROM orders WHERE id = $1", ids[0]
        )
        await connection.execute("UPDATE x SET id = $1", result)
        await connection.execute("INSERT INTO orders SELECT * FROM x")
        await connection.close()
        [problem] = (await proof(log, archive)).problems
        assert (problem.order_id, problem.code) == (result, "orders")


async def test_a_damaged_entry_is_named_and_no_newer_build_is_blamed(
    redis_url: str, database_url: str
) -> None:
    async with history(redis_url, database_url) as (log, _, _, _):
        client = redis.asyncio.Redis.from_url(redis_url)
        await client.xadd(log.keys.log, {"x": "y"}, id=f"{await log.position() + 1}-0")
        await client.aclose()
        result = command("verify", redis_url, database_url)
        assert result.returncode == 1
        assert "of the log is damaged" in result.stdout
        assert "Traceback" not in result.stderr


def command(what: str, redis_url: str, database_url: str, *args: str, seed: str = "0") -> Any:
    """Runs `engine audit …` as a person would."""
    environ = os.environ | {
        "REDIS_URL": redis_url, "DATABASE_URL": database_url, "PYTHONHASHSEED": seed
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "engine", "audit", what, *args],
        env=environ, capture_output=True, text=True, check=False, timeout=HANG_S,
    )  # fmt: skip


async def test_the_exit_code_distinguishes_sound_broken_and_unreadable(
    redis_url: str, database_url: str
) -> None:
    async with history(redis_url, database_url):
        sound = command("verify", redis_url, database_url, "--json")
        assert sound.returncode == 0, sound.stderr
        body = json.loads(sound.stdout)
        assert (body["sound"], body["firstBadPosition"], body["lag"]) == (True, None, 0)
        connection = await asyncpg.connect(database_url)
        await connection.execute(TAMPERED["a flipped byte"][0])
        await connection.close()
        broken = command("verify", redis_url, database_url)
        assert broken.returncode == 1
        assert "BROKEN, first at position 42" in broken.stdout
        gone = command("verify", redis_url, "postgresql://postgres@/postgres?host=/nowhere")
        assert gone.returncode == 2
        assert "cannot read" in gone.stderr
        assert "Traceback" not in gone.stderr


async def test_a_replay_is_the_same_twice_under_any_hash_seed(
    redis_url: str, database_url: str
) -> None:
    async with history(redis_url, database_url) as (_, _, play, ids):
        await play.live(3)  # not projected: the replay continues in the log
        loads = [
            json.loads(command("replay", redis_url, database_url, "--json", seed=seed).stdout)
            for seed in ("1", "2")
        ]
        assert loads[0]["stateHash"] == loads[1]["stateHash"]
        assert (loads[0]["events"], loads[0]["first"], loads[0]["last"]) == (146, 1, 146)
        part = json.loads(
            command("replay", redis_url, database_url, "--json", "--until", "50").stdout
        )
        assert (part["events"], part["last"]) == (50, 50)
        assert part["stateHash"] != loads[0]["stateHash"]
        early = command("replay", redis_url, database_url, "--json", "--until", "2020-01-01")
        assert json.loads(early.stdout)["events"] == 0
        late = command("replay", redis_url, database_url, "--json", "--until", "2999-01-01T00:00Z")
        assert json.loads(late.stdout)["stateHash"] == loads[0]["stateHash"]
        result = command("replay", redis_url, database_url, "--json", "--order", ids[0], "--check")
        assert json.loads(result.stdout)["events"] == 6
        assert json.loads(result.stdout)["checked"] == 3


async def test_a_replay_check_confirms_every_recorded_decision(
    redis_url: str, database_url: str
) -> None:
    async with history(redis_url, database_url) as (log, archive, _, _):
        replay = Replay(CHECKS)
        async for page in everything(archive, log):
            replay.page(page)
    assert (replay.checked, replay.mismatches) == (60, [])


async def test_show_prints_time_event_and_cause(redis_url: str, database_url: str) -> None:
    async with history(redis_url, database_url) as (_, _, _, ids):
        shown = command("show", redis_url, database_url, ids[0])
    assert shown.returncode == 0, shown.stderr
    for item in (
        "1.5 SOL into USDC",
        "149 out",
        "146 out",
        "wins: pays 205",
        "min out 148.255",
        "attempt 1",
        "received 148.99",
        "confirmed after",
    ):
        assert item in shown.stdout


async def test_an_export_has_every_event_once_and_no_signed_bytes(
    redis_url: str, database_url: str
) -> None:
    async with history(redis_url, database_url) as (log, archive, _, _):
        exported = command("export", redis_url, database_url)
        lines = [json.loads(line) for line in exported.stdout.splitlines()]
        assert [line["position"] for line in lines] == list(range(1, 129))
        rest = command("export", redis_url, database_url, "--after", "126")
        assert [json.loads(line)["position"] for line in rest.stdout.splitlines()] == [127, 128]
        raw = [
            event.fact.raw.reveal()
            async for page in everything(archive, log)
            for event in page.events()
            if isinstance(event.fact, TransactionBuilt)
        ]
    assert len(raw) == 20
    assert not any("raw" in line for line in lines)
    for signed in raw:
        assert signed.hex() not in exported.stdout


def test_a_malformed_order_id_is_a_usage_error() -> None:
    parser = argparse.ArgumentParser()
    audit.arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["show", "no-id"])
