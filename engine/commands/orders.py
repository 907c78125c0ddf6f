"""`engine orders`: the list of orders."""

import argparse
import json
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.client import Client
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal.argument_types import count
from engine.terminal.order_filters import add_filters, filters_of

HELP = "list orders, newest first unless --oldest-first"
EXAMPLES = (
    "engine orders",
    "engine orders --status watching,submitted --token BONK",
    "engine orders --open --type limit,sniper",
)
EXITS = {0: "listed", 1: "refused, or no gateway"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_filters(parser)
    parser.add_argument("--open", action="store_true", help="only those that have not ended")
    parser.add_argument("--oldest-first", action="store_true", help="list the oldest ones first")
    parser.add_argument("--limit", type=count, default=50, help="at most (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Lists them."""
    return run_with_gateway(_list(connect(settings), args))


async def _list(gateway: Client, args: argparse.Namespace) -> int:
    filters = filters_of(args)
    if args.oldest_first:
        filters = replace(filters, sort="oldest")
    async with gateway as client:
        told = False
        async for item in client.orders(filters, most=args.limit):
            told = told or _headed(args)
            order = msgspec.to_builtins(item)
            print(json.dumps(order) if args.json else _line(order))
        if not told:
            _headed(args)
    return 0


def _headed(args: argparse.Namespace) -> bool:
    """Only once something was answered: a refusal stands alone."""
    if not args.json:
        print(_row("CREATED", "ORDER", "STATUS", "TYPE", "SELLS", "BUYS", "PRICE"))
    return True


def _row(*cells: str) -> str:
    widths = (20, 36, 10, 7, 24, 16)
    return "  ".join(
        f"{cell:<{width}}" for cell, width in zip(cells, (*widths, 0), strict=True)
    ).rstrip()


def _line(order: dict[str, Any]) -> str:
    sells, buys = f"{order['amount']} {order['tokenIn']}", order["tokenOut"]
    if order["swapMode"] == "exactOut":  # the amount is what shall come out
        sells, buys = _at_most(order), f"{order['amount']} {buys}"
    created = f"{order['createdAt'][:19]}Z"
    told = (order["orderId"], order["status"], order["type"], sells, buys)
    return _row(created, *told, _price(order))


def _at_most(order: dict[str, Any]) -> str:
    if order["status"] == "confirmed":
        return f"{order['amountIn']} {order['tokenIn']}"
    bound = order["maxAmountIn"]
    return f"at most {bound} {order['tokenIn']}" if bound else str(order["tokenIn"])


def _price(order: dict[str, Any]) -> str:
    if order["executedPrice"]:
        return str(order["executedPrice"])
    if order["targetPrice"]:
        return f"at least {order['targetPrice']}"
    if order["minPrice"]:
        return f"at least {order['minPrice']}"
    return f"at most {order['maxPrice']} a token" if order["maxPrice"] else ""
