"""CONCURRENCY (a semaphore) and ORDERS_PER_MINUTE (a sliding window) over all workers.

Orders in excess wait. Permits are members of a sorted set, leased by server time: those of a dead
worker expire. They have a hash tag of their own and are never atomic with an append.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

from events.log import PERMITS, LogError, RedisConnection, RedisFunctions
from events.secret import SecretUrl

STARTS = "oee:{limits}:starts"
QUEUE = "oee:{limits}:queue"
WINDOW_MS = 60_000
POLL_S = 0.005
"""Between two attempts while all permits are taken."""


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
        self.concurrency = concurrency
        self.orders_per_minute = orders_per_minute
        self._consumer = consumer
        self._lease_ms = lease_ms
        self._window_ms = window_ms
        self._link = RedisConnection(url, f"limits-{consumer}")
        self._library = RedisFunctions("stages.runtime", "limiter.lua")
        self._numbers = count()
        self._waiting: deque[tuple[str, asyncio.Future[str]]] = deque()
        self._held: set[str] = set()
        self._returned: list[str] = []
        self._keeper: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    @asynccontextmanager
    async def permit(self, order_id: str = "") -> AsyncIterator[None]:
        """Holds one of the CONCURRENCY permits for an order. First come, first served."""
        waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((order_id, waiter))
        self._keep()
        try:
            member = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give_back(waiter.result())
            raise
        try:
            yield
        finally:
            self._give_back(member)

    def _give_back(self, member: str) -> None:
        self._held.discard(member)
        self._returned.append(member)
        self._keep()

    def _keep(self) -> None:
        self._news.set()
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._serve(), name="permits")

    async def _serve(self) -> None:
        """Returns, extends and takes permits while this process holds or awaits any."""
        loop = asyncio.get_running_loop()
        extend_at = loop.time() + self._lease_ms / 4000
        while self._waiting or self._held or self._returned:
            try:
                await self._give_back_now()
                await self._take_now()
                if loop.time() >= extend_at:
                    extend_at = loop.time() + self._lease_ms / 4000
                    if self._held:
                        await self._call("extend", self._lease_ms, *self._held)
            except LogError:
                await asyncio.sleep(0.2)
                continue
            if self._waiting:  # all permits are taken: every process polls at the same rate
                await asyncio.sleep(POLL_S * (0.5 + random.random()))
            elif self._held:
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, extend_at - loop.time())):
                        await self._news.wait()

    async def _give_back_now(self) -> None:
        if self._returned:
            members = self._returned[:]
            await self._call("release", *members)
            del self._returned[: len(members)]

    async def _take_now(self) -> None:
        self._waiting = deque(entry for entry in self._waiting if not entry[1].done())
        if not self._waiting:
            return
        # The order's id is last: other processes read from it which orders have a permit.
        members = [
            f"{self._consumer}:{next(self._numbers)}:{order_id}" for order_id, _ in self._waiting
        ]
        granted = await self._call("acquire", self.concurrency, self._lease_ms, *members)
        for member in members[:granted]:
            _, waiter = self._waiting.popleft()
            if waiter.done():  # cancelled during the call
                self._returned.append(member)
            else:
                self._held.add(member)
                waiter.set_result(member)

    async def _call(self, function: str, *arguments: str | int) -> int:
        return int(await self._library.call(self._link, function, [PERMITS], *arguments))

    async def admit(self, order_ids: Sequence[str]) -> dict[str, int]:
        """The ms that each order has to wait before its routing may start, 0 is now.

        A waiting order keeps its place in the queue. Raises LogError.
        """
        waits = await self._library.call(
            self._link,
            "admit",
            [STARTS, QUEUE],
            self.orders_per_minute,
            self._window_ms,
            *order_ids,
        )
        return dict(zip(order_ids, waits, strict=True))

    async def started(self, order_ids: Sequence[str]) -> None:
        """Counts these orders as started now; the admission does not count. Raises LogError."""
        await self._library.call(self._link, "started", [STARTS], self._window_ms, *order_ids)

    async def close(self) -> None:
        """Returns all permits and closes the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        members = [*self._held, *self._returned]
        if members:
            with suppress(LogError):  # else their leases expire
                await self._call("release", *members)
        await self._link.close()
