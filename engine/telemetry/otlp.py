"""Sends spans to an OpenTelemetry collector, over OTLP/HTTP. Needs the extra `otel`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from events.secret import SecretUrl
from projections.traces.spans import Span

ANSWER_S = 2.0
"""For a request and its repetitions: who is asked to stop waits no longer."""
SERVICE = "order-execution-engine"
_TAKEN = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("engine.tracer")


class Collector:
    """The collector at OTEL_EXPORTER_OTLP_ENDPOINT; the exporter reads further OTEL_… names."""

    def __init__(self, endpoint: SecretUrl, version: str) -> None:
        # It says so at every try; `tracing` says so once in a while.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        url = f"{endpoint.reveal().rstrip('/')}/v1/traces"
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=ANSWER_S)
        self._resource = Resource.create({"service.name": SERVICE, "service.version": version})

    async def send(self, spans: Sequence[Span]) -> bool:
        """Whether the collector took them; it was asked again a few times before it is False."""
        readable = [self._readable(span) for span in spans]
        result = await asyncio.to_thread(self._exporter.export, readable)
        return result is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Ends the connection, and what waits to try again."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
            resource=self._resource,
            attributes=span.attributes,
            links=_links(span.linked),
            kind=SpanKind.INTERNAL if span.parent_id else SpanKind.SERVER,
            status=Status(StatusCode.ERROR, span.fault) if span.fault else Status(),
            start_time=span.start_us * 1000,
            end_time=span.end_us * 1000,
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_TAKEN)


def _links(traceparent: str) -> list[Link]:
    if not traceparent:
        return []
    _, trace, span, flags = traceparent.split("-")[:4]
    return [
        Link(SpanContext(int(trace, 16), int(span, 16), True, TraceFlags(int(flags, 16) & 0xFF)))
    ]
