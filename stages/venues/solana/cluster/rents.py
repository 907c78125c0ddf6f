"""The rent-exempt balance of new accounts, as the cluster reports it: asked once an hour.

SIMD-0437 lowers it in steps, from 6,960 to 696 lamports a byte. Associated accounts are funded by
their program; only the temporary account of wrapped SOL is funded by the engine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from stages.venues import VenueRefusal
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.transaction.wrapping import rent_at_most

ASKED_EVERY_S = 3_600.0
UNANSWERED_S = 60.0
"""Before the next question where no node answered."""

_log = structlog.get_logger()


class Rents:
    """Lamports by the size of an account's data. `clock_s` is monotonic."""

    def __init__(self, rpc: Rpc, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._rpc = rpc
        self._clock_s = clock_s
        self._known: dict[int, int] = {}
        self._until_s: dict[int, float] = {}
        self._asking = asyncio.Lock()

    async def of(self, size: int) -> int:
        """The least balance of an account of `size` bytes. Without an answer, the last known
        balance, else the highest that it ever was: the excess becomes wrapped SOL in the temporary
        account, and comes back when that is closed.
        """
        async with self._asking:
            now_s = self._clock_s()
            if now_s >= self._until_s.get(size, float("-inf")):
                try:
                    self._known[size] = await self._rpc.get_minimum_balance(size)
                    self._until_s[size] = now_s + ASKED_EVERY_S
                except VenueRefusal as error:
                    _log.warning("rent_unread", size=size, error=str(error))
                    self._until_s[size] = now_s + UNANSWERED_S
            return self._known.get(size, rent_at_most(size))

    async def rose(self, size: int, above: int) -> bool:
        """Whether it is more now than the balance a transaction was made with; asks again."""
        self._until_s.pop(size, None)
        return await self.of(size) > above
