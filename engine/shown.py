"""Event frames as lines for a person."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

_COLOURS = {
    "confirmed": "32", "failed": "31", "expired": "33", "submitted": "36", "watching": "35",
    "cancelled": "33",
}  # fmt: skip
# What a frame adds, in the order in which a person wants to read it.
_TELLING = (
    "type", "tokenIn", "tokenOut", "amount", "targetPrice", "minLiquidity", "maxPrice",
    "timeInForce", "expiresAt", "cause", "dex", "slot", "liquidity", "price",
    "minAmountOut", "signature", "lastValidHeight", "executedPrice", "amountOut", "txHash",
    "stage", "reason", "error", "detail", "attempt", "attempts", "nextAttemptAt", "inDoubt",
    "actor",
)  # fmt: skip


def clock(timestamp: str) -> str:
    """Return the local time of day of an ISO timestamp, to the millisecond."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S.%f")[:-3]


def line(frame: dict[str, Any], *, with_order: bool = True) -> str:
    """Return one line for a frame; colours on a terminal only."""
    status = f"{frame['status']:<10}"
    if sys.stdout.isatty() and frame["status"] in _COLOURS:
        status = f"\x1b[{_COLOURS[frame['status']]}m{status}\x1b[0m"
    details = " ".join(
        f"{key}={frame[key]}" for key in _TELLING if frame.get(key) not in (None, "", False)
    )
    order = f"{frame['orderId']}  " if with_order else ""
    return f"{clock(frame['timestamp'])}  {order}{status} {frame['event']:<20} {details}".rstrip()
