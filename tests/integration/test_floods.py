"""What lowers risk works while quotes, feeds and orders have taken all that they can take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from events.archive import Archive, ArchiveUnavailable
from events.commands import api_keys
from events.log import EventLog, order_in
from gateway.middleware.rate_limit import Rates
from tests.support.http.served import Served, served
from tests.support.waits import HANG_S, until

GATE = "test-gate"
BURST = 4
STREAMS = 3
CONNECTIONS = 12
ARCHIVE_CONNECTIONS = 2
QUOTE = "/api/quotes?tokenIn=SOL&tokenOut=USDC&amount=1"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def new_key(gateway: Served, account: str, *scopes: str) -> dict[str, str]:
    issued = await api_keys.create(gateway.log, account, scopes, "", 0, "ann")
    return bearer(issued.text.reveal())


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[EventLog]:
    """The logs of the gateways of a test."""
    opened: list[EventLog] = []
    lane = EventLog.lane

    def noted(log: EventLog, name: str) -> EventLog:
        opened.append(log)
        return lane(log, name)

    monkeypatch.setattr(EventLog, "lane", noted)
    return opened


@contextlib.asynccontextmanager
async def no_budget(gateway: Served, *keys: dict[str, str]) -> AsyncIterator[None]:
    """Quotes use up what these keys may ask for."""
    for key in keys:
        statuses = [(await gateway.get(QUOTE, headers=key))[0] for _ in range(BURST + 1)]
        assert statuses[-1] == 429
    yield


@contextlib.asynccontextmanager
async def no_streams(gateway: Served, key: dict[str, str]) -> AsyncIterator[None]:
    """Sockets take every place for streams; connections that send nothing take the rest."""
    url = f"{gateway.url}/api/events"
    sockets = [await gateway.http.ws_connect(url, headers=key) for _ in range(STREAMS)]
    with pytest.raises(WSServerHandshakeError):
        await gateway.http.ws_connect(url, headers=key)
    host, port = gateway.runner.addresses[0][:2]
    idle = [(await asyncio.open_connection(host, port))[1] for _ in range(2 * CONNECTIONS)]
    yield
    for writer in idle:
        writer.close()
    for socket in sockets:
        await socket.close()


@contextlib.asynccontextmanager
async def no_archive(archive: Archive) -> AsyncIterator[None]:
    """Every connection of the pool to Postgres is in use."""
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(ARCHIVE_CONNECTIONS):
            await taken.enter_async_context(archive.connection(None))
        yield


@contextlib.asynccontextmanager
async def no_log(gateway: Served, own: EventLog) -> AsyncIterator[None]:
    """The gateway's shared connections to the log wait for answers, and the server takes no more.

    Its intake is full then: what is appended waits behind a call that does not end.
    """
    links = [own._link, own._writer, own._reader._link]
    calls = [asyncio.create_task(link.call("BLPOP", GATE, 0, timeout_s=HANG_S)) for link in links]
    server = gateway.log._link

    async def blocked() -> bool:
        lines = (await server.call("CLIENT", "LIST")).decode().splitlines()
        return sum("cmd=blpop" in line for line in lines) == len(links)

    await until(blocked)
    before = (await server.call("CONFIG", "GET", "maxclients"))[1]
    connected = len((await server.call("CLIENT", "LIST")).splitlines())
    try:
        await server.call("CONFIG", "SET", "maxclients", connected)
        yield
    finally:
        await server.call("CONFIG", "SET", "maxclients", before)
        for _ in calls:
            await server.call("RPUSH", GATE, "open")
        await asyncio.wait_for(asyncio.gather(*calls), HANG_S)


async def test_cancels_halt_and_resume_succeed_while_everything_else_is_used_up(
    redis_url: str, database_url: str, logs: list[EventLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = await Archive.open(database_url, connections=ARCHIVE_CONNECTIONS)
    limits: dict[str, Any] = {
        "keys_required": True, "rates": Rates(0.0001, BURST),
        "sockets_max": STREAMS, "connections_max": CONNECTIONS,
    }  # fmt: skip
    async with served(redis_url, archive=archive, **limits) as gateway:
        trader = await new_key(gateway, "trader", "trade", "read", "cancel")
        boss = await new_key(gateway, "boss", "admin")
        other = await new_key(gateway, "other", "trade", "read")
        ids = [(await gateway.post(headers=trader))[1]["orderId"] for _ in range(3)]
        async with (
            no_budget(gateway, trader, boss),
            no_streams(gateway, await new_key(gateway, "feeds", "read")),
            no_archive(archive),
            no_log(gateway, logs[0]),
        ):
            appended: list[Any] = []
            append = logs[0].append

            def counted(requests: Any, **options: Any) -> Any:
                appended.append(append(requests, **options))
                return appended[-1]

            monkeypatch.setattr(logs[0], "append", counted)
            waiting: list[asyncio.Task[Any]] = [
                asyncio.create_task(gateway.post(headers=other)) for _ in range(BURST - 1)
            ]
            waiting.append(asyncio.create_task(gateway.get(f"/api/orders/{ids[0]}", headers=other)))
            await until(lambda: len(appended) == BURST - 1)

            path = f"/api/orders/{ids[0]}"
            assert await gateway.ask("DELETE", path, headers=trader) == (
                200, {"orderId": ids[0], "status": "cancelled"},
            )  # fmt: skip
            status, halted = await gateway.ask(
                "POST", "/api/admin/halt", headers=boss, json={"reason": "flood"}
            )
            assert status == 200, halted
            assert (halted["status"], halted["reason"]) == ("halted", "flood")
            status, many = await gateway.ask("DELETE", "/api/orders?all=true", headers=trader)
            assert status == 200, many
            assert {result["orderId"] for result in many["results"]} == set(ids[1:])
            assert {result["status"] for result in many["results"]} == {"cancelled"}
            status, resumed = await gateway.ask("POST", "/api/admin/resume", headers=boss, json={})
            assert (status, resumed["status"]) == (200, "running")

            # All of it happened in the flood, which is still there.
            assert not any(task.done() for task in waiting)
            for key in (trader, boss):
                assert (await gateway.get(QUOTE, headers=key))[0] == 429
            with pytest.raises(ArchiveUnavailable):
                async with archive.connection(0.01):
                    pass
            heads = await gateway.log.load(ids)
        assert [order_in(h, i).status for h, i in zip(heads, ids, strict=True) if h] == [
            "cancelled"
        ] * 3
        answers = await asyncio.gather(*waiting)
        assert [answer[0] for answer in answers[:-1]] == [202] * (BURST - 1)
    await archive.close()


async def test_a_lane_joins_with_its_log_and_follows_it_into_another_epoch(redis_url: str) -> None:
    log = EventLog(redis_url, build="test")
    lane = log.lane("urgent")
    assert (lane.epoch, lane.joined) == (0, False)
    await log.open()
    assert (lane.epoch, lane.joined, lane.durability) == (log.epoch, True, log.durability)
    late = log.lane("late")
    assert (late.epoch, late.joined) == (log.epoch, True)
    await log.connect_lanes()
    names = (await log._link.call("CLIENT", "LIST")).decode()
    assert {name for name in ("urgent-writer", "urgent-reader", "late-history") if name in names}
    await log.close()
