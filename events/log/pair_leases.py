"""The log's operations for watchers: leases of pairs, news of books, and expiring orders.

A lease of a pair runs by server time. It keeps two watchers from doing the same work; the order's
version, not the lease, ensures that it is triggered only once.
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
from events.telemetry.server_clock import CLOCK, steady_ns

SCAN = 1000
NEWS_PER_READ = 100


class PairProgress(NamedTuple):
    """How far a pair was followed: the ticks through a slot, for the orders known by then."""

    slot: int
    news: int
    """The number of the last news that the watcher had read."""


class LeaseGrant(NamedTuple):
    """The answer to a claim."""

    watchers: list[str]
    """The live watchers, this one included."""
    held: dict[str, PairProgress | None]
    """The pairs that this watcher holds, and how far each was followed; None: not yet."""


class ExpiredOrders(NamedTuple):
    """Orders that expired by the server's clock."""

    time_us: int
    order_ids: list[str]


class PairLeases:
    """A watcher's access to pairs, books and expiry."""

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
        """Renews the watcher, takes or renews the leases of pairs, and stores the progress of each:
        ticks through a slot, for all orders that the news through number `news` named.
        """
        arguments: list[str | int] = []
        for pair, slot in pairs.items():
            arguments += (pair, "" if slot is None else slot)
        live, *followed = await self._library.call(
            self._caller,
            "watch",
            [self._keys.watchers, self._keys.leases, self._keys.slots, self._keys.heard],
            self.watcher,
            self._lease_ms,
            news,
            *arguments,
        )
        held = {
            pair: PairProgress(int(progress[0]), int(progress[1])) if progress[0] else None
            for pair, progress in zip(pairs, followed, strict=True)
            if progress is not None
        }
        return LeaseGrant(sorted(name.decode() for name in live), held)

    async def release(self, pairs: Sequence[str] = ()) -> None:
        """Releases leases of pairs; without pairs, deregisters this watcher."""
        keys = [self._keys.watchers, self._keys.leases]
        await self._library.call(self._caller, "unwatch", keys, self.watcher, *pairs)

    # -- books ---------------------------------------------------------------------------------

    async def newest(self) -> int:
        """The number of the last news."""
        return int(await self._caller.call("HGET", self._keys.meta, "news") or 0)

    async def news(self, after: int, *, block_ms: int) -> tuple[int, list[str]]:
        """The number of the last news read, and the orders that the news name, each once.

        Raises LogTruncated where news after `after` are trimmed: the book has to be rebuilt.
        """
        answer = await self._follower.call(
            "XREAD", "COUNT", NEWS_PER_READ, "BLOCK", block_ms,
            "STREAMS", self._keys.book, f"{after}-0",
            timeout_s=block_ms / 1000 + WATCHDOG_S,
        )  # fmt: skip
        return _named(after, answer[0][1] if answer else ())

    async def all_news(self, after: int) -> tuple[int, set[str]]:
        """As `news`, through the last one, without blocking. Raises LogTruncated."""
        named: set[str] = set()
        while entries := await self._caller.call(
            "XRANGE", self._keys.book, f"({after}-0", "+", "COUNT", SCAN
        ):
            after, ids = _named(after, entries)
            named.update(ids)
        return after, named

    async def resting(self) -> AsyncGenerator[list[OrderHead]]:
        """The heads of all resting orders, in pages; a changing order may be in two of them."""
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
        """Up to `limit` orders that expired and are not terminal."""
        asked_ns = steady_ns()
        time, pairs = await self._caller.pipeline(
            [("TIME",), ("ZRANGE", self._keys.expiry, 0, limit - 1, "WITHSCORES")]
        )
        time_us = int(time[0]) * 1_000_000 + int(time[1])
        CLOCK.observe(asked_ns, time_us, steady_ns())
        ids = [
            order_id.decode(errors="replace")
            for order_id, ms in zip(pairs[::2], pairs[1::2], strict=True)
            if float(ms) * 1000 <= time_us
        ]
        return ExpiredOrders(time_us, ids)

    async def expires(self, order_id: str, at_ms: int | None) -> None:
        """Sets the time at which `due` returns the order; None: never."""
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
