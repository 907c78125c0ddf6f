"""Traces: what a collector is sent is what the log says, each once by its ids, whatever dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import redis.asyncio
import structlog
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from engine.telemetry.otlp import Collector
from events.commands import engine_switch
from events.ids import ENGINE_STREAM_ID, trace_id
from events.log import EventLog, Stored
from events.metrics import DROPPED_SPANS, UNTRACED
from events.secret import SecretUrl
from events.types import EngineHalted
from projections.feed.history_reader import HistoryReader
from projections.traces import exporter
from tests.support.http.served import MemoryArchive, served
from tests.support.log.played import Play, after_submission, failed
from tests.support.waits import until

CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STEPS = ["OrderConfirmed", "OrderRouted", "RoutingStarted", "TransactionBuilt",
         "TransactionSubmitted", "order"]  # fmt: skip


class Received:
    """A collector that keeps what it was sent, or refuses it."""

    def __init__(self) -> None:
        self.spans: dict[bytes, Span] = {}
        self.sent = 0
        self.down = False
        self.refused = 0
        self.poison: bytes | None = None
        """The trace whose spans are answered with `poison_status`."""
        self.poison_status = 400
        self.most = 0
        """How many spans it takes in a request; 0: any number."""
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        if self.down:
            self.refused += 1
            raise web.HTTPServiceUnavailable
        message = ExportTraceServiceRequest.FromString(await request.read())
        spans = [s for r in message.resource_spans for scope in r.scope_spans for s in scope.spans]
        if self.most and len(spans) > self.most:
            self.refused += 1
            return web.Response(status=413)
        if any(span.trace_id == self.poison for span in spans):
            self.refused += 1
            return web.Response(status=self.poison_status)
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                self.sent += len(scope.spans)
                self.spans |= {span.span_id: span for span in scope.spans}
        return web.Response()

    def of(self, order_id: str) -> list[Span]:
        trace = bytes.fromhex(trace_id(order_id))
        return [span for span in self.spans.values() if span.trace_id == trace]

    def names(self, order_id: str) -> list[str]:
        return sorted(span.name for span in self.of(order_id))


@pytest.fixture
async def collector() -> AsyncIterator[Received]:
    received = Received()
    app = web.Application()
    app.router.add_post("/v1/traces", received.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    received.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield received
    await runner.cleanup()


@contextlib.asynccontextmanager
async def tracer(
    log: EventLog, to: Received, ratio: float = 1, behind_max: int = exporter.BEHIND_MAX
) -> AsyncIterator[None]:
    begun = asyncio.Event()

    class Begins(HistoryReader):
        async def page(self, after: int) -> list[Stored]:
            events = await super().page(after)
            begun.set()  # what is written from now on is followed
            return events

    stop, past, sender = (
        asyncio.Event(),
        Begins(log, MemoryArchive()),
        Collector(SecretUrl(to.url), "test"),
    )
    work = asyncio.create_task(
        exporter.follow(log, past, sender.send, ratio=ratio, stop=stop, behind_max=behind_max)
    )
    try:
        await begun.wait()
        yield
    finally:
        stop.set()
        await work
        sender.close()
        await past.close()


@pytest.fixture
async def log(redis_url: str) -> AsyncIterator[EventLog]:
    event_log = EventLog(redis_url, build="test")
    await event_log.open()
    await event_log.mark(exporter.MARK, 0)
    yield event_log
    await event_log.close()


async def test_an_order_is_one_trace_with_a_span_for_each_step(
    log: EventLog, collector: Received
) -> None:
    async with tracer(log, collector):
        [order_id] = await Play(log).live()
        await until(lambda: collector.names(order_id) == STEPS)
    spans = collector.of(order_id)
    [root] = [span for span in spans if not span.parent_span_id]
    steps = sorted((s for s in spans if s.parent_span_id), key=lambda s: s.end_time_unix_nano)
    assert {span.parent_span_id for span in steps} == {root.span_id}
    assert (root.name, root.start_time_unix_nano) == ("order", steps[0].start_time_unix_nano)
    assert root.end_time_unix_nano == steps[-1].end_time_unix_nano
    for before, after in itertools.pairwise(steps):
        assert before.end_time_unix_nano == after.start_time_unix_nano
    told = {a.key: a.value for span in steps for a in span.attributes}
    assert told["order.status"].string_value == "confirmed"
    assert told["event.amountOut"].string_value == "148.99"
    assert not any("raw" in a.key for span in spans for a in span.attributes)


async def test_a_collector_on_this_machine_is_reached_without_the_proxy_of_the_shell(
    log: EventLog, collector: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with tracer(log, collector):
        [order_id] = await Play(log).live()
        await until(lambda: collector.names(order_id) == STEPS)


async def test_failures_are_error_spans_and_only_orders_have_traces(
    log: EventLog, collector: Received
) -> None:
    async with tracer(log, collector):
        play = Play(log)
        await engine_switch.halt(log, "odd prices", "ann")
        [order_id] = await play.create()
        await play.append([order_id], failed("no-route"))
        await until(lambda: len(collector.of(order_id)) == 2)
    assert {s.status.message for s in collector.of(order_id)} == {"no-route"}
    assert not collector.of(ENGINE_STREAM_ID)
    assert EngineHalted.__name__ not in {span.name for span in collector.spans.values()}


async def test_a_collector_gets_every_span_after_its_outage(
    log: EventLog, collector: Received
) -> None:
    play, (started, *others) = Play(log), after_submission()
    async with tracer(log, collector):
        ids = await play.create(20)
        await play.append(ids, started)
        await until(lambda: all(collector.of(order_id) for order_id in ids))
        collector.down = True
        await play.append(ids, *others)
        await until(lambda: collector.refused >= 2)
        collector.down = False
        await until(lambda: all(collector.names(order_id) == STEPS for order_id in ids))
    assert all(
        span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans.values()
    )


@pytest.mark.parametrize("status", [400, 401, 404, 422, 500, 501])
async def test_a_batch_refused_permanently_is_dropped_counted_and_does_not_stop_the_next(
    log: EventLog, collector: Received, status: int
) -> None:
    play, before = Play(log), DROPPED_SPANS.counts["refused"]
    collector.poison_status = status
    async with tracer(log, collector):
        with structlog.testing.capture_logs() as lines:
            [poisoned] = await play.create()
            collector.poison = bytes.fromhex(trace_id(poisoned))
            await play.append([poisoned], failed("no-route"))
            await until(lambda: DROPPED_SPANS.counts["refused"] > before)
            refused = collector.refused
            [order_id] = await play.live()
            await until(lambda: collector.names(order_id) == STEPS)
    assert collector.refused == refused, "a refusal was repeated"
    dropped = [line for line in lines if line["event"] == "spans_dropped"]
    assert {(line["log_level"], line["cause"]) for line in dropped} == {
        ("warning", f"HTTP {status}")
    }
    assert sum(line["spans"] for line in dropped) == DROPPED_SPANS.counts["refused"] - before


async def test_a_batch_that_is_too_large_is_halved_until_it_is_taken(
    log: EventLog, collector: Received
) -> None:
    collector.most = 5
    async with tracer(log, collector):
        ids = await Play(log).live(20)
        await until(lambda: all(collector.names(order_id) == STEPS for order_id in ids))
    assert collector.refused


async def test_a_restarted_tracer_continues_the_same_spans(
    log: EventLog, collector: Received
) -> None:
    play, (started, *others) = Play(log), after_submission()
    async with tracer(log, collector):
        ids = await play.create(10)
        await play.append(ids, started)
        await until(lambda: all(collector.of(order_id) for order_id in ids))
    await play.append(ids, *others)
    async with tracer(log, collector):
        await until(lambda: all(collector.names(order_id) == STEPS for order_id in ids))
        roots = Counter(len({s.parent_span_id for s in collector.of(i)} - {b""}) for i in ids)
    assert roots == {1: 10}


async def test_a_tracer_that_died_before_it_sent_anything_misses_nothing_since_it_began(
    log: EventLog, collector: Received
) -> None:
    async with redis.asyncio.from_url(log.url.reveal()) as client:  # as on the first day
        await client.delete(log.keys.mark(exporter.MARK))

    async def begun() -> bool:
        return await log.marked(exporter.MARK) is not None

    async with tracer(log, collector):
        await until(begun)
    [order_id] = await Play(log).live()
    async with tracer(log, collector):
        await until(lambda: collector.names(order_id) == STEPS)


async def test_the_trace_ratio_selects_whole_orders(log: EventLog, collector: Received) -> None:
    async with tracer(log, collector, ratio=0.25):
        ids = await Play(log).live(400)
        head = await log.position()

        async def read() -> bool:
            return await log.marked(exporter.MARK) == head

        await until(read)
    traced = [order_id for order_id in ids if collector.of(order_id)]
    assert 50 < len(traced) < 150  # 100 ± 5.8 standard deviations
    assert all(collector.names(order_id) == STEPS for order_id in traced)


async def test_a_tracer_too_far_behind_logs_the_skipped_events(
    log: EventLog, collector: Received
) -> None:
    play, before = Play(log), UNTRACED.counts[""]
    missed = await play.live(10)
    async with tracer(log, collector, behind_max=30):
        await until(lambda: UNTRACED.counts[""] > before)
        [order_id] = await play.live()
        await until(lambda: collector.names(order_id) == STEPS)
    assert UNTRACED.counts[""] == before + 60
    assert not any(collector.of(order_id) for order_id in missed)


async def test_an_order_whose_first_events_are_trimmed_is_skipped_and_others_are_traced(
    log: EventLog, collector: Received
) -> None:
    play, (started, *others) = Play(log), after_submission()
    [old] = await play.create()
    await play.append([old], started)
    await log.mark(exporter.MARK, await log.position())
    async with redis.asyncio.from_url(log.url.reveal()) as client:  # nor does the archive have it
        last = await log.position()
        await client.xtrim(log.keys.log, minid=f"{last + 1}-0", approximate=False)
    async with tracer(log, collector):
        await play.append([old], *others)
        [new] = await play.live()
        await until(lambda: collector.names(new) == STEPS)
    assert collector.of(old) == []


async def test_the_trace_of_a_client_is_linked_and_not_part_of_the_idempotent_request(
    redis_url: str, collector: Received
) -> None:
    async with served(redis_url) as gateway:
        await gateway.log.mark(exporter.MARK, 0)
        async with tracer(gateway.log, collector):
            key = {"Idempotency-Key": "k"}
            _, first, _ = await gateway.post(headers=key | {"traceparent": CLIENTS})
            status, again, _ = await gateway.post(headers=key | {"traceparent": "nonsense"})
            assert (status, again["orderId"]) == (200, first["orderId"])
            await gateway.append(first["orderId"], *after_submission())
            await until(lambda: collector.names(first["orderId"]) == STEPS)
    [link] = [link for span in collector.of(first["orderId"]) for link in span.links]
    assert f"00-{link.trace_id.hex()}-{link.span_id.hex()}-01" == CLIENTS


async def test_one_request_id_joins_the_answer_the_log_line_the_history_and_every_span(
    redis_url: str, collector: Received
) -> None:
    async with served(redis_url) as gateway:
        await gateway.log.mark(exporter.MARK, 0)
        async with tracer(gateway.log, collector):
            with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
                status, taken, headers = await gateway.post(headers={"X-Request-Id": "desk-7"})
                assert (status, headers["X-Request-Id"]) == (202, "desk-7")
                await gateway.post(headers={"X-Request-Id": "desk-8"})
            order_id = taken["orderId"]
            _, history = await gateway.get(f"/api/orders/{order_id}/events")
            await gateway.append(order_id, *after_submission())
            await until(lambda: collector.names(order_id) == STEPS)
    accepted = {
        line["order_id"]: (line["request_id"], line["log_level"], line["account"])
        for line in lines
        if line["event"] == "order_accepted"
    }
    assert accepted[order_id] == ("desk-7", "debug", "main")
    assert sorted(line[0] for line in accepted.values()) == ["desk-7", "desk-8"]
    assert history["events"][0]["requestId"] == "desk-7"
    named = [
        {value.key: value.value.string_value for value in span.attributes}.get("request.id")
        for span in collector.of(order_id)
    ]
    assert named == ["desk-7"] * len(STEPS)


def test_without_an_endpoint_no_process_imports_opentelemetry() -> None:
    code = (
        "import sys; from engine.processes import fast_imports; fast_imports.load()\n"
        "import gateway.app, projections.postgres.projector, stages.runtime.runner\n"
        "import engine.composition.gateway, engine.composition.projector\n"
        "import engine.composition.stages\n"
        "import engine.commands.up, engine.commands.stage, stages.venues.solana.rpc.link\n"
        "sys.exit(any(name.split('.')[0] in ('opentelemetry', 'rich') for name in sys.modules))"
    )
    assert subprocess.call([sys.executable, "-c", code]) == 0
