"""Orders of a build from before three events were renamed continue under this one.

`tests/vectors/former_names` is the data of such a build: one market order and three limit orders,
of which one was parked and put back to work, and one fell below its price. The file of the log
holds each Redis key (remaining life in ms, DUMP); that of the archive is made by `pg_dump -Fc`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import redis.asyncio

from engine.embedded import binaries
from engine.embedded.databases import Embedded, started
from events.log import EventLog
from events.types import FORMER_NAMES
from tests.e2e.test_backup import told
from tests.support.processes.child import ENGINE
from tests.support.processes.engine_up import Engine, engine_up

FORMER = Path(__file__).parents[1] / "vectors" / "former_names"
EVENTS = 17
ARMED = ["OrderSubmitted", "OrderArmed"]
HISTORIES = sorted(
    [
        ["OrderSubmitted", "RoutingStarted", "OrderRouted", "TransactionBuilt",
         "TransactionSubmitted", "OrderConfirmed"],
        ARMED,
        [*ARMED, "OrderParked", "OrderRequeued"],
        [*ARMED, "OrderTriggered", "RoutingStarted", "OrderRearmed"],
    ]
)  # fmt: skip


async def restore(servers: Embedded) -> None:
    async with redis.asyncio.from_url(servers.redis_url) as client:
        for key, (ttl_ms, dumped) in json.loads((FORMER / "log.json").read_text()).items():
            await client.restore(key, ttl_ms, base64.b64decode(dumped))
    restore = binaries.postgres() / "pg_restore"
    code, text = await told(
        restore, "--no-owner", "-d", servers.database_url, FORMER / "archive.dump"
    )
    assert code == 0, text


async def assert_sound(engine: Engine) -> None:
    verify = (*ENGINE, "audit", "verify", "--json")
    code, text = await told(*verify, settings=engine.settings)
    assert (code, json.loads(text)["sound"]) == (0, True), text
    replay = (*ENGINE, "audit", "replay", "--check")
    code, text = await told(*replay, settings=engine.settings)
    assert (code, " 0 differ" in text) == (0, True), text


async def tags(servers: Embedded, *names: bytes) -> list[int]:
    """How many stored events have each of these names in their bytes."""
    log = EventLog(servers.redis_url, build="test")
    await log.open(create=False)
    try:
        stored = await log.history(list(range(1, await log.position() + 1)))
    finally:
        await log.close()
    return [sum(name in bytes(event.record.body) for event in stored) for name in names]


async def listed(engine: Engine, status: str) -> list[str]:
    answer = await engine.get(f"/api/orders?status={status}")
    assert answer.status == 200, answer
    return [order["orderId"] for order in answer.body["orders"]]


async def events_of(engine: Engine, order_id: str) -> list[str]:
    answer = await engine.get(f"/api/orders/{order_id}/events")
    assert answer.status == 200, answer
    return [event["event"] for event in answer.body["events"]]


async def test_data_written_under_the_former_names_is_migrated(short_path: Path) -> None:
    with started(short_path / "s") as servers:
        await restore(servers)
        urls = {"redis_url": servers.redis_url, "database_url": servers.database_url}
        async with engine_up(short_path / "d", blockhash_slots=200, **urls) as engine:
            await engine.until(lambda: len(engine.frames) >= EVENTS)
            seen = {frame["event"] for frame in engine.frames}
            assert seen.isdisjoint(FORMER_NAMES)
            assert seen > set(FORMER_NAMES.values())
            done, waiting = await listed(engine, "confirmed"), await listed(engine, "watching")
            assert (len(done), len(waiting)) == (1, 3)
            assert sorted([await events_of(engine, i) for i in [*done, *waiting]]) == HISTORIES
            await assert_sound(engine)
            code, text = await told(*ENGINE, "repair", settings=engine.settings)
            assert (code, "sound" in text) == (0, True), text

            for order_id in waiting:
                version = (await engine.get(f"/api/orders/{order_id}")).body["version"]
                change = {"version": version, "targetPrice": "1"}
                path = f"{engine.url}/api/orders/{order_id}"
                async with engine.http.patch(path, json=change) as answer:
                    assert answer.status == 200, await answer.text()
            fresh = await engine.submit(key="n", type="limit", targetPrice="1")
            ended = await engine.ended([*waiting, fresh])
            assert set(ended.values()) == {"confirmed"}
            assert (await events_of(engine, fresh))[:2] == ARMED
            await assert_sound(engine)
        assert await tags(servers, b"OrderRested", b"OrderArmed") == [3, 1]
