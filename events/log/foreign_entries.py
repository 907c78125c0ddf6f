"""Foreign entries: entries after the log's head that no append wrote.

Such an entry occupies the id of the next one and blocks appends. It is moved to a stream of its
own: the log's stream is replaced by a copy without it. Entries that an append wrote are never lost.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from events.log.entries import RawEntry, Refused, Tail, order_ids, raw_entry, tail_of
from events.log.head import OrderHead, decode_head
from events.log.redis.keys import Keys
from events.log.redis.library import RedisFunctions
from events.log.redis.link import RedisConnection, Unavailable, meta_number

COPIED_AT_ONCE = 200
LOOKED_AT = 100
"""The most entries after the head that are classified one by one."""
ANSWER_S = 30.0


class Foreign(NamedTuple):
    """Entries that the log did not write."""

    behind: list[Refused]
    """Those in the stream after its head, LOOKED_AT at most."""
    aside: int
    """How many were set aside and not yet removed by a repair."""

    def __str__(self) -> str:
        text = str(self.behind[0]) if self.behind else f"log entries set aside: {self.aside:,}"
        return f"{text}; `engine repair` removes it"

    def __bool__(self) -> bool:
        return bool(self.behind or self.aside)


class Tails:
    """The part of `EventLog` that classifies the end of the stream."""

    keys: Keys
    _link: RedisConnection
    _library: RedisFunctions

    async def foreign(self) -> Foreign:
        """The entries that no append wrote: after the head, or set aside. Raises LogError."""
        position, _, entries = await self._behind()
        aside = int(await self._link.call("XLEN", self.keys.aside))
        if not entries:
            return Foreign([], aside)
        return Foreign((await self._judged(entries, position)).refused, aside)

    async def tail(self) -> Tail:
        """Classifies the entries after the position in `meta`. Raises LogError."""
        position, _, entries = await self._behind()
        return await self._judged(entries, position)

    async def _behind(self) -> tuple[int, bytes, list[RawEntry]]:
        """Position and epoch of the log, and the first entries after that position."""
        while True:
            position, epoch = await self._link.call("HMGET", self.keys.meta, "position", "epoch")
            at = meta_number(position, "position")
            entries, now = await self._link.pipeline(
                [
                    ("XRANGE", self.keys.log, f"({at}-0", "+", "COUNT", LOOKED_AT),
                    ("HGET", self.keys.meta, "position"),
                ]
            )
            if not entries or now == position:
                return at, epoch or b"", [raw_entry(entry) for entry in entries]

    async def _judged(self, entries: list[RawEntry], position: int) -> Tail:
        ids = sorted(order_ids(entries))
        values = await self._link.call("MGET", *map(self.keys.order, ids)) if ids else []
        heads = {
            order_id: head
            for order_id, data in zip(ids, values, strict=True)
            if (head := _head(data)) is not None
        }
        return tail_of(entries, position, heads)

    async def clear_tail(self) -> None:
        """Sets aside the entries after the head, so that the next entry can be appended.

        Raises Unavailable where order heads refer to these entries: `meta.position` is wrong then.
        """
        position, epoch, entries = await self._behind()
        tail = await self._judged(entries, position)
        if tail.vouched:
            raise Unavailable(
                f"the log says that it ends at position {position}, and its orders know of"
                f" {tail.vouched}: `engine repair`"
            )
        copy = f"{self.keys.log}:copy:{secrets.token_hex(8)}"
        start = "-"
        while last := await self._library.call(
            self._link, "copy", [self.keys.log, copy], start, f"{position}-0", COPIED_AT_ONCE
        ):
            start = f"({last.decode()}"
        keys = [self.keys.meta, self.keys.log, copy, self.keys.aside]
        # Entries beyond LOOKED_AT are deleted with the old stream.
        ids = [entry.id for entry in entries]
        await self._library.call(
            self._link, "replace", keys, epoch, position, *ids, timeout_s=ANSWER_S
        )

    async def aside(self, limit: int = LOOKED_AT) -> list[RawEntry]:
        """Entries that were set aside, oldest first, each with its former id."""
        reply = await self._link.call("XRANGE", self.keys.aside, "-", "+", "COUNT", limit)
        return [RawEntry(fields[1].decode(), tuple(fields[2:])) for _, fields in reply]

    async def forget_aside(self) -> int:
        """Deletes the entries that were set aside and returns their number."""
        count, _ = await self._link.pipeline([("XLEN", self.keys.aside), ("DEL", self.keys.aside)])
        return int(count)


def _head(data: bytes | None) -> OrderHead | None:
    try:
        return decode_head(data) if data else None
    except Exception:  # a damaged head refers to no entry
        return None
