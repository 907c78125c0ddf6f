"""The log: the one door to Redis. It knows keys and commands, and no policy.

`EventLog` is what the gateway, the runner and the operators' commands use: load heads, append
units, deliver inboxes, read and follow positions. The invariants are kept by `functions.lua`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from redis.exceptions import ResponseError

from events import order as orders
from events.chain import say
from events.ids import created_ms
from events.log import workers
from events.log.commit import (
    Appended,
    Committer,
    Idempotency,
    Result,
    Share,
    Unit,
    settle_only,
)
from events.log.head import (
    EMPTY,
    PARKED,
    RESTING,
    STAGE_NUMBER,
    Head,
    decode_head,
    encode_head,
    new_order,
    owes_number,
)
from events.log.inbox import Entry, Inbox
from events.log.keys import GROUP, LAYOUT, RAISED_FROM, Keys
from events.log.library import Library
from events.log.link import (
    Fenced,
    Full,
    Link,
    LogError,
    Missing,
    Regressed,
    Unanswered,
    Unavailable,
)
from events.log.reading import Batch, LogReader, Stored
from events.log.watch import Claims, Due, Watches
from events.log.workers import Workers
from events.order import STAGES, Order, may_still_land
from events.types import (
    EngineHalted,
    EngineResumed,
    Fact,
    OrderTriggered,
    TransactionSubmitted,
)

INBOX_ORDERS = 128
"""Orders one inbox entry names at most: what one worker takes in one bite."""

MEMORY_SHARE = 0.8
"""New orders are refused from this share of maxmemory on, so that those in flight can end."""


CROSSING = frozenset({TransactionSubmitted, OrderTriggered})
"""What no order may do while the log is suspended or halted, or once it has expired."""

NEVER_MS = 2**53 - 1
"""The highest score of a sorted set that is exact; thousands of years from now."""

_SWITCHES = frozenset({EngineHalted, EngineResumed})


HEADS_KEPT_MS = 600_000
"""How long heads of ended, archived orders stay: 1.4 GB at 5,000 orders/s. Creation refuses

ids half as old, so that none can be carried out twice; keys are kept for the whole window."""


class StageLag(NamedTuple):
    """How far a stage is behind."""

    orders: int
    """Orders that wait for its next event, those that wait for a time included."""
    waiting: int
    """Of these: in the due-set."""
    oldest_ms: int
    """Age of the oldest inbox entry, 0 when there is none."""


class EventLog:
    """The log of one partition."""

    def __init__(
        self,
        url: str,
        *,
        build: str,
        partition: int = 0,
        inbox_orders: int = INBOX_ORDERS,
        idempotency_window_s: int = 86_400,
        linger_s: float = 0.0,
    ) -> None:
        self.url = url
        self.build = build
        self.partition = partition
        self.keys = Keys(partition)
        self.inbox_orders = inbox_orders
        self.window_ms = idempotency_window_s * 1000
        self.heads_kept_ms = min(self.window_ms, HEADS_KEPT_MS)
        self.durability = "unknown"
        """`fsync` (appendfsync always), `waitaof`, or `none`."""
        self.epoch = 0
        self.base = 0
        """Up to here this epoch has what the one before it had; 0 in the first."""
        self.joined = False
        """Whether the log was, when last looked at, the one that was opened."""
        self._library = Library("events.log", "functions.lua")
        self._writer = Link(url, "writer")
        self._link = Link(url, "reader")
        self._reader = LogReader(url, self.keys, "history")
        self._committer = Committer(
            self._writer,
            self._library,
            self.keys,
            inbox_orders=inbox_orders,
            window_ms=self.window_ms,
            linger_s=linger_s,
        )

    # -- life ----------------------------------------------------------------------------------

    async def open(self, *, found: bool = True) -> None:
        """Checks the server's settings and joins the log, or founds it where there is none.

        Raises Missing where there is none and it may not be founded, another LogError
        (Unavailable: try again) or RuntimeError for a server set up wrongly.
        """
        await self._check_server()
        server = await self._link.server()
        answer = await self._library.call(
            self._link, "open", [self.keys.meta, self.keys.log], LAYOUT, 1, 0, int(found),
            RAISED_FROM, server.run_id, on=server,
        )  # fmt: skip
        if answer[1] != LAYOUT.encode():
            raise RuntimeError(f"the log has layout {answer[1]!r}, this build reads {LAYOUT}")
        self.epoch, self.base = int(answer[0]), int(answer[3] or 0)
        self.joined = True
        self._committer.epoch = answer[0]

    async def _check_server(self) -> None:
        try:
            names = ("maxmemory-policy", "appendonly", "appendfsync")
            answers = await self._link.pipeline([("CONFIG", "GET", name) for name in names])
        except ResponseError:  # CONFIG is not allowed on many managed servers
            answers = [[], [], []]
        policy, appendonly, fsync = ((a[1].decode() if a else "") for a in answers)
        if policy not in ("noeviction", ""):
            raise RuntimeError(
                f"maxmemory-policy is {policy}: it must be noeviction, an evicted order is lost"
            )
        if appendonly == "yes" and fsync == "always":
            self.durability = "fsync"
            return
        try:
            await self._link.call("WAITAOF", 1, 0, 1000)
            self.durability = "waitaof" if appendonly != "no" else "none"
        except (ResponseError, LogError):
            self.durability = "none"
        if self.durability == "waitaof":
            self._committer.after_append = ("WAITAOF", 1, 0, 2000)

    async def close(self) -> None:
        """Finishes the append under way and closes all connections."""
        await self._committer.close()
        await self._writer.close()
        await self._link.close()
        await self._reader.close()

    # -- writing -------------------------------------------------------------------------------

    def append(
        self, units: Sequence[Unit], *, timeout_s: float | None = None
    ) -> asyncio.Future[list[Appended]]:
        """See `Committer.append`."""
        return self._committer.append(units, timeout_s=timeout_s)

    def unit(
        self,
        head: Head,
        order: Order,
        facts: Sequence[Fact],
        *,
        share: Share | None = None,
        wake: bool = True,
        wait_ms: int = 0,
        not_after_ms: int = 0,
        idempotency: Idempotency | None = None,
    ) -> tuple[Unit, Order]:
        """The unit that says `facts` of a loaded order, and the order after them.

        From TransactionSubmitted on a transaction may land: such a unit is refused by the log
        itself when the order has expired on the server's clock, or while the log is suspended or
        halted; and so is OrderTriggered, the first step there. No wait goes past the expiry.
        """
        kinds = {type(fact) for fact in facts}
        sends = not CROSSING.isdisjoint(kinds)
        if sends and order.expires_at_us is not None:
            not_after_ms = order.expires_at_us // 1000
        now_us = time.time_ns() // 1000
        said = say(order, head.hash, facts, time_us=now_us, build=self.build)
        after = said.order
        expires_ms = None
        if after.expires_at_us is not None:
            if wait_ms and not may_still_land(after):
                wait_ms = min(wait_ms, max(1, (after.expires_at_us - now_us) // 1000 + 1))
            if after.terminal or after.expires_at_us != order.expires_at_us:
                expires_ms = min(-(-after.expires_at_us // 1000), NEVER_MS)
        owes = owes_number(after)
        new = encode_head(after.version, said.hash, owes, orders.encode(after))
        records = said.records[0] if len(facts) == 1 else b"".join(said.records)
        unit = Unit(
            after.id, head.prefix, new, owes, len(facts), records,
            share, wake, wait_ms, not_after_ms, idempotency, sends,
            EngineHalted in kinds if not _SWITCHES.isdisjoint(kinds) else None, expires_ms,
        )  # fmt: skip
        return unit, after

    def creation(
        self, order_id: str, account: str, fact: Fact, idempotency: Idempotency | None = None
    ) -> tuple[Unit, Order]:
        """The unit that creates an order. It is refused (`late`) once its id is old: a creation

        that was delayed past the life of its head could otherwise be carried out twice.
        """
        return self.unit(
            EMPTY,
            new_order(order_id, account),
            [fact],
            not_after_ms=created_ms(order_id) + self.heads_kept_ms // 2,
            idempotency=idempotency,
        )

    async def suspend(self, reason: str) -> None:
        """Takes neither new orders nor sends from now on; what may still land is followed."""
        if await self._link.call("HEXISTS", self.keys.meta, "epoch"):  # else there is no log
            await self._link.call("HSET", self.keys.meta, "suspended", reason)

    async def resume(self) -> None:
        """Undoes `suspend`."""
        await self._link.call("HDEL", self.keys.meta, "suspended")

    async def server_id(self) -> str:
        """Of the server as it runs now: another one after each start and each failover."""
        return (await self._link.server()).run_id

    async def vouch(self, server_id: str) -> None:
        """This server's log was compared with the archive: sends are taken as long as it runs."""
        await self._link.call("HSET", self.keys.meta, "verified", server_id)

    async def suspended(self) -> str:
        """Why the log is suspended, empty when it is not."""
        reason = await self._link.call("HGET", self.keys.meta, "suspended")
        return reason.decode() if reason else ""

    async def halted(self) -> bool:
        """Whether an operator stopped sends and triggers; why is in the head of `ENGINE_ID`."""
        return bool(await self._link.call("HEXISTS", self.keys.meta, "halted"))

    # -- asking --------------------------------------------------------------------------------

    async def load(self, order_ids: Sequence[str]) -> list[Head | None]:
        """The heads of orders, None where there is none (any more)."""
        if not order_ids:
            return []
        found = await self._link.call("MGET", *(self.keys.order(i) for i in order_ids))
        return [None if data is None else decode_head(data) for data in found]

    async def named(self, keys: Sequence[str]) -> list[bytes | None]:
        """What stands under idempotency keys, None where nothing does (any more)."""
        found: list[bytes | None] = await self._link.call("MGET", *keys) if keys else []
        return found

    async def history(self, positions: Sequence[int]) -> list[Stored]:
        """The events at these positions, as far as the log still holds them."""
        return await self._reader.at(positions)

    async def position(self) -> int:
        """The newest position."""
        return int(await self._link.call("HGET", self.keys.meta, "position") or 0)

    async def look(self) -> tuple[int, int]:
        """Epoch and newest position of the log that is there now; (0, 0) where there is none."""
        epoch, position = await self._link.call("HMGET", self.keys.meta, "epoch", "position")
        if int(epoch or 0) != self.epoch:
            self.joined = False
        return int(epoch or 0), int(position or 0)

    async def bounds(self) -> tuple[int, int]:
        """First and last position that the log still holds; (1, 0) when it holds none."""
        return await self._reader.bounds()

    async def ping(self, *, timeout_s: float = 1.0) -> None:
        """Raises LogError when the server does not answer in time."""
        await self._link.call("PING", timeout_s=timeout_s)

    async def memory_short(self) -> bool:
        """Whether so much memory is used that new orders are refused."""
        info = (await self._link.call("INFO", "memory")).decode()
        values = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        limit = int(values.get("maxmemory", 0))
        return limit > 0 and int(values["used_memory"]) > limit * MEMORY_SHARE

    async def lag(self) -> dict[str, StageLag]:
        """How far each stage is behind."""
        commands: list[tuple[str, ...]] = [("HGETALL", self.keys.owed), ("TIME",)]
        for stage in STAGES:
            commands.append(("ZCARD", self.keys.due(stage)))
            commands.append(("XRANGE", self.keys.inbox(stage), "-", "+", "COUNT", "1"))
        answers = await self._link.pipeline(commands)
        owed = dict(zip(answers[0][::2], answers[0][1::2], strict=True))
        now_ms = int(answers[1][0]) * 1000 + int(answers[1][1]) // 1000
        lags = {}
        for number, stage in enumerate(STAGES, start=1):
            waiting, oldest = answers[2 * number], answers[2 * number + 1]
            age_ms = now_ms - int(oldest[0][0].split(b"-")[0]) if oldest else 0
            orders = int(owed.get(str(number).encode(), 0))
            lags[stage] = StageLag(orders, waiting, max(0, age_ms))
        return lags

    async def workers(self) -> Workers:
        """Whether somebody reads the inboxes, and what stands at their fronts."""
        return await workers.look(self._link, self.keys)

    async def parked(self, limit: int = 1000) -> list[tuple[str, int]]:
        """Parked orders and when (ms) they were parked, oldest first."""
        pairs = await self._link.call("ZRANGE", self.keys.parked, 0, limit - 1, "WITHSCORES")
        ids = [order_id.decode() for order_id in pairs[::2]]
        return list(zip(ids, (int(float(ms)) for ms in pairs[1::2]), strict=True))

    async def resting(self) -> int:
        """How many orders wait for a price or a pool."""
        return int(await self._link.call("HGET", self.keys.owed, RESTING) or 0)

    async def open_orders(self) -> int:
        """How many orders are not terminal."""
        return int(await self._link.call("ZCARD", self.keys.open))

    async def open_page(self, cursor: int = 0, *, count: int = 100) -> tuple[int, dict[str, Head]]:
        """Heads of about `count` orders that are not terminal, and the next cursor; 0: no more.

        What is open all the while comes in one page or another, and may come twice.
        """
        following, pairs = await self._link.call("ZSCAN", self.keys.open, cursor, "COUNT", count)
        ids = [order_id.decode() for order_id in pairs[::2]]
        heads = zip(ids, await self.load(ids), strict=True)
        return int(following), {i: head for i, head in heads if head is not None}

    # -- keeping it small ----------------------------------------------------------------------

    async def expire_heads(self, order_ids: Sequence[str]) -> None:
        """Lets the heads of terminal, archived orders go after the idempotency window."""
        for at in range(0, len(order_ids), 1000):
            keys = [self.keys.order(i) for i in order_ids[at : at + 1000]]
            await self._library.call(self._link, "expire", keys, self.heads_kept_ms)

    async def trim(self, first_kept: int) -> int:
        """Forgets batches wholly before a position. The caller has archived them."""
        return int(await self._link.call("XTRIM", self.keys.log, "MINID", "~", f"{first_kept}-0"))

    # -- others --------------------------------------------------------------------------------

    def reader(self, name: str = "reader") -> LogReader:
        """A reader with a connection of its own."""
        return LogReader(self.url, self.keys, name)

    def watches(self, watcher: str, *, lease_ms: int) -> Watches:
        """A watcher's view of pairs, books and expiry."""
        return Watches(self.url, self._library, self.keys, watcher, lease_ms=lease_ms)

    def inbox(self, stage: str, consumer: str, *, lease_ms: int) -> Inbox:
        """A consumer of a stage's inbox."""
        return Inbox(
            self.url,
            self._library,
            self.keys,
            stage,
            consumer,
            lease_ms=lease_ms,
            inbox_orders=self.inbox_orders,
        )


__all__ = [
    "EMPTY",
    "GROUP",
    "HEADS_KEPT_MS",
    "LAYOUT",
    "PARKED",
    "RESTING",
    "STAGE_NUMBER",
    "Appended",
    "Batch",
    "Claims",
    "Due",
    "Entry",
    "EventLog",
    "Fenced",
    "Full",
    "Head",
    "Idempotency",
    "Inbox",
    "LogError",
    "LogReader",
    "Missing",
    "Regressed",
    "Result",
    "Share",
    "StageLag",
    "Stored",
    "Unanswered",
    "Unavailable",
    "Unit",
    "Watches",
    "Workers",
    "settle_only",
]
