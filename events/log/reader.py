"""Reads the log: batches after a position, a blocking tail, the events of one order.

Rule of this file: entries that no append wrote are not returned. `meta.position` is read together
with the entries: those after it, or with an id of another form, are skipped. Only `LogReader.raw`
returns every entry, for audit and repair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from events.log.entries import (
    Batch,
    RawEntry,
    Refused,
    Stored,
    batch_of,
    foreign_id,
    raw_entry,
)
from events.log.redis.keys import Keys
from events.log.redis.link import Damaged, Fenced, LogTruncated, RedisConnection, meta_number
from events.secret import SecretUrl

__all__ = ["Batch", "LogReader", "Stored"]

BLOCK_MS = 1000
WATCHDOG_S = 5.0
BATCHES_PER_READ = 100
REFUSED_KEPT = 100
PAUSE_S = 0.1
"""Pause between two reads of a tail while there are foreign entries after the head, with which a
blocking read returns at once."""


class LogReader:
    """Reads batches. A blocking read occupies the connection: each consumer has a reader."""

    def __init__(
        self, url: SecretUrl | str, keys: Keys, name: str = "reader", *, epoch: int = 0
    ) -> None:
        """With an `epoch`, reading a log of another epoch raises Fenced."""
        self._link = RedisConnection(url, name)
        self._key = keys.log
        self._mark = ("HMGET", keys.meta, "position", "aside", "epoch")
        self._epoch = epoch
        self.refused: dict[str, Refused] = {}
        """Foreign entries before the head that were skipped, by id; the first REFUSED_KEPT."""

    async def connect(self) -> None:
        """Connects, where it is not connected. Raises LogError."""
        await self._link.server()

    async def read(self, after: int, *, batches: int = BATCHES_PER_READ) -> list[Batch]:
        """The next batches, the first of which may begin at or before `after`.

        Raises LogTruncated where the log lacks the event that follows `after`: it was trimmed, or
        is Damaged there. The archive may hold it.
        """
        start = f"{after + 1}-0"
        while True:
            before, entries, now = await self._link.pipeline(
                [self._mark, ("XRANGE", self._key, start, "+", "COUNT", batches), self._mark]
            )
            if before[1] != now[1]:  # entries were set aside meanwhile: ids may be reused
                continue
            position = self._position(now)
            written = self._written(entries, position)
            if written or not entries or raw_entry(entries[-1]).position > position:
                return _continuous(after, written)
            start = f"({entries[-1][0].decode()}"  # a page of foreign entries only

    async def tail(
        self, after: int, *, block_ms: int = BLOCK_MS
    ) -> AsyncGenerator[list[Batch], None]:
        """Follows the log without end. Yields an empty list when nothing arrives within `block_ms`.

        Raises LogTruncated, or Unavailable or OutcomeUnknown: call again after the last position.
        """
        command = ("XREAD", "COUNT", BATCHES_PER_READ, "BLOCK", block_ms, "STREAMS", self._key)
        while True:
            # The server reads the second mark right after the first entries arrive.
            before, answer, now = await self._link.pipeline(
                [self._mark, (*command, f"{after}-0"), self._mark],
                timeout_s=block_ms / 1000 + WATCHDOG_S,
            )
            entries = answer[0][1] if answer else []
            if before[1] == now[1]:
                batches = _continuous(after, self._written(entries, self._position(now)))
            else:
                batches = []
            if entries and not batches and not (batches := await self.read(after)):
                await asyncio.sleep(min(PAUSE_S, block_ms / 1000))
            if batches:
                after = batches[-1].last
            yield batches

    def _position(self, mark: Sequence[bytes | None]) -> int:
        if self._epoch and meta_number(mark[2], "epoch") != self._epoch:
            raise Fenced(
                f"the log is of epoch {meta_number(mark[2], 'epoch')}, not of {self._epoch}"
            )
        return meta_number(mark[0], "position")

    def _written(self, answers: Sequence[Any], position: int) -> list[RawEntry]:
        """The entries up to `position` that appends wrote; notes the others as refused."""
        written = []
        for answer in answers:
            entry = raw_entry(answer)
            if entry.position > position:
                break
            if entry.own:
                written.append(entry)
            elif len(self.refused) < REFUSED_KEPT:
                self.refused[entry.id] = foreign_id(entry)
        return written

    async def at(self, positions: Sequence[int]) -> list[Stored]:
        """The events at these positions, without those that are trimmed or damaged."""
        if not positions:
            return []
        mark, *answers = await self._link.pipeline(
            [self._mark, *(("XRANGE", self._key, f"{p}-0", "+", "COUNT", 1) for p in positions)]
        )
        head = self._position(mark)
        events: list[Stored] = []
        decoded: dict[bytes, Batch | None] = {}
        for position, entries in zip(positions, answers, strict=True):
            if not entries or position > head:
                continue
            entry_id = entries[0][0]
            if entry_id not in decoded:
                decoded[entry_id] = await self._readable(raw_entry(entries[0]), position)
            batch = decoded[entry_id]
            if batch is not None and batch.first <= position <= batch.last:
                record = batch.records[position - batch.first]
                events.append(Stored(position, batch.time_us, record))
        return events

    async def within(self, positions: Sequence[int], *, bytes_max: int) -> list[Stored]:
        """The events at these positions, the first ones first, until `bytes_max` of entries are
        read. Each entry is read once, in a call of its own, so that other reads are not kept
        waiting.
        """
        head = self._position((await self._link.pipeline([self._mark]))[0])
        left = set(positions)
        events: list[Stored] = []
        for position in positions:
            if position not in left or position > head:
                continue
            if bytes_max <= 0:
                break
            try:
                batch = await self.entry_at(position)
            except Damaged as error:
                left.difference_update(range(position, error.resume_after + 1))
                continue
            if batch is None:
                continue
            bytes_max -= len(batch.data)
            here = left.intersection(range(batch.first, batch.last + 1))
            left -= here
            events.extend(Stored(p, batch.time_us, batch.records[p - batch.first]) for p in here)
        return events

    async def _readable(self, entry: RawEntry, position: int) -> Batch | None:
        try:
            return batch_of(entry) if entry.own else await self.entry_at(position)
        except Damaged:
            return None

    async def bounds(self) -> tuple[int, int]:
        """First and last position that the log still holds; (1, 0) for an empty log."""
        mark, first = await self._link.pipeline(
            [self._mark, ("XRANGE", self._key, "-", "+", "COUNT", 1)]
        )
        last = await self._link.call(
            "XREVRANGE", self._key, f"{self._position(mark)}-0", "-", "COUNT", 1
        )
        if not first or not last:
            return 1, 0
        entry = raw_entry(first[0])
        try:
            start = batch_of(entry).first
        except Damaged:  # its first position is not known
            start = entry.position
        return start, raw_entry(last[0]).position

    async def entry_at(self, position: int) -> Batch | None:
        """The batch that holds a position; None where it is trimmed or not yet written.

        Raises Damaged.
        """
        start = f"{position}-0"
        while entries := await self._link.call("XRANGE", self._key, start, "+", "COUNT", 1):
            entry = raw_entry(entries[0])
            if entry.own:
                batch = batch_of(entry)
                return batch if batch.first <= position else None
            start = f"({entry.id}"
        return None

    async def raw(self, after: str = "", *, count: int = BATCHES_PER_READ) -> list[RawEntry]:
        """All entries of the stream after an id, foreign ones too; "": from its start."""
        start = f"({after}" if after else "-"
        entries = await self._link.call("XRANGE", self._key, start, "+", "COUNT", count)
        return [raw_entry(entry) for entry in entries]

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()


def _continuous(after: int, entries: Sequence[RawEntry]) -> list[Batch]:
    """Decodes entries up to the first that does not continue the positions. Raises LogTruncated
    where that is the first one.
    """
    batches: list[Batch] = []
    for entry in entries:
        try:
            batch = batch_of(entry)
            if batch.first > after + 1:
                detail = f"the log goes from position {after} to {batch.first}"
                raise LogTruncated(detail, resume_after=batch.first - 1)
            if batches and batch.first <= after:
                detail = f"entry {entry.id} of the log holds position {batch.first} once more"
                raise Damaged(detail, resume_after=batch.last)
        except LogTruncated:
            if not batches:
                raise
            break
        batches.append(batch)
        after = batch.last
    return batches
