"""Figure (m): an engine with limits that do not bind beside one without, in one run."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

import msgspec

from tests.bench import children, loads, throughput
from tests.bench.latency_load import Latency
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.yardsticks import Yardsticks

LIMITS = {"CONCURRENCY": "5000", "ORDERS_PER_MINUTE": "10000000"}
ROUNDS = 3


class _Run(NamedTuple):
    rate: float
    p50_ms: float
    p99_ms: float


def that_do_not_bind(subject: Subject, _: Yardsticks, seconds: float) -> Outcome:
    """(m) Limits that do not bind: throughput and latency beside those of no limits."""
    limited = Subject(subject.folder.with_name("m"), LIMITS)
    try:
        runs = [
            (_run(subject, seconds / ROUNDS), _run(limited, seconds / ROUNDS))
            for _ in range(ROUNDS)
        ]
    finally:
        limited.stop()
    without, with_limits = (_median([run[side] for run in runs]) for side in (0, 1))
    rate = with_limits.rate / without.rate
    p50, p99 = with_limits.p50_ms / without.p50_ms, with_limits.p99_ms / without.p99_ms
    rates = f"{with_limits.rate:,.0f}/s with, {without.rate:,.0f}/s without, {ROUNDS} rounds"
    p50s = f"{with_limits.p50_ms:.2f} ms with, {without.p50_ms:.2f} ms without"
    p99s = f"{with_limits.p99_ms:.2f} ms with, {without.p99_ms:.2f} ms without"
    return Outcome(
        (
            _figure("throughput with limits, of that without", rate, ">= 0.9", rate >= 0.9, rates),
            _figure("latency p50 with limits, of that without", p50, "<= 1.1", p50 <= 1.1, p50s),
            _figure("latency p99 with limits, of that without", p99, "<= 1.1", p99 <= 1.1, p99s),
        )
    )


def _figure(what: str, value: float, target: str, reached: bool, note: str) -> Figure:
    return Figure(
        letter="m",
        what=what,
        value=value,
        unit="x",
        targets=(Target(target, reached=reached),),
        note=note,
    )


def _run(subject: Subject, seconds: float) -> _Run:
    rate, _, _ = throughput.through(subject, throughput.CONNECTIONS, seconds, 0)
    argv = children.own("latency_load", subject.port, int(seconds * 200), seconds)
    latency = msgspec.json.decode(loads.watched(argv, subject.bytes_on_disk), type=Latency)
    return _Run(rate, latency.p50_ms, latency.p99_ms)


def _median(runs: list[_Run]) -> _Run:
    return _Run(*(median(values) for values in zip(*runs, strict=True)))
