"""Logging of the processes: structlog to stderr, as JSON lines or coloured for a person.

Everything that a process prints about itself takes this way: lines of structlog and of the standard
library, warnings, and exceptions that no code caught. `engine up` forwards what its children log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog

from engine.settings import Settings
from engine.telemetry.foreign_lines import OUTPUT
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


class _Output:
    """How this process writes to stderr; a command that configured nothing writes JSON."""

    def __init__(
        self,
        level: int = logging.INFO,
        render: Sequence[structlog.typing.Processor] = (
            structlog.processors.JSONRenderer(default=str),
        ),
        scrub: Callable[[str], str] = str,
    ) -> None:
        self.level = level
        self.render = render
        self.scrub = scrub
        self._repeats = Repeats()

    def write(self, fields: Mapping[str, Any]) -> None:
        """Writes a line of a child."""
        level = logging.getLevelNamesMapping().get(str(fields["level"]).upper(), logging.INFO)
        if level < self.level:
            return
        rendered: Any = dict(fields)
        if fields["event"] == OUTPUT:
            # A program that dies again and again says the same each time; its file has it all.
            timestamp = rendered.pop("timestamp", "")
            try:
                rendered = {**self._repeats(None, "", rendered), "timestamp": timestamp}
            except structlog.DropEvent:
                return
        for processor in self.render:
            rendered = processor(None, str(fields["level"]), rendered)
        print(self.scrub(rendered), file=sys.stderr, flush=True)


_output = _Output()


def forward(fields: dict[str, Any]) -> None:
    """Writes the line of a child process to stderr, in this process's format and from its level."""
    _output.write(fields)


def stamped(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with the time now, as structlog writes it."""
    return fields | {"timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z")}


def scrubbed(line: bytes) -> bytes:
    """The line of a child without secrets."""
    return _output.scrub(line.decode(errors="replace")).encode()


def print_failure(process: str, error: str) -> None:
    """Writes why a process cannot start or continue. Logging need not be configured."""
    fields = {"event": "process_failed", "process": process, "level": "critical", "error": error}
    forward(stamped(fields))


def is_console(log_format: str) -> bool:
    """Whether lines are for a person: LOG_FORMAT says so, or stderr is a terminal."""
    return log_format == "console" or (log_format == "auto" and sys.stderr.isatty())


def configure(settings: Settings, process: str) -> None:
    """Sets up structlog, and the standard library's loggers to look the same."""
    global _output  # noqa: PLW0603 - a process has one stderr
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]

    def add_process(
        _: object, __: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event.setdefault("process", process)
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_process,
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
        if is_console(settings.log_format)
        else [_TRACEBACKS, structlog.processors.JSONRenderer(default=str)]
    )
    scrubber = Scrubber(settings)
    _output = _Output(level, tuple(render), scrubber.scrub)
    render.append(scrubber)
    structlog.configure(
        # Before the time is added, or nothing would be the same twice.
        processors=[*shared[:-1], Repeats(), *shared[-1:], *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _as_library_message],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_of_thread
    sys.unraisablehook = _log_ignored


def _as_library_message(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Part of structlog: the words of a library are the text of one event of the catalogue."""
    record = event.get("_record")
    event["logger"] = getattr(record, "name", "")
    event["text"], event["event"] = str(event["event"]).strip(), "library_message"
    return event


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Python's `sys.excepthook`."""
    if issubclass(kind, KeyboardInterrupt | asyncio.CancelledError):
        return
    structlog.get_logger().critical("exception_uncaught", exc_info=(kind, error, trace))


def _log_uncaught_of_thread(args: threading.ExceptHookArgs) -> None:
    """Python's `threading.excepthook`."""
    if args.exc_value is not None:
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _log_ignored(args: sys.UnraisableHookArgs) -> None:
    """Python's `sys.unraisablehook`: an exception of a destructor or a callback of C."""
    where = getattr(args.object, "__qualname__", "") or type(args.object).__name__
    error = (args.exc_type, args.exc_value, args.exc_traceback)
    structlog.get_logger().warning("exception_ignored", where=where, exc_info=error)
