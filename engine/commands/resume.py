"""`engine resume`: ends a halt."""

import argparse

from engine.client.halt_resume import switch
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal.operator_name import whoami

HELP = "end a halt"
EXAMPLES = ("engine resume",)
EXITS = {0: "running", 1: "refused, or no gateway", 4: "the outcome is unknown"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("--reason", default="", help="why")
    parser.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Ends the halt."""
    body = {"actor": args.actor} | ({"reason": args.reason} if args.reason else {})
    return run_with_gateway(switch(connect(settings), "resume", body, as_json=args.json))
