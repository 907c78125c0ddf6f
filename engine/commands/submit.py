"""`engine submit SOL USDC 1.5`: an order from the terminal."""

import argparse
import json

import msgspec

from engine.client import Client, NewOrder
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal import event_lines
from engine.terminal.blockers import told
from engine.terminal.order_expiry import add_expiry, expiry

HELP = "submit an order; with --watch, follow it to its end"
EXAMPLES = (
    "engine submit SOL USDC 1.5 --watch",
    "engine submit SOL USDC 1.5 --min-amount-out 220 --tif FOK",
    "engine submit SOL USDC 10 --limit 160 --expires-in 3600",
    "engine submit SOL BONK 2 --sniper --min-liquidity 500 --max-price 0.0000002",
)
EXITS = {
    0: "taken; with --watch confirmed",
    1: "refused, or no gateway",
    3: "with --watch: it ended otherwise",
    4: "the outcome is unknown",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("token_in", metavar="IN", help="token to sell, such as SOL")
    parser.add_argument("token_out", metavar="OUT", help="token to buy, such as USDC")
    parser.add_argument("amount", help="whole tokens to sell, such as 1.5")
    parser.add_argument("--exact-out", action="store_true", help="AMOUNT is of OUT, exactly")
    parser.add_argument("--max-amount-in", help="most whole tokens of IN; with --exact-out")
    parser.add_argument("--slippage-bps", type=int, help="least output below the quote, 0 to 5000")
    parser.add_argument("--min-amount-out", help="least output in whole tokens")
    waits = parser.add_mutually_exclusive_group()
    waits.add_argument("--limit", metavar="PRICE", help="wait until IN is worth so many OUT, net")
    waits.add_argument("--sniper", action="store_true", help="wait for a pool or its liquidity")
    parser.add_argument("--min-liquidity", help="of the pool, whole tokens of IN; with --sniper")
    parser.add_argument("--max-price", help="most IN to pay an OUT; with --sniper")
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
    parser.add_argument("--watch", action="store_true", help="follow the order to its end")
    parser.add_argument("--json", action="store_true", help="print the response of the gateway")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Submits it."""
    order = NewOrder(
        args.token_in,
        args.token_out,
        args.amount,
        type="limit" if args.limit is not None else "sniper" if args.sniper else "market",
        swap_mode="exactOut" if args.exact_out else "exactIn",
        max_amount_in=args.max_amount_in,
        slippage_bps=args.slippage_bps,
        min_amount_out=args.min_amount_out,
        target_price=args.limit,
        min_liquidity=args.min_liquidity,
        max_price=args.max_price,
        time_in_force=args.tif,
        expires_at=expiry(args),
        client_order_id=args.client_order_id,
    )
    return run_with_gateway(_submit(connect(settings), order, args))


async def _submit(gateway: Client, order: NewOrder, args: argparse.Namespace) -> int:
    async with gateway as client:
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
