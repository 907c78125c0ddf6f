"""`engine quote SOL USDC 1.5`: every route there is, and which is best and why."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from engine.client import Client
from engine.client.session import connect, run_with_gateway
from engine.settings import Settings
from engine.terminal.event_lines import route

HELP = "what an amount would give now, by every route"
EXAMPLES = (
    "engine quote SOL USDC 1.5",
    "engine quote SOL USDC 200 --exact-out",
)
EXITS = {0: "there is a route", 1: "refused, or no gateway", 3: "there is none"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("token_in", metavar="IN", help="token to sell, by symbol or mint")
    parser.add_argument("token_out", metavar="OUT", help="token to buy, by symbol or mint")
    parser.add_argument("amount", help="whole tokens to sell, such as 1.5")
    parser.add_argument("--exact-out", action="store_true", help="AMOUNT is of OUT, exactly")
    parser.add_argument("--slippage-bps", type=int, help="what the bound is computed with")
    parser.add_argument("--json", action="store_true", help="print the response of the gateway")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Asks for it."""
    params = {"token_in": args.token_in, "token_out": args.token_out, "amount": args.amount}
    if args.exact_out:
        params["swapMode"] = "exactOut"
    if args.slippage_bps is not None:
        params["slippageBps"] = str(args.slippage_bps)
    return run_with_gateway(_quote(connect(settings), params, as_json=args.json))


async def _quote(gateway: Client, params: dict[str, str], *, as_json: bool) -> int:
    async with gateway as client:
        answer = msgspec.to_builtins(await client.quotes(**params))
    if as_json:
        print(json.dumps(answer))
    else:
        print("\n".join(_lines(answer)))
    return 0 if answer["best"] else 3


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    for quote in answer["quotes"]:
        yield _line(quote)
        if len(legs := quote.get("legs", ())) > 1:
            yield from map(_leg, legs)
    best = answer["best"]
    if best:
        bound = "minAmountOut" if "minAmountOut" in best else "maxAmountIn"
        for warning in best.get("warnings", ()):
            yield f"warning: {warning['token']} {warning['code']}: {warning['text']}"
        yield f"best: {route(best)}, price {best['price']}, {bound} {best[bound]}: {best['why']}"


def _line(quote: dict[str, Any]) -> str:
    if "amountOut" not in quote:
        return f"{quote['dex']:<32} {quote['error']}  {quote['pool']}".rstrip()
    amounts = f"{quote['amountIn']:>16} -> {quote['amountOut']:<18}"
    text = f"{route(quote):<32} {amounts} fee {quote['fee']}, impact {quote['priceImpactBps']} bps"
    if "error" in quote:
        text = f"{text}, {quote['error']}"
    return text if len(quote["legs"]) > 1 else f"{text}  {quote['pool']}".rstrip()


def _leg(leg: dict[str, Any]) -> str:
    amounts = f"{leg['amountIn']} {leg['tokenIn']} -> {leg['amountOut']} {leg['tokenOut']}"
    return f"  {leg['family']:<16} {amounts}  {leg['pool']}"
