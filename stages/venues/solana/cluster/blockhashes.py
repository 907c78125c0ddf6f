"""A recent blockhash, fetched ahead and shared by what is built within a short time."""

from __future__ import annotations

import asyncio
import time

import structlog

from stages.venues import VenueRefusal
from stages.venues.solana.cluster.commitments import Commitments
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.cluster.slot_time import SlotTime, blockhash_ahead_s, blockhash_shared_s
from stages.venues.solana.rpc.answers import At, Blockhash
from stages.venues.solana.rpc.methods import Rpc

_log = structlog.get_logger()


class Blockhashes(PollingLoop):
    """The newest blockhash, at most some slots old. Started, it is there before it is needed. One
    request at a time.
    """

    def __init__(self, rpc: Rpc, slot_time: SlotTime, commitments: Commitments) -> None:
        self._rpc = rpc
        self._commitments = commitments
        self._slot_time = slot_time
        self._known: At[Blockhash] | None = None
        self._asked_s = self._until_s = 0.0
        self._asking = asyncio.Lock()

    def known(self) -> At[Blockhash] | None:
        """The blockhash where it need not be asked for."""
        return self._known if time.monotonic() < self._until_s else None

    async def recent(self, *, fresh: bool = False) -> At[Blockhash]:
        """The blockhash, and the slot of the answer with it. Raises what the client raises.

        `fresh`: of an answer that was asked for from now on; for a transaction that follows a dead
        one, whose blockhash may be the shared one.
        """
        called_s = time.monotonic()
        known = self.known()  # while the next one is fetched, too
        if known is not None and not fresh:
            return known
        async with self._asking:
            old = time.monotonic() >= self._until_s or (fresh and self._asked_s < called_s)
            return await self._ask() if self._known is None or old else self._known

    async def _ask(self) -> At[Blockhash]:
        now_s = time.monotonic()
        # Never `processed`: that may be of a block that is dropped.
        self._known = await self._commitments.ask(
            self._commitments.blockhash, self._rpc.get_latest_blockhash
        )
        self._asked_s = now_s
        self._until_s = now_s + blockhash_shared_s(self._slot_time)
        return self._known

    async def _run(self) -> None:
        while True:
            try:
                async with self._asking:
                    await self._ask()
            except VenueRefusal as error:
                _log.debug("blockhash_unread", error=str(error))
            await asyncio.sleep(blockhash_ahead_s(self._slot_time))
