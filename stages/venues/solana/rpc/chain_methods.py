"""Reads the state of the chain: blockhashes, slots, heights, and what the cluster runs."""

from __future__ import annotations

from typing import Any

from msgspec.json import Decoder

from stages.venues.solana.rpc.answers import At, Blockhash, EpochInfo, PerformanceSample
from stages.venues.solana.rpc.calls import Ask, behind, behind_slot, config_of
from stages.venues.solana.rpc.errors import NotServed, Unreachable
from stages.venues.solana.rpc.options import Commitment
from stages.venues.solana.rpc.shared_methods import BEHIND_SLOTS, RpcMethods

APART_SLOTS = 32
"""More slots than pass between two answers of a healthy node."""

_blockhash = Decoder(At[Blockhash])
_epoch = Decoder(EpochInfo)
_number = Decoder(int)
_samples = Decoder(list[PerformanceSample])
_text = Decoder(str)
_anything = Decoder()


class ChainMethods(RpcMethods):
    """The methods about the chain as a whole."""

    async def get_latest_blockhash(self, commitment: Commitment) -> At[Blockhash]:
        """A blockhash to sign with; not one of a node that is behind what others said."""
        least, height = self._least(commitment), self._valid_heights.of(commitment) or 0

        def check(answer: At[Blockhash]) -> str:
            ends = answer.value.last_valid_block_height
            is_early = ends < height - BEHIND_SLOTS["processed"]
            early = f"its blockhash ends at {ends} of {height}" if is_early else ""
            return behind(answer, least) or early

        config = config_of(commitment, minContextSlot=least)
        ask = Ask("getLatestBlockhash", (config,), _blockhash, check)
        answer: At[Blockhash] = (await self._link.together([ask]))[0]
        self._newest.take(commitment, answer.slot)
        self._valid_heights.take(commitment, answer.value.last_valid_block_height)
        return answer

    async def get_epoch_info(self, commitment: Commitment) -> EpochInfo:
        """Slot and block height, of one bank; or, from a node that does not serve that, a height
        and a slot a moment later, which proves no more.
        """
        known = self._newest.of(commitment)
        least = None if known is None else max(0, known - BEHIND_SLOTS["processed"])
        config = config_of(commitment, minContextSlot=least)

        def check(info: EpochInfo) -> str:
            return behind_slot(info.absolute_slot, least)

        try:
            epoch_info: EpochInfo = (
                await self._link.together([Ask("getEpochInfo", (config,), _epoch, check)])
            )[0]
        except NotServed:
            epoch_info = await self._slot_and_height(config)
        self._newest.take(commitment, epoch_info.absolute_slot)
        return epoch_info

    async def _slot_and_height(self, config: dict[str, Any]) -> EpochInfo:
        slot = Ask("getSlot", (config,), _number)
        height = Ask("getBlockHeight", (config,), _number)
        before, height_then, after = await self._link.together([slot, height, slot])
        if not 0 <= after - before <= APART_SLOTS:
            raise Unreachable(f"getSlot: {before}, then {after}")
        return EpochInfo(after, height_then)

    async def get_block_height(self, commitment: Commitment) -> int:
        """The block height."""
        return await self._link.call("getBlockHeight", (config_of(commitment),), _number)

    async def get_slot(self, commitment: Commitment) -> int:
        """The slot."""
        return await self._link.call("getSlot", (config_of(commitment),), _number)

    async def get_recent_performance_samples(self, limit: int) -> list[PerformanceSample]:
        """Slots by the minute, the newest first; few or none where the node is young."""
        return await self._link.call("getRecentPerformanceSamples", (limit,), _samples)

    async def is_alpenglow(self) -> bool:
        """Whether the cluster has migrated to Alpenglow: then there is a certificate of it."""
        return await self._link.call("getAgGenesisCert", (), _anything) is not None

    async def get_genesis_hash(self) -> str:
        """What tells mainnet from devnet."""
        return await self._link.call("getGenesisHash", (), _text)
