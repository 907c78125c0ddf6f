"""The metrics: their names, their document, and the text that Prometheus reads."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from engine.commands.metrics import markdown
from events.metrics import METERS, Counter, Histogram, HistogramSeries
from gateway.api.exposition import Gauge, exposed
from gateway.api.metrics import FACTS

ROOT = Path(__file__).parents[3]


def test_the_document_of_the_metrics_is_that_of_the_code() -> None:
    assert (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8") == markdown(), (
        "stale: engine docs --write"
    )


def test_metric_names_follow_the_prometheus_conventions() -> None:
    names = [item.name for item in (*FACTS, *METERS)]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"oee_[a-z]+(_[a-z]+)*", name), name
        assert not re.search(r"_(ms|us|millis|kb|mb|percent)(_|$)", name), f"{name}: base units"
    for meter in METERS:
        if isinstance(meter, Counter):
            assert meter.name.endswith("_total"), meter.name
        if isinstance(meter, Histogram):
            assert meter.name.endswith("_seconds"), meter.name
    assert not any(fact.name.endswith("_total") for fact in FACTS)


def test_a_spread_counts_each_time_in_the_bucket_that_it_fits() -> None:
    histogram = HistogramSeries((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds)
    assert histogram.counts == [2, 1, 1]
    assert histogram.total == 7.65


def test_an_unknown_value_is_absent_and_never_0() -> None:
    known, unknown = Gauge("oee_known", "a"), Gauge("oee_unknown", "b")
    by_stage = Gauge("oee_by_stage", "c", "stage")
    nothing = Gauge("oee_nothing", "d", "stage")
    values = {known: 0, unknown: None, by_stage: {"router": 2.5, "builder": None}, nothing: {}}
    text = exposed("", values)[0].decode()
    assert "\noee_known 0.0\n" in text
    assert 'oee_by_stage{stage="router"} 2.5' in text
    for absent in ("oee_unknown", 'oee_by_stage{stage="builder"}', "oee_nothing"):
        assert absent not in text


def test_prometheus_can_read_what_is_exposed() -> None:
    families = {f.name: f for f in text_string_to_metric_families(exposed("")[0].decode())}
    for meter in METERS:
        assert meter.name.removesuffix("_total") in families
    buckets = [s for s in families["oee_append_seconds"].samples if s.name.endswith("_bucket")]
    counts = [s.value for s in buckets]
    assert counts == sorted(counts)
    assert buckets[-1].labels["le"] == "+Inf"
    assert exposed("application/openmetrics-text; version=1.0.0")[0].endswith(b"# EOF\n")
