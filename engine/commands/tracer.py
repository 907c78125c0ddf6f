"""`engine tracer`: one of the processes that `engine up` runs, where there is a collector."""

import argparse

from engine.commands.up import with_backends
from engine.processes.lifecycle import serve
from engine.processes.metrics_server import metered
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.telemetry import enabled

HELP = "send a trace of each order to OTEL_EXPORTER_OTLP_ENDPOINT"
EXAMPLES = ("engine tracer",)
EXITS = {0: "stopped as asked", 1: "cannot start or continue"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none."""


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Run until asked to stop."""
    from engine.composition.tracer import run_tracer

    if not enabled.is_enabled(settings):
        raise SettingsError("engine tracer: OTEL_EXPORTER_OTLP_ENDPOINT is not set")
    ready = with_backends(settings)
    return serve(ready, "tracer", lambda stop: metered(ready, run_tracer(ready, stop)))
