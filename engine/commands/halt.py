"""`engine halt --reason WHY`: nothing is sent from here on."""

import argparse

from engine.gateways import connect, talk
from engine.operators import whoami
from engine.settings import Settings
from engine.switching import switch

HELP = "let nothing be sent and no trigger fire until `engine resume`; cancels still work"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--reason", required=True, help="why; clients see it in /readyz")
    parser.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Halt."""
    said = {"reason": args.reason, "actor": args.actor}
    return talk(switch(connect(settings), "halt", said))
