"""Sends and simulates transactions, and reads what became of them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.json import Decoder

from events.secret import SecretBytes
from stages.venues.solana.rpc.answers import (
    At,
    Details,
    EpochInfo,
    HistoryPage,
    SignatureInfo,
    SignatureStatus,
    Simulation,
)
from stages.venues.solana.rpc.calls import (
    STATUSES,
    Ask,
    Heard,
    base64_of,
    behind,
    config_of,
    first_key,
    joined,
    statuses_ask,
)
from stages.venues.solana.rpc.errors import NotServed, RpcError
from stages.venues.solana.rpc.faults import already_processed
from stages.venues.solana.rpc.link import AtNode
from stages.venues.solana.rpc.node_history import FIRST, LEDGER_MARGIN_SLOTS, LOWEST, first_slot_of
from stages.venues.solana.rpc.options import Commitment
from stages.venues.solana.rpc.shared_methods import BEHIND_SLOTS, RpcMethods
from stages.venues.solana.transaction.messages import NEWEST_VERSION

SIGNATURES_MAX = 256
"""Of a call: https://solana.com/docs/rpc/http/getsignaturestatuses."""
HISTORY_MAX = 1_000
"""Of a call: https://solana.com/docs/rpc/http/getsignaturesforaddress."""
VERSION_UNSUPPORTED = -32015
"""JSON-RPC error: the transaction is of a newer version than the question allows. It is about the
question, not about the node: another node answers the same.
"""
VERSION_MAX = 127
"""The highest version that a question may allow; a version has seven bits."""

_simulation = Decoder(At[Simulation])
_details = Decoder(Details | None)
_epoch = Decoder(EpochInfo)
_history = Decoder(list[SignatureInfo])
_number = Decoder(int)
_time = Decoder(int | None)
_text = Decoder(str)
_anything = Decoder()


class TransactionMethods(RpcMethods):
    """The methods about transactions and their signatures."""

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
