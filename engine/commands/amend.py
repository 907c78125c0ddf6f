"""`engine amend ORDER`: other terms for an order that waits."""

import argparse
import json
from typing import Any

import msgspec

from engine.client import Client
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal.argument_types import order_id
from engine.terminal.operator_name import whoami
from engine.terminal.order_expiry import add_expiry, expiry

HELP = "change the price or the expiry of an order while it waits"
EXAMPLES = ("engine amend 01a21e50-41f2-7000-9b84-c17e942321be --target-price 151.5",)
EXITS = {0: "changed", 1: "refused, or no gateway", 4: "the outcome is unknown"}

NO_EXPIRY = "none"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("order", metavar="ORDER", type=order_id, help="order id")
    parser.add_argument("--target-price", metavar="PRICE", help="of a limit order")
    add_expiry(parser, f"ISO time with zone: not after this; {NO_EXPIRY}: no expiry")
    parser.add_argument("--version", type=int, help="version to amend (default: the present one)")
    parser.add_argument("--actor", default=whoami(), help="who does it (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the response of the gateway")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Amends it."""
    return run_with_gateway(_amend(connect(settings), args))


async def _terms(client: Client, args: argparse.Namespace) -> dict[str, Any]:
    """Returns what changes."""
    terms = {"targetPrice": args.target_price, "expiresAt": await expiry(args, client)}
    given = {name: value for name, value in terms.items() if value is not None}
    if args.expires_at == NO_EXPIRY:
        given["expiresAt"] = None
    return given


async def _amend(gateway: Client, args: argparse.Namespace) -> int:
    async with gateway as client:
        terms = await _terms(client, args)
        version = args.version or (await client.order(args.order)).version
        amended = await client.amend(args.order, version, terms | {"actor": args.actor})
        order = msgspec.to_builtins(amended)
    if args.json:
        print(json.dumps(order))
    else:
        price = f"at {order['targetPrice']} " if order["targetPrice"] else ""
        until = f"until {order['expiresAt']}" if order["expiresAt"] else "until cancelled"
        print(f"{order['orderId']}  {order['status']} {price}{until}, version {order['version']}")
    return 0
