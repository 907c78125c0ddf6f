"""A server that does not fsync by itself: nothing counts as accepted before it did."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.embedded import databases
from engine.embedded.data_dir import Folder
from events.ids import new_order_id
from events.log import EventLog, OutcomeUnknown, Unavailable
from tests.support.log.played import ACCOUNT, submitted
from tests.support.waits import pace

TIMEOUTS_S = (1.0, 5.0, 30.0)
"""How long an append waits. A machine that stood still has sent nothing: it is tried again."""


@pytest.fixture
def never_fsynced(short_path: Path) -> Iterator[str]:
    """The URL of a Valkey that writes its file and leaves the fsync to the kernel, some day."""
    with Folder(short_path) as folder:
        options = databases.Options(servers=("valkey",), valkey={"appendfsync": "no"})
        servers = databases.prepare(folder, options)
        [valkey] = servers.programs
        with (folder.logs / "valkey.log").open("ab") as output:
            process = valkey.spawn(output)
        try:
            while not valkey.ready(process.pid):
                assert process.poll() is None
            yield servers.redis_url
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
            servers.clean()


async def test_an_append_that_is_never_fsynced_is_never_accepted(
    never_fsynced: str,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        log = EventLog(never_fsynced, build="test")
        stack.push_async_callback(log.close)
        await log.open()
        assert log.durability == "waitaof"

        async def accept(after_s: float, timeout_s: float) -> object:
            await pace(after_s)
            request, _ = log.build_creation(new_order_id(), ACCOUNT, submitted())
            return (await log.append([request], timeout_s=timeout_s))[0]

        for timeout_s in TIMEOUTS_S:
            told = await asyncio.gather(
                *(accept(s, timeout_s) for s in (0, 0.1, 0.12, 0.14, 0.16, 0.18)),
                return_exceptions=True,
            )
            kinds = [type(item) for item in told]
            assert set(kinds) <= {OutcomeUnknown, Unavailable}, told
            if Unavailable not in kinds:
                break
        assert kinds == [OutcomeUnknown] * 6


async def test_an_append_whose_fsync_wait_times_out_is_outcome_unknown(never_fsynced: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        log = EventLog(never_fsynced, build="test")
        stack.push_async_callback(log.close)
        await log.open()
        log._committer.after_append = ("WAITAOF", 1, 0, 50)  # ms: shorter than the caller waits
        request, _ = log.build_creation(new_order_id(), ACCOUNT, submitted())
        with pytest.raises(OutcomeUnknown):
            await log.append([request], timeout_s=1.0)
