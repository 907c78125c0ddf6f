"""The methods of Solana's JSON-RPC that we use, typed. How nodes are reached is `link`'s.

All raise what `RpcLink.call` raises, and ValueError for more than a call may ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from msgspec.json import Decoder

from events.secret import SecretBytes
from stages.venues.solana.rpc.answers import (
    AccountInfo,
    At,
    Blockhash,
    Details,
    EpochInfo,
    HistoryPage,
    KeyedAccount,
    PerformanceSample,
    SignatureInfo,
    SignatureStatus,
    Simulation,
    TokenAccount,
)
from stages.venues.solana.rpc.ask import Ask, Heard
from stages.venues.solana.rpc.calls import (
    ACCOUNTS,
    STATUSES,
    accounts_ask,
    base64_of,
    behind,
    behind_slot,
    config_of,
    first_key,
    joined,
    statuses_ask,
    token_account,
)
from stages.venues.solana.rpc.errors import NotServed, RpcError, TooLarge, Unreachable
from stages.venues.solana.rpc.faults import About, already_processed
from stages.venues.solana.rpc.link import AtNode, RpcLink
from stages.venues.solana.rpc.node import NodeFault
from stages.venues.solana.rpc.node_history import FIRST, LEDGER_MARGIN_SLOTS, LOWEST, first_slot_of
from stages.venues.solana.rpc.options import Commitment
from stages.venues.solana.rpc.slots import Newest
from stages.venues.solana.transaction.messages import NEWEST_VERSION

ACCOUNTS_MAX = 100
SIGNATURES_MAX = 256
HISTORY_MAX = 1_000
BEHIND_SLOTS: dict[Commitment, int] = {"processed": 32, "confirmed": 64, "finalized": 96}
"""So far behind the newest processed slot that was named, a node is left for another one. Two good
nodes are a few slots apart; under TowerBFT a finalized bank is 32 behind."""
APART_SLOTS = 32
"""More slots than pass between two answers of a node that is well."""
VERSION_UNSUPPORTED = -32015
"""JSON-RPC error: the transaction is of a newer version than the question allows. It is about the
question, not about the node: another node answers the same.
"""
VERSION_MAX = 127
"""The highest version that a question may allow; a version has seven bits."""

_blockhash = Decoder(At[Blockhash])
_simulation = Decoder(At[Simulation])
_details = Decoder(Details | None)
_epoch = Decoder(EpochInfo)
_keyed = Decoder(At[list[KeyedAccount]])
_balance = Decoder(At[int])
_history = Decoder(list[SignatureInfo])
_number = Decoder(int)
_time = Decoder(int | None)
_samples = Decoder(list[PerformanceSample])
_text = Decoder(str)
_anything = Decoder()


class Rpc:
    """One method a method of the protocol."""

    def __init__(self, link: RpcLink) -> None:
        self._link = link
        self._newest = Newest()
        self._valid_heights = Newest()

    async def close(self) -> None:
        """Closes the connections."""
        await self._link.close()

    @property
    def accounts_max(self) -> int:
        """How many accounts one answer holds, by what the nodes have said so far."""
        return self._link.size_max(ACCOUNTS) or ACCOUNTS_MAX

    async def get_multiple_accounts(
        self,
        addresses: Sequence[str],
        *,
        commitment: Commitment,
        min_context_slot: int | None = None,
    ) -> list[At[list[AccountInfo | None]]]:
        """The accounts, in order, one answer for each 100 addresses, or fewer where nodes take
        fewer. One answer is one bank; two answers may be of two slots.
        """

        def ask(some: Sequence[str]) -> Ask:
            return self._accounts_ask(some, commitment, min_context_slot)

        answers = await self._split(addresses, self.accounts_max, ask)
        for answer in answers:
            self._newest.take(commitment, answer.slot)
        return answers

    async def get_accounts_at_once(
        self, addresses: Sequence[str], *, commitment: Commitment, min_context_slot: int | None
    ) -> At[list[AccountInfo | None]]:
        """The accounts of one bank, in order. Raises TooLarge where no node takes so many."""
        ask = self._accounts_ask(addresses, commitment, min_context_slot)
        answer: At[list[AccountInfo | None]] = (await self._link.together([ask]))[0]
        self._newest.take(commitment, answer.slot)
        return answer

    async def get_account_heads(
        self, addresses: Sequence[str], head_bytes: int, commitment: Commitment
    ) -> list[AccountInfo | None]:
        """The accounts, in order, with the first bytes of their data alone; `space` is whole."""
        part = {"offset": 0, "length": head_bytes}
        config = config_of(commitment, encoding="base64", dataSlice=part)
        answers = await self._split(
            addresses, self.accounts_max, lambda some: accounts_ask(some, config)
        )
        return [account for answer in answers for account in answer.value]

    def _accounts_ask(self, some: Sequence[str], commitment: Commitment, least: int | None) -> Ask:
        config = config_of(commitment, encoding="base64", minContextSlot=least)
        return accounts_ask(some, config, least)

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

    def _least(self, commitment: Commitment) -> int | None:
        """The slot that a node must have reached at this commitment; None: any will do."""
        known, processed = self._newest.of(commitment), self._newest.of("processed")
        if processed is None:
            return known
        return max(known or 0, processed - BEHIND_SLOTS[commitment], 0)

    async def send_transaction(self, raw: SecretBytes) -> str:
        """Hands the bytes over and returns the signature; the node neither checks nor resends.
        Empty where the node says that the chain has taken it already.
        """
        config = {"encoding": "base64", "skipPreflight": True, "maxRetries": 0}
        params = base64_of(raw.reveal()), config
        try:
            return await self._link.call("sendTransaction", params, _text)
        except RpcError as error:
            if already_processed(error.detail):
                return ""
            raise

    async def simulate_transaction(self, raw: bytes, commitment: Commitment) -> At[Simulation]:
        """What the transaction would do now. It needs no signature and no valid blockhash."""
        least = self._newest.of(commitment)
        config = config_of(
            commitment, encoding="base64", sigVerify=False, replaceRecentBlockhash=True,
            minContextSlot=least,
        )  # fmt: skip
        params = base64_of(raw), config
        ask = Ask("simulateTransaction", params, _simulation, lambda told: behind(told, least))
        answer: At[Simulation] = (await self._link.together([ask]))[0]
        return answer

    async def ask_each(self, ask: Ask) -> list[Any]:
        """Of each node that answers: the result, or its RpcError. Raises as `everywhere`."""

        async def look(node: AtNode) -> Any:
            try:
                return await node.ask(ask)
            except NodeFault as fault:
                if fault.fault.about is not About.REQUEST:
                    raise
                return RpcError(fault.fault.number or 0, fault.fault.text)

        return await self._link.everywhere([ask.method], look)

    async def get_signature_statuses(
        self, signatures: Sequence[str]
    ) -> At[list[SignatureStatus | None]]:
        """The status of up to 256 signatures, in order, from all of the node's history. The slot
        is the earliest at which one of them was looked up.
        """
        if len(signatures) > SIGNATURES_MAX:
            raise ValueError(f"more than {SIGNATURES_MAX} signatures")
        # Not minContextSlot: the method has none.
        known = self._newest.of("processed")
        least = None if known is None else known - BEHIND_SLOTS["processed"]
        most = self._link.size_max(STATUSES) or SIGNATURES_MAX
        answers = await self._split(signatures, most, lambda some: statuses_ask(some, least))
        return joined(answers)

    async def get_statuses_and_memory(
        self, signatures: Sequence[str], oldest_slot: int = 0
    ) -> Heard[tuple[int, At[list[SignatureStatus | None]]]]:
        """Of each node that answers: the oldest slot that it still has, and what it knows of
        signatures. `oldest_slot` is the latest one that would do. Raises NotServed where no node
        can say how far back it sees.
        """

        async def look(node: AtNode) -> tuple[int, At[list[SignatureStatus | None]]]:
            await node.check_chain()
            first_slot = await first_slot_of(node, oldest_slot)
            most = node.size_max(STATUSES) or SIGNATURES_MAX
            answers = [
                await node.ask(statuses_ask(signatures[at : at + most], None))
                for at in range(0, len(signatures), most)
            ]
            return first_slot, joined(answers)

        return await self._link.everywhere([STATUSES], look)

    @property
    def witnesses(self) -> int:
        """How many nodes have to agree that something is not there: two, where there are two."""
        return max(1, min(2, self._link.nodes))

    async def get_transaction(self, signature: str, commitment: Commitment) -> Details | None:
        """A landed transaction with its balances; None where the node has none (yet). Raises
        RpcError with `VERSION_UNSUPPORTED` for a version that cannot be decoded here.
        """
        config = config_of(
            commitment, encoding="base64", maxSupportedTransactionVersion=NEWEST_VERSION
        )
        return await self._link.call("getTransaction", (signature, config), _details)

    async def get_fee_payer(self, signature: str, commitment: Commitment) -> str | None:
        """Who paid for a transaction of any version, as the node has decoded it; None where the
        node does not tell.
        """
        config = config_of(commitment, encoding="json", maxSupportedTransactionVersion=VERSION_MAX)
        try:
            reply = await self._link.call("getTransaction", (signature, config), _anything)
        except (RpcError, NotServed):
            return None
        return first_key(reply)

    async def get_signatures_for_address(
        self, address: str, *, before: str | None, commitment: Commitment, slot: int | None = None
    ) -> HistoryPage:
        """Up to 1,000 transactions that name the address, newest first; those before one of them.
        Anybody can make such: they need not be the address's own. With them, of the same node: the
        oldest slot that it still has, how far it is, and the time of a slot's block.
        """
        config = config_of(commitment, limit=HISTORY_MAX, before=before)
        asks = [
            Ask("getEpochInfo", (config_of(commitment),), _epoch),
            Ask("getSignaturesForAddress", (address, config), _history),
        ]
        if slot is not None:
            asks.append(Ask("getBlockTime", (slot,), _time))
        try:
            answers = await self._link.together([Ask(FIRST, (), _number), *asks])
        except NotServed as error:
            if FIRST not in error.detail:
                raise
            answers = await self._link.together([Ask(LOWEST, (), _number), *asks])
            answers[0] = answers[0] and answers[0] + LEDGER_MARGIN_SLOTS
        first_slot, epoch, lines, *times = answers
        return HistoryPage(first_slot, epoch, lines, times[0] if times else None)

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

    async def get_minimum_balance(self, size: int) -> int:
        """Lamports on which an account of so many bytes of data may live."""
        return await self._link.call("getMinimumBalanceForRentExemption", (size,), _number)

    async def get_balance(self, address: str, commitment: Commitment) -> int:
        """Lamports."""
        answer = await self._link.call("getBalance", (address, config_of(commitment)), _balance)
        return answer.value

    async def get_token_accounts(
        self, owner: str, programs: Sequence[str], commitment: Commitment
    ) -> list[TokenAccount]:
        """All token accounts of an owner under these token programs."""
        config = config_of(commitment, encoding="base64")
        answers = await asyncio.gather(
            *(
                self._link.call(
                    "getTokenAccountsByOwner", (owner, {"programId": program}, config), _keyed
                )
                for program in programs
            )
        )
        return [
            token_account(keyed_account)
            for keyed_account in chain.from_iterable(a.value for a in answers)
        ]
