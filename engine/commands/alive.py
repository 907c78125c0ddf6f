"""`engine alive [NAME]`: the health check of containers."""

import argparse
import json
import sys

from engine.processes.lifecycle import is_alive, known
from engine.settings import Settings

HELP = "exit 0 if a process of this DATA_DIR showed life within three heartbeats"
EXAMPLES = (
    "engine alive",
    "engine alive gateway",
)
EXITS = {0: "it lives", 1: "it does not"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "name",
        nargs="?",
        help="gateway, projector, tracer, or the stages as given to `engine stage`; all that"
        " ever ran with this DATA_DIR, where none is named",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Looks at the file that the process touches."""
    names = [args.name] if args.name else known(settings)
    dead = [name for name in names if not is_alive(settings, name)]
    if args.json:
        print(json.dumps({name: name not in dead for name in names}))
    if names and not dead:
        return 0
    where, silent = settings.data_dir.absolute(), " and no ".join(dead) or "process"
    print(f"engine: no {silent} of DATA_DIR={where} shows life", file=sys.stderr)
    return 1
