"""Imports our libraries without what they would import on the off chance that somebody wants it."""

import sys
from importlib import import_module

PROCESSES = ("gateway", "projector", "stage", "up")
"""The commands that import them anyway."""
LIBRARIES = ("redis.asyncio", "structlog")
LEFT_OUT = ("opentelemetry", "rich")


def load() -> None:
    """Import them, before anything else does.

    redis-py takes all of OpenTelemetry's metrics if it is installed, structlog takes rich: a fifth
    of the start of every process, and of its restart after a crash, for what we use none of there.
    """
    absent = [name for name in LEFT_OUT if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own sign for "not there"
    for name in LIBRARIES:
        import_module(name)
    for name in absent:
        del sys.modules[name]
