"""`engine watch [ORDER]`: events as they happen."""

import argparse
import json
import sys

from engine import shown
from engine.client import Client
from engine.gateways import connect, talk
from engine.obstacles import told
from engine.settings import Settings
from events.ids import parse_order_id
from projections.cursors import CursorError, parse_cursor
from projections.frame_shapes import Lost

HELP = "follow one order to its end, or everything until Ctrl-C"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("order", nargs="?", help="order id; without it, every event of every order")
    parser.add_argument("--after", default="", help="position or cursor to begin after; 0 is all")
    parser.add_argument("--json", action="store_true", help="print the frames as they are")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Follow."""
    if args.order and parse_order_id(args.order) is None:
        print(
            f"engine: {args.order!r} is no order id (a UUID, see `engine orders`)", file=sys.stderr
        )
        return 2
    try:
        parse_cursor(args.after or "0")
    except CursorError as error:
        print(f"engine: --after: {error}", file=sys.stderr)
        return 2
    return talk(_watch(connect(settings), args))


async def _watch(gateway: Client, args: argparse.Namespace) -> int:
    async with gateway as client:
        if args.order:
            events = client.follow(args.order)
        else:
            events = client.events(args.after or None, on_lost=_lost)
        async with told(client):
            async for event in events:
                text = shown.line(event.raw, with_order=not args.order)
                print(json.dumps(event.raw) if args.json else text, flush=True)
    return 0


def _lost(lost: Lost) -> None:
    said = f"{lost.code}: what came after position {lost.position} is void"
    print(f"engine: {said}", file=sys.stderr, flush=True)
