"""`engine orders`: the list of orders."""

import argparse
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from engine.client import Client, connect, talk
from engine.settings import Settings

HELP = "list orders, newest first"
PAGE = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--status", help="such as watching")
    parser.add_argument("--token", help="on either side")
    parser.add_argument("--client-order-id", help="your own name for it")
    parser.add_argument("--limit", type=int, default=50, help="at most (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """List them."""
    return talk(_list(connect(settings), args))


async def _list(gateway: Client, args: argparse.Namespace) -> int:
    filters = {"status": args.status, "token": args.token, "clientOrderId": args.client_order_id}
    wanted = {name: value for name, value in filters.items() if value}
    async with gateway as client, aclosing(_orders(client, wanted, args.limit)) as orders:
        first = await anext(orders, None)
        if not args.json:
            print(_row("CREATED", "ORDER", "STATUS", "TYPE", "SELLS", "FOR", "PRICE"))
        if first is not None:
            print(json.dumps(first) if args.json else _line(first))
        async for order in orders:
            print(json.dumps(order) if args.json else _line(order))
    return 0


async def _orders(
    client: Client, wanted: dict[str, str], left: int
) -> AsyncGenerator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while left > 0:
        params = wanted | cursor | {"limit": str(min(left, PAGE))}
        page = await client.ask("GET", "/api/orders", params=params)
        for order in page["orders"]:
            yield order
        left -= len(page["orders"])
        if page["nextCursor"] is None:
            return
        cursor = {"cursor": page["nextCursor"]}


def _row(*cells: str) -> str:
    widths = (20, 36, 10, 7, 24, 6)
    return "  ".join(
        f"{cell:<{width}}" for cell, width in zip(cells, (*widths, 0), strict=True)
    ).rstrip()


def _line(order: dict[str, Any]) -> str:
    sells = f"{order['amount']} {order['tokenIn']}"
    created = f"{order['createdAt'][:19]}Z"
    told = (order["orderId"], order["status"], order["type"], sells, order["tokenOut"])
    return _row(created, *told, _price(order))


def _price(order: dict[str, Any]) -> str:
    if order["executedPrice"]:
        return str(order["executedPrice"])
    if order["targetPrice"]:
        return f"at least {order['targetPrice']}"
    return f"at most {order['maxPrice']} a token" if order["maxPrice"] else ""
