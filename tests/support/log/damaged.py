"""A small engine's records, of orders of every kind, and copies of them to be damaged.

They are made once and kept as a template: each test gets its own copy of both stores.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import redis
import redis.asyncio

from events.archive import Archive
from events.commands import engine_switch
from events.commands.idempotency import names_of
from events.ids import new_order_id
from events.log import AppendStatus, EventLog
from events.types import Fact, OrderArmed, OrderParked, OrderSubmitted, RoutingStarted
from tests.support.log.played import ACCOUNT, after_submission, failed, routed
from tests.support.log.projected import BUILD, opened, projected, projecting

LATER_US = 4 * 86_400_000_000
BUNCH = 3
CHAIN = "simulated"
"""Orders that are confirmed, and whose events share entries."""


class Template(NamedTuple):
    """What copies are made of."""

    database: str
    keys: list[tuple[bytes, bytes, int]]
    """Name, dump and ms to live of each key."""
    orders: dict[str, str]
    """What an order is for -> its id."""
    position: int
    archived: int


class Records(NamedTuple):
    """A copy, open."""

    log: EventLog
    archive: Archive
    client: redis.asyncio.Redis
    database: asyncpg.Connection
    database_url: str
    orders: dict[str, str]
    position: int
    archived: int


def asked(order_type: str = "market", **fields: Any) -> OrderSubmitted:
    """1.5 SOL into USDC."""
    return OrderSubmitted(order_type, "SOL", "USDC", 9, 6, 1_500_000_000, 50, **fields)


async def submit(log: EventLog, fact: OrderSubmitted, *more: Fact, wait_ms: int = 0) -> str:
    """An order under the names of its request, with the facts that follow."""
    order_id = new_order_id()
    names = names_of(log.keys, ACCOUNT, order_id, fact)
    request, _ = log.build_creation(order_id, ACCOUNT, fact, names)
    [answer] = await log.append([request])
    assert answer.status is AppendStatus.CREATED
    for item in more:
        await append_facts(log, order_id, item, wait_ms=wait_ms)
    return order_id


async def append_facts(log: EventLog, order_id: str, *facts: Fact, wait_ms: int = 0) -> None:
    """Appends facts to an order. Its next step is due after `wait_ms`."""
    [head] = await log.load([order_id])
    assert head is not None
    request, _ = log.build_append_of(head, head.order, facts, wait_ms=wait_ms)
    [answer] = await log.append([request])
    assert answer.status is AppendStatus.CREATED


async def make(redis_url: str, database_url: str) -> Template:
    """Plays the orders, projects them, and keeps both stores."""
    async with opened(redis_url, database_url, chain=CHAIN) as (log, archive):
        async with projecting(redis_url, database_url, chain=CHAIN):
            expires_us = time.time_ns() // 1000 + LATER_US
            limit = asked("limit", target_price="90", time_in_force="GTT",
                          expires_at_us=expires_us, client_order_id="resting")  # fmt: skip
            rested = OrderArmed(7)
            orders = {
                "done": await submit(log, asked(client_order_id="done"), *after_submission()),
                "failed": await submit(log, asked(idempotency_key="failed"), failed()),
                "pending": await submit(log, asked(client_order_id="a", idempotency_key="b")),
                "resting": await submit(log, limit, rested),
                "parked": await submit(log, asked(), OrderParked("router", "a bug", "engine")),
                "unnamed": await submit(log, asked(), RoutingStarted()),
            }
            bunch = [new_order_id() for _ in range(BUNCH)]
            await log.append([log.build_creation(item, ACCOUNT, asked())[0] for item in bunch])
            for fact in after_submission():
                heads = [head for head in await log.load(bunch) if head is not None]
                await log.append(
                    [log.build_append_of(head, head.order, [fact])[0] for head in heads]
                )
            orders |= {f"bunch {number}": item for number, item in enumerate(bunch)}
            waiting = await submit(log, asked(client_order_id="waiting"))
            await append_facts(log, waiting, RoutingStarted(), routed(), wait_ms=3_600_000)
            orders["waiting"] = waiting
            await engine_switch.halt(log, "odd prices", "ann")
            archived = await projected(log, archive)
        # … and events that are not archived yet.
        await append_facts(log, orders["unnamed"], routed())
        orders["late"] = await submit(log, asked(client_order_id="late"))
        position = await log.position()
        async with redis.asyncio.from_url(redis_url) as client:
            keys = []
            for key in [key async for key in client.scan_iter("oee:*")]:
                dump, left_ms = await client.dump(key), await client.pttl(key)
                assert dump is not None
                keys.append((key, dump, max(0, left_ms)))
    database = urlsplit(database_url).path.lstrip("/")
    return Template(database, keys, orders, position, archived)


@contextlib.asynccontextmanager
async def copied(
    template: Template, redis_url: str, server_url: str, *, own_database: bool = True
) -> AsyncIterator[Records]:
    """A copy of both stores, for the length of a block; without a database of its own, Postgres
    must not be changed.
    """
    async with _database(template, server_url) if own_database else _shared(template) as name:
        url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        async with redis.asyncio.from_url(redis_url) as client:
            async with client.pipeline(transaction=False) as pipe:
                for key, dump, left_ms in template.keys:
                    pipe.restore(key, left_ms, dump)
                await pipe.execute()
            log, archive = EventLog(redis_url, build=BUILD), await Archive.open(url)
            database = await asyncpg.connect(url)
            try:
                yield Records(
                    log,
                    archive,
                    client,
                    database,
                    url,
                    template.orders,
                    template.position,
                    template.archived,
                )
            finally:
                await database.close()
                await archive.close()
                await log.close()


@contextlib.asynccontextmanager
async def _database(template: Template, server_url: str) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    server = await asyncpg.connect(server_url)
    try:
        await server.execute(f"CREATE DATABASE {name} TEMPLATE {template.database}")
        yield name
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def _shared(template: Template) -> AsyncIterator[str]:
    yield template.database


@contextlib.contextmanager
def built_template(redis_url: str, server_url: str) -> Iterator[Template]:
    """The template, in a Redis that is emptied and in a database of its own, dropped afterwards."""

    async def build() -> Template:
        async with _server(server_url) as server:
            await server.execute(f"CREATE DATABASE {name}")
            async with asyncio.timeout(60):
                return await make(
                    redis_url, urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
                )

    async def drop() -> None:
        async with _server(server_url) as server:
            await server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    name = f"test_{secrets.token_hex(6)}"
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    yield asyncio.run(build())
    asyncio.run(drop())


@contextlib.asynccontextmanager
async def _server(server_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    server = await asyncpg.connect(server_url)
    try:
        yield server
    finally:
        await server.close()
