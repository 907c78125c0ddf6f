"""Whether a log is the one that was read before: epoch, end, and what it holds there."""

from __future__ import annotations

import pytest

from events.log import Continuity, LogIdentity, check_continuity

SAME, EPOCH_CHANGED, REGRESSED, TRIMMED, REPLACED = LogIdentity
READ = Continuity(3, 10, b"ours")
UNKNOWN = READ._replace(digest=None)


@pytest.mark.parametrize(
    ("read", "epoch", "head", "digest", "identity"),
    [
        (READ, 3, 10, b"ours", SAME),
        (READ, 3, 11, b"ours", SAME),
        (READ, 3, 10, b"theirs", REPLACED),
        (READ, 3, 11, b"", REPLACED),
        (READ, 3, 11, None, TRIMMED),
        (READ, 3, 9, b"ours", REGRESSED),
        (READ, 3, 0, None, REGRESSED),
        (READ, 4, 10, b"ours", EPOCH_CHANGED),
        (READ, 2, 10, b"ours", EPOCH_CHANGED),
        (READ, 4, 9, b"theirs", EPOCH_CHANGED),
        (UNKNOWN, 3, 10, b"theirs", SAME),
        (UNKNOWN, 3, 10, None, SAME),
        (UNKNOWN, 3, 9, None, REGRESSED),
        (UNKNOWN, 4, 10, None, EPOCH_CHANGED),
    ],
)
async def test_a_log_is_identified_by_epoch_end_and_content(
    read: Continuity, epoch: int, head: int, digest: bytes | None, identity: LogIdentity
) -> None:
    async def digest_at(position: int) -> bytes | None:
        assert position == read.position
        return digest

    assert await check_continuity(read, epoch, head, digest_at) is identity


@pytest.mark.parametrize(("read", "epoch", "head"), [(READ, 4, 10), (READ, 3, 9), (UNKNOWN, 3, 10)])
async def test_the_entry_is_not_read_where_epoch_and_length_decide(
    read: Continuity, epoch: int, head: int
) -> None:
    async def digest_at(position: int) -> bytes | None:
        raise AssertionError(f"position {position} was read")

    await check_continuity(read, epoch, head, digest_at)
