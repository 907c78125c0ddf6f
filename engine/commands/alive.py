"""`engine alive NAME`: the health check of containers."""

import argparse

from engine.lifecycle import is_alive
from engine.settings import Settings

HELP = "exit 0 if a process of this DATA_DIR showed life within three heartbeats"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", help="gateway, projector, or the stages as given to `engine stage`")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Look at the file that the process touches."""
    return 0 if is_alive(settings, args.name) else 1
