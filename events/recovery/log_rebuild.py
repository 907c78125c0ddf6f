"""Writing a log again: fence everybody off, see what is left, write what is known.

Rule of this file: from `fence` until the one transaction of `rebuild` or `rewrite` there is no
`meta`, so that nobody can join the log or append to it. Whatever fails in between can be begun
again.
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
"""Field of a fenced meta: a founding has begun, and only a founding may let anybody in again."""
ANSWER_S = 60.0


class LogEntry(NamedTuple):
    """A log entry as it is to stand."""

    last: int
    time_us: int
    data: bytes
    first: int = 0
    """Position of its first event, where that was asked for."""


class RestoredHead(NamedTuple):
    """An order whose head is to be there."""

    order_id: str
    head: bytes
    """Whole, with its positions."""
    created_ms: int
    changed_ms: int
    expires_ms: int | None
    kept_ms: int | None = None
    """How long its head stays, where it has ended and is archived; None: until then."""

    @property
    def owes(self) -> int:
        """Who has the next word, as the head says."""
        return self.head[PREFIX_LENGTH]


class RestoredIdempotencyKey(NamedTuple):
    """A client's key, and until when it names its order."""

    key: str
    value: bytes
    until_ms: int | None
    """By the server's clock; None: while the order is open."""


class Claim(NamedTuple):
    """What a key has to hold besides the id of its order."""

    digest: bytes
    until_ms: int | None
    """As a name's."""


class LogRebuild:
    """One repair."""

    def __init__(self, url: SecretUrl | str, keys: Keys) -> None:
        self._keys = keys
        self.link = self._link = RedisConnection(url, "repair")

    async def meta(self) -> Meta:
        """Of the log that is there, or that this or a broken off repair has fenced off."""
        meta = await read_meta(self._link, self._keys.meta)
        return meta if meta.there else await read_meta(self._link, self._keys.fenced)

    async def epoch(self) -> int:
        """Of the log that is there, or was fenced off; 0 where there is none."""
        return (await self.meta()).epoch or 0

    async def now_ms(self) -> int:
        """The server's clock."""
        seconds, us = await self._link.call("TIME")
        return int(seconds) * 1000 + int(us) // 1000

    async def fence(self, *, founding: bool = True) -> None:
        """From here on every append is refused, and nobody joins. `founding`: nothing but `rebuild`
        ends it; that is kept, should this process break off.
        """
        # To a user who must not say MULTI the server refuses that, and carries out what follows.
        await self._link.pipeline([("MULTI",), ("EXEC",)])
        keys = self._keys
        mark: list[Command] = [("HSET", keys.fenced, FOUNDING, 1)] if founding else []
        # Where there is no meta, or it is no hash, that one command fails, and no harm is done.
        await self._link.pipeline(
            [("MULTI",), ("RENAME", keys.meta, keys.fenced), *mark, ("EXEC",)]
        )

    async def unfence(self) -> None:
        """Lets everybody in again, where nothing was changed."""
        try:
            await self._link.call("RENAMENX", self._keys.fenced, self._keys.meta)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise

    async def fenced(self) -> bool:
        """Whether there still is no log: nobody has founded one since."""
        return not await self._link.call("EXISTS", self._keys.meta)

    async def entries(self, after: bytes = b"-") -> list[RawEntry]:
        """What stands in the stream, damaged entries included; after an id, where one is named."""
        return await read_entries(self._link, self._keys.log, after)

    async def placed(self, order_ids: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Where the newest events of orders stand, by their heads."""
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
        """The events that the stream still holds, entry by entry."""
        return [stored for entry in await self.entries() if (stored := stored_in(entry))]

    async def heads(
        self, known: Sequence[RestoredHead], names: Sequence[RestoredIdempotencyKey]
    ) -> None:
        """Replaces all heads and all keys. Nothing reads them before the log is founded."""
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
        """Gives every key its order. A key that came with a later request is in no event: it stays
        where `claims` (by order id) bears it out. Those of `unasked` orders stay: which request
        they came with is lost.
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
        """Makes the stream that `rewrite` puts in the place of the one that is there."""
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
        """The log is there again, from one moment to the next. `base`: where the epoch began."""
        keys, now_ms = self._keys, await self.now_ms()
        meta: dict[str, str | int | bytes] = {"epoch": epoch, "layout": LAYOUT, "base": base}
        meta |= {"names": "kept"} | ({"chain": chain} if chain else {})
        # What stands here is what the archive and the chain say: nobody has to compare them.
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
        """The log is there again, in the epoch that it had. `stream`: with the entries that
        `prepare_stream` was given, else with those that are there.
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
        """What takes away how far readers and watchers say they are, where it is no place: they
        begin again, from the first event or the first slot of their orders.
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
        """Closes the connections."""
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
