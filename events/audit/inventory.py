"""Reads everything that the log server keeps beside the events, for the audit.

Rule of this file: any content is possible. A key of the wrong type or a malformed value is an
answer, and raises nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from events.ids import ID_LENGTH
from events.log import Keys, OrderHead, RedisConnection, decode_head
from events.order import STAGES
from events.secret import SecretUrl

SLICE = 500
SCAN = 10_000
ANSWER_S = 30.0


class Name(NamedTuple):
    """An idempotency key of a client."""

    key: str
    value: bytes
    left_ms: int
    """The TTL; negative: none."""


class Waiting(NamedTuple):
    """The orders that a stage has to process."""

    inbox: frozenset[str]
    """Orders of inbox entries that are not settled."""
    due: dict[str, float]
    """Order -> time (ms) at which it is delivered."""
    damaged: list[str]
    """The ids of inbox entries that hold no order ids."""


class Inventory:
    """Reads the keys of one log, over its own connection."""

    def __init__(self, url: SecretUrl, keys: Keys) -> None:
        self.keys = keys
        self._link = RedisConnection(url, "inventory")
        self.wrong_types: dict[str, str] = {}
        """Key -> its type, where that is not the expected one."""

    async def now_us(self) -> int:
        """The server's clock."""
        seconds, us = await self._link.call("TIME")
        return int(seconds) * 1_000_000 + int(us)

    async def _ask(self, key: str, empty: Any, *command: str | int) -> Any:
        try:
            return await self._link.call(*command, timeout_s=ANSWER_S)
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            self.wrong_types[key] = (await self._link.call("TYPE", key)).decode()
            return empty

    async def meta(self) -> dict[str, bytes]:
        """All fields of the log's meta; empty where there is none."""
        key = self.keys.meta
        return {k.decode(errors="replace"): v for k, v in await self._hash(key)}

    async def _hash(self, key: str) -> list[tuple[bytes, bytes]]:
        pairs = await self._ask(key, [], "HGETALL", key)
        return list(zip(pairs[::2], pairs[1::2], strict=True))

    async def scores(self, key: str) -> dict[str, float]:
        """The members of a sorted set with their scores."""
        scores: dict[str, float] = {}
        cursor: Any = b"0"
        while True:
            cursor, pairs = await self._ask(key, (b"0", []), "ZSCAN", key, cursor, "COUNT", SCAN)
            for member, score in zip(pairs[::2], pairs[1::2], strict=True):
                scores[member.decode(errors="replace")] = float(score)
            if cursor == b"0":
                return scores

    async def counts(self, key: str) -> dict[str, str]:
        """The fields of a hash, as text."""
        return {k.decode(errors="replace"): v.decode(errors="replace")
                for k, v in await self._hash(key)}  # fmt: skip

    async def last_id(self, key: str) -> str:
        """The id of a stream's last entry; empty where it has none."""
        entries = await self._ask(key, [], "XREVRANGE", key, "+", "-", "COUNT", 1)
        return entries[0][0].decode() if entries else ""

    async def waiting(self) -> dict[str, Waiting]:
        """Stage -> its orders. Orders may move from due set to inbox during the call, so due sets
        are read twice.
        """
        waiting = {}
        for stage in STAGES:
            due = await self.scores(self.keys.due(stage))
            inbox, damaged = await self._inbox(stage)
            due = {**due, **await self.scores(self.keys.due(stage))}
            waiting[stage] = Waiting(frozenset(inbox), due, damaged)
        return waiting

    async def _inbox(self, stage: str) -> tuple[set[str], list[str]]:
        key, shares = self.keys.inbox(stage), self.keys.shares(stage)
        named, damaged, start = set[str](), list[str](), "-"
        while entries := await self._ask(key, [], "XRANGE", key, start, "+", "COUNT", SLICE):
            ids = [entry_id for entry_id, _ in entries]
            empty = [None] * len(ids)
            marks = await self._ask(shares, empty, "HMGET", shares, *ids)
            for (entry_id, fields), settled in zip(entries, marks, strict=True):
                orders = _named(fields)
                if not orders:
                    damaged.append(entry_id.decode())
                for at, order_id in enumerate(orders):
                    if settled is None or settled[at : at + 1] != b"x":
                        named.add(order_id)
            start = f"({ids[-1].decode()}"
        return named, damaged

    async def heads(self, order_ids: Sequence[str]) -> dict[str, OrderHead | None]:
        """The heads of orders; None where there is none."""
        heads: dict[str, OrderHead | None] = {}
        for at in range(0, len(order_ids), SLICE):
            some = order_ids[at : at + SLICE]
            answers = await self._link.call("MGET", *map(self.keys.order, some))
            for order_id, data in zip(some, answers, strict=True):
                heads[order_id] = None if data is None else decode_head(data)
        return heads

    async def lives(self, order_ids: Sequence[str]) -> list[int]:
        """The TTLs of the orders' heads in ms; -1: no TTL, -2: no head."""
        commands = [("PTTL", self.keys.order(order_id)) for order_id in order_ids]
        return await self._link.pipeline(commands) if commands else []

    async def all_heads(self) -> AsyncIterator[list[str]]:
        """The ids of all orders that have a head, in pages."""
        prefix = self.keys.order("")
        async for keys in self._matching(f"{prefix}*"):
            yield [key[len(prefix) :] for key in keys]

    async def all_names(self) -> AsyncIterator[list[Name]]:
        """All idempotency keys, in pages."""
        async for keys in self._matching(f"{self.keys.idempotency('*', '*', '*')}"):
            values = await self._link.call("MGET", *keys)
            lives = await self._link.pipeline([("PTTL", key) for key in keys])
            rows = zip(keys, values, lives, strict=True)
            yield [Name(key, value, left) for key, value, left in rows if value is not None]

    async def values(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        """The values of keys; None where there is none."""
        values: dict[str, bytes | None] = {}
        for at in range(0, len(keys), SLICE):
            some = keys[at : at + SLICE]
            values |= zip(some, await self._link.call("MGET", *some), strict=True)
        return values

    async def marks(self) -> dict[str, bytes | None]:
        """Reader -> the position that it has reached."""
        prefix, marks = self.keys.mark(""), dict[str, bytes | None]()
        async for keys in self._matching(f"{prefix}*"):
            marks |= {k[len(prefix) :]: v for k, v in (await self.values(keys)).items()}
        return marks

    async def _matching(self, pattern: str) -> AsyncIterator[list[str]]:
        cursor: Any = b"0"
        while True:
            cursor, keys = await self._link.call(
                "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN, timeout_s=ANSWER_S
            )
            if keys:
                yield [key.decode(errors="replace") for key in keys]
            if cursor == b"0":
                return

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()


def _named(fields: Sequence[bytes]) -> list[str]:
    """The order ids of an inbox entry; none where the entry is damaged."""
    values = dict(zip(fields[::2], fields[1::2], strict=False))
    joined = values.get(b"o", b"").decode(errors="replace")
    if not joined or len(joined) % ID_LENGTH:
        return []
    return [joined[at : at + ID_LENGTH] for at in range(0, len(joined), ID_LENGTH)]
