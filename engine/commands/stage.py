"""`engine stage NAME…`: one or more stages in one process; any number of such processes may run."""

import argparse

from engine import composition
from engine.commands.up import with_backends
from engine.processes.lifecycle import serve
from engine.processes.metrics_server import metered
from engine.settings import Settings

HELP = "run one or more stages: " + ", ".join(composition.STAGES)
EXAMPLES = (
    "engine stage router",
    "engine stage builder submitter",
)
EXITS = {0: "stopped as asked", 1: "cannot start or go on"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("names", nargs="+", choices=composition.STAGES, metavar="NAME")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Run until asked to stop."""
    ready = with_backends(settings)
    names = list(dict.fromkeys(args.names))
    return serve(
        ready,
        " ".join(names),
        lambda stop: metered(ready, composition.run_stages(ready, names, stop)),
    )
