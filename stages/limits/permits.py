"""The CONCURRENCY permits of one process: a semaphore over all workers.

Permits are members of a sorted set, leased by server time: those of a dead worker expire. A permit
that an order returns is kept for KEEP_S for the next order, so that busy workers share few calls.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import msgspec

from events.log import HOLDERS, PERMITS, LogError, RedisConnection, RedisFunctions

KEEP_S = 0.25
"""How long a permit is used again before it is returned, so that other workers get their turn."""
POLL_S = 0.005
"""Between two attempts while all permits are taken."""
LISTED_S = 0.25
"""Orders that hold a permit for longer are listed, for people."""
LISTING_MS = 1000
"""How long such an order stays listed after the last time."""
FAULT_WAIT_S = 0.2


class _Permit(msgspec.Struct):
    member: str
    taken_s: float
    """When this process got it. Local monotonic time, as all times here."""
    valid_s: float
    """Until when its lease lasts at least."""


class _Use(msgspec.Struct):
    permit: _Permit
    began_s: float
    times: int = 1
    """How many parts of the order's work need it; it is free when there is none."""


class Permits:
    """How many orders this process has in venue calls, and the permits that they hold."""

    def __init__(
        self,
        link: RedisConnection,
        library: RedisFunctions,
        consumer: str,
        limit: int,
        lease_ms: int,
    ) -> None:
        self.limit = limit
        """0: any number of orders."""
        self._link, self._library, self._consumer = link, library, consumer
        self._lease_ms = lease_ms
        self._extend_s = lease_ms / 4000
        self._numbers = count()
        self._free: list[_Permit] = []
        self._used: dict[str, _Use] = {}
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()
        self._returned: list[str] = []
        self._keeper: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    # -- for the pipeline ------------------------------------------------------------------------

    async def take(self, order_ids: Sequence[str]) -> int:
        """How many of these orders, the first ones, got a permit now. The others use `permit`."""
        if not self.limit:
            return len(order_ids)
        if self._waiting:  # first come, first served
            return 0
        missing = sum(order_id not in self._used for order_id in order_ids) - len(self._free)
        if missing > 0:
            with suppress(LogError):  # they wait, and the keeper tries again
                await self._acquire(missing)
        taken = 0
        for order_id in order_ids:
            if self._waiting or not self._use(order_id):
                break
            taken += 1
        self._keep()
        return taken

    @asynccontextmanager
    async def permit(self, order_id: str) -> AsyncIterator[None]:
        """Holds a permit for the order. Waits for it: first come, first served."""
        await self._wait(order_id)
        try:
            yield
        finally:
            self.release([order_id])

    async def _wait(self, order_id: str) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((order_id, waiter))
        self._keep(news=True)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release([order_id])
            raise

    def retain(self, order_ids: Collection[str]) -> None:
        """The permits of these orders are needed by one part of the work more."""
        for order_id in order_ids if self.limit else ():
            self._used[order_id].times += 1

    def release(self, order_ids: Collection[str]) -> None:
        """One part of the work on these orders has ended."""
        for order_id in order_ids if self.limit else ():
            use = self._used[order_id]
            use.times -= 1
            if not use.times:
                del self._used[order_id]
                self._pass_on(use.permit)

    async def close(self) -> None:
        """Returns all permits."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        held = [*self._free, *(use.permit for use in self._used.values())]
        members = [*self._returned, *(permit.member for permit in held)]
        if members:
            with suppress(LogError):  # else their leases expire
                await self._call("release", PERMITS, *members)

    # -- what is held ----------------------------------------------------------------------------

    def _use(self, order_id: str) -> bool:
        if (use := self._used.get(order_id)) is not None:
            use.times += 1
            return True
        now_s = time.monotonic()
        while self._free:
            permit = self._free.pop()
            if permit.valid_s > now_s:
                self._used[order_id] = _Use(permit, now_s)
                return True
            self._returned.append(permit.member)  # this process stood still for its whole lease
        return False

    def _pass_on(self, permit: _Permit) -> None:
        """Gives a permit to the order that waits longest, keeps it for the next, or returns it."""
        now_s = time.monotonic()
        if now_s >= min(permit.taken_s + KEEP_S, permit.valid_s):
            self._returned.append(permit.member)
            self._keep(news=True)
            return
        self._free.append(permit)
        self._serve_waiting()
        self._keep()

    def _serve_waiting(self) -> None:
        while self._waiting:
            order_id, waiter = self._waiting[0]
            if not waiter.done():
                if not self._use(order_id):
                    return
                waiter.set_result(None)
            self._waiting.popleft()

    # -- the server's side -----------------------------------------------------------------------

    def _keep(self, *, news: bool = False) -> None:
        if news:
            self._news.set()
        busy = self._waiting or self._used or self._free or self._returned
        if busy and (self._keeper is None or self._keeper.done()):
            self._keeper = asyncio.create_task(self._serve(), name="permits")

    async def _serve(self) -> None:
        """Returns, extends and takes permits while this process holds or awaits any."""
        extend_s = time.monotonic() + self._extend_s
        while self._waiting or self._used or self._free or self._returned:
            self._news.clear()
            try:
                await self._return()
                await self._take_for_waiting()
                if time.monotonic() >= extend_s:
                    extend_s = time.monotonic() + self._extend_s
                    await self._extend()
                await self._list_holders()
            except LogError:
                await asyncio.sleep(FAULT_WAIT_S)
                continue
            if self._waiting:  # all permits are taken: every process polls at the same rate
                await asyncio.sleep(POLL_S * (0.5 + random.random()))
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, self._next_s(extend_s) - time.monotonic())):
                        await self._news.wait()

    def _next_s(self, extend_s: float) -> float:
        """When something is to be done again, if nothing happens before."""
        due = [extend_s, *(permit.taken_s + KEEP_S for permit in self._free)]
        if self._used:
            due.append(time.monotonic() + LISTED_S)
        return min(due)

    async def _return(self) -> None:
        old_s = time.monotonic() - KEEP_S
        self._returned += [permit.member for permit in self._free if permit.taken_s <= old_s]
        self._free = [permit for permit in self._free if permit.taken_s > old_s]
        if members := self._returned:
            self._returned = []
            try:
                await self._call("release", PERMITS, *members)
            except LogError:
                self._returned += members
                raise

    async def _take_for_waiting(self) -> None:
        self._serve_waiting()
        if self._waiting:
            await self._acquire(len(self._waiting))
            self._serve_waiting()

    async def _acquire(self, number: int) -> None:
        members = [f"{self._consumer}:{next(self._numbers)}" for _ in range(number)]
        now_s = time.monotonic()  # before the call: the lease lasts longer by the server's clock
        granted = await self._call("acquire", PERMITS, self.limit, self._lease_ms, *members)
        valid_s = now_s + self._lease_ms / 1000
        self._free.extend(_Permit(member, now_s, valid_s) for member in members[:granted])

    async def _extend(self) -> None:
        permits = [*self._free, *(use.permit for use in self._used.values())]
        if not permits:
            return
        now_s = time.monotonic()
        members = [permit.member for permit in permits]
        lost = {
            member.decode()
            for member in await self._call("extend", PERMITS, self._lease_ms, *members)
        }
        for permit in permits:
            permit.valid_s = 0.0 if permit.member in lost else now_s + self._lease_ms / 1000

    async def _list_holders(self) -> None:
        long_s = time.monotonic() - LISTED_S
        holders = [order_id for order_id, use in self._used.items() if use.began_s <= long_s]
        if holders:
            await self._call("hold", HOLDERS, LISTING_MS, *holders)

    async def _call(self, function: str, key: str, *arguments: str | int) -> Any:
        return await self._library.call(self._link, function, [key], *arguments)
