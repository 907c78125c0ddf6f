"""The metrics of a process: plain numbers, cheap enough for the order path.

Each process has one event loop, so that no lock is needed. `gateway/api/exposition.py` formats
them; values derived from the log are not counted, but queried on request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from events.order import STAGES
from events.status import TERMINAL

SHORT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds for durations of milliseconds."""
LONG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                  30.0, 60.0, 300.0)  # fmt: skip
"""Upper bounds for durations up to minutes."""


class HistogramSeries:
    """A histogram of durations in seconds."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """By bucket, each without those below; the last is above all bounds."""
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Adds a duration."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class Counter:
    """Counts by the value of one label; a metric without a label has the value ""."""

    def __init__(self, name: str, help_: str, label: str = "", values: Sequence[str] = ()) -> None:
        self.name, self.help, self.label = name, help_, label
        self.counts: dict[str, int] = dict.fromkeys(values or (() if label else ("",)), 0)

    def add(self, value: str = "", number: int = 1) -> None:
        """Adds to the count of a label."""
        self.counts[value] = self.counts.get(value, 0) + number


class Histogram:
    """Durations by the value of one label."""

    def __init__(
        self,
        name: str,
        help_: str,
        label: str = "",
        values: Sequence[str] = (),
        *,
        bounds: Sequence[float] = SHORT_BUCKETS_S,
    ) -> None:
        self.name, self.help, self.label, self.bounds = name, help_, label, bounds
        self.spreads: dict[str, HistogramSeries] = {}
        for value in values or (() if label else ("",)):
            self.of(value)

    def of(self, value: str = "") -> HistogramSeries:
        """The series of a label's value."""
        histogram = self.spreads.get(value)
        if histogram is None:
            histogram = self.spreads[value] = HistogramSeries(self.bounds)
        return histogram


REASONS = ("foreign-id", "damaged", "overlap", "duplicate", "not-chained", "beyond-head")
"""The values of `events.log.Reason`."""
RESULTS = ("created", "conflict", "late", "unverified", "suspended", "halted",
           "duplicate", "ambiguous", "fenced")  # fmt: skip

ORDERS = Counter(
    "oee_orders_total",
    "Orders that ended, by outcome, counted by the process that wrote it down",
    "status",
    sorted(TERMINAL),
)
ACCEPTED = Counter("oee_orders_accepted_total", "Orders taken: durable, with a 2xx or without")
DOUBTS = Counter(
    "oee_orders_in_doubt_total", "Times that the outcome of an order's transaction became unclear"
)
PARKED = Counter("oee_orders_parked_total", "Times that an order was parked")
WRITES = Counter(
    "oee_writes_total",
    "Results of appends, one per order; conflict: another writer was faster;"
    " fenced: the log is of another epoch",
    "result",
    RESULTS,
)
APPEND_FAILURES = Counter(
    "oee_append_failures_total", "Append calls that were refused or not answered, and tried again"
)
APPEND = Histogram(
    "oee_append_seconds", "Time of an append call, of any number of orders, until it was durable"
)
STAGE = Histogram(
    "oee_stage_seconds",
    "Time from an order's event to the stage's next event, all waiting included",
    "stage",
    STAGES,
    bounds=LONG_BUCKETS_S,
)
VENUE = Histogram(
    "oee_venue_call_seconds",
    "Time of what a stage asked of, or sent to, venues and chain",
    "stage",
    STAGES,
    bounds=LONG_BUCKETS_S,
)
RPC = Histogram(
    "oee_rpc_call_seconds",
    "Time of one request to a node of the chain that was answered",
    "method",
    bounds=SHORT_BUCKETS_S,
)
RPC_FAILURES = Counter(
    "oee_rpc_failures_total",
    "Requests to nodes that were not answered, or not with what was asked for",
    "method",
)
RPC_FAULTS = Counter(
    "oee_rpc_faults_total",
    "Those of oee_rpc_failures_total by what the answer speaks about: the request, a block that the"
    " node does not have, the size of the call, the method at this node, the node, or the moment",
    "about",
    ("request", "block", "size", "method", "node", "moment"),
)
RPC_UNSERVED = Counter(
    "oee_rpc_unserved_total",
    "Calls that no node of SOLANA_RPC_URL serves, by method: each refused it or rests for it",
    "method",
)
VERSION_REFUSALS = Counter(
    "oee_tx_version_refusals_total",
    "Transactions of version 1 that every node which answered refused for their version",
)
REQUESTS = Histogram(
    "oee_http_request_seconds", "Time of a request until its answer is made", "route"
)
RESPONSES = Counter("oee_http_responses_total", "Answers, by status code", "code")
CUT_OFFS = Counter(
    "oee_ws_closes_total", "Sockets that were closed, by close code; 4408: too slow", "code"
)
PROJECTED = Counter("oee_projected_events_total", "Events written to Postgres")
PROJECTION = Histogram("oee_projection_write_seconds", "Time of a transaction of the projector")
REFUSALS = Counter(
    "oee_log_refused_total",
    "Entries and events in the log that do not continue it, by reason: none of them is archived",
    "reason",
    REASONS,
)
SPANS = Counter("oee_spans_total", "Spans that the collector of traces took")
DROPPED_SPANS = Counter(
    "oee_spans_dropped_total",
    "Spans that were given up: refused permanently, too large alone, or answered with a temporary"
    " refusal for two minutes",
    "reason",
    ("refused", "too-large", "given-up"),
)
UNTRACED = Counter(
    "oee_events_missing_trace_total", "Events left out of traces: too far behind, or not readable"
)

METERS: Sequence[Counter | Histogram] = (
    ORDERS, ACCEPTED, DOUBTS, PARKED, WRITES, APPEND_FAILURES, APPEND, STAGE, VENUE, RPC,
    RPC_FAILURES, RPC_FAULTS, RPC_UNSERVED, VERSION_REFUSALS, REQUESTS, RESPONSES, CUT_OFFS,
    PROJECTED, PROJECTION, REFUSALS, SPANS, DROPPED_SPANS, UNTRACED,
)  # fmt: skip
"""All metrics, as the documentation lists them."""
