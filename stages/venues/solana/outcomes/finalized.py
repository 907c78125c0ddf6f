"""The newest finalized slot and height, read between two rounds of questions."""

from __future__ import annotations

import asyncio
import time

import structlog

from stages.venues import VenueRefusal
from stages.venues.solana.cluster.slot_time import SlotTime, finalized_age_s
from stages.venues.solana.outcomes.finality import DOUBT_AFTER_S
from stages.venues.solana.rpc.answers import EpochInfo
from stages.venues.solana.rpc.methods import Rpc

_log = structlog.get_logger()


class FinalizedHeight:
    """Keeps the newest finalized height. Times are of the monotonic clock."""

    def __init__(self, rpc: Rpc, slot_time: SlotTime) -> None:
        self._rpc = rpc
        self._slot_time = slot_time
        self._reading = asyncio.Lock()
        self._read_s = self._rose_s = 0.0
        """When it was read, and when it was last higher than before."""
        self.newest: EpochInfo | None = None
        """None before the first answer."""
        self.error: VenueRefusal | None = None
        """Why the last reading failed; None where it succeeded."""

    def stands_still(self) -> bool:
        """Whether nothing was finalized for too long; slots may pass all the same."""
        return self.newest is not None and time.monotonic() - self._rose_s > DOUBT_AFTER_S

    async def read(self) -> None:
        """Reads the height, unless it is recent. A failure is kept in `error`."""
        async with self._reading:
            if time.monotonic() - self._read_s < finalized_age_s(self._slot_time):
                return
            try:
                epoch_info = await self._rpc.get_epoch_info("finalized")
            except VenueRefusal as error:
                _log.info("finalized_height_unread", error=str(error))
                self.error = error
                return
            before, now_s = self.newest, time.monotonic()
            if before is None or epoch_info.block_height > before.block_height:
                self._rose_s = now_s
            self.newest, self._read_s = epoch_info, now_s
            self.error = None
