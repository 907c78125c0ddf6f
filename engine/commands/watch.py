"""`engine watch [ORDER]`: events as they happen."""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.client import Client, RefusedError, UnreachableError
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal import event_lines
from engine.terminal.argument_types import order_id
from engine.terminal.background import in_background
from engine.terminal.blockers import told
from projections.feed.cursors import CursorError, parse_cursor
from projections.views.event_schemas import Lost

if TYPE_CHECKING:
    from engine.terminal.order_table import Board

HELP = "follow one order to its end, or everything until Ctrl-C"
EXAMPLES = (
    "engine watch",
    "engine watch --after 0 --json",
    "engine watch 01a21e50-41f2-7000-9b84-c17e942321be",
)
EXITS = {0: "the order ended", 1: "no gateway, or no such order"}

DRAW_S = 0.1
MARGIN = 4
"""Lines of the terminal that show something else than orders."""
RECENT = 200
"""Events before now that the table begins with."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "order", nargs="?", type=order_id, help="order id; without it, every event of every order"
    )
    parser.add_argument("--after", default="", help="position or cursor to begin after; 0 is all")
    parser.add_argument("--lines", action="store_true", help="a line an event, no live table")
    parser.add_argument("--json", action="store_true", help="print the frames as they are")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Follows."""
    try:
        parse_cursor(args.after or "0")
    except CursorError as error:
        print(f"engine: --after: {error}", file=sys.stderr)
        return 2
    live = sys.stdout.isatty() and not (args.order or args.lines or args.json)
    return run_with_gateway((_live if live else _watch)(connect(settings), args))


async def _live(gateway: Client, args: argparse.Namespace) -> int:
    from rich.live import Live

    from engine.terminal.order_table import Board, table

    async with gateway as client:
        position = await client.position()
        board = Board(live_after=position)
        after = args.after or str(max(0, position - RECENT))
        with Live(auto_refresh=False, vertical_overflow="crop") as live:

            def draw() -> None:
                room = live.console.height - MARGIN
                drawn = table(board, room, time.monotonic(), live.console.width)
                live.update(drawn, refresh=True)

            async with (
                told(client),
                in_background(_keep_drawing(draw)),
                in_background(_keep_filling(client, board)),
            ):
                async for event in client.events(after, on_lost=_lost):
                    board.take(event.raw, time.monotonic())
    return 0


async def _keep_drawing(draw: Callable[[], None]) -> None:
    """Draws ten times a second."""
    while True:
        draw()
        await asyncio.sleep(DRAW_S)


async def _keep_filling(client: Client, board: "Board") -> None:
    """Reads how orders began that had begun before the first event."""
    while True:
        for order in board.headless():
            with contextlib.suppress(RefusedError, UnreachableError):
                history = await client.history(order)
                board.fill(order, [event.raw for event in history])
        await asyncio.sleep(DRAW_S)


async def _watch(gateway: Client, args: argparse.Namespace) -> int:
    async with gateway as client:
        if args.order:
            events = client.follow(args.order)
        else:
            events = client.events(args.after or None, on_lost=_lost)
        async with told(client):
            async for event in events:
                text = event_lines.line(event.raw)
                print(json.dumps(event.raw) if args.json else text, flush=True)
    return 0


def _lost(lost: Lost) -> None:
    text = f"{lost.code}: what came after position {lost.position} is void"
    print(f"engine: {text}", file=sys.stderr, flush=True)
