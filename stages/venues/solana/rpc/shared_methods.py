"""What all methods of Solana's JSON-RPC share: the connection, and how new an answer has to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from stages.venues.solana.rpc.calls import Ask
from stages.venues.solana.rpc.errors import TooLarge
from stages.venues.solana.rpc.link import RpcLink
from stages.venues.solana.rpc.options import Commitment
from stages.venues.solana.rpc.slots import Newest

BEHIND_SLOTS: dict[Commitment, int] = {"processed": 32, "confirmed": 64, "finalized": 96}
"""So far behind the newest known processed slot, a node is left for another one. Two healthy nodes
are a few slots apart; under TowerBFT a finalized bank is 32 behind."""


class RpcMethods:
    """The base of the methods: they share one connection and the newest slots it has seen."""

    def __init__(self, link: RpcLink) -> None:
        self._link = link
        self._newest = Newest()
        self._valid_heights = Newest()

    def _least(self, commitment: Commitment) -> int | None:
        """The slot that a node must have reached at this commitment; None: any will do."""
        known, processed = self._newest.of(commitment), self._newest.of("processed")
        if processed is None:
            return known
        return max(known or 0, processed - BEHIND_SLOTS[commitment], 0)

    async def _split(
        self, items: Sequence[str], most: int, ask: Callable[[Sequence[str]], Ask]
    ) -> list[Any]:
        """The answers for all items, at most so many a call, and fewer if no node takes those."""
        while True:
            chunks = [items[i : i + most] for i in range(0, len(items), most)]
            try:
                answers = await asyncio.gather(
                    *(self._link.together([ask(some)]) for some in chunks)
                )
            except TooLarge as error:
                if not 0 < error.size_max < most:
                    raise
                most = error.size_max
            else:
                return [account for [account] in answers]
