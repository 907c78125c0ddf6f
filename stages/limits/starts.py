"""ORDERS_PER_MINUTE as one process applies it: a sliding window over the starts of all workers.

A start counts from the last moment at which it may happen, GRACE after it was granted: it is in the
window before the order starts, so that no death of a worker hides one. A busy worker gets tokens
for the orders that come next; those that it does not use are returned.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from events.log import LogError, RedisConnection, RedisFunctions

STARTS = "oee:{limits}:starts"
QUEUE = "oee:{limits}:queue"
WINDOW_MS = 60_000
GRACE_SHARE = 120
"""The grace is so small a part of the window: half a second of a minute."""
GRACE_LEAST_MS = 50
SPARE_MAX = 256
"""Tokens that one call asks for, at most."""
FAULT_WAIT_S = 0.2


class _Token(NamedTuple):
    member: str
    valid_s: float
    """Until when an order may start with it; local monotonic time."""


class Starts:
    """Admits orders to their start. Orders in excess wait, and keep their place."""

    def __init__(
        self,
        link: RedisConnection,
        library: RedisFunctions,
        consumer: str,
        limit: int,
        window_ms: int,
    ) -> None:
        self.limit = limit
        """0: any number of orders."""
        self._link, self._library, self._consumer = link, library, consumer
        self._window_ms = window_ms
        self._grace_ms = max(GRACE_LEAST_MS, window_ms // GRACE_SHARE)
        self._numbers = count()
        self._spare: deque[_Token] = deque()
        """Tokens without an order, the oldest first."""
        self._admitted: dict[str, _Token] = {}
        """Orders that may start, and have not."""
        self._returned: list[str] = []
        self._recent = 0
        """Orders admitted since the last call."""
        self._called_s = 0.0
        self._keeper: asyncio.Task[None] | None = None

    async def admit(self, order_ids: Sequence[str]) -> dict[str, int]:
        """The ms that each order has to wait before it may start, 0 is now. Raises LogError.

        A waiting order keeps its place in the queue.
        """
        waits = dict.fromkeys(order_ids, 0)
        if not self.limit:
            return waits
        self._drop_expired(time.monotonic())
        left = [order_id for order_id in waits if not self._start_with_spare(order_id)]
        self._recent += len(waits) - len(left)
        if left:
            waits.update(await self._ask(left))
        return waits

    async def confirm(self, order_ids: Sequence[str]) -> dict[str, int]:
        """As `admit`, right before the start is written: an admission that became too old is made
        again. The order has started then, as far as the limit is concerned. Raises LogError.
        """
        waits = dict.fromkeys(order_ids, 0)
        if not self.limit:
            return waits
        while late := [
            order_id
            for order_id in order_ids
            if not waits[order_id] and not self._in_time(order_id)
        ]:
            waits.update(await self._ask(late))
        for order_id in order_ids:
            self._admitted.pop(order_id, None)
        return waits

    async def close(self) -> None:
        """Returns tokens that no order used."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._returned += [token.member for token in self._spare]
        with suppress(LogError):  # else they count as starts for one window
            await self._return()

    # -- tokens ----------------------------------------------------------------------------------

    def _start_with_spare(self, order_id: str) -> bool:
        if not self._spare:
            return False
        self._admitted[order_id] = self._spare.popleft()
        return True

    def _in_time(self, order_id: str) -> bool:
        """Whether the order may start now. A fifth of the grace is left for writing the event."""
        token = self._admitted.get(order_id)
        margin_s = self._grace_ms / 5000
        return token is not None and time.monotonic() < token.valid_s - margin_s

    def _drop_expired(self, now_s: float) -> None:
        half_s = self._grace_ms / 2000  # an order needs some time until it starts
        while self._spare and self._spare[0].valid_s - half_s <= now_s:
            self._returned.append(self._spare.popleft().member)
        # Orders that another worker took over, or that ended: they are in the order of their time.
        gone_s = now_s - self._window_ms / 1000
        while self._admitted and next(iter(self._admitted.values())).valid_s < gone_s:
            del self._admitted[next(iter(self._admitted))]

    async def _ask(self, order_ids: Sequence[str]) -> dict[str, int]:
        """Admits by a call, and gets tokens for as many orders as came since the last one."""
        # An order that has a token and did not start in time gives it back, and asks by its id.
        for order_id in order_ids:
            token = self._admitted.pop(order_id, None)
            if token is not None and token.member != order_id:
                self._returned.append(token.member)
        await self._return()
        now_s = time.monotonic()  # before the call: by the server's clock the grace ends later
        lively = now_s - self._called_s < 2 * self._grace_ms / 1000
        spare = min(SPARE_MAX, self._recent) if lively else 0
        name = f"{self._consumer}:{next(self._numbers)}"
        granted, *waits = await self._library.call(
            self._link,
            "admit",
            [STARTS, QUEUE],
            self.limit,
            self._window_ms,
            self._grace_ms,
            spare,
            name,
            *order_ids,
        )
        self._called_s, self._recent = now_s, len(order_ids)
        valid_s = now_s + self._grace_ms / 1000
        for order_id, wait_ms in zip(order_ids, waits, strict=True):
            if not wait_ms:
                self._admitted[order_id] = _Token(order_id, valid_s)
        self._spare.extend(_Token(f"{name}:{n}", valid_s) for n in range(1, granted + 1))
        if self._spare and (self._keeper is None or self._keeper.done()):
            self._keeper = asyncio.create_task(self._keep(), name="starts")
        return dict(zip(order_ids, waits, strict=True))

    async def _keep(self) -> None:
        """Returns tokens that were not used, until none is left."""
        while self._spare or self._returned:
            await asyncio.sleep(self._grace_ms / 2000)
            self._drop_expired(time.monotonic())
            try:
                await self._return()
            except LogError:
                await asyncio.sleep(FAULT_WAIT_S)

    async def _return(self) -> None:
        """Returns tokens whose orders have not started. Repeated, it changes nothing."""
        if members := self._returned:
            self._returned = []
            try:
                await self._library.call(self._link, "release", [STARTS], *members)
            except LogError:
                self._returned += members
                raise
