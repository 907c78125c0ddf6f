"""The inbox of a stage: what it has to look at, delivered at least once, under a lease.

An entry names one order or several. It only says "look": what an order owes follows from its head.
Reading order: what others held too long, what is ours and was never seen, what is new.
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
"""Entries that a worker which leaves puts back; the others stay pending until its leases end."""
SUSPECT_DELIVERY_COUNT = 2
"""An entry that lost its worker so often may be a killer: it is handed over alone."""
WATCHDOG_S = 5.0
"""How much longer than its block a blocking read may take before the connection is given up."""


def _ids(joined: bytes) -> tuple[str, ...]:
    text = joined.decode("ascii", errors="replace")  # a character a byte: damage moves no place
    return tuple(text[at : at + ID_LENGTH] for at in range(0, len(text), ID_LENGTH))


class InboxMessage(NamedTuple):
    """One inbox entry in hand."""

    id: bytes
    stage: int
    order_ids: tuple[str, ...]
    deliveries: int
    """How often it had been delivered before without being settled."""
    head: bytes = b""
    """That of its one order when the entry was made, where it came along. An append on a stale one

    is a conflict, so it is as good as one loaded now."""

    def delivery(self, index: int) -> Delivery:
        """What settles the order at `index`."""
        return Delivery(self.stage, self.id, len(self.order_ids), index)


class Inbox:
    """One consumer's view of one stage's inbox."""

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
        """Given up here: they come back once their lease has run out, which counts."""

    @property
    def held_orders(self) -> int:
        """Orders delivered here and not settled yet."""
        return sum(len(indexes) for indexes in self._held.values())

    async def open(self) -> None:
        """Makes the consumer group where it is missing, at 0: settled entries are gone.

        Where it is missing the inbox may be lost: what is owed is put into it first, so that a
        crash in between does not leave a group that looks as if nothing were owed.
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
        named = {order_id for _, fields in entries for order_id in _ids(fields[1])}
        waiting = await self._caller.call("ZRANGE", self._keys.due(self._stage), 0, -1)
        await self.rebuild_from_open_orders(but=named | set(_ids(b"".join(waiting))))
        try:
            await self._caller.call("XGROUP", "CREATE", self._key, GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def take(self, count: int, *, block_ms: int) -> list[InboxMessage]:
        """Up to `count` entries; an empty list when none came within `block_ms`.

        Raises Unavailable or Unanswered; calling again is always right. A cancelled call may have
        been given entries: the next one finds them.
        """
        now = asyncio.get_running_loop().time()
        try:
            if now >= self._reclaim_at:
                self._reclaim_at = now + self._lease_ms / 4000
                if messages := await self._reclaim():
                    return messages
            if self._reader.connects != self._seen_connects:
                connects = self._reader.connects
                if messages := await self._read(count, "0", block_ms=None):
                    return messages
                self._seen_connects = connects
            return await self._read(count, ">", block_ms=block_ms)
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self.open()
            return []

    async def _read(self, count: int, start: str, *, block_ms: int | None) -> list[InboxMessage]:
        command: list[bytes | str | int] = ["XREADGROUP", "GROUP", GROUP, self._consumer]
        command += ["COUNT", count]
        if block_ms is not None:
            command += ["BLOCK", block_ms]
        command += ["STREAMS", self._key, start]
        # A fresh connection must look at its own pending entries first (id 0).
        connects = self._reader.connects
        try:
            answer = await self._reader.call(
                *command, timeout_s=(block_ms or 0) / 1000 + WATCHDOG_S
            )
        except BaseException:
            # What was delivered into a lost answer is pending for us and seen by nobody.
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
        # What is in hand here was only renewed too late, as after a stop of the whole process.
        return [
            self._hold(entry_id, joined, times)
            for entry_id, times, joined in taken
            if entry_id not in self._held
        ]

    def _hold(
        self, entry_id: bytes, joined: bytes, deliveries: int, head: bytes = b""
    ) -> InboxMessage:
        ids = _ids(joined)
        self._held[entry_id] = set(range(len(ids)))
        self._abandoned.discard(entry_id)
        return InboxMessage(entry_id, STAGE_NUMBER[self._stage], ids, deliveries, head)

    def holds(self, message: InboxMessage) -> bool:
        """Whether any of it is in hand here."""
        return message.id in self._held

    def mark_acked(self, deliveries: Iterable[Delivery]) -> None:
        """Tells that an append has settled these, so that their lease need not be renewed."""
        for delivery in deliveries:
            if indexes := self._held.get(delivery.entry):
                indexes.discard(delivery.place)
                if not indexes:
                    del self._held[delivery.entry]

    def nack(self, deliveries: Iterable[Delivery]) -> None:
        """Gives up the leases of these, without a word to the server: they run out."""
        for delivery in deliveries:
            if self._held.pop(delivery.entry, None) is not None:
                self._abandoned.add(delivery.entry)

    async def renew(self) -> list[bytes]:
        """Keeps the leases of what is in hand; returns the entries that are no longer ours."""
        if not self._held:
            return []
        lost: list[bytes] = await self._library.call(
            self._caller, "renew", [self._key], self._consumer, *self._held
        )
        # One that was settled while we asked is no loss.
        return [entry for entry in lost if self._held.pop(entry, None) is not None]

    async def split(self, message: InboxMessage) -> None:
        """Puts each order of an entry back on its own."""
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
        """Hands over the orders whose wait is over.

        Returns how many those were and the ms until the next, None when nothing waits.
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
        """Rebuilds a lost inbox from the index of open orders; returns how many it named."""
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
        """Puts back what is unsettled, so that a graceful stop is no attempt, and goes."""
        answer = await self._caller.call(
            "XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", REQUEUED_MAX,
            "STREAMS", self._key, "0",
        )  # fmt: skip
        pending = [entry_id for _, items in answer or () for entry_id, _ in items]
        if pending:
            await self._requeue(pending, self._inbox_orders)
        # A consumer that still has pending entries is left alone: deleting it would drop them.
        left = await self._caller.call("XPENDING", self._key, GROUP, "-", "+", 1, self._consumer)
        if not left:
            await self._caller.call("XGROUP", "DELCONSUMER", self._key, GROUP, self._consumer)

    async def close(self) -> None:
        """Closes the connections."""
        await self._reader.close()
        await self._caller.close()
