"""Event frames as lines for a person."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

from engine.terminal.styles import STATUS_STYLES, styled

_SHOWN = (
    "type", "tokenIn", "tokenOut", "amount", "swapMode", "targetPrice", "minLiquidity", "maxPrice",
    "timeInForce", "expiresAt", "cause", "dex", "slot", "liquidity", "price", "priceImpactBps",
    "maxAmountIn", "minAmountOut", "signature", "lastValidHeight", "executedPrice", "amountIn",
    "amountOut", "txHash", "stage", "reason", "error", "detail", "attempt", "attempts",
    "nextAttemptAt", "inDoubt", "feeLamports", "rentLamports", "leftover", "actor", "why",
)  # fmt: skip
"""The fields of a line, in its order."""
_USUAL = {"swapMode": "exactIn"}


def route(view: dict[str, Any]) -> str:
    """Returns the pool programs that a quote or a route goes through: `+` splits, `>` follows."""
    families = iter([leg["family"] for leg in view.get("legs", ())])
    hops = [islice(families, len(hop.split("+"))) for hop in view.get("pool", "").split(">")]
    return ">".join("+".join(hop) for hop in hops) or str(view["dex"])


def clock(timestamp: str) -> str:
    """Returns the local time of day of an ISO timestamp, to the millisecond."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S.%f")[:-3]


def line(frame: dict[str, Any]) -> str:
    """Returns one line for a frame; colours on a terminal only."""
    status = styled(f"{frame['status']:<10}", STATUS_STYLES.get(frame["status"], ""))
    shown = frame | {"dex": route(frame)} if frame.get("legs") else frame
    if frame.get("leftovers"):
        leftovers = ",".join(
            f"{leftover['amount']}{leftover['token']}" for leftover in frame["leftovers"]
        )
        shown = shown | {"leftover": leftovers}
    details = " ".join(
        f"{key}={shown[key]}"
        for key in _SHOWN
        if shown.get(key) not in (None, "", False, _USUAL.get(key))
    )
    at, order_id = clock(frame["timestamp"]), frame["orderId"]
    return f"{at}  {order_id}  {status} {frame['event']:<20} {details}".rstrip()
