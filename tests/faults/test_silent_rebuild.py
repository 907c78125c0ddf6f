"""A Postgres that falls silent during a rebuild ends it, and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from engine.embedded import databases
from engine.embedded.data_dir import running
from events.archive import reader
from projections.postgres import copy_watchdog, silence
from projections.postgres import rebuild as rebuilds
from projections.postgres.rebuild import rebuild
from tests.support.log.played import Play
from tests.support.log.projected import opened, projected, projecting
from tests.support.waits import HANG_S


@pytest.fixture
def servers(short_path: Path) -> Iterator[databases.Embedded]:
    with databases.started(short_path, databases.FAST) as embedded:
        yield embedded


@contextlib.contextmanager
def stoppable(postgres: int) -> Iterator[list[int]]:
    """The process ids to stop, all of Postgres; they run again after the block."""
    children = Path(f"/proc/{postgres}/task/{postgres}/children").read_text().split()
    pids = [postgres, *map(int, children)]
    try:
        yield pids
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


MOMENTS = [
    *((moment, True) for moment in ("_write", "_index", "_swap_tables", "_fold_until")),
    # A statement without a bound, on a server that answers others, is taken to work.
    *((moment, False) for moment in ("_write", "_fold_until")),
]


@pytest.mark.parametrize(("moment", "whole"), MOMENTS)
async def test_a_postgres_that_falls_silent_ends_a_rebuild_that_changes_nothing(
    servers: databases.Embedded,
    short_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    whole: bool,
) -> None:
    state = running(short_path)
    assert state
    async with (
        opened(state.redis_url, state.database_url) as (log, archive),
        projecting(state.redis_url, state.database_url),
    ):
        await Play(log).live(20)
        await projected(log, archive)
    before = await orders(state.database_url)
    monkeypatch.setattr(copy_watchdog, "WRITE_S", 1.0)
    monkeypatch.setattr(silence, "PROBE_S", 0.1)
    monkeypatch.setattr(reader, "PAGE_S", 1.0)
    original = getattr(rebuilds._Rebuild, moment)

    with stoppable(state.pids["postgres"]) as pids:

        async def after_silence(self: Any, *args: Any) -> None:
            own = [self._writing.get_server_pid(), self._reading.get_server_pid()]
            for pid in (pids + own) if whole else own:
                os.kill(pid, signal.SIGSTOP)
            pids.extend(own)
            await original(self, *args)

        monkeypatch.setattr(rebuilds._Rebuild, moment, after_silence)
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            async with asyncio.timeout(HANG_S) as bound:
                await rebuild(state.database_url)
        assert not bound.expired()
    monkeypatch.undo()
    assert await orders(state.database_url) == before
    assert (await rebuild(state.database_url)).orders == len(before)
    assert await orders(state.database_url) == before


async def orders(url: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch("SELECT * FROM orders ORDER BY id")]
    finally:
        await connection.close()
