"""Logging of the processes: structlog to stderr, as JSON lines or coloured for a person."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable

import structlog

from engine.settings import Settings
from engine.telemetry.scrubbing import Scrubber
from events.ids import trace_id

# Without the values of variables, which are long and may be passwords.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


REPEAT_S = 10.0
"""How often a repeated line, such as that a server does not answer, is logged."""
KEPT = 200


class Repeats:
    """A processor that drops what was logged a moment ago; the next of its kind counts them."""

    def __init__(self, every_s: float = REPEAT_S, clock: Callable[[], float] = time.monotonic):
        self._every_s = every_s
        self._clock = clock
        self._counts: dict[str, tuple[float, int]] = {}
        """Log line -> when it was written, and how often it was dropped since."""

    def __call__(
        self, _: object, __: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """Part of structlog. A bug's traceback is never dropped."""
        if "exc_info" in event:
            return event
        text, now = repr(sorted(event.items())), self._clock()
        at, dropped = self._counts.pop(text, (now - self._every_s, 0))
        if now - at < self._every_s:
            self._counts[text] = (at, dropped + 1)
            raise structlog.DropEvent
        self._counts[text] = (now, 0)
        if len(self._counts) > KEPT:
            del self._counts[next(iter(self._counts))]
        if dropped:
            event["repeated"] = dropped
        return event


def add_trace(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Part of structlog: what is about an order has its trace id, which is the order's id."""
    if isinstance(order_id := event.get("order_id"), str):
        event["trace_id"] = trace_id(order_id)
    return event


def quiet() -> None:
    """Sets up structlog for a command whose answer is on stdout: errors alone, on stderr."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def configure(settings: Settings, process: str) -> None:
    """Sets up structlog, and the standard library's loggers to look the same."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    person = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        add_trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
                # The default shows the values of variables where rich is installed.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
        if person
        else [_TRACEBACKS, structlog.processors.JSONRenderer(default=str)]
    )
    render.append(Scrubber(settings))
    structlog.configure(
        # Before the time is added, or nothing would be the same twice.
        processors=[*shared[:-1], Repeats(), *shared[-1:], *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=True)
    # One line a request is the business of a proxy.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
