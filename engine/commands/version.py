"""`engine version`: the version and the build of this installation."""

import argparse
import json

from engine.settings import Settings
from engine.telemetry.build import build_id
from events.version import VERSION

HELP = "print the version and the build"
EXAMPLES = ("engine version", "engine version --json")
EXITS = {0: "printed"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Prints both."""
    build = {"version": VERSION, "build": build_id()}
    print(json.dumps(build) if args.json else f"{VERSION} ({build['build']})")
    return 0
