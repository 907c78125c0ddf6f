"""A polling loop owns at most one task, which ends with `close`."""

from __future__ import annotations

import asyncio

from stages.venues.solana.cluster.polling import PollingLoop
from tests.support.waits import HANG_S


class Reader(PollingLoop):
    """Counts its tasks, those that began and those that run."""

    def __init__(self) -> None:
        self.begun = self.running = 0
        self.news = asyncio.Event()

    async def _run(self) -> None:
        self.begun += 1
        self.running += 1
        self.news.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1


class Failing(PollingLoop):
    """Ends with an error at once."""

    async def _run(self) -> None:
        raise ValueError


async def started(reader: Reader) -> None:
    """Starts it, and waits until it runs."""
    reader.news.clear()
    reader.start()
    async with asyncio.timeout(HANG_S):
        await reader.news.wait()


async def test_a_second_start_begins_no_second_task() -> None:
    reader = Reader()
    await started(reader)
    reader.start()
    await asyncio.sleep(0)  # a second task would begin here
    assert (reader.begun, reader.running) == (1, 1)
    await reader.close()


async def test_a_closed_reader_has_no_task_and_can_start_again() -> None:
    reader = Reader()
    await reader.close()  # never started
    await started(reader)
    await reader.close()
    assert reader.running == 0
    await started(reader)
    assert (reader.begun, reader.running) == (2, 1)
    await reader.close()
    assert reader.running == 0


async def test_close_does_not_raise_the_error_of_the_task() -> None:
    reader = Failing()
    reader.start()
    await asyncio.sleep(0)  # it fails here
    await reader.close()
