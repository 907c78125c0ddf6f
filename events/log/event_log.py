"""`EventLog`: the interface of the log for the gateway, the stages and the operators' commands.

This file has its lifecycle and its connections; `events/log/redis/functions.lua` keeps the
invariants. Fencing: an append names the epoch of the log that its process joined, and is refused in
another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence

from redis.exceptions import ResponseError

from events.log.append import LogAppender
from events.log.foreign_entries import Tails
from events.log.group_commit import Committer, append_library
from events.log.inbox import Inbox
from events.log.pair_leases import PairLeases
from events.log.queries import LogQueries
from events.log.reader import LogReader
from events.log.redis.keys import LAYOUT, UPGRADABLE_LAYOUTS, Keys
from events.log.redis.link import LogError, RedisConnection, Unsuitable, meta_number, meta_text
from events.log.status import LogStatus
from events.secret import SecretUrl

INBOX_ORDERS = 128
"""The most orders that one inbox entry names: what one worker takes at once."""

EVICTING = ": it must be noeviction, an evicted order is lost"

HEADS_KEPT_MS = 600_000
"""How long heads of terminal, archived orders are kept: 1.4 GB at 5,000 orders/s.

Creation refuses ids of half that age, so that no order is created twice. Idempotency keys are kept
for the whole window."""


class EventLog(LogAppender, LogStatus, LogQueries, Tails):
    """The log of one partition."""

    def __init__(
        self,
        url: SecretUrl | str,
        *,
        build: str,
        chain: str = "",
        partition: int = 0,
        inbox_orders: int = INBOX_ORDERS,
        idempotency_window_s: int = 86_400,
        linger_s: float = 0.0,
        name: str = "",
    ) -> None:
        """`name`: begins the names of its connections, as the server lists them."""
        self.url = SecretUrl.of(url)
        self.build = build
        self.chain = chain
        """The chain on which its orders trade; empty in a read-only process before `open`."""
        self.partition = partition
        self.keys = Keys(partition)
        self.inbox_orders = inbox_orders
        self.window_ms = idempotency_window_s * 1000
        self.heads_kept_ms = min(self.window_ms, HEADS_KEPT_MS)
        self.durability = "unknown"
        """`fsync` (appendfsync always), `waitaof`, or `none`."""
        self.epoch = 0
        self.base = 0
        """The last position that this epoch shares with the one before it; 0 in the first."""
        self.joined = False
        """Whether the log was the one that was opened, at the last check."""
        self.before_joining: Callable[[], Awaitable[None]] | None = None
        """The migration that must run before this process appends to a log of an older layout: see
        `names` in `Keys.meta`. None for a process that does not accept orders."""
        self._library = append_library()
        self._writer = RedisConnection(url, f"{name}writer")
        self._link = RedisConnection(url, f"{name}reader")
        self._reader = LogReader(url, self.keys, f"{name}history")
        self._committer = Committer(
            self._writer,
            self._library,
            self.keys,
            inbox_orders=inbox_orders,
            window_ms=self.window_ms,
            linger_s=linger_s,
        )
        self._committer.clear_tail = self.clear_tail
        self._lanes: list[EventLog] = []

    # -- lifecycle -----------------------------------------------------------------------------

    async def open(self, *, create: bool = True) -> None:
        """Checks the server's settings and joins the log; with `create`, creates a missing one.

        Raises Missing where there is no log and `create` is false, ClusterMismatch where its
        orders trade on another chain, Unsuitable for a server with wrong settings, or another
        LogError (Unavailable: try again).
        """
        await self._check_server()
        await self.read_clock()
        server = await self._link.server()
        answer = await self._library.call(
            self._link, "open", [self.keys.meta, self.keys.log], LAYOUT, 1, 0, int(create),
            server.run_id, self.chain, *UPGRADABLE_LAYOUTS, on=server,
        )  # fmt: skip
        if answer[1] != LAYOUT.encode():
            raise Unsuitable(f"the log has layout {answer[1]!r}, this build reads {LAYOUT}")
        self.epoch, self.base = meta_number(answer[0], "epoch"), meta_number(answer[3], "base")
        self.chain = self.chain or meta_text(answer[4], "chain")
        if answer[5] is None and self.before_joining is not None:
            await self.before_joining()
        self.joined = True
        self._committer.epoch = answer[0]
        for lane in self._lanes:
            lane._follow(self)

    def lane(self, name: str) -> EventLog:
        """The same log over connections of its own: its calls wait behind none of this object.

        It is opened and closed with this object. See `connect_lanes`.
        """
        lane = EventLog(
            self.url,
            build=self.build,
            chain=self.chain,
            partition=self.partition,
            inbox_orders=self.inbox_orders,
            idempotency_window_s=self.window_ms // 1000,
            name=f"{name}-",
        )
        lane._follow(self)
        self._lanes.append(lane)
        return lane

    def _follow(self, log: EventLog) -> None:
        self.epoch, self.base, self.joined = log.epoch, log.base, log.joined
        self.chain, self.durability = log.chain, log.durability
        self._committer.epoch = log._committer.epoch
        self._committer.after_append = log._committer.after_append

    async def connect_lanes(self) -> None:
        """Connects what is not connected of the lanes.

        Done before they are needed: by then a server may have as many clients as it takes.
        """
        for lane in self._lanes:
            with contextlib.suppress(LogError):  # told by the calls that need it
                await lane._link.server()
                await lane._writer.server()
                await lane._reader.connect()

    async def evicts(self) -> str:
        """The server's eviction policy; empty for `noeviction` or where it is not known."""
        try:
            reply = await self._link.call("CONFIG", "GET", "maxmemory-policy")
        except ResponseError:  # CONFIG is not allowed on many managed servers
            return ""
        policy = reply[1].decode() if reply else ""
        return "" if policy == "noeviction" else policy

    async def _check_server(self) -> None:
        try:
            names = ("maxmemory-policy", "appendonly", "appendfsync")
            answers = await self._link.pipeline([("CONFIG", "GET", name) for name in names])
        except ResponseError:  # CONFIG is not allowed on many managed servers
            answers = [[], [], []]
        policy, appendonly, fsync = ((a[1].decode() if a else "") for a in answers)
        if policy not in ("noeviction", ""):
            raise Unsuitable(f"maxmemory-policy is {policy}{EVICTING}")
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
        """Waits for the append in progress and closes all connections."""
        for lane in self._lanes:
            await lane.close()
        await self._committer.close()
        await self._writer.close()
        await self._link.close()
        await self._reader.close()

    # -- retention -----------------------------------------------------------------------------

    async def expire_heads(self, order_ids: Sequence[str]) -> None:
        """Sets the time to live of the heads of terminal, archived orders."""
        for at in range(0, len(order_ids), 1000):
            keys = [self.keys.order(i) for i in order_ids[at : at + 1000]]
            await self._library.call(self._link, "expire", keys, self.heads_kept_ms)

    async def trim(self, first_kept: int) -> int:
        """Deletes batches that end before a position. The caller has archived them."""
        return int(await self._link.call("XTRIM", self.keys.log, "MINID", "~", f"{first_kept}-0"))

    async def set_aside(self, order_ids: Sequence[str]) -> None:
        """Lists orders as parked whose heads are missing or damaged, without an event: nothing can
        be appended to them. A repair rebuilds the heads and the list.
        """
        if order_ids:
            seconds, us = await self._link.call("TIME")
            now_ms = int(seconds) * 1000 + int(us) // 1000
            pairs = [part for order_id in order_ids for part in (now_ms, order_id)]
            await self._link.call("ZADD", self.keys.parked, "NX", *pairs)

    # -- names --------------------------------------------------------------------------------

    async def keep_names(self, names: Sequence[tuple[str, str, bytes]]) -> set[str]:
        """Removes the expiry of names (Redis key, order id, value or empty) of open orders, and
        registers missing ones whose value is given. Returns the orders that lack a name.
        """
        lacking: set[str] = set()
        for at in range(0, len(names), 1000):
            page = names[at : at + 1000]
            keys = [self.keys.open, *(key for key, _, _ in page)]
            values = [part for _, order_id, value in page for part in (order_id, value)]
            reply = await self._library.call(self._link, "keep", keys, *values)
            lacking.update(order_id.decode() for order_id in reply)
        return lacking

    async def names_kept(self) -> None:
        """Records that names of open orders no longer expire."""
        await self._link.call("HSET", self.keys.meta, "names", "kept")

    # -- readers and consumers -----------------------------------------------------------------

    async def mark(self, reader: str, position: int) -> None:
        """Stores the position of a reader that has no storage of its own."""
        await self._link.call("SET", self.keys.mark(reader), position)

    async def marked(self, reader: str) -> int | None:
        """The position that `mark` stored last; None before the first."""
        position = await self._link.call("GET", self.keys.mark(reader))
        return None if position is None else int(position)

    def reader(self, name: str = "reader", *, epoch: int = 0) -> LogReader:
        """A reader with a connection of its own; with an `epoch`, it reads only that epoch."""
        return LogReader(self.url, self.keys, name, epoch=epoch)

    def watches(self, watcher: str, *, lease_ms: int) -> PairLeases:
        """A watcher's access to pairs, books and expiry."""
        return PairLeases(self.url, self._library, self.keys, watcher, lease_ms=lease_ms)

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
