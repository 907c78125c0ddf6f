"""Whether a log is the one that was archived: by its epoch, its length and what stands there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from events.archive import Checkpoint
from events.log import EventLog, LogReader
from projections.postgres.log_identity import why_different_log
from tests.support.log.played import Play


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    opened = EventLog(redis_url, build="test")
    await opened.open()
    await Play(opened).live(1)
    yield opened
    await opened.close()


@pytest.fixture
async def reader(log: EventLog) -> AsyncIterator[LogReader]:
    log_reader = log.reader()
    yield log_reader
    await log_reader.close()


async def checkpoint(reader: LogReader, position: int) -> Checkpoint:
    entry = await reader.entry_at(position)
    assert entry is not None
    return Checkpoint(1, position, sha256(entry.data).digest(), 0, 1, None)


@pytest.mark.parametrize("position", [1, 4, 6])
async def test_the_log_that_was_archived_is_recognised(
    log: EventLog, reader: LogReader, position: int
) -> None:
    assert await why_different_log(log, reader, await checkpoint(reader, position)) == ""


async def test_a_log_with_another_epoch_length_or_content_is_reported(
    log: EventLog, reader: LogReader
) -> None:
    at = await checkpoint(reader, 4)
    others = {
        "epoch 1, the archive of 2": at._replace(epoch=2),
        "epoch 1, the archive of 0": at._replace(epoch=0),
        "ends at position 6, the archive at 7": at._replace(position=7),
        "differs from the archive at position 4": at._replace(digest=bytes(32)),
        "differs from the archive at position 5": at._replace(position=5),
    }
    for words, other in others.items():
        assert words in await why_different_log(log, reader, other)
