"""`engine cancel`: orders called off, by id or all that match."""

import argparse
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from engine.client import Client, RefusedError
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal.argument_types import order_id
from engine.terminal.operator_name import whoami
from engine.terminal.order_filters import add_filters, filters_of

HELP = "cancel orders that are not sent yet"
EXAMPLES = (
    'engine cancel 01a21e50-41f2-7000-9b84-c17e942321be --reason "changed my mind"',
    "engine cancel --all --status watching --token BONK",
)
EXITS = {0: "all cancelled", 1: "no gateway", 3: "some were not", 4: "the outcome is unknown"}

Results = AsyncGenerator[dict[str, Any]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("orders", nargs="*", metavar="ORDER", type=order_id, help="order ids")
    parser.add_argument("--all", action="store_true", help="every open order, or all of these:")
    add_filters(parser, "with --all: ")
    parser.add_argument("--reason", default="", help="why")
    parser.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Cancels them."""
    if bool(args.orders) == args.all or (args.orders and filters_of(args).params()):
        print("engine: name orders, or say --all [--status S --token T]", file=sys.stderr)
        return 2
    return run_with_gateway(_cancel(connect(settings), args))


async def _cancel(gateway: Client, args: argparse.Namespace) -> int:
    cancelled = refused = 0
    async with gateway as client:
        results = _many(client, args) if args.all else _each(client, args)
        async with aclosing(results):
            async for result in results:
                _show(result, as_json=args.json)
                done = result["status"] == "cancelled"
                cancelled, refused = cancelled + done, refused + (not done)
    if not args.json:
        print(f"{cancelled} cancelled" + (f", {refused} not" if refused else ""))
    return 3 if refused else 0


async def _each(client: Client, args: argparse.Namespace) -> Results:
    for order in args.orders:
        try:
            done = await client.cancel(order, reason=args.reason, actor=args.actor)
            yield msgspec.to_builtins(done)
        except RefusedError as error:
            status = error.problem.get("orderStatus", "unknown")
            yield {"orderId": order, "status": status, "problem": error.problem}


async def _many(client: Client, args: argparse.Namespace) -> Results:
    async for result in client.cancel_many(filters_of(args), reason=args.reason, actor=args.actor):
        yield msgspec.to_builtins(result)


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    why = result.get("problem", {}).get("code", "")
    text = f"{result['orderId']}  {result['status']:<10} {why}".rstrip()
    print(json.dumps(result) if as_json else text, flush=True)
