"""`engine resume`: what `engine halt` stopped goes on."""

import argparse

from engine.gateways import connect, talk
from engine.operators import whoami
from engine.settings import Settings
from engine.switching import switch

HELP = "end a halt"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--reason", default="", help="why")
    parser.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Resume."""
    said = {"actor": args.actor} | ({"reason": args.reason} if args.reason else {})
    return talk(switch(connect(settings), "resume", said))
