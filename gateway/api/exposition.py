"""Metrics in the Prometheus text format: counters of the processes, and gauges."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from events.metrics import METERS, Counter, Histogram
from gateway.http import response_headers

_process = ProcessCollector(registry=CollectorRegistry())


def samples(text: str) -> Iterator[dict[str, Any]]:
    """The samples of the text format: name, labels, value."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield {"name": sample.name, "labels": sample.labels, "value": sample.value}


class Gauge(NamedTuple):
    """A gauge that is read when metrics are requested."""

    name: str
    help: str
    label: str = ""
    """Several are joined by commas, and so are their values."""


Values = Mapping[Gauge, float | Mapping[str, float | None] | None]
"""The values of gauges, by label value where there is a label; unknown ones are None or absent."""


def exposed(accept: str, values: Values | None = None) -> tuple[bytes, str]:
    """The text of all metrics, and its content type; `accept`: the header of the request."""
    encode, content_type = choose_encoder(accept)
    return encode(_Families([*_facts(values or {}), *_counted(METERS)])), content_type


async def answer(request: web.Request) -> web.Response:
    """The counters of this process, over HTTP."""
    body, content_type = exposed(request.headers.get(hdrs.ACCEPT, ""))
    headers = {hdrs.CONTENT_TYPE: content_type, hdrs.SERVER: response_headers.SERVER}
    return web.Response(body=body, headers=headers)


class _Families(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        yield from self._families
        yield from _process.collect()


def _facts(values: Values) -> Iterator[Metric]:
    for fact, value in values.items():
        by_label = value if isinstance(value, Mapping) else {"": value}
        family = GaugeMetricFamily(fact.name, fact.help, labels=_labels(fact.label))
        for label, number in by_label.items():
            if number is not None:
                family.add_metric(label.split(",") if fact.label else [], number)
        if family.samples:
            yield family


def _counted(meters: Sequence[Counter | Histogram]) -> Iterator[Metric]:
    for meter in meters:
        labels = _labels(meter.label)
        if isinstance(meter, Counter):
            counter = CounterMetricFamily(meter.name, meter.help, labels=labels)
            for value, count in meter.counts.items():
                counter.add_metric([value] if labels else [], count)
            yield counter
        else:
            histogram = HistogramMetricFamily(meter.name, meter.help, labels=labels)
            bounds = [*(str(bound) for bound in meter.bounds), "+Inf"]
            for value, spread in meter.spreads.items():
                buckets = list(zip(bounds, itertools.accumulate(spread.counts), strict=True))
                histogram.add_metric([value] if labels else [], buckets, spread.total)
            yield histogram


def _labels(label: str) -> list[str]:
    return label.split(",") if label else []
