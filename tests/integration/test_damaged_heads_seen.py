"""/readyz and /metrics of a real gateway name a damaged head, until it is whole again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from events.commands import engine_switch
from events.ids import ENGINE_STREAM_ID
from events.log.redis.link import RedisConnection
from gateway.backends.damaged_heads import DamagedHeads
from tests.e2e.test_metrics import scraped
from tests.support.http.served import Served, served
from tests.support.log.workers import crew
from tests.support.waits import until

Edit = Callable[[bytes], bytes | None]

HARM: dict[str, Edit] = {
    "missing": lambda _: None,
    "cut off": lambda head: head[:20],
    "another version": lambda head: head[:3] + bytes([head[3] + 1]) + head[4:],
    "another hash": lambda head: head[:9] + bytes([head[9] ^ 1]) + head[10:],
    "another stage": lambda head: head[:36] + b"\x01" + head[37:],
    "another amount": lambda head: head.replace(b"\xce\x3b\x9a\xca\x00", b"\xce\x3b\x9a\xca\x01"),
    "another target": lambda head: head.replace(b"\xa49000", b"\xa49001"),
    "not an order": lambda head: head[:40] + b"\xc1" + head[41:],
}
ENDLESS: dict[str, Any] = {"type": "limit", "amount": 1, "targetPrice": "9000"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.backends.health.AGES_S", 0.2)


async def reasons(gateway: Served) -> tuple[dict[str, str], dict[str, str], int]:
    _, ready = await gateway.get("/readyz")
    return ready["codes"], ready["reasons"], ready["log"]["damagedHeads"]


@pytest.mark.parametrize("what", HARM)
async def test_a_damaged_head_of_an_open_order_is_named_until_it_is_whole(
    redis_url: str, what: str
) -> None:
    async with (
        served(redis_url, stuck_after_s=600) as gateway,
        redis.asyncio.from_url(redis_url) as client,
    ):
        ids = [await gateway.resting(**ENDLESS) for _ in range(3)]
        key = gateway.log.keys.order(ids[1])
        whole = await client.get(key)
        assert isinstance(whole, bytes)
        harmed = HARM[what](whole)
        assert harmed != whole, "the test knows the bytes"
        await (client.delete(key) if harmed is None else client.set(key, harmed))

        async def named() -> bool:
            codes, texts, number = await reasons(gateway)
            return codes.get("heads") == "head-damaged" and ids[1] in texts["heads"] and number == 1

        await until(named)
        samples = await scraped(gateway.http, gateway.url)
        assert samples["oee_log_damaged_heads", ""] == 1
        assert samples["oee_readiness_reason", "head-damaged"] == 1
        await client.set(key, whole)

        async def over() -> bool:
            codes, _, number = await reasons(gateway)
            return "heads" not in codes and number == 0

        await until(over)


async def test_readyz_answers_while_the_head_of_the_switch_is_damaged(redis_url: str) -> None:
    async with (
        served(redis_url, stuck_after_s=600) as gateway,
        redis.asyncio.from_url(redis_url) as client,
    ):
        await engine_switch.halt(gateway.log, "odd prices", "ann")
        key = gateway.log.keys.order(ENGINE_STREAM_ID)
        whole = await client.get(key)
        assert isinstance(whole, bytes)
        await client.set(key, whole[:45] + b"\xc1" + whole[46:])

        async def named() -> bool:
            _, ready = await gateway.get("/readyz")
            return (
                ready["status"] == "degraded"
                and ready["codes"].get("heads") == "head-damaged"
                and ready["halted"] is not None  # the halt is known, if not its reason
            )

        await until(named)


async def test_whole_heads_are_never_reported_while_orders_continue(redis_url: str) -> None:
    async with served(redis_url, stuck_after_s=600) as gateway:
        looks = DamagedHeads()
        ids = [await gateway.resting(**ENDLESS) for _ in range(20)]
        for order_id in ids:
            await looks.look(gateway.log)
            assert looks.faults == {}
            assert looks._suspects == {}
            status, _ = await gateway.ask("DELETE", f"/api/orders/{order_id}")
            assert status == 200
        await gateway.log.trim(await gateway.log.position())
        await gateway.resting(**ENDLESS)
        for _ in range(3):
            await looks.look(gateway.log)
            assert looks._suspects == {}


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The reads of entries that this process sends."""
    sent: list[object] = []
    pipeline = RedisConnection.pipeline

    async def counted(self: RedisConnection, commands: Any, **options: Any) -> Any:
        sent.extend(command[2] for command in commands if command[0] == "XRANGE")
        return await pipeline(self, commands, **options)

    monkeypatch.setattr(RedisConnection, "pipeline", counted)
    return sent


async def test_a_look_reads_an_entry_of_many_orders_once(
    redis_url: str, tmp_path: Path, ranges: list[object]
) -> None:
    async with crew(redis_url, tmp_path) as team:
        await team.submit(100)
        looks = DamagedHeads()
        ranges.clear()
        await looks.look(team.log)
        assert looks._suspects == {}
        assert len(ranges) <= 2, "the first entry, for its position, and the only one"


async def test_a_look_has_a_bound_and_the_next_ones_see_the_rest(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: list[object]
) -> None:
    monkeypatch.setattr("gateway.backends.damaged_heads.BYTES_MAX", 1)
    async with (
        crew(redis_url, tmp_path) as team,
        redis.asyncio.from_url(redis_url) as client,
    ):
        ids = [(await team.submit())[0] for _ in range(8)]
        key = team.log.keys.order(ids[5])
        whole = await client.get(key)
        assert isinstance(whole, bytes)
        await client.set(key, HARM["another hash"](whole) or b"")
        looks = DamagedHeads()

        async def is_seen() -> bool:
            ranges.clear()
            await looks.look(team.log)
            assert len(ranges) <= 2
            return ids[5] in looks.faults

        await until(is_seen)
