"""The inbox of a stage, a consumer group: its work queue, delivered at least once, under a lease.

An entry names one or several orders and no work: what an order needs follows from its head. Entries
are read in this order: expired leases of other consumers, own pending entries that were never
processed, new entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from events.ids import ID_LENGTH
from events.log.append_request import Delivery
from events.log.head import STAGE_NUMBER, owes_of
from events.log.redis.keys import GROUP, Keys
from events.log.redis.library import RedisFunctions
from events.log.redis.link import RedisConnection
from events.secret import SecretUrl

DUE_LIMIT = 500
RECLAIM_LIMIT = 20
REQUEUED_MAX = 10_000
"""The most entries that a worker requeues on shutdown; others stay pending until leases end."""
SUSPECT_DELIVERY_COUNT = 2
"""Deliveries after which an entry may be what crashes workers: it is handed over alone."""
DEAD_AFTER_MS = 5000
"""A consumer that made no call for so long, or for two leases, is dead: a live one reads its inbox
every second, or renews its leases."""
WATCHDOG_S = 5.0
"""How much longer than its block time a blocking read may take before it times out."""


def ids_of(joined: bytes) -> tuple[str, ...]:
    """The order ids of an inbox entry."""
    text = joined.decode("ascii", errors="replace")  # one character a byte: damage keeps offsets
    return tuple(text[at : at + ID_LENGTH] for at in range(0, len(text), ID_LENGTH))


class InboxMessage(NamedTuple):
    """A delivered inbox entry."""

    id: bytes
    stage: int
    order_ids: tuple[str, ...]
    deliveries: int
    """How often it was delivered before without being settled."""
    head: bytes = b""
    """The head of its single order when the entry was written, where it was included. An append on
    a stale head is a conflict, so it is as safe as one loaded now."""

    def delivery(self, index: int) -> Delivery:
        """The delivery that settles the order at `index`."""
        return Delivery(self.stage, self.id, len(self.order_ids), index)


class Inbox:
    """A consumer of a stage's inbox."""

    def __init__(
        self,
        url: SecretUrl | str,
        library: RedisFunctions,
        keys: Keys,
        stage: str,
        consumer: str,
        *,
        lease_ms: int,
        inbox_orders: int,
    ) -> None:
        self._keys = keys
        self._library = library
        self._stage = stage
        self._key = keys.inbox(stage)
        self._consumer = consumer
        self._lease_ms = lease_ms
        self._inbox_orders = inbox_orders
        self._reader = RedisConnection(url, consumer)
        self._caller = RedisConnection(url, consumer)
        self._seen_connects = 0
        self._reclaim_at = 0.0
        self._held: dict[bytes, set[int]] = {}
        self._abandoned: set[bytes] = set()
        """Entries given up here: they are delivered again after their lease, which counts."""

    @property
    def held_orders(self) -> int:
        """How many orders were delivered here and are not settled yet."""
        return sum(len(indexes) for indexes in self._held.values())

    async def open(self) -> None:
        """Creates the consumer group where it is missing, at 0: settled entries are deleted.

        A missing group may mean a lost inbox. The entries of open orders are rebuilt first, so that
        a crash in between does not leave a group with an empty inbox.
        """
        try:
            groups = await self._caller.call("XINFO", "GROUPS", self._key)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            groups = []
        if groups:
            return
        entries = await self._caller.call("XRANGE", self._key, "-", "+")
        named = {order_id for _, fields in entries for order_id in ids_of(fields[1])}
        waiting = await self._caller.call("ZRANGE", self._keys.due(self._stage), 0, -1)
        named.update(order_id.decode(errors="replace") for order_id in waiting)
        await self.rebuild_from_open_orders(but=named)
        try:
            await self._caller.call("XGROUP", "CREATE", self._key, GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def take(self, count: int, *, block_ms: int) -> list[InboxMessage]:
        """Up to `count` entries; an empty list when none arrived within `block_ms`.

        Raises Unavailable or OutcomeUnknown; calling again is always safe. Entries that were
        delivered to a cancelled call are returned by the next one.
        """
        now = asyncio.get_running_loop().time()
        try:
            if now >= self._reclaim_at:
                self._reclaim_at = now + self._lease_ms / 4000
                if messages := await self._reclaim():
                    return messages
                await self._delete_dead()
            if self._reader.connects != self._seen_connects:
                connects = self._reader.connects
                if messages := await self._read(count, "0", block_ms=None):
                    return messages
                self._seen_connects = connects
            return await self._read(count, ">", block_ms=block_ms)
        except ResponseError as error:
            # XINFO of a missing key has an error of its own.
            if not any(code in str(error) for code in ("NOGROUP", "no such key")):
                raise
            await self.open()
            return []

    async def _read(self, count: int, start: str, *, block_ms: int | None) -> list[InboxMessage]:
        command: list[bytes | str | int] = ["XREADGROUP", "GROUP", GROUP, self._consumer]
        command += ["COUNT", count]
        if block_ms is not None:
            command += ["BLOCK", block_ms]
        command += ["STREAMS", self._key, start]
        # A new connection must read its own pending entries first (id 0).
        connects = self._reader.connects
        try:
            answer = await self._reader.call(
                *command, timeout_s=(block_ms or 0) / 1000 + WATCHDOG_S
            )
        except BaseException:
            # Entries of a lost reply are pending for this consumer and not processed.
            self._seen_connects = -1
            raise
        if connects == 0:
            self._seen_connects = -1
        messages: list[InboxMessage] = []
        for _, items in answer or ():
            for entry_id, fields in items:
                if fields and entry_id not in self._held and entry_id not in self._abandoned:
                    head = fields[3] if len(fields) > 2 else b""
                    messages.append(self._hold(entry_id, fields[1], 0, head))
        return messages

    async def _reclaim(self) -> list[InboxMessage]:
        taken = await self._library.call(
            self._caller,
            "reclaim",
            [self._key],
            self._consumer,
            self._lease_ms,
            RECLAIM_LIMIT,
            SUSPECT_DELIVERY_COUNT,
        )
        # Entries held here were only renewed too late, as after a pause of the whole process.
        return [
            self._hold(entry_id, joined, times)
            for entry_id, times, joined in taken
            if entry_id not in self._held
        ]

    async def _delete_dead(self) -> None:
        """Deletes consumers of dead processes, once nothing is pending for them."""
        idle_ms = max(DEAD_AFTER_MS, 2 * self._lease_ms)
        await self._library.call(self._caller, "delete_dead", [self._key], self._consumer, idle_ms)

    def _hold(
        self, entry_id: bytes, joined: bytes, deliveries: int, head: bytes = b""
    ) -> InboxMessage:
        ids = ids_of(joined)
        self._held[entry_id] = set(range(len(ids)))
        self._abandoned.discard(entry_id)
        return InboxMessage(entry_id, STAGE_NUMBER[self._stage], ids, deliveries, head)

    def holds(self, message: InboxMessage) -> bool:
        """Whether this consumer still holds orders of the entry."""
        return message.id in self._held

    def mark_acked(self, deliveries: Iterable[Delivery]) -> None:
        """Stops renewing the leases of deliveries that an append has settled."""
        for delivery in deliveries:
            if indexes := self._held.get(delivery.entry):
                indexes.discard(delivery.place)
                if not indexes:
                    del self._held[delivery.entry]

    def nack(self, deliveries: Iterable[Delivery]) -> None:
        """Gives up leases without a call to the server: they expire there."""
        for delivery in deliveries:
            if self._held.pop(delivery.entry, None) is not None:
                self._abandoned.add(delivery.entry)

    async def renew(self) -> list[bytes]:
        """Renews the leases of held entries; returns the entries whose lease was lost."""
        if not self._held:
            return []
        lost: list[bytes] = await self._library.call(
            self._caller, "renew", [self._key], self._consumer, *self._held
        )
        # An entry that was settled during the call is not lost.
        return [entry for entry in lost if self._held.pop(entry, None) is not None]

    async def split(self, message: InboxMessage) -> None:
        """Requeues each order of an entry in an entry of its own."""
        await self._requeue([message.id], 1)

    async def _requeue(self, entries: list[bytes], orders_per_entry: int) -> None:
        await self._library.call(
            self._caller,
            "requeue",
            [self._key, self._keys.shares(self._stage)],
            self._consumer,
            orders_per_entry,
            *entries,
        )
        for entry in entries:
            self._held.pop(entry, None)

    async def promote_due(self) -> tuple[int, int | None]:
        """Moves orders whose delay is over from the due-set to the inbox.

        Returns how many were moved and the ms until the next; None for an empty due-set.
        """
        moved, next_ms = await self._library.call(
            self._caller,
            "due",
            [self._keys.due(self._stage), self._key],
            DUE_LIMIT,
            self._inbox_orders,
        )
        return moved, None if next_ms < 0 else next_ms

    async def rebuild_from_open_orders(self, *, but: Collection[str] = ()) -> int:
        """Rebuilds a lost inbox from the index of open orders, without the orders in `but`; returns
        how many orders were added.
        """
        cursor: Any = b"0"
        named = 0
        number = STAGE_NUMBER[self._stage]
        while True:
            cursor, pairs = await self._caller.call("ZSCAN", self._keys.open, cursor, "COUNT", 500)
            ids = [order_id.decode(errors="replace") for order_id in pairs[::2]]
            if ids:
                heads = await self._caller.call("MGET", *(self._keys.order(i) for i in ids))
                owed = [
                    i
                    for i, head in zip(ids, heads, strict=True)
                    if owes_of(head) == number and i not in but
                ]
                for order_id in owed:
                    await self._caller.call("XADD", self._key, "*", "o", order_id)
                named += len(owed)
            if cursor == b"0":
                return named

    async def deregister(self) -> None:
        """Requeues unsettled orders, so that a graceful stop is not an attempt, and deletes the
        consumer.
        """
        answer = await self._caller.call(
            "XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", REQUEUED_MAX,
            "STREAMS", self._key, "0",
        )  # fmt: skip
        pending = [entry_id for _, items in answer or () for entry_id, _ in items]
        if pending:
            await self._requeue(pending, self._inbox_orders)
        # A consumer that still has pending entries is kept: deleting it would drop them.
        left = await self._caller.call("XPENDING", self._key, GROUP, "-", "+", 1, self._consumer)
        if not left:
            await self._caller.call("XGROUP", "DELCONSUMER", self._key, GROUP, self._consumer)

    async def close(self) -> None:
        """Closes the connections."""
        await self._reader.close()
        await self._caller.close()
