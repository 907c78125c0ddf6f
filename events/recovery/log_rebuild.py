"""Writes a log again: fences off all processes, reads the remains, writes the new state.

Rule of this file: from `fence` until the one transaction of `rebuild` or `rewrite` there is no
`meta`, so that no process can join the log or append to it. A repair that fails in between can be
repeated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from events.ids import ID_LENGTH
from events.log import (
    LAYOUT,
    NO_STAGE,
    PREFIX_LENGTH,
    Keys,
    RedisConnection,
    Stored,
    decode_head,
)
from events.recovery.index_commands import Command, index_commands
from events.recovery.order_indexes import OpenOrder
from events.recovery.stream_survey import Meta, RawEntry, read_entries, read_meta, stored_in
from events.secret import SecretUrl

SLICE = 500
FOUNDING = "founding"
"""Field of a fenced meta: a rebuild has begun, and only a rebuild may lift the fence."""
ANSWER_S = 60.0


class LogEntry(NamedTuple):
    """A log entry to be written."""

    last: int
    time_us: int
    data: bytes
    first: int = 0
    """The position of its first event; 0 where it is not needed."""


class RestoredHead(NamedTuple):
    """A head to be written."""

    order_id: str
    head: bytes
    """The whole head, including its positions."""
    created_ms: int
    changed_ms: int
    expires_ms: int | None
    kept_ms: int | None = None
    """The TTL of the head of an order that is archived and has ended; None: no TTL."""

    @property
    def owes(self) -> int:
        """The number of the stage that owes the order its next event, from the head."""
        return self.head[PREFIX_LENGTH]


class RestoredIdempotencyKey(NamedTuple):
    """An idempotency key to be written."""

    key: str
    value: bytes
    until_ms: int | None
    """The end of its window by the server's clock; None: the order is open."""


class Claim(NamedTuple):
    """The value that an idempotency key must have besides its order id."""

    digest: bytes
    until_ms: int | None
    """As in RestoredIdempotencyKey."""


class LogRebuild:
    """One repair of a log."""

    def __init__(self, url: SecretUrl | str, keys: Keys) -> None:
        self._keys = keys
        self.link = self._link = RedisConnection(url, "repair")

    async def meta(self) -> Meta:
        """The meta of the log, or of the log that this or an interrupted repair has fenced."""
        meta = await read_meta(self._link, self._keys.meta)
        return meta if meta.there else await read_meta(self._link, self._keys.fenced)

    async def epoch(self) -> int:
        """The epoch of the log, fenced or not; 0 where there is none."""
        return (await self.meta()).epoch or 0

    async def now_ms(self) -> int:
        """The server's clock in ms."""
        seconds, us = await self._link.call("TIME")
        return int(seconds) * 1000 + int(us) // 1000

    async def fence(self, *, recreating: bool = True) -> None:
        """Refuses every append and join from here on. With `recreating` only `rebuild` lifts the
        fence, also after this process has been interrupted.
        """
        # Fails for a user without permission for MULTI, whose next commands would run one by one.
        await self._link.pipeline([("MULTI",), ("EXEC",)])
        keys = self._keys
        mark: list[Command] = [("HSET", keys.fenced, FOUNDING, 1)] if recreating else []
        # Where meta is missing or not a hash, that one command fails without further effect.
        await self._link.pipeline(
            [("MULTI",), ("RENAME", keys.meta, keys.fenced), *mark, ("EXEC",)]
        )

    async def unfence(self) -> None:
        """Lifts the fence of a repair that has changed nothing."""
        try:
            await self._link.call("RENAMENX", self._keys.fenced, self._keys.meta)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise

    async def fenced(self) -> bool:
        """Whether there is still no log: no process has created one since."""
        return not await self._link.call("EXISTS", self._keys.meta)

    async def entries(self, after: bytes = b"-") -> list[RawEntry]:
        """The entries of the stream, including damaged ones; only those after the id `after`, if
        given.
        """
        return await read_entries(self._link, self._keys.log, after)

    async def placed(self, order_ids: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Order id -> positions of its newest events, from the heads."""
        ids = sorted(order_ids)
        positions: dict[str, tuple[int, ...]] = {}
        for at in range(0, len(ids), SLICE):
            some = ids[at : at + SLICE]
            heads = await self._link.call("MGET", *(self._keys.order(i) for i in some))
            for order_id, data in zip(some, heads, strict=True):
                if data is not None:
                    positions[order_id] = decode_head(data).positions
        return positions

    async def leftovers(self) -> list[list[Stored]]:
        """The events that the stream still holds, by entry."""
        return [stored for entry in await self.entries() if (stored := stored_in(entry))]

    async def heads(
        self, known: Sequence[RestoredHead], names: Sequence[RestoredIdempotencyKey]
    ) -> None:
        """Replaces all heads and all idempotency keys. Nothing reads them before the log is
        rebuilt.
        """
        await self.replace_heads(known)
        async for keys in self._matching(self._keys.idempotency("*", "*", "*")):
            await self._run([("UNLINK", *keys)])
        await self._name(names)

    async def replace_heads(self, known: Sequence[RestoredHead]) -> None:
        """Replaces all heads."""
        async for keys in self._matching(self._keys.order("*")):
            await self._run([("UNLINK", *keys)])
        for at in range(0, len(known), SLICE):
            await self._run([self._head(head) for head in known[at : at + SLICE]])

    def _head(self, known: RestoredHead) -> Command:
        kept = () if known.kept_ms is None else ("PX", max(1, known.kept_ms))
        return ("SET", self._keys.order(known.order_id), known.head, *kept)

    async def mend_names(
        self,
        names: Sequence[RestoredIdempotencyKey],
        claims: Mapping[bytes, Claim],
        unasked: Collection[str] = (),
    ) -> None:
        """Maps every idempotency key to its order. The key of a repeated request is in no event: it
        is kept where `claims` (by order id) confirms it. Keys of `unasked` orders, whose submission
        is lost, are kept.
        """
        left_alone = {order_id.encode() for order_id in unasked}
        expected = {name.key.encode() for name in names}
        aliases: dict[bytes, bytes] = {}
        async for keys in self._matching(self._keys.idempotency("*", "*", "*")):
            values = await self._link.call("MGET", *keys)
            commands: list[Command] = []
            for key, value in zip(keys, values, strict=True):
                if key in expected:
                    continue
                order_id = (value or b"")[:ID_LENGTH]
                claim = claims.get(order_id)
                if order_id in left_alone:
                    noted = aliases.get(order_id, b"")
                    aliases[order_id] = noted + len(key).to_bytes(2) + key
                elif claim is None or value != order_id + claim.digest:
                    commands.append(("UNLINK", key))
                elif claim.until_ms is not None:
                    commands.append(("PEXPIREAT", key, claim.until_ms, "LT"))
                else:
                    commands.append(("PERSIST", key))
                    noted = aliases.get(order_id, b"")
                    aliases[order_id] = noted + len(key).to_bytes(2) + key
            if commands:
                await self._run(commands)
        noted_all = [part for pair in aliases.items() for part in pair]
        await self._run([("DEL", self._keys.aliases)])
        for at in range(0, len(noted_all), 2 * SLICE):
            await self._run([("HSET", self._keys.aliases, *noted_all[at : at + 2 * SLICE])])
        await self._name(names)

    async def _name(self, names: Sequence[RestoredIdempotencyKey]) -> None:
        for at in range(0, len(names), SLICE):
            some = names[at : at + SLICE]
            await self._run([("SET", n.key, n.value, *_expiry(n)) for n in some])

    async def _matching(self, pattern: str) -> AsyncIterator[list[bytes]]:
        cursor: Any = b"0"
        while True:
            cursor, keys = await self._link.call(
                "SCAN", cursor, "MATCH", pattern, "COUNT", 10_000, timeout_s=ANSWER_S
            )
            if keys:
                yield keys
            if cursor == b"0":
                return

    async def prepare_stream(self, entries: Sequence[LogEntry]) -> None:
        """Writes the stream that `rewrite` puts in place of the current one."""
        await self._run([("DEL", self._keys.rewritten)])
        for at in range(0, len(entries), SLICE):
            await self._run(
                [_added(self._keys.rewritten, entry) for entry in entries[at : at + SLICE]]
            )

    async def rebuild(
        self,
        epoch: int,
        base: int,
        entries: Sequence[LogEntry],
        known: Sequence[RestoredHead],
        *,
        halted: bool,
        chain: str,
        inbox_orders: int,
    ) -> None:
        """Writes the log in one transaction. `base`: the position after which the epoch begins."""
        keys, now_ms = self._keys, await self.now_ms()
        meta: dict[str, str | int | bytes] = {"epoch": epoch, "layout": LAYOUT, "base": base}
        meta |= {"names": "kept"} | ({"chain": chain} if chain else {})
        # Archive and chain are the source of this log: no process has to compare them.
        meta |= {"verified": (await self._link.server()).run_id}
        meta |= {"position": entries[-1].last, "news": now_ms} | ({"halted": 1} if halted else {})
        await self._run(
            [
                ("MULTI",),
                ("DEL", keys.meta, keys.fenced, keys.log, keys.aside, keys.aliases),
                *await self._odd(entries[-1].last),
                *(_added(keys.log, entry) for entry in entries),
                *index_commands(keys, _open(known), now_ms=now_ms, inbox_orders=inbox_orders),
                ("HSET", keys.meta, *(part for pair in meta.items() for part in pair)),
                ("EXEC",),
            ]
        )

    async def rewrite(
        self,
        meta: Mapping[str, str | int | bytes],
        known: Sequence[RestoredHead],
        *,
        stream: bool,
        inbox_orders: int,
    ) -> None:
        """Writes the log again in one transaction, in the same epoch. With `stream` its entries are
        those of `prepare_stream`, else the current ones.
        """
        keys, now_ms = self._keys, await self.now_ms()
        place = [("DEL", keys.log), ("RENAME", keys.rewritten, keys.log)] if stream else []
        fields = {**meta, "news": now_ms}
        await self._run(
            [
                ("MULTI",),
                ("DEL", keys.meta, keys.fenced, keys.aside, keys.leases, keys.watchers),
                *await self._odd(int(meta.get("position", 0))),
                *place,
                *index_commands(keys, _open(known), now_ms=now_ms, inbox_orders=inbox_orders),
                ("HSET", keys.meta, *(part for pair in fields.items() for part in pair)),
                ("EXEC",),
            ]
        )

    async def _odd(self, position: int) -> list[Command]:
        """The commands that delete malformed positions of readers and watchers: these start again
        from the first event, or from the first slot of their orders.
        """
        keys = self._keys
        kinds = {
            keys.slots: b"hash", keys.heard: b"hash", keys.leases: b"hash",
            keys.watchers: b"zset", keys.aliases: b"hash",
        }  # fmt: skip
        replies = await self._link.pipeline([("TYPE", key) for key in kinds])
        types = dict(zip(kinds, replies, strict=True))
        gone: list[Command] = [
            ("DEL", key) for key, kind in kinds.items() if types[key] not in (b"none", kind)
        ]
        for key in (keys.slots, keys.heard):
            if types[key] == b"hash":
                pairs = await self._link.call("HGETALL", key)
                odd = [pair for pair, number in zip(pairs[::2], pairs[1::2], strict=True)
                       if not number.isdigit()]  # fmt: skip
                gone += [("HDEL", key, *odd)] if odd else []
        async for names in self._matching(keys.mark("*")):
            for name, value in zip(names, await self._link.call("MGET", *names), strict=True):
                if value is None or not value.isdigit() or int(value) > position:
                    gone.append(("DEL", name))
        return gone

    async def _run(self, commands: Sequence[Command]) -> None:
        await self._link.pipeline(commands, timeout_s=ANSWER_S)

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()


def _added(key: str, entry: LogEntry) -> Command:
    return ("XADD", key, f"{entry.last}-0", "t", entry.time_us, "b", entry.data)


def _expiry(name: RestoredIdempotencyKey) -> tuple[str | int, ...]:
    return () if name.until_ms is None else ("PXAT", name.until_ms)


def _open(heads: Iterable[RestoredHead]) -> list[OpenOrder]:
    return [
        OpenOrder(head.order_id, head.owes, head.created_ms, head.changed_ms, head.expires_ms)
        for head in heads
        if head.owes != NO_STAGE
    ]
