"""A recent blockhash, shared by what is built within a short time. One request at a time."""

from __future__ import annotations

import asyncio
import time

from stages.venues.solana.cluster.commitments import Commitments
from stages.venues.solana.cluster.slot_time import SlotTime, blockhash_shared_s
from stages.venues.solana.rpc.answers import At, Blockhash
from stages.venues.solana.rpc.methods import Rpc


class Blockhashes:
    """The newest blockhash, at most some slots old."""

    def __init__(self, rpc: Rpc, slot_time: SlotTime, commitments: Commitments) -> None:
        self._rpc = rpc
        self._commitments = commitments
        self._slot_time = slot_time
        self._known: At[Blockhash] | None = None
        self._asked_s = self._until_s = 0.0
        self._asking = asyncio.Lock()

    async def recent(self, *, fresh: bool = False) -> At[Blockhash]:
        """The blockhash, and the slot of the answer with it. Raises what the client raises.

        `fresh`: of an answer that was asked for from now on; for a transaction that follows a dead
        one, whose blockhash may be the shared one.
        """
        called_s = time.monotonic()
        async with self._asking:
            now_s = time.monotonic()
            old = now_s >= self._until_s or (fresh and self._asked_s < called_s)
            if self._known is None or old:
                # Never `processed`: that may be of a block that is dropped.
                self._known = await self._commitments.ask(
                    self._commitments.blockhash, self._rpc.get_latest_blockhash
                )
                self._asked_s = now_s
                self._until_s = now_s + blockhash_shared_s(self._slot_time)
            return self._known
