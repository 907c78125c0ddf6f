"""`engine quote SOL USDC 1.5`: every route there is, and which is best and why."""

import argparse
import json
from typing import Any

from engine.client import Client, gateway_url, talk
from engine.settings import Settings

HELP = "what an amount would give now, by every route"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("token_in", metavar="IN", help="token to sell, by symbol or mint")
    parser.add_argument("token_out", metavar="OUT", help="token to buy, by symbol or mint")
    parser.add_argument("amount", help="whole tokens to sell, such as 1.5")
    parser.add_argument("--exact-out", action="store_true", help="AMOUNT is of OUT, exactly")
    parser.add_argument("--slippage-bps", type=int, help="what the bound is computed with")
    parser.add_argument("--json", action="store_true", help="print what the gateway says")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Ask for it."""
    wanted = {"tokenIn": args.token_in, "tokenOut": args.token_out, "amount": args.amount}
    if args.exact_out:
        wanted["swapMode"] = "exactOut"
    if args.slippage_bps is not None:
        wanted["slippageBps"] = str(args.slippage_bps)
    return talk(_quote(gateway_url(settings), wanted, as_json=args.json))


async def _quote(url: str, wanted: dict[str, str], *, as_json: bool) -> int:
    async with Client(url) as client:
        answer = await client.ask("GET", "/api/quotes", params=wanted)
    if as_json:
        print(json.dumps(answer))
    else:
        for quote in answer["quotes"]:
            print(_line(quote))
        if answer["best"]:
            best = answer["best"]
            print(f"best: {best['dex']} {best['pool']}: {best['why']}; price {best['price']}")
    return 0 if answer["best"] else 3


def _line(quote: dict[str, Any]) -> str:
    name = f"{quote['dex']:<16} {quote['pool'][:44]:<44}"
    if "amountOut" not in quote:
        return f"{name}  {quote['error']}"
    amounts = f"{quote['amountIn']:>16} -> {quote['amountOut']:<18}"
    said = f"{name}  {amounts} fee {quote['fee']}, impact {quote['priceImpactBps']} bps"
    return f"{said}, {quote['error']}" if "error" in quote else said
