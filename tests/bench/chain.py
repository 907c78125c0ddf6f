"""Figure (j): orders on the local chain, in both transaction versions and consensus models.

SLOT_MS=0: transactions are executed as they come. Each pair of version and model has an engine of
its own, as shipped but for its limits; the chain is one process of it. One wallet signs all
orders. Bounded in orders, in time, and in bytes on disk.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.bench import children, cpu, loads
from tests.bench.chain_load import Traded
from tests.bench.report import Figure, Outcome, Profile, Target
from tests.bench.subject import Subject
from tests.bench.throughput import CONNECTIONS
from tests.bench.yardsticks import Yardsticks

SETTINGS = {"VENUES": "raydium,meteora", "SLOT_MS": "0"}
VARIANTS = tuple(product(("alpenglow", "tower"), ("1", "0")))
"""Consensus model and transaction version of each engine that is measured."""
IN_FLIGHT = 64
ORDERS_A_SECOND = 2_000
"""More than there are: what bounds a run is its time."""


class _Load(NamedTuple):
    traded: Traded
    profile: Profile


def on_the_local_chain(subject: Subject, yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(j) Orders on the local chain, SLOT_MS=0, both transaction versions and consensus models."""
    outcomes = [
        _variant(subject.folder, yardsticks, seconds, consensus, version)
        for consensus, version in VARIANTS
    ]
    figures = tuple(figure for outcome in outcomes for figure in outcome.figures)
    return Outcome(figures, outcomes[0].profile)


def _variant(
    folder: Path, yardsticks: Yardsticks, seconds: float, consensus: str, version: str
) -> Outcome:
    """One engine: many orders in flight, then one at a time."""
    settings = SETTINGS | {"CONSENSUS": consensus, "TX_VERSION": version}
    engine = Subject(folder.with_name(f"j-{consensus}-{version}"), settings)
    try:
        with yardsticks.around(connections=CONNECTIONS) as many:
            busy = _load(engine, IN_FLIGHT, seconds)
        with yardsticks.around(connections=1, set_connections=1) as around:
            alone = _load(engine, 1, seconds)
    finally:
        engine.stop()
    rate = busy.traded.orders / busy.traded.seconds if busy.traded.seconds else 0.0
    variant = f"v{version}, {consensus}"
    return Outcome(
        (
            Figure(
                letter="j",
                what=f"{variant}: orders, {IN_FLIGHT} in flight",
                value=rate,
                unit="/s",
                set_yardstick=many.set_rate,
                post_yardstick=many.post_rate,
                targets=(_all_confirmed(busy.traded),),
                note=_note(busy.traded),
            ),
            Figure(
                letter="j",
                what=f"{variant}: POST to confirmed, p50",
                value=alone.traded.p50_ms,
                unit="ms",
                set_yardstick=around.set_ms,
                post_yardstick=around.post_ms,
                targets=(_all_confirmed(alone.traded),),
                note=f"{_note(alone.traded)}. One in flight",
            ),
            Figure(
                letter="j",
                what=f"{variant}: POST to confirmed, p99",
                value=alone.traded.p99_ms,
                unit="ms",
            ),
        ),
        busy.profile,
    )


def _load(ours: Subject, in_flight: int, seconds: float) -> _Load:
    ours.settle()
    before = ours.cpu()
    argv = children.own("chain_load", ours.port, in_flight, int(seconds * ORDERS_A_SECOND), seconds)
    traded = msgspec.json.decode(loads.watched(argv, ours.bytes_on_disk), type=Traded)
    ours.settle()
    spent = cpu.between(before, ours.cpu(), 0.0)
    profile = Profile(
        what="local chain", orders=traded.orders or 1, seconds=traded.seconds, spent=spent
    )
    return _Load(traded, profile)


def _all_confirmed(traded: Traded) -> Target:
    """Prices move under slippage: a few refused swaps are not a fault, but they are reported."""
    share = traded.ends.get("confirmed", 0) / max(1, traded.orders)
    return Target(">= 98 % confirmed", share >= 0.98)


def _note(traded: Traded) -> str:
    ends = ", ".join(f"{count:,} {how}" for how, count in traded.ends.items())
    return f"{ends}; longest {traded.max_ms:.1f} ms"
