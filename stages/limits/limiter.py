"""CONCURRENCY (a semaphore) and ORDERS_PER_MINUTE (a sliding window) over all workers.

Orders in excess wait. Both are leased in blocks by server time: what a worker used a moment ago it
may use again without a call, and what a dead worker held runs out. Never atomic with an append.
"""

from __future__ import annotations

from events.log import RedisConnection, RedisFunctions
from events.secret import SecretUrl
from stages.limits.permits import Permits
from stages.limits.starts import WINDOW_MS, Starts


class RateAndConcurrencyLimiter:
    """The limits, as one process applies them. 0 is unlimited."""

    def __init__(
        self,
        url: SecretUrl | str,
        consumer: str,
        *,
        concurrency: int = 0,
        orders_per_minute: int = 0,
        lease_ms: int = 10_000,
        window_ms: int = WINDOW_MS,
    ) -> None:
        self._link = RedisConnection(url, f"limits-{consumer}")
        library = RedisFunctions("stages.limits", "limits.lua")
        self.permits = Permits(self._link, library, consumer, concurrency, lease_ms)
        self.starts = Starts(self._link, library, consumer, orders_per_minute, window_ms)

    async def close(self) -> None:
        """Returns all permits and closes the connection."""
        await self.permits.close()
        await self.starts.close()
        await self._link.close()
