"""Founding a log again that was lost: fence everybody off, see what is left, write what is known.

Rule of this file: from `fence` until the one transaction of `found` there is no `meta`, so that
nobody can join the log or append to it. Whatever fails in between can be begun again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from events.log.head import NOBODY, PARKED, PREFIX_LENGTH, RESTING
from events.log.keys import GROUP, LAYOUT, Keys
from events.log.link import Link
from events.log.reading import LogReader, Stored
from events.order import STAGES
from events.secret import SecretUrl

SLICE = 500
ANSWER_S = 60.0

Command = tuple[bytes | str | int, ...]


class Written(NamedTuple):
    """A log entry as it is to stand."""

    last: int
    time_us: int
    data: bytes


class Known(NamedTuple):
    """An order whose head is to be there."""

    order_id: str
    head: bytes
    """Whole, with its positions."""
    created_ms: int
    changed_ms: int
    expires_ms: int | None

    @property
    def owes(self) -> int:
        """Who has the next word, as the head says."""
        return self.head[PREFIX_LENGTH]


class Name(NamedTuple):
    """A client's key, and until when it names its order."""

    key: str
    value: bytes
    until_ms: int | None
    """By the server's clock; None: while the order is open."""


class Refounding:
    """One repair."""

    def __init__(self, url: SecretUrl | str, keys: Keys) -> None:
        self._keys = keys
        self._link = Link(url, "repair")
        self._reader = LogReader(url, keys, "repair")

    async def epoch(self) -> int:
        """Of the log that is there, 0 where there is none."""
        return int(await self._link.call("HGET", self._keys.meta, "epoch") or 0)

    async def now_ms(self) -> int:
        """The server's clock."""
        seconds, us = await self._link.call("TIME")
        return int(seconds) * 1000 + int(us) // 1000

    async def fence(self) -> None:
        """From here on every append is refused, and nobody joins."""
        # To a user who must not say MULTI the server refuses that, and carries out what follows.
        await self._link.pipeline([("MULTI",), ("EXEC",)])
        await self._link.call("DEL", self._keys.meta)

    async def fenced(self) -> bool:
        """Whether there still is no log: nobody has founded one since."""
        return not await self._link.call("EXISTS", self._keys.meta)

    async def leftovers(self) -> list[list[Stored]]:
        """What the stream still holds, entry by entry."""
        found: list[list[Stored]] = []
        after = (await self._reader.bounds())[0] - 1
        while batches := await self._reader.read(after):
            for batch in batches:
                numbered = enumerate(batch.records, batch.first)
                found.append([Stored(at, batch.time_us, record) for at, record in numbered])
            after = batches[-1].last
        return found

    async def heads(self, known: Sequence[Known], names: Sequence[Name]) -> None:
        """Replaces all heads and all keys. Nothing reads them before the log is founded."""
        for pattern in (self._keys.order("*"), self._keys.idempotency("*", "*", "*")):
            await self._forget(pattern)
        for at in range(0, len(known), SLICE):
            pairs = [(self._keys.order(k.order_id), k.head) for k in known[at : at + SLICE]]
            await self._run([("MSET", *(part for pair in pairs for part in pair))])
        for at in range(0, len(names), SLICE):
            some = names[at : at + SLICE]
            await self._run([("SET", n.key, n.value, *_expiry(n)) for n in some])

    async def _forget(self, pattern: str) -> None:
        cursor: Any = b"0"
        while True:
            cursor, keys = await self._link.call(
                "SCAN", cursor, "MATCH", pattern, "COUNT", 10_000, timeout_s=ANSWER_S
            )
            if keys:
                await self._run([("UNLINK", *keys)])
            if cursor == b"0":
                return

    async def found(
        self,
        epoch: int,
        base: int,
        entries: Sequence[Written],
        known: Sequence[Known],
        *,
        halted: bool,
        chain: str,
        inbox_orders: int,
    ) -> None:
        """The log is there again, from one moment to the next. `base`: where the epoch began."""
        keys, now_ms = self._keys, await self.now_ms()
        listed = [one for one in known if one.owes != NOBODY]
        commands: list[Command] = [
            ("MULTI",),
            ("DEL", keys.meta, keys.log, keys.open, keys.parked, keys.owed, keys.expiry),
            ("DEL", keys.book, keys.aliases, *keys.stages),
        ]
        for entry in entries:
            commands.append(
                ("XADD", keys.log, f"{entry.last}-0", "t", entry.time_us, "b", entry.data)
            )
        commands += _scored(keys.open, ((k.created_ms, k.order_id) for k in listed))
        commands += _scored(
            keys.parked, ((k.changed_ms, k.order_id) for k in listed if k.owes == PARKED)
        )
        commands += _scored(
            keys.expiry, ((k.expires_ms, k.order_id) for k in listed if k.expires_ms is not None)
        )
        resting = sum(k.owes == RESTING for k in listed)
        commands.append(("HSET", keys.owed, RESTING, resting))
        for number, stage in enumerate(STAGES, start=1):
            ids = [k.order_id for k in listed if k.owes == number]
            commands.append(("HSET", keys.owed, number, len(ids)))
            commands.append(("XGROUP", "CREATE", keys.inbox(stage), GROUP, "0", "MKSTREAM"))
            for at in range(0, len(ids), inbox_orders):
                joined = "".join(ids[at : at + inbox_orders])
                commands.append(("XADD", keys.inbox(stage), "*", "o", joined))
        # A number that no news can have had: who follows them sees a gap, and makes its books anew.
        commands.append(("XADD", keys.book, f"{now_ms}-0", "o", ""))
        meta: list[str | int] = ["epoch", epoch, "layout", LAYOUT, "base", base, "names", "kept"]
        meta += ["chain", chain] if chain else []
        # What stands here is what the archive and the chain say: nobody has to compare them.
        meta += ["verified", (await self._link.server()).run_id]
        meta += ["position", entries[-1].last, "news", now_ms]
        commands.append(("HSET", keys.meta, *meta, *(("halted", 1) if halted else ())))
        await self._run([*commands, ("EXEC",)])

    async def _run(self, commands: Sequence[Command]) -> None:
        await self._link.pipeline(commands, timeout_s=ANSWER_S)

    async def close(self) -> None:
        """Closes the connections."""
        await self._link.close()
        await self._reader.close()


def _expiry(name: Name) -> tuple[str | int, ...]:
    return () if name.until_ms is None else ("PXAT", name.until_ms)


def _scored(key: str, pairs: Iterable[tuple[int | None, str]]) -> list[Command]:
    flat = [part for score, member in pairs if score is not None for part in (score, member)]
    return [("ZADD", key, *flat[at : at + 2 * SLICE]) for at in range(0, len(flat), 2 * SLICE)]
