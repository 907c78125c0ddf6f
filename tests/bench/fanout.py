"""Figure (e): frames a second to 1, 100 and 1,000 subscribers of all events."""

from __future__ import annotations

import msgspec

from tests.bench import children, loads
from tests.bench.fanout_load import Fanout
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.throughput import CONNECTIONS
from tests.bench.yardsticks import Yardsticks

# Subscribers -> orders a batch: enough events at once that the fan-out is what takes the time.
SUBSCRIBERS = {1: 200, 100: 100, 1000: 20}
TARGET = 100_000


def frames(subject: Subject, yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(e) WebSocket frames to 1, 100 and 1,000 subscribers, each checked to miss none."""
    result = []
    for subscribers, batch in SUBSCRIBERS.items():
        subject.settle()
        with yardsticks.around(connections=CONNECTIONS) as known:
            argv = children.own("fanout_load", subject.port, subscribers, batch, seconds)
            came = msgspec.json.decode(loads.watched(argv, subject.bytes_on_disk), type=Fanout)
        rate = came.frames / came.seconds
        targets = []
        if subscribers > 1:
            targets.append(Target(">= 100,000/s", rate >= TARGET))
        targets.append(Target("complete, in order", came.same and came.gap_free))
        note = (
            f"{came.events:,} events of {came.bytes // max(1, came.frames)} B a frame, "
            f"{came.bytes / came.seconds / 2**20:,.0f} MiB/s; "
            f"clients took {came.cpu_s / came.seconds:.0%} of a core"
        )
        if subscribers == 1:
            note += "; no more than the orders make"
        result.append(
            Figure(
                letter="e",
                what=f"WebSocket frames to {subscribers:,}",
                value=rate,
                unit="/s",
                set_yardstick=known.set_rate,
                post_yardstick=known.post_rate,
                targets=tuple(targets),
                note=note,
            )
        )
    return Outcome(tuple(result))
