"""Event frames as lines for a person."""

from __future__ import annotations

import sys
from datetime import datetime
from itertools import islice
from typing import Any

from engine.colour import colourful

_COLOURS = {
    "confirmed": "32", "failed": "31", "expired": "33", "submitted": "36", "watching": "35",
    "cancelled": "33",
}  # fmt: skip
# What a frame adds, in the order in which a person wants to read it.
_TELLING = (
    "type", "tokenIn", "tokenOut", "amount", "swapMode", "targetPrice", "minLiquidity", "maxPrice",
    "timeInForce", "expiresAt", "cause", "dex", "slot", "liquidity", "price", "priceImpactBps",
    "maxAmountIn", "minAmountOut", "signature", "lastValidHeight", "executedPrice", "amountIn",
    "amountOut", "txHash", "stage", "reason", "error", "detail", "attempt", "attempts",
    "nextAttemptAt", "inDoubt", "feeLamports", "rentLamports", "leftover", "actor", "why",
)  # fmt: skip
_USUAL = {"swapMode": "exactIn"}


def route(view: dict[str, Any]) -> str:
    """Return the pool programs that a quote or a route goes through: `+` splits, `>` follows."""
    families = iter([leg["family"] for leg in view.get("legs", ())])
    hops = [islice(families, len(hop.split("+"))) for hop in view.get("pool", "").split(">")]
    return ">".join("+".join(hop) for hop in hops) or str(view["dex"])


def clock(timestamp: str) -> str:
    """Return the local time of day of an ISO timestamp, to the millisecond."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S.%f")[:-3]


def line(frame: dict[str, Any], *, with_order: bool = True) -> str:
    """Return one line for a frame; colours on a terminal only."""
    status = f"{frame['status']:<10}"
    if colourful(sys.stdout) and frame["status"] in _COLOURS:
        status = f"\x1b[{_COLOURS[frame['status']]}m{status}\x1b[0m"
    shown = frame | {"dex": route(frame)} if frame.get("legs") else frame
    if frame.get("leftovers"):
        kept = ",".join(
            f"{leftover['amount']}{leftover['token']}" for leftover in frame["leftovers"]
        )
        shown = shown | {"leftover": kept}
    details = " ".join(
        f"{key}={shown[key]}"
        for key in _TELLING
        if shown.get(key) not in (None, "", False, _USUAL.get(key))
    )
    order = f"{frame['orderId']}  " if with_order else ""
    return f"{clock(frame['timestamp'])}  {order}{status} {frame['event']:<20} {details}".rstrip()
