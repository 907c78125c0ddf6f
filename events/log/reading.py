"""Reading the log: batches after a position, a tail that follows, records of one order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple

import msgspec

from events.chain import Record, decode_batch
from events.log.keys import Keys
from events.log.link import Damaged, Link, Regressed
from events.secret import SecretUrl

BLOCK_MS = 1000
WATCHDOG_S = 5.0
BATCHES_PER_READ = 100


class Batch(NamedTuple):
    """One log entry: the events `first` to `last` that one writer said in one breath."""

    first: int
    last: int
    time_us: int
    """The server's clock at the append."""
    records: list[Record]
    data: bytes
    """The stored bytes of all records."""


class Stored(NamedTuple):
    """One event where it stands."""

    position: int
    time_us: int
    record: Record


def _batch(entry: Any) -> Batch:
    entry_id, fields = entry
    try:
        last = int(entry_id[: entry_id.index(b"-")])
        values = dict(zip(fields[::2], fields[1::2], strict=True))
        data = values[b"b"]
        records = decode_batch(data)
        return Batch(last - len(records) + 1, last, int(values[b"t"]), records, data)
    except (KeyError, ValueError, msgspec.DecodeError) as error:
        raise Damaged(f"entry {entry_id.decode()} of the log is damaged: {error!r}") from error


class LogReader:
    """Reads batches. Each follower makes its own: a blocked read occupies its connection."""

    def __init__(self, url: SecretUrl | str, keys: Keys, name: str = "reader") -> None:
        self._link = Link(url, name)
        self._key = keys.log

    async def read(
        self, after: int, *, batches: int = BATCHES_PER_READ, holes: bool = False
    ) -> list[Batch]:
        """The next batches, the first of which may begin at or before `after`.

        Raises Regressed when the log was trimmed past `after`: the archive has the rest. With
        `holes` nothing is said of that: an audit looks for itself.
        """
        entries = await self._link.call(
            "XRANGE", self._key, f"{after + 1}-0", "+", "COUNT", batches
        )
        found = [_batch(entry) for entry in entries]
        return found if holes else _continuous(after, found)

    async def tail(
        self, after: int, *, block_ms: int = BLOCK_MS
    ) -> AsyncGenerator[list[Batch], None]:
        """Follows the log for ever. Yields an empty list when nothing came within `block_ms`.

        Raises Unavailable, Unanswered (call again with the last position seen) or Regressed.
        """
        while True:
            answer = await self._link.call(
                "XREAD", "COUNT", BATCHES_PER_READ, "BLOCK", block_ms,
                "STREAMS", self._key, f"{after}-0",
                timeout_s=block_ms / 1000 + WATCHDOG_S,
            )  # fmt: skip
            entries = answer[0][1] if answer else []
            batches = _continuous(after, [_batch(entry) for entry in entries])
            if batches:
                after = batches[-1].last
            yield batches

    async def at(self, positions: Sequence[int]) -> list[Stored]:
        """The events at these positions; those that are trimmed away are left out."""
        if not positions:
            return []
        answers = await self._link.pipeline(
            [("XRANGE", self._key, f"{p}-0", "+", "COUNT", 1) for p in positions]
        )
        found: list[Stored] = []
        decoded: dict[bytes, Batch] = {}
        for position, entries in zip(positions, answers, strict=True):
            if not entries:
                continue
            entry_id = entries[0][0]
            batch = decoded.get(entry_id) or decoded.setdefault(entry_id, _batch(entries[0]))
            if batch.first <= position <= batch.last:
                record = batch.records[position - batch.first]
                found.append(Stored(position, batch.time_us, record))
        return found

    async def bounds(self) -> tuple[int, int]:
        """First and last position that the log still holds; (1, 0) when it holds none."""
        first, last = await self._link.pipeline(
            [
                ("XRANGE", self._key, "-", "+", "COUNT", 1),
                ("XREVRANGE", self._key, "+", "-", "COUNT", 1),
            ]
        )
        if not first:
            return 1, 0
        return _batch(first[0]).first, _batch(last[0]).last

    async def entry_at(self, position: int) -> Batch | None:
        """The batch that holds a position, None where it is trimmed or not yet written."""
        entries = await self._link.call("XRANGE", self._key, f"{position}-0", "+", "COUNT", 1)
        batch = _batch(entries[0]) if entries else None
        return batch if batch is not None and batch.first <= position else None

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()


def _continuous(after: int, batches: list[Batch]) -> list[Batch]:
    for batch in batches:
        if batch.first > after + 1:
            raise Regressed(f"the log goes from position {after} to {batch.first}")
        after = batch.last
    return batches
