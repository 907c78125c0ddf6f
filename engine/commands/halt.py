"""`engine halt --reason WHY`: nothing is sent from here on."""

import argparse

from engine.client.halt_resume import switch
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal.operator_name import whoami

HELP = "stop sends and triggers until `engine resume`; cancels still work"
EXAMPLES = ('engine halt --reason "prices look odd"',)
EXITS = {0: "halted", 1: "refused, or no gateway", 4: "the outcome is unknown"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("--reason", required=True, help="why; clients see it in /readyz")
    parser.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Halts."""
    body = {"reason": args.reason, "actor": args.actor}
    return run_with_gateway(switch(connect(settings), "halt", body, as_json=args.json))
