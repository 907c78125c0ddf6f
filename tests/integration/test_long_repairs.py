"""A repair of the archive may take any time: only a single slice of it has a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, SupportsIndex

import asyncpg
import pytest

from events.archive import Checkpoint
from projections.postgres import archive_writes, copy_watchdog, tables
from projections.postgres.archive_writes import mend
from projections.postgres.migrate import migrate

SLICES = 5


class Rows(list[tuple[Any, ...]]):
    """Rows that take time whenever they are read."""

    def __init__(self, rows: Iterable[tuple[Any, ...]], pass_time: Callable[[], None]) -> None:
        super().__init__(rows)
        self._pass_time = pass_time

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        part = super().__getitem__(key)
        return Rows(part, self._pass_time) if isinstance(key, slice) else part

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        self._pass_time()
        return super().__iter__()


async def test_a_repair_may_take_longer_than_one_slice_may(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    clock, passed_s = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: clock() + passed_s[0])
    monkeypatch.setattr(archive_writes, "SLICE", 2)

    def pass_time() -> None:
        passed_s[0] += copy_watchdog.WRITE_S / 4  # a slice is read twice

    events = [
        (position, 1, "01a2ffff-0000-7000-8000-000000000000", position, "x", b"h" * 32, b"{}")
        for position in range(1, 2 * SLICES + 1)
    ]
    connection = await asyncpg.connect(database_url)
    try:
        await migrate(connection)
        await tables.create_checkpoint(connection, 1)
        passed_s[0] = 0.0
        before = Checkpoint(1, 0, b"", 0, 0, None)
        after = Checkpoint(1, len(events), b"d" * 32, 1, 1, None)
        await mend(connection, before, after, Rows(events, pass_time), drop_after=len(events))
        assert passed_s[0] > 2 * copy_watchdog.WRITE_S
        kept = [row["position"] for row in await connection.fetch("SELECT position FROM events")]
        assert kept == [row[0] for row in events]
    finally:
        connection.terminate()
