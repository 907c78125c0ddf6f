"""Rate limits: a token bucket for each key and budget, in this process only.

The headers follow draft-ietf-httpapi-ratelimit-headers: the policy is `burst` requests in the
seconds that it takes to earn as many.
"""

from __future__ import annotations

import math
from typing import NamedTuple

CALLERS_MAX = 10_000
"""How many buckets are kept before full ones are dropped."""

ROUNDING = 1e-6
"""In tokens: far above the error of floats, far below one request."""


class Taken(NamedTuple):
    """The state of a bucket after a request."""

    allowed: bool
    remaining: int
    reset_s: int
    """Until a token is earned when none is left, else until the bucket is full."""


class Rates:
    """The token buckets of all keys."""

    def __init__(self, per_s: float, burst: int) -> None:
        """`per_s`: requests earned a second; `burst`: the size of a bucket."""
        self._per_s = per_s
        self._burst = max(1, burst)
        self._buckets: dict[str, tuple[float, float]] = {}
        window_s = math.ceil(self._burst / per_s)
        self._quota = f"q={self._burst};w={window_s}"

    def take(self, caller: str, now_s: float) -> Taken:
        """Takes a token, if there is one. `caller`: the key, or the address, and the budget."""
        tokens, then_s = self._buckets.get(caller, (float(self._burst), now_s))
        tokens = min(self._burst, tokens + (now_s - then_s) * self._per_s)
        # A client that waited exactly as long as it was told is not refused for a rounding.
        tokens = max(tokens, math.floor(tokens + ROUNDING))
        allowed = tokens >= 1
        tokens -= allowed
        if len(self._buckets) >= CALLERS_MAX and caller not in self._buckets:
            self._forget(now_s)
        self._buckets[caller] = tokens, now_s
        missing = (self._burst if tokens >= 1 else 1) - tokens
        return Taken(allowed, int(tokens), math.ceil(missing / self._per_s))

    def headers(self, taken: Taken, budget: str = "default") -> dict[str, str]:
        """The rate limit headers of the response; `budget` names the policy."""
        limit = f'"{budget}";r={taken.remaining};t={taken.reset_s}'
        return {"RateLimit-Policy": f'"{budget}";{self._quota}', "RateLimit": limit}

    def _forget(self, now_s: float) -> None:
        full_s = self._burst / self._per_s
        self._buckets = {c: b for c, b in self._buckets.items() if now_s - b[1] < full_s}
