"""`engine alive NAME`: the health check of containers."""

import argparse
import sys

from engine.lifecycle import is_alive
from engine.settings import Settings

HELP = "exit 0 if a process of this DATA_DIR showed life within three heartbeats"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", help="gateway, projector, or the stages as given to `engine stage`")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Look at the file that the process touches."""
    if is_alive(settings, args.name):
        return 0
    where = settings.data_dir.absolute()
    print(f"engine: no {args.name} of DATA_DIR={where} shows life", file=sys.stderr)
    return 1
