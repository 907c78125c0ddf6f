"""Figures (a), (b) and (c): how many orders are accepted, and how many go all the way.

A run ends when every accepted order is terminal and projected; then Postgres is asked whether there
are as many confirmed orders more as were accepted.
"""

from __future__ import annotations

import time

from tests.bench import cpu, loads
from tests.bench.closed_loop import Load
from tests.bench.report import Figure, Outcome, Profile, Target
from tests.bench.subject import Subject
from tests.bench.yardsticks import Yardsticks

CONNECTIONS = 128
BATCH_CONNECTIONS = 4
BATCH = 200


def accepted(subject: Subject, yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(a) Single POSTs: rate and latency of acceptance."""
    with yardsticks.around(connections=CONNECTIONS) as known:
        load = _posts(subject, CONNECTIONS, seconds)
        subject.settle()
    note = f"{CONNECTIONS} connections, {load.refused} refused"
    return Outcome(
        (
            Figure(
                letter="a",
                what="single POSTs accepted",
                value=load.orders / load.seconds,
                unit="/s",
                set_yardstick=known.set_rate,
                post_yardstick=known.post_rate,
                note=note,
            ),
            Figure(
                letter="a",
                what="their latency, p50",
                value=load.p50_ms,
                unit="ms",
                set_yardstick=known.set_ms,
                post_yardstick=known.post_ms,
            ),
            Figure(letter="a", what="their latency, p99", value=load.p99_ms, unit="ms"),
        )
    )


def singles(subject: Subject, yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(b) Single POSTs until all are confirmed and projected."""
    with yardsticks.around(connections=CONNECTIONS) as known:
        rate, note, profile = through(subject, CONNECTIONS, seconds, 0)
    targets = (
        Target(">= 6,000/s", rate >= 6000),
        Target(">= 0.3 x bare POST", rate >= 0.3 * known.post_rate),
    )
    figure = Figure(
        letter="b",
        what="single POSTs confirmed and projected",
        value=rate,
        unit="/s",
        set_yardstick=known.set_rate,
        post_yardstick=known.post_rate,
        targets=targets,
        note=note,
    )
    return Outcome((figure,), profile)


def batches(subject: Subject, yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(c) The same in batches. The bare handler is given the same batches."""
    with yardsticks.around(connections=BATCH_CONNECTIONS, batch=BATCH) as known:
        rate, note, profile = through(subject, BATCH_CONNECTIONS, seconds, BATCH)
    figure = Figure(
        letter="c",
        what=f"in batches of {BATCH} confirmed and projected",
        value=rate,
        unit="/s",
        set_yardstick=known.set_rate,
        post_yardstick=known.post_rate * BATCH,
        targets=(Target(">= 20,000/s", rate >= 20_000),),
        note=note,
    )
    return Outcome((figure,), profile)


def _posts(subject: Subject, connections: int, seconds: float, batch: int = 0) -> Load:
    return loads.posts(
        subject.port,
        connections=connections,
        seconds=seconds,
        batch=batch,
        grown=subject.bytes_on_disk,
    )


def through(
    subject: Subject, connections: int, seconds: float, batch: int
) -> tuple[float, str, Profile]:
    """Orders a second until all are confirmed and projected, a note, and the CPU spent."""
    subject.settle()
    before, spent = subject.statuses(), subject.cpu()
    start = time.monotonic()
    load = _posts(subject, connections, seconds, batch)
    loaded = time.monotonic()
    subject.settle()
    drained = time.monotonic()
    # Starting the loader is not measured.
    took = load.seconds + (drained - loaded)
    used = cpu.between(spent, subject.cpu(), load.cpu_s)
    confirmed = subject.statuses().get("confirmed", 0) - before.get("confirmed", 0)
    note = (
        f"{confirmed:,} confirmed of {load.orders:,} accepted, {load.refused} refused; accepted "
        f"{load.orders / load.seconds:,.0f}/s for {load.seconds:.1f} s, "
        f"then {drained - loaded:.1f} s to drain"
    )
    # What was in flight when the loader left was taken, and it did not hear of it.
    if confirmed < load.orders:
        note += "  NOT ALL"
    what = "batches" if batch else "single POSTs"
    profile = Profile(what=what, orders=load.orders, seconds=drained - start, spent=used)
    return confirmed / took, note, profile
