"""Queries of the log: heads, histories, positions and the lag of stages."""

from __future__ import annotations

from collections.abc import Sequence

from events.log import waiting
from events.log.head import RESTING, OrderHead, decode_head
from events.log.reader import LogReader, Stored
from events.log.redis.keys import Keys
from events.log.redis.link import RedisConnection, meta_number
from events.log.waiting import StageWaits, Waiting, WorkerProcess, Workers
from events.order import Order

MEMORY_SHARE = 0.8
"""The share of maxmemory above which new orders are refused, so that open ones can finish."""


class LogQueries:
    """The part of `EventLog` that only reads."""

    keys: Keys
    epoch: int
    joined: bool
    _link: RedisConnection
    _reader: LogReader

    async def load(self, order_ids: Sequence[str]) -> list[OrderHead | None]:
        """The heads of orders; None for an order that is unknown or whose head has expired."""
        if not order_ids:
            return []
        heads = await self._link.call("MGET", *(self.keys.order(i) for i in order_ids))
        return [None if data is None else decode_head(data) for data in heads]

    async def lookup_idempotency_keys(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of idempotency keys; None for a key that is unknown or has expired."""
        values: list[bytes | None] = await self._link.call("MGET", *keys) if keys else []
        return values

    async def history(self, positions: Sequence[int]) -> list[Stored]:
        """The events at these positions that the log still holds."""
        return await self._reader.at(positions)

    async def history_within(self, positions: Sequence[int], *, bytes_max: int) -> list[Stored]:
        """The same for many orders, with a bound: see `LogReader.within`."""
        return await self._reader.within(positions, bytes_max=bytes_max)

    async def position(self) -> int:
        """The newest position."""
        return meta_number(await self._link.call("HGET", self.keys.meta, "position"), "position")

    async def epoch_and_position(self) -> tuple[int, int]:
        """Epoch and newest position of the log on the server; (0, 0) where there is none."""
        epoch, position = await self._link.call("HMGET", self.keys.meta, "epoch", "position")
        # Also set to True again: after a short absence that only this call noticed, no process
        # would open the log again.
        self.joined = bool(self.epoch) and meta_number(epoch, "epoch") == self.epoch
        return meta_number(epoch, "epoch"), meta_number(position, "position")

    async def bounds(self) -> tuple[int, int]:
        """First and last position that the log still holds; (1, 0) for an empty log."""
        return await self._reader.bounds()

    async def ping(self, *, timeout_s: float = 1.0) -> None:
        """Raises LogError where the server does not answer in time."""
        await self._link.call("PING", timeout_s=timeout_s)

    async def memory_short(self) -> bool:
        """Whether memory use is above the share at which new orders are refused."""
        used, limit = await self.memory()
        return limit > 0 and used > limit * MEMORY_SHARE

    async def memory(self) -> tuple[int, int]:
        """Bytes that the server uses, and its limit; 0: no limit."""
        info = (await self._link.call("INFO", "memory")).decode()
        values = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        return int(values["used_memory"]), int(values.get("maxmemory", 0))

    async def lag(self, *, concurrency: int = 0) -> dict[str, StageWaits]:
        """How far each stage is behind, and why. `concurrency`: how many permits there are."""
        return await waiting.of_stages(self._link, self._reader, self.keys, concurrency=concurrency)

    async def why_waiting(
        self, orders: Sequence[Order], *, concurrency: int = 0
    ) -> list[Waiting | None]:
        """Why each of these orders waits; None for one that has ended."""
        return await waiting.of_orders(self._link, self.keys, orders, concurrency=concurrency)

    async def workers(self) -> Workers:
        """The workers of each stage, and the oldest entry of each inbox."""
        return await waiting.workers_of(self._link, self.keys)

    async def worker_processes(self) -> list[WorkerProcess]:
        """The processes that work on stages, by their connections."""
        return await waiting.worker_processes(self._link)

    async def parked(self, limit: int = 1000) -> list[tuple[str, int]]:
        """Parked orders and the times (ms) at which they were parked, oldest first."""
        pairs = await self._link.call("ZRANGE", self.keys.parked, 0, limit - 1, "WITHSCORES")
        ids = [order_id.decode(errors="replace") for order_id in pairs[::2]]
        return list(zip(ids, (int(float(ms)) for ms in pairs[1::2]), strict=True))

    async def parked_orders(self) -> int:
        """How many orders are parked."""
        return int(await self._link.call("ZCARD", self.keys.parked))

    async def resting(self) -> int:
        """How many orders wait for a price or a pool."""
        return int(await self._link.call("HGET", self.keys.owed, RESTING) or 0)

    async def open_among(self, order_ids: Sequence[str]) -> list[str]:
        """Those of the orders that are listed as open."""
        if not order_ids:
            return []
        scores = await self._link.call("ZMSCORE", self.keys.open, *order_ids)
        return [i for i, score in zip(order_ids, scores, strict=True) if score is not None]

    async def open_orders(self) -> int:
        """How many orders are not terminal."""
        return int(await self._link.call("ZCARD", self.keys.open))

    async def find_missing_from_indexes(self, order_ids: Sequence[str]) -> dict[str, str]:
        """Open orders that are missing from the index of open orders or, where they expire, from
        the expiry index: order id -> the index that lacks it.
        """
        keys, missing = self.keys, dict[str, str]()
        commands = [
            ("ZSCORE", key, order_id) for order_id in order_ids for key in (keys.open, keys.expiry)
        ]
        scores = await self._link.pipeline(commands) if commands else []
        # After the indexes: an order that ended meanwhile is in none, and its head shows that.
        for number, head in enumerate(await self.load(order_ids)):
            if head is None or not head.owes:
                continue
            is_open, expires = scores[2 * number : 2 * number + 2]
            if is_open is None:
                missing[order_ids[number]] = "list of open orders"
            elif expires is None and head.order.expires_at_us is not None:
                missing[order_ids[number]] = "list of those that expire"
        return missing

    async def open_page(
        self, cursor: int = 0, *, count: int = 100
    ) -> tuple[int, dict[str, OrderHead]]:
        """The next cursor (0: the last page), and the heads of about `count` open orders.

        An order that stays open throughout is in at least one page, and may be in several.
        """
        following, ids = await self.open_ids(cursor, count=count)
        heads = zip(ids, await self.load(ids), strict=True)
        return following, {i: head for i, head in heads if head is not None}

    async def open_ids(self, cursor: int = 0, *, count: int = 100) -> tuple[int, list[str]]:
        """As `open_page`, without the heads."""
        following, pairs = await self._link.call("ZSCAN", self.keys.open, cursor, "COUNT", count)
        return int(following), [order_id.decode(errors="replace") for order_id in pairs[::2]]
