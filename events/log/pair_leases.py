"""What watchers need of the log: who follows which pair, what changed in books, what expires.

A watcher's claim on a pair is a lease by server time. It keeps two watchers from doing the same
work; that no order is triggered twice is up to its version.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple

from events.ids import ID_LENGTH
from events.log.head import RESTING, OrderHead, decode_head, owes_of
from events.log.inbox import WATCHDOG_S
from events.log.redis.keys import Keys
from events.log.redis.library import RedisFunctions
from events.log.redis.link import LogTruncated, RedisConnection
from events.secret import SecretUrl

SCAN = 1000
NEWS_PER_READ = 100


class PairProgress(NamedTuple):
    """How far somebody followed a pair: through a slot, for the orders of which it had heard."""

    slot: int
    news: int
    """The number of the last news that it had heard."""


class LeaseGrant(NamedTuple):
    """The answer to a claim."""

    watchers: list[str]
    """Those that are alive, we among them."""
    held: dict[str, PairProgress | None]
    """The pairs that are ours now, and how far each was followed; None: never."""


class ExpiredOrders(NamedTuple):
    """Orders whose time is over, on the server's clock."""

    time_us: int
    order_ids: list[str]


class PairLeases:
    """One watcher's view."""

    def __init__(
        self,
        url: SecretUrl | str,
        library: RedisFunctions,
        keys: Keys,
        watcher: str,
        *,
        lease_ms: int,
    ) -> None:
        self.watcher = watcher
        self._library = library
        self._keys = keys
        self._lease_ms = lease_ms
        self._follower = RedisConnection(url, f"{watcher}-news")
        self._caller = RedisConnection(url, watcher)

    # -- pairs ---------------------------------------------------------------------------------

    async def claim(self, pairs: Mapping[str, int | None], news: int) -> LeaseGrant:
        """Says that we live, takes or keeps these pairs, notes how far each was followed: through

        a slot, for all orders that the news through number `news` named.
        """
        named: list[str | int] = []
        for pair, slot in pairs.items():
            named += (pair, "" if slot is None else slot)
        live, *followed = await self._library.call(
            self._caller,
            "watch",
            [self._keys.watchers, self._keys.leases, self._keys.slots, self._keys.heard],
            self.watcher,
            self._lease_ms,
            news,
            *named,
        )
        held = {
            pair: PairProgress(int(progress[0]), int(progress[1])) if progress[0] else None
            for pair, progress in zip(pairs, followed, strict=True)
            if progress is not None
        }
        return LeaseGrant(sorted(name.decode() for name in live), held)

    async def release(self, pairs: Sequence[str] = ()) -> None:
        """Gives pairs back; without any named, this watcher is gone."""
        keys = [self._keys.watchers, self._keys.leases]
        await self._library.call(self._caller, "unwatch", keys, self.watcher, *pairs)

    # -- books ---------------------------------------------------------------------------------

    async def newest(self) -> int:
        """The number of the newest news."""
        return int(await self._caller.call("HGET", self._keys.meta, "news") or 0)

    async def news(self, after: int, *, block_ms: int) -> tuple[int, list[str]]:
        """The number of the last news read, and the orders that it names, each once.

        Raises Regressed where news after `after` are trimmed away: the book is to be made anew.
        """
        answer = await self._follower.call(
            "XREAD", "COUNT", NEWS_PER_READ, "BLOCK", block_ms,
            "STREAMS", self._keys.book, f"{after}-0",
            timeout_s=block_ms / 1000 + WATCHDOG_S,
        )  # fmt: skip
        return _named(after, answer[0][1] if answer else ())

    async def all_news(self, after: int) -> tuple[int, set[str]]:
        """As `news`, through the newest, without waiting for any. Raises Regressed."""
        named: set[str] = set()
        while entries := await self._caller.call(
            "XRANGE", self._keys.book, f"({after}-0", "+", "COUNT", SCAN
        ):
            after, ids = _named(after, entries)
            named.update(ids)
        return after, named

    async def resting(self) -> AsyncGenerator[list[OrderHead]]:
        """The heads of all orders that rest, in pages; one that moves meanwhile may come twice."""
        cursor: Any = b"0"
        while True:
            cursor, pairs = await self._caller.call("ZSCAN", self._keys.open, cursor, "COUNT", SCAN)
            keys = [self._keys.order(order_id.decode(errors="replace")) for order_id in pairs[::2]]
            heads = await self._caller.call("MGET", *keys) if keys else []
            yield [decode_head(data) for data in heads if owes_of(data) == RESTING]
            if cursor == b"0":
                return

    # -- expiry --------------------------------------------------------------------------------

    async def due(self, limit: int) -> ExpiredOrders:
        """The orders that expired and have not ended, at most so many."""
        time, pairs = await self._caller.pipeline(
            [("TIME",), ("ZRANGE", self._keys.expiry, 0, limit - 1, "WITHSCORES")]
        )
        time_us = int(time[0]) * 1_000_000 + int(time[1])
        ids = [
            order_id.decode(errors="replace")
            for order_id, ms in zip(pairs[::2], pairs[1::2], strict=True)
            if float(ms) * 1000 <= time_us
        ]
        return ExpiredOrders(time_us, ids)

    async def expires(self, order_id: str, at_ms: int | None) -> None:
        """Looks at the order again then; None: never."""
        if at_ms is None:
            await self._caller.call("ZREM", self._keys.expiry, order_id)
        else:
            await self._caller.call("ZADD", self._keys.expiry, "XX", at_ms, order_id)

    async def close(self) -> None:
        """Closes the connections."""
        await self._follower.close()
        await self._caller.close()


def _named(after: int, entries: Sequence[Any]) -> tuple[int, list[str]]:
    named: dict[str, None] = {}
    for entry_id, fields in entries:
        number = int(entry_id.split(b"-")[0])
        if number != after + 1:
            raise LogTruncated(f"news go from {after} to {number}")
        after = number
        joined = fields[1].decode("ascii", errors="replace")
        for at in range(0, len(joined), ID_LENGTH):
            named[joined[at : at + ID_LENGTH]] = None
    return after, list(named)
