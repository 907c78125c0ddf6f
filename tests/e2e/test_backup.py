"""docs/guide/deployment.md, "Backup and restore", done as written, after the worst day."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import redis.asyncio
from msgspec.structs import replace

from engine.embedded import binaries
from engine.embedded.databases import Embedded, started
from engine.settings import Settings
from engine.settings_loader import environment
from tests.support.processes.child import ENGINE
from tests.support.processes.engine_up import Engine, engine_up
from tests.support.waits import HANG_S, until


async def told(*command: str | Path, settings: Settings | None = None) -> tuple[int, str]:
    """Exit code and output."""
    env = os.environ | (environment(settings) if settings else {})
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=env
    )
    raw, _ = await asyncio.wait_for(process.communicate(), HANG_S)
    return process.returncode or 0, raw.decode()


async def copy(servers: Embedded, folder: Path, to: Path) -> None:
    """Both servers while they run: Postgres first, so that the log's copy has all that it has."""
    dump = binaries.postgres() / "pg_dump"
    code, text = await told(dump, "-Fc", "-f", to / "archive.dump", "-d", servers.database_url)
    assert code == 0, text
    async with redis.asyncio.from_url(servers.redis_url) as client:
        await client.config_set("auto-aof-rewrite-percentage", 0)

        async def rewritten() -> bool:
            return not (await client.info("persistence"))["aof_rewrite_in_progress"]

        await until(rewritten)
        shutil.copytree(folder / "valkey" / "appendonlydir", to / "appendonlydir")
        await client.config_set("auto-aof-rewrite-percentage", 100)


async def happens_after_the_copies(engine: Engine, waiting: str) -> list[str]:
    """An order that the copies know as waiting is executed, and some that they do not know."""
    change = {"version": 2, "targetPrice": "1"}
    async with engine.http.patch(f"{engine.url}/api/orders/{waiting}", json=change) as answer:
        assert answer.status == 200, await answer.text()
    lost = await engine.submit_many(3)
    assert set((await engine.ended([waiting, *lost])).values()) == {"confirmed"}
    return lost


async def test_an_engine_restored_from_copies_is_sound_and_executes_no_order_twice(
    short_path: Path,
) -> None:
    data, copies = short_path / "d", short_path / "copies"
    copies.mkdir()
    with started(short_path / "a") as servers:
        urls = {"redis_url": servers.redis_url, "database_url": servers.database_url}
        async with engine_up(data, blockhash_slots=200, **urls) as engine:
            done = await engine.submit_many(5)
            waiting = await engine.submit(key="w", type="limit", targetPrice="100000")
            await engine.ended(done)
            await engine.until(lambda: engine._statuses[waiting] == "watching")
            created = ("keys", "create", "--account", "desk", "--scopes", "read", "--json")
            code, text = await told(*ENGINE, *created, settings=engine.settings)
            key = json.loads(text)
            assert code == 0, text
            await copy(servers, short_path / "a", copies)
            lost = await happens_after_the_copies(engine, waiting)
            settings = engine.settings

    (short_path / "b" / "valkey").mkdir(parents=True, mode=0o700)
    shutil.copytree(copies / "appendonlydir", short_path / "b" / "valkey" / "appendonlydir")
    with started(short_path / "b") as servers:
        urls = {"redis_url": servers.redis_url, "database_url": servers.database_url}
        restore = binaries.postgres() / "pg_restore"
        code, text = await told(restore, "-d", servers.database_url, copies / "archive.dump")
        assert code == 0, text
        here = replace(settings, **urls)
        code, text = await told(*ENGINE, "audit", "verify", "--json", settings=here)
        assert (code, json.loads(text)["sound"]) == (0, True), text
        code, text = await told(*ENGINE, "repair", settings=here)
        assert (code, "sound" in text) == (0, True), "the copies agree: no machine can tell"
        repair = ("repair", "--restored", "--yes", "--json")
        code, text = await told(*ENGINE, *repair, settings=here)
        assert code == 0, text
        repaired = json.loads(text)
        assert (repaired["parked"], sorted(repaired["strangers"])) == ([waiting], sorted(lost))
        code, text = await told(*ENGINE, "audit", "verify", settings=here)
        assert code == 0, text
        async with engine_up(data, blockhash_slots=200, **urls) as engine:
            fresh = await engine.submit_many(3)
            assert set((await engine.ended(fresh)).values()) == {"confirmed"}
            executed = Counter(row.order_id for row in engine.ledger() if row.ok)
            assert executed == dict.fromkeys([*done, waiting, *lost, *fresh], 1)
            code, text = await told(*ENGINE, "keys", "list", "--json", settings=engine.settings)
            assert key["keyId"] in text
            code, text = await told(*ENGINE, "audit", "replay", "--check", settings=engine.settings)
            assert (code, " 0 differ" in text) == (0, True), text
