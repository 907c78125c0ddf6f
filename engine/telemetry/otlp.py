"""Sends spans to an OpenTelemetry collector, over OTLP/HTTP. Needs the extra `otel`."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from events.secret import SecretUrl
from events.telemetry.error_text import error_text
from projections.traces.delivery import Reply
from projections.traces.spans import Span

ANSWER_S = 2.0
"""For a request and its repetitions: who is asked to stop waits no longer."""
SERVICE = "order-execution-engine"
_TAKEN = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("engine.tracer")


class Collector:
    """The collector at OTEL_EXPORTER_OTLP_ENDPOINT; the exporter reads further OTEL_… names."""

    def __init__(self, endpoint: SecretUrl, version: str) -> None:
        # The exporter logs every try; `delivery` logs an outage once.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        url = f"{endpoint.reveal().rstrip('/')}/v1/traces"
        self._session = _Session()
        # HTTP_PROXY is for other machines: it does not reach what listens on our loopback.
        self._session.trust_env = not _is_loopback(urlsplit(url).hostname or "")
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=ANSWER_S, session=self._session)
        self._resource = Resource.create({"service.name": SERVICE, "service.version": version})

    async def send(self, spans: Sequence[Span]) -> Reply:
        """The reply to these spans, after the few retries of the exporter. One call at a time."""
        readable = [self._readable(span) for span in spans]
        session = self._session
        session.tries, session.status, session.error = 0, None, ""
        result = await asyncio.to_thread(self._exporter.export, readable)
        if result is SpanExportResult.SUCCESS:
            return Reply(HTTPStatus.OK)
        return Reply(session.status, session.error or "no response", bool(session.tries))

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


class _Session(requests.Session):
    """Keeps the last response, which the exporter reduces to success or failure."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0
        self.status: int | None = None
        self.error = ""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Part of requests."""
        self.tries += 1
        self.status = None
        try:
            response = super().send(request, **options)
        except requests.RequestException as error:
            self.error = error_text(error)
            raise
        self.status = response.status_code
        return response


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_TAKEN)


def _links(traceparent: str) -> list[Link]:
    if not traceparent:
        return []
    _, trace, span, flags = traceparent.split("-")[:4]
    return [
        Link(SpanContext(int(trace, 16), int(span, 16), True, TraceFlags(int(flags, 16) & 0xFF)))
    ]
