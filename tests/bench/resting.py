"""Figure (h): orders that wait: a tick over a million, a restart with 100,000, a sniper's way."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from itertools import permutations
from typing import NamedTuple

from engine.settings import Settings
from events.commands import orders as order_commands
from events.ids import new_order_id
from events.log import EventLog, LogReader, LogTruncated
from events.log.group_commit import UNITS_PER_CALL
from events.money import price_units
from events.types import OrderArmed, OrderSubmitted, OrderTriggered, TransactionSubmitted
from stages.limits.limiter import RateAndConcurrencyLimiter
from stages.triggers.runner import TriggerRunner
from stages.triggers.trigger_book import TriggerBook
from stages.venues.simulated.venue import DEXES, TOKENS, SimulatedVenue, Simulation
from stages.venues.venue_group import VenueGroup
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.yardsticks import Yardsticks

BOOK = 1_000_000
MEASURED = 100_000
"""Orders whose memory is counted: counting slows everything down."""
RESTING = 100_000
TICKS = 2000
QUICK_S = 10
"""Less time than this means that fewer orders will do."""
SNIPED = ("SOL", "USDC", "USDT", "RAY", "BONK", "JUP", "NEW")
_NEVER = 10**30


def orders_that_wait(subject: Subject, _: Yardsticks, seconds: float) -> Outcome:
    """(h) Books, restarts and snipers."""
    share = 1 if seconds >= QUICK_S else 10
    return Outcome(
        (
            _tick(BOOK // share),
            _memory(MEASURED // share),
            asyncio.run(_rebuild(subject, RESTING // share)),
            *asyncio.run(_snipers(subject, seconds)),
        )
    )


def _filled(orders: int) -> TriggerBook:
    book = TriggerBook()
    for n in range(orders):
        book.add(new_order_id(), _NEVER + n * 7919 % 1_000_003, 0)
    book.rewind(0)  # as after a restart: who waits for a slot that is over is in at once
    return book


def _tick(orders: int) -> Figure:
    book = _filled(orders)
    gc.collect()
    took = []
    for slot in range(1, TICKS):
        price = price_units(f"{100 + slot % 7}.25")
        began = time.perf_counter()
        tick = book.tick(slot, price)
        took.append(time.perf_counter() - began)
        assert not tick
    worst_ms = max(took) * 1000
    return Figure(
        letter="h",
        what=f"tick that triggers none of {orders:,}, longest",
        value=worst_ms,
        unit="ms",
        targets=(Target("<= 1 ms", worst_ms <= 1),),
        note=f"median {statistics.median(took) * 1e6:.1f} µs of {TICKS:,} ticks",
    )


def _memory(orders: int) -> Figure:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        book = _filled(orders)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return Figure(
        letter="h", what="memory a resting order, in a book", value=used / len(book), unit="B"
    )


# -- restart -------------------------------------------------------------------------------------


def _market() -> VenueGroup:
    simulation = Simulation(seed=Settings().venue_seed)
    return VenueGroup([SimulatedVenue(*dex, simulation) for dex in DEXES], timeout_s=5)


async def _opened(subject: Subject) -> EventLog:
    log = EventLog(subject.record.redis_url, build="bench")
    await log.open(create=False)
    return log


async def _place(log: EventLog, facts: list[OrderSubmitted]) -> list[str]:
    ids = [new_order_id() for _ in facts]
    for at in range(0, len(facts), UNITS_PER_CALL):
        requests = [
            log.build_creation(order_id, "bench", fact)[0]
            for order_id, fact in zip(ids[at:], facts[at : at + UNITS_PER_CALL], strict=False)
        ]
        await log.append(requests)
    return ids


async def _until_resting(log: EventLog, number: int) -> None:
    while await log.resting() < number:
        await asyncio.sleep(0.02)


async def _rebuild(subject: Subject, orders: int) -> Figure:
    log = await _opened(subject)
    facts = [
        OrderSubmitted(
            "limit", "SOL", "USDC", 9, 6, 10**9, 50, target_price=str(10**6 + n),
            time_in_force="GTC",
        )
        for n in range(orders)
    ]  # fmt: skip
    before = await log.resting()
    ids = await _place(log, facts)
    await _until_resting(log, before + orders)
    limits = RateAndConcurrencyLimiter(
        "redis://127.0.0.1:1", "bench"
    )  # none: it opens no connection
    watching = TriggerRunner(log, _market(), "bench", lease_ms=10_000, limits=limits)
    began = time.perf_counter()
    await watching._build()
    took_s = time.perf_counter() - began
    resting = watching.resting
    await watching._watches.close()
    for at in range(0, orders, UNITS_PER_CALL):
        some = ids[at : at + UNITS_PER_CALL]
        await asyncio.gather(*(order_commands.cancel(log, order_id, "bench") for order_id in some))
    await log.close()
    return Figure(
        letter="h",
        what=f"books of {orders:,} resting orders rebuilt",
        value=took_s,
        unit="s",
        targets=(Target("<= 5 s", took_s <= 5 and resting >= orders),),
    )


# -- snipers ---------------------------------------------------------------------------------------


class Shot(NamedTuple):
    """When a sniper's event was, and when it was recorded as sent (µs)."""

    event_us: int
    sent_us: int


async def _snipers(subject: Subject, seconds: float) -> tuple[Figure, ...]:
    slot_us = int(subject.environ.get("SLOT_MS", Settings().slot_ms)) * 1000
    log = await _opened(subject)
    reader = log.reader("bench")
    try:
        shots = await _shoot(log, reader, slot_us, seconds)
    finally:
        await reader.close()
        await log.close()
    if not shots:
        target = Target("measured", reached=False)
        return (Figure(letter="h", what="sniper", value=0, unit="", targets=(target,)),)
    took = sorted((shot.sent_us - shot.event_us) / 1000 for shot in shots)
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    what = "pool event to TransactionSubmitted"
    note = (
        f"{len(took)} snipers, longest {took[-1]:.1f} ms; from the first moment of the slot"
        " to the append, by the log server's clock"
    )
    return (
        Figure(
            letter="h", what=f"{what}, p50", value=p50, unit="ms",
            targets=(Target("<= 5 ms", p50 <= 5),), note=note,
        ),
        Figure(letter="h", what=f"{what}, p99", value=p99, unit="ms"),
    )  # fmt: skip


async def _shoot(log: EventLog, reader: LogReader, slot_us: int, seconds: float) -> list[Shot]:
    """One sniper a pair, one pool event each: what fires at once is one order (or the two ways)."""
    after = await log.position()
    facts = [
        OrderSubmitted(
            "sniper", item, other, TOKENS[item].decimals, TOKENS[other].decimals,
            10 ** TOKENS[item].decimals, 5000, time_in_force="GTC",
        )
        for item, other in permutations(SNIPED, 2)
    ]  # fmt: skip
    before = await log.resting()
    ids = set(await _place(log, facts))
    await _until_resting(log, before + 1)
    events: dict[str, int] = {}
    rested: dict[str, int] = {}
    shots: dict[str, Shot] = {}
    deadline = time.monotonic() + 2 * seconds
    while len(shots) < len(ids) and time.monotonic() < deadline:
        try:
            batches = await reader.read(after)
        except LogTruncated:
            after = (await log.bounds())[0] - 1
            continue
        for batch in batches:
            for position, record in enumerate(batch.records, batch.first):
                event = record.event()
                if position <= after or event.order_id not in ids:
                    continue
                if isinstance(event.fact, OrderArmed):
                    rested[event.order_id] = event.fact.slot
                elif isinstance(event.fact, OrderTriggered):
                    if event.fact.slot == rested[event.order_id]:
                        ids.discard(event.order_id)  # it came after its event
                        continue
                    events[event.order_id] = event.fact.slot * slot_us
                elif isinstance(event.fact, TransactionSubmitted) and event.order_id in events:
                    shots.setdefault(event.order_id, Shot(events[event.order_id], batch.time_us))
            after = max(after, batch.last)
        await asyncio.sleep(0.02)
    for order_id in ids - shots.keys():
        await order_commands.cancel(log, order_id, "bench")
    return list(shots.values())
