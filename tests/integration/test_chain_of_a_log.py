"""A log is of one chain: its orders are never sent, or believed dead, on another one."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
import redis.asyncio

from engine.recovery import Words, diagnose, plan
from events.log import ClusterMismatch, Damaged, EventLog
from tests.support.log.played import Play
from tests.support.log.projected import BUILD, NOT_YET, opened, projected, projecting
from tests.support.processes.child import ENGINE
from tests.support.waits import HANG_S, until

DEVNET = {
    "VENUES": "raydium,meteora",
    "SOLANA_RPC_URL": "http://127.0.0.1:1",
    "POOLS": str(Path(__file__).parents[2] / "pools" / "devnet.toml"),
}


async def test_a_log_is_of_the_chain_that_was_named_first(redis_url: str) -> None:
    reader = EventLog(redis_url, build=BUILD)
    simulated = EventLog(redis_url, build=BUILD, chain="simulated")
    devnet = EventLog(redis_url, build=BUILD, chain="devnet")
    for event_log in (reader, simulated, reader, simulated):
        await event_log.open()
    with pytest.raises(ClusterMismatch, match="trade on 'simulated', not on what VENUES"):
        await devnet.open()
    for event_log in (reader, simulated, devnet):
        await event_log.close()


async def test_log_metadata_that_is_not_utf_8_is_damaged(redis_url: str) -> None:
    log = EventLog(redis_url, build=BUILD)
    await log.open()
    await log.suspend("operator")
    async with redis.asyncio.from_url(redis_url) as client:
        await client.hset(log.keys.meta, mapping={"chain": b"\xff", "suspended": b"\xff"})
    assert await log.suspended() == "\N{REPLACEMENT CHARACTER}"
    with pytest.raises(Damaged, match="the log's chain is damaged"):
        await log.open()
    trader = EventLog(redis_url, build=BUILD, chain="local")
    with pytest.raises(ClusterMismatch):
        await trader.open()
    await log.close()
    await trader.close()


async def test_a_process_of_another_chain_logs_one_line_and_exits(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    urls = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}
    async with opened(redis_url, database_url, chain="local"):
        process = await asyncio.create_subprocess_exec(
            *ENGINE, "stage", "confirmer",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path, env=os.environ | urls | DEVNET,
        )  # fmt: skip
        raw, _ = await asyncio.wait_for(process.communicate(), HANG_S)
    [line] = [json.loads(line) for line in raw.splitlines() if b'"critical"' in line]
    assert process.returncode == 2
    assert line["event"] == "process_failed"
    assert line["error"].startswith("the orders of this log trade on 'local'"), line


async def test_the_archive_remembers_the_chain_when_the_log_is_lost(
    redis_url: str, database_url: str
) -> None:
    async with opened(redis_url, database_url, chain="local") as (log, archive):
        async with projecting(redis_url, database_url):  # which trades on none, and need not know
            await Play(log).live(1)
            await projected(log, archive)
        assert await archive.chain() == "local"
        async with redis.asyncio.from_url(redis_url) as client:
            await client.flushdb()
    # A repair that asked devnet what was executed would read "nothing", and execute it again.
    async with opened(redis_url, database_url, chain="devnet") as (log, archive):
        todo = plan(await diagnose(log, archive), log.chain, Words())
        assert "this archive trade on 'local'" in todo.refused
        async with projecting(redis_url, database_url, chain="devnet"):

            async def halted() -> bool:
                return "trade on 'local'" in (await archive.regression() or "")

            await until(halted, "the report", ignoring=NOT_YET)
            await until(log.suspended, "the log to be suspended")
