"""`engine submit SOL USDC 1.5`: an order from the terminal."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.client import Client, NewOrder
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal import event_lines
from engine.terminal.blockers import told
from engine.terminal.order_expiry import add_expiry, expiry
from events.order.order_types import DEFAULT_ORDER_TYPE, ORDER_TYPES

HELP = "submit an order; with --watch, follow it to its end"
EXAMPLES = (
    "engine submit SOL USDC 1.5 --watch",
    "engine submit SOL USDC 1.5 --min-amount-out 220 --tif FOK",
    "engine submit SOL USDC 10 --limit 160 --expires-in 3600",
    "engine submit SOL BONK 2 --sniper --min-liquidity 500 --min-price 5000000",
    "engine submit SOL USDC 1.5 --min-amount-out 220 --dry-run",
)
EXITS = {
    0: "taken; with --watch confirmed; with --dry-run it would be routed",
    1: "refused, or no gateway",
    3: "with --watch: it ended otherwise; with --dry-run: it would not be routed now",
    4: "the outcome is unknown",
}


TYPE_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "limit": {"metavar": "PRICE", "help": "wait until IN is worth so many OUT, net"},
    "sniper": {"action": "store_true", "help": "wait for a pool or its liquidity"},
}
"""The option of each type but the default one; its value is the field that the type requires."""

FIELD_OPTIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "slippageBps": (
        "--slippage-bps",
        {"type": int, "help": "least output below the quote, 0 to 5000"},
    ),
    "minAmountOut": ("--min-amount-out", {"help": "least output in whole tokens"}),
    "swapMode": (
        "--exact-out",
        {
            "action": "store_const",
            "const": "exactOut",
            "default": "exactIn",
            "help": "AMOUNT is of OUT, exactly",
        },
    ),
    "maxAmountIn": ("--max-amount-in", {"help": "most whole tokens of IN; with --exact-out"}),
    "minLiquidity": ("--min-liquidity", {"help": "of the pool, whole tokens of IN"}),
    "minPrice": ("--min-price", {"help": "least OUT for one IN"}),
    "maxPrice": ("--max-price", {"help": "the same bound as most IN for one OUT"}),
}
"""The option of each field that not every type has and that no type requires."""

ATTRIBUTES = {field.encode_name: field.name for field in msgspec.structs.fields(NewOrder)}
"""Field of a request -> attribute of NewOrder, and of the parsed arguments."""

assert TYPE_OPTIONS.keys() == ORDER_TYPES.keys() - {DEFAULT_ORDER_TYPE}, "a type has an option"
assert FIELD_OPTIONS.keys() == {
    field for row in ORDER_TYPES.values() for field in row.fields if field not in row.required
}, "a field of a type has an option"
assert all(
    len(ORDER_TYPES[name].required) == ("metavar" in option)
    for name, option in TYPE_OPTIONS.items()
), "an option has a value where its type requires a field"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("token_in", metavar="IN", help="token to sell, such as SOL")
    parser.add_argument("token_out", metavar="OUT", help="token to buy, such as USDC")
    parser.add_argument("amount", help="whole tokens to sell, such as 1.5")
    _add_types_and_fields(parser)
    parser.add_argument("--tif", help="GTC or GTT to wait; IOC or FOK with --min-amount-out")
    add_expiry(parser)
    parser.add_argument(
        "--client-order-id", help="client order ID; using it again returns the same order"
    )
    parser.add_argument(
        "--idempotency-key",
        default="",
        help="using it again submits nothing, and returns the order",
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--watch", action="store_true", help="follow the order to its end")
    modes.add_argument(
        "--dry-run",
        action="store_true",
        help="submit nothing; print what would become of the order now",
    )
    parser.add_argument("--json", action="store_true", help="print the response of the gateway")


def _add_types_and_fields(parser: argparse.ArgumentParser) -> None:
    types = parser.add_mutually_exclusive_group()
    for name, option in TYPE_OPTIONS.items():
        types.add_argument(f"--{name}", **option)
    for field, (flag, option) in FIELD_OPTIONS.items():
        owners = [name for name, row in ORDER_TYPES.items() if field in row.fields]
        only = "" if DEFAULT_ORDER_TYPE in owners else f"; with --{' or --'.join(owners)}"
        parser.add_argument(
            flag, dest=ATTRIBUTES[field], **{**option, "help": f"{option['help']}{only}"}
        )


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Submits or tests it."""
    act = _test if args.dry_run else _submit
    return run_with_gateway(act(connect(settings), order_of(args), args))


def order_of(args: argparse.Namespace) -> NewOrder:
    """Returns the request: the type whose option is given, and the fields of all types. The gateway
    refuses a field that the type does not have.
    """
    given = (name for name in TYPE_OPTIONS if getattr(args, name) not in (None, False))
    order_type = next(given, DEFAULT_ORDER_TYPE)
    fields: dict[str, Any] = {
        ATTRIBUTES[field]: getattr(args, ATTRIBUTES[field]) for field in FIELD_OPTIONS
    }
    for field in ORDER_TYPES[order_type].required:
        fields[ATTRIBUTES[field]] = getattr(args, order_type)
    fields |= {"type": order_type, "time_in_force": args.tif, "expires_at": args.expires_at}
    return NewOrder(
        args.token_in, args.token_out, args.amount, client_order_id=args.client_order_id, **fields
    )


async def _test(gateway: Client, order: NewOrder, args: argparse.Namespace) -> int:
    async with gateway as client:
        answer = msgspec.to_builtins(await client.test(order))
    print(json.dumps(answer) if args.json else _tested(answer))
    return 0 if answer["outcome"] == "routed" else 3


def _tested(answer: Mapping[str, Any]) -> str:
    if best := answer["best"]:
        bound = "minAmountOut" if "minAmountOut" in best else "maxAmountIn"
        route = event_lines.route(best)
        return f"routed: {route}, price {best['price']}, {bound} {best[bound]}: {best['why']}"
    why = f"{answer['reason']}: {answer['detail']}" if answer["detail"] else answer["reason"]
    return f"{answer['outcome']}: {why}"


async def _submit(gateway: Client, order: NewOrder, args: argparse.Namespace) -> int:
    async with gateway as client:
        order = msgspec.structs.replace(order, expires_at=await expiry(args, client))
        answer = msgspec.to_builtins(await client.submit(order, key=args.idempotency_key))
        if args.json or not args.watch:
            print(json.dumps(answer) if args.json else answer["orderId"], flush=True)
        if not args.watch:
            return 0
        status = ""
        async with told(client):
            async for event in client.follow(answer["orderId"]):
                status = event.status
                print(
                    json.dumps(event.raw) if args.json else event_lines.line(event.raw), flush=True
                )
        return 0 if status == "confirmed" else 3
