"""`engine stage NAME…`: one or more stages in one process; any number of such processes may run."""

import argparse

from engine.commands.up import with_backends
from engine.processes.lifecycle import serve
from engine.processes.metrics_server import metered
from engine.settings import Settings
from events.order import STAGES

HELP = "run one or more stages: " + ", ".join(STAGES)
EXAMPLES = (
    "engine stage router",
    "engine stage builder submitter",
)
EXITS = {0: "stopped as asked", 1: "cannot start or continue"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("names", nargs="+", choices=STAGES, metavar="NAME")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Run until asked to stop."""
    from engine.composition.stages import run_stages

    ready = with_backends(settings)
    names = list(dict.fromkeys(args.names))
    return serve(
        ready,
        " ".join(names),
        lambda stop: metered(ready, run_stages(ready, names, stop)),
    )
