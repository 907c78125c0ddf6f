"""Figure (d): from the POST to the `confirmed` frame on a WebSocket, one order in flight."""

from __future__ import annotations

import msgspec

from tests.bench import children, loads
from tests.bench.latency_load import Latency
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.yardsticks import Yardsticks


def alone(subject: Subject, yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(d) From POST to `confirmed` on the WebSocket, one in flight."""
    subject.settle()
    with yardsticks.around(connections=1, set_connections=1) as known:
        argv = children.own("latency_load", subject.port, int(seconds * 200), seconds)
        latency = msgspec.json.decode(loads.watched(argv, subject.bytes_on_disk), type=Latency)
    note = (
        f"{latency.orders} orders, longest {latency.max_ms:.1f} ms; the 202 after "
        f"{latency.accepted_p50_ms:.2f} ms (p50). Yardsticks: p50 with one in flight"
    )
    return Outcome(
        (
            Figure(
                letter="d",
                what="POST to confirmed frame, p50",
                value=latency.p50_ms,
                unit="ms",
                set_yardstick=known.set_ms,
                post_yardstick=known.post_ms,
                targets=(Target("<= 3 ms", latency.p50_ms <= 3),),
                note=note,
            ),
            Figure(
                letter="d",
                what="POST to confirmed frame, p99",
                value=latency.p99_ms,
                unit="ms",
                targets=(Target("<= 10 ms", latency.p99_ms <= 10),),
            ),
        )
    )
