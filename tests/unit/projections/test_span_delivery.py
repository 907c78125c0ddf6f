"""What follows each reply of a collector, and that no batch is in the way without end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import structlog

from events.metrics import DROPPED_SPANS, SPANS
from projections.traces.delivery import BATCH, GIVE_UP_S, Delivery, Reply, Verdict, judge
from projections.traces.spans import Span


@pytest.mark.parametrize(
    ("status", "spans", "verdict"),
    [
        (200, 5, Verdict.TAKEN), (202, 1, Verdict.TAKEN),
        (None, 5, Verdict.RETRY), (408, 5, Verdict.RETRY), (429, 5, Verdict.RETRY),
        (502, 1, Verdict.RETRY), (503, 5, Verdict.RETRY), (504, 5, Verdict.RETRY),
        (413, 5, Verdict.HALVE), (413, 1, Verdict.REFUSED),
        (302, 5, Verdict.REFUSED), (400, 5, Verdict.REFUSED), (401, 5, Verdict.REFUSED),
        (403, 1, Verdict.REFUSED), (404, 5, Verdict.REFUSED), (415, 5, Verdict.REFUSED),
        (500, 5, Verdict.REFUSED), (501, 5, Verdict.REFUSED),
    ],
)  # fmt: skip
def test_only_what_a_retry_can_change_is_retried(
    status: int | None, spans: int, verdict: Verdict
) -> None:
    assert judge(Reply(status), spans) is verdict


def test_spans_that_cannot_be_encoded_are_isolated_and_dropped() -> None:
    assert judge(Reply(None, encodable=False), 2) is Verdict.HALVE
    assert judge(Reply(None, encodable=False), 1) is Verdict.REFUSED


def span(number: int) -> Span:
    return Span(
        trace_id=1, span_id=number, parent_id=0, name="order", start_us=0, end_us=0, attributes={}
    )


class Collector:
    """Answers as told, and keeps what it took."""

    def __init__(self) -> None:
        self.reply = Reply(200)
        self.bad: int | None = None
        """The span whose batch gets `bad_reply`."""
        self.bad_reply = Reply(413)
        self.taken: list[int] = []

    async def send(self, spans: Sequence[Span]) -> Reply:
        ids = [span.span_id for span in spans]
        reply = self.bad_reply if self.bad in ids else self.reply
        if reply.status == 200:
            self.taken += ids
        return reply


async def test_a_span_that_is_too_large_alone_costs_no_other_span() -> None:
    collector, before = Collector(), DROPPED_SPANS.counts["too-large"]
    collector.bad = 7
    delivery = Delivery(collector.send)
    delivery.add([span(number) for number in range(2 * BATCH)])
    assert await delivery.deliver()
    assert collector.taken == [number for number in range(2 * BATCH) if number != 7]
    assert DROPPED_SPANS.counts["too-large"] == before + 1


async def test_a_batch_answered_with_a_temporary_refusal_is_given_up_after_a_bound() -> None:
    now = 0.0
    collector, before, sent = Collector(), DROPPED_SPANS.counts["given-up"], SPANS.counts[""]
    collector.reply = Reply(503)
    delivery = Delivery(collector.send, lambda: now)
    delivery.add([span(number) for number in range(BATCH)])
    assert not await delivery.deliver()
    now = GIVE_UP_S - 1
    assert not await delivery.deliver()
    collector.reply = Reply(None, "refused")
    assert not await delivery.deliver(), "a collector that is away costs no span"
    collector.reply = Reply(503)
    assert not await delivery.deliver()
    delivery.add([span(number) for number in range(1000, 1010)])
    collector.bad, collector.bad_reply, collector.reply = 3, Reply(503), Reply(200)
    now += GIVE_UP_S
    assert await delivery.deliver()
    assert collector.taken == list(range(1000, 1010))
    assert DROPPED_SPANS.counts["given-up"] == before + BATCH
    assert SPANS.counts[""] == sent + 10


async def test_an_outage_of_the_collector_is_two_lines() -> None:
    collector = Collector()
    delivery = Delivery(collector.send)
    with structlog.testing.capture_logs() as lines:
        for reply in (Reply(None, "refused"), Reply(503), Reply(None, "refused"), Reply(200)):
            collector.reply = reply
            delivery.add([span(1)])
            await delivery.deliver()
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("backend_outage_begun", "warning"),
        ("backend_outage_over", "info"),
    ]
    assert lines[0]["backend"] == "collector"
