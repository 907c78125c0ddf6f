"""/metrics of a real gateway and of real stages: what it says is what is so."""

from __future__ import annotations

import contextlib
import random
import socket
from functools import partial
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from events.types import OrderCancelled, OrderParked
from tests.support.http.served import MemoryArchive, served
from tests.support.processes.engine_up import engine_up
from tests.support.waits import until

Samples = dict[tuple[str, str], float]
"""(name, value of its label) -> value."""


async def scraped(http: aiohttp.ClientSession, url: str) -> Samples:
    async with http.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        text = await answer.text()
    return {
        (s.name, next((v for k, v in s.labels.items() if k != "le"), "")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if not s.name.startswith(("process_",))
    }


async def test_the_metrics_of_the_gateway_show_the_state_of_the_log(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        before = await scraped(gateway.http, gateway.url)
        first, second = await gateway.accepted(), await gateway.accepted()
        await gateway.append(first, OrderParked("router", "odd", "engine"))
        await gateway.append(second, OrderCancelled("ann"))
        now = await scraped(gateway.http, gateway.url)
        assert (now["oee_accepting", ""], now["oee_log_up", ""], now["oee_halted", ""]) == (1, 1, 0)
        assert now["oee_log_head_position", ""] == 4
        assert now["oee_stage_orders", "router"] == 0
        assert (now["oee_orders_open", ""], now["oee_orders_parked", ""]) == (1, 1)
        assert now["oee_orders_parked_oldest_seconds", ""] < 60
        assert ("oee_orders_parked_oldest_seconds", "") not in before, "nothing is parked: no age"
        grown = {key: value - before.get(key, 0) for key, value in now.items()}
        assert grown["oee_orders_accepted_total", ""] == 2
        assert grown["oee_orders_parked_total", ""] == 1
        assert grown["oee_orders_total", "cancelled"] == 1
        assert grown["oee_writes_total", "created"] == 4
        assert grown["oee_append_seconds_count", ""] >= 3
        assert grown["oee_http_request_seconds_count", "POST /api/orders/execute"] == 2


async def test_a_write_on_an_old_head_is_counted_as_a_conflict(redis_url: str) -> None:
    async with served(redis_url) as gateway:
        order_id = await gateway.accepted()
        [head] = await gateway.log.load([order_id])
        assert head is not None
        request, _ = gateway.log.build_append_of(head, head.order, [OrderCancelled("ann")])
        late, _ = gateway.log.build_append_of(head, head.order, [OrderCancelled("bob")])
        await gateway.log.append([request])
        before = await scraped(gateway.http, gateway.url)
        await gateway.log.append([late])
        now = await scraped(gateway.http, gateway.url)
        key = ("oee_writes_total", "conflict")
        assert now[key] - before[key] == 1
        assert now["oee_orders_total", "cancelled"] == before["oee_orders_total", "cancelled"]


async def test_metrics_from_postgres_are_absent_without_it(redis_url: str) -> None:
    archive = MemoryArchive()
    async with served(redis_url, archive=archive) as gateway:
        await gateway.accepted()
        with_it = await scraped(gateway.http, gateway.url)
        assert (with_it["oee_orders_in_doubt", ""], with_it["oee_postgres_up", ""]) == (0, 1)
        assert with_it["oee_projection_lag_events", ""] == 1
        archive.down = True
        without = await scraped(gateway.http, gateway.url)
        assert without["oee_postgres_up", ""] == 0
        for name in ("oee_orders_in_doubt", "oee_projection_lag_events", "oee_projection_position"):
            assert (name, "") not in without
        assert without["oee_log_head_position", ""] == 1


def six_free_ports() -> int:
    """The first of six in a row, below those that the kernel gives to connections."""
    while True:
        first = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + 6):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


async def test_every_process_exposes_its_own_metrics(short_path: Path) -> None:
    port = six_free_ports()
    async with engine_up(short_path, metrics_port=port) as engine:
        ids = await engine.submit_many(3)
        await engine.ended(ids)
        gateway = await scraped(engine.http, engine.url)
        assert gateway["oee_orders_accepted_total", ""] == 3

        async def counted(number: int, stage: str) -> bool:
            """Whether it has counted all: an event is seen before its writer counts it."""
            own = await scraped(engine.http, f"http://127.0.0.1:{port + number}")
            confirmed = 3 if stage == "confirmer" else 0
            assert own["oee_orders_total", "confirmed"] <= confirmed
            calls = own.get(("oee_venue_call_seconds_count", stage), 0)
            return (
                own.get(("oee_stage_seconds_count", stage), 0) >= 3
                and own["oee_orders_total", "confirmed"] == confirmed
                and (calls >= 1 or stage not in ("router", "submitter"))
            )

        for number, stage in enumerate(("router", "builder", "submitter", "confirmer")):
            await until(partial(counted, number, stage))
        head = gateway["oee_log_head_position", ""]

        async def projected() -> bool:
            own = await scraped(engine.http, f"http://127.0.0.1:{port + 5}")
            return own["oee_projected_events_total", ""] >= head

        await until(projected)
