"""`engine cancel`: orders called off, by id or all that match."""

import argparse
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from engine.client import Client, RefusedError, connect, talk
from engine.operators import whoami
from engine.settings import Settings

HELP = "cancel orders that are not sent yet (exit 0 all cancelled, 3 some were not)"

Results = AsyncGenerator[dict[str, Any]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("orders", nargs="*", metavar="ORDER", help="order ids")
    parser.add_argument("--all", action="store_true", help="every open order, or all of these:")
    parser.add_argument("--status", help="with --all: of this status, such as watching")
    parser.add_argument("--token", help="with --all: with this token on either side")
    parser.add_argument("--client-order-id", help="with --all: of this name")
    parser.add_argument("--reason", default="", help="why")
    parser.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Cancel them."""
    filters = {"status": args.status, "token": args.token, "clientOrderId": args.client_order_id}
    if bool(args.orders) == args.all or (args.orders and any(filters.values())):
        print("engine: name orders, or say --all [--status S --token T]", file=sys.stderr)
        return 2
    return talk(_cancel(connect(settings), args, filters))


async def _cancel(gateway: Client, args: argparse.Namespace, filters: dict[str, str | None]) -> int:
    words = _said({"actor": args.actor, "reason": args.reason})
    cancelled = refused = 0
    async with gateway as client:
        wanted = _said(filters) or {"all": "true"}
        results = _many(client, wanted | words) if args.all else _each(client, args.orders, words)
        async with aclosing(results):
            async for result in results:
                _show(result, as_json=args.json)
                done = result["status"] == "cancelled"
                cancelled, refused = cancelled + done, refused + (not done)
    if not args.json:
        print(f"{cancelled} cancelled" + (f", {refused} not" if refused else ""))
    return 3 if refused else 0


async def _each(client: Client, orders: list[str], words: dict[str, str]) -> Results:
    for order in orders:
        try:
            yield await client.ask("DELETE", f"/api/orders/{order}", params=words)
        except RefusedError as error:
            status = error.problem.get("orderStatus", "unknown")
            yield {"orderId": order, "status": status, "problem": error.problem}


async def _many(client: Client, params: dict[str, str]) -> Results:
    following: str | None = "0"
    while following:
        page = await client.ask("DELETE", "/api/orders", params=params | {"cursor": following})
        for result in page["results"]:
            yield result
        following = page["nextCursor"]


def _said(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    why = result.get("problem", {}).get("code", "")
    text = f"{result['orderId']}  {result['status']:<10} {why}".rstrip()
    print(json.dumps(result) if as_json else text, flush=True)
