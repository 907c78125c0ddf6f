"""`engine projector`: one of the processes that `engine up` runs."""

import argparse

from engine.commands.up import with_backends
from engine.processes.lifecycle import serve
from engine.processes.metrics_server import metered
from engine.settings import Settings

HELP = "migrate Postgres and keep it up to date with the log"
EXAMPLES = ("engine projector",)
EXITS = {0: "stopped as asked", 1: "cannot start or continue"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: none."""


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Run until asked to stop."""
    from engine.composition.projector import run_projector

    ready = with_backends(settings)
    return serve(ready, "projector", lambda stop: metered(ready, run_projector(ready, stop)))
