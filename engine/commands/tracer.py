"""`engine tracer`: one of the processes that `engine up` runs, where there is a collector."""

import argparse

from engine import tracing, wiring
from engine.commands.up import with_backends
from engine.exposing import metered
from engine.lifecycle import serve
from engine.settings import Settings
from engine.values import SettingsError

HELP = "send a trace of each order to OTEL_EXPORTER_OTLP_ENDPOINT"
EXAMPLES = ("engine tracer",)
EXITS = {0: "stopped as asked", 1: "cannot start or continue"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none."""


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Run until asked to stop."""
    if not tracing.wanted(settings):
        raise SettingsError("engine tracer: OTEL_EXPORTER_OTLP_ENDPOINT is not set")
    ready = with_backends(settings)
    return serve(ready, "tracer", lambda stop: metered(ready, wiring.run_tracer(ready, stop)))
