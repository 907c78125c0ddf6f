"""The methods of Solana's JSON-RPC that we use, typed. How nodes are reached is `rpc_link`'s.

All raise what `RpcLink.call` raises, and ValueError for more than a call may ask for.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from itertools import chain
from typing import Any

from msgspec.json import Decoder
from solders.pubkey import Pubkey

from stages.venues.solana.messages import NEWEST_VERSION
from stages.venues.solana.options import Commitment
from stages.venues.solana.rpc_answers import (
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
from stages.venues.solana.rpc_link import Ask, RpcError, RpcLink, Unreachable

ACCOUNTS_MAX = 100
SIGNATURES_MAX = 256
HISTORY_MAX = 1_000
VERSION_UNSUPPORTED = -32015
"""JSON-RPC error: the transaction is of a newer version than the question allows. It is about the
question, not about the node: another node answers the same.
"""
VERSION_MAX = 127
"""The highest version that a question may allow; a version has seven bits."""

_accounts = Decoder(At[list[AccountInfo | None]])
_blockhash = Decoder(At[Blockhash])
_simulation = Decoder(At[Simulation])
_statuses = Decoder(At[list[SignatureStatus | None]])
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


def _config(commitment: Commitment, **more: Any) -> dict[str, Any]:
    return {"commitment": commitment} | {k: v for k, v in more.items() if v is not None}


class Rpc:
    """One method a method of the protocol."""

    def __init__(self, link: RpcLink) -> None:
        self._link = link

    async def close(self) -> None:
        """Closes the connections."""
        await self._link.close()

    async def get_multiple_accounts(
        self,
        addresses: Sequence[str],
        *,
        commitment: Commitment,
        min_context_slot: int | None = None,
    ) -> list[At[list[AccountInfo | None]]]:
        """The accounts, in order, one answer for each 100 addresses. One answer is one bank;
        two answers may be of two slots.
        """
        config = _config(commitment, encoding="base64", minContextSlot=min_context_slot)
        return await self._multiple_accounts(addresses, config)

    async def get_account_heads(
        self, addresses: Sequence[str], head_bytes: int, commitment: Commitment
    ) -> list[AccountInfo | None]:
        """The accounts, in order, with the first bytes of their data alone; `space` is whole."""
        part = {"offset": 0, "length": head_bytes}
        config = _config(commitment, encoding="base64", dataSlice=part)
        answers = await self._multiple_accounts(addresses, config)
        return [account for answer in answers for account in answer.value]

    async def _multiple_accounts(
        self, addresses: Sequence[str], config: dict[str, Any]
    ) -> list[At[list[AccountInfo | None]]]:
        chunks = [addresses[i : i + ACCOUNTS_MAX] for i in range(0, len(addresses), ACCOUNTS_MAX)]
        answers = await asyncio.gather(
            *(self._link.call("getMultipleAccounts", (some, config), _accounts) for some in chunks)
        )
        for some, answer in zip(chunks, answers, strict=True):
            if len(answer.value) != len(some):
                raise Unreachable("getMultipleAccounts: an answer for other accounts")
        return answers

    async def get_latest_blockhash(self, commitment: Commitment) -> At[Blockhash]:
        """A blockhash to sign with."""
        return await self._link.call("getLatestBlockhash", (_config(commitment),), _blockhash)

    async def send_transaction(self, raw: bytes) -> str:
        """Hands the bytes over and returns the signature; the node neither checks nor resends."""
        config = {"encoding": "base64", "skipPreflight": True, "maxRetries": 0}
        return await self._link.call("sendTransaction", (_base64(raw), config), _text)

    async def simulate_transaction(self, raw: bytes, commitment: Commitment) -> At[Simulation]:
        """What the transaction would do now. It needs no signature and no valid blockhash."""
        config = _config(
            commitment, encoding="base64", sigVerify=False, replaceRecentBlockhash=True
        )
        return await self._link.call("simulateTransaction", (_base64(raw), config), _simulation)

    async def get_signature_statuses(
        self, signatures: Sequence[str]
    ) -> At[list[SignatureStatus | None]]:
        """The status of up to 256 signatures, in order, from all of the node's history."""
        if len(signatures) > SIGNATURES_MAX:
            raise ValueError(f"more than {SIGNATURES_MAX} signatures")
        answer = await self._link.call(
            "getSignatureStatuses", (signatures, {"searchTransactionHistory": True}), _statuses
        )
        if len(answer.value) != len(signatures):
            raise Unreachable("getSignatureStatuses: an answer for other signatures")
        return answer

    async def get_statuses_and_memory(
        self, signatures: Sequence[str]
    ) -> list[tuple[int, At[list[SignatureStatus | None]]]]:
        """Of each node that answers: the oldest slot that it still has, and what it knows of
        signatures.
        """
        config = {"searchTransactionHistory": True}
        answers = await self._link.everywhere(
            [
                ("getFirstAvailableBlock", (), _number),
                ("getSignatureStatuses", (list(signatures), config), _statuses),
            ]
        )
        return [(first_slot, statuses) for first_slot, statuses in answers]

    @property
    def witnesses(self) -> int:
        """How many nodes have to agree that something is not there: two, where there are two."""
        return max(1, min(2, self._link.nodes))

    async def get_transaction(self, signature: str, commitment: Commitment) -> Details | None:
        """A landed transaction with its balances; None where the node has none (yet). Raises
        RpcError with `VERSION_UNSUPPORTED` for a version that cannot be decoded here.
        """
        config = _config(
            commitment, encoding="base64", maxSupportedTransactionVersion=NEWEST_VERSION
        )
        return await self._link.call("getTransaction", (signature, config), _details)

    async def get_fee_payer(self, signature: str, commitment: Commitment) -> str | None:
        """Who paid for a transaction of any version, as the node has decoded it; None where the
        node does not tell.
        """
        config = _config(commitment, encoding="json", maxSupportedTransactionVersion=VERSION_MAX)
        try:
            found = await self._link.call("getTransaction", (signature, config), _anything)
        except RpcError:
            return None
        return _first_key(found)

    async def get_signatures_for_address(
        self, address: str, *, before: str | None, commitment: Commitment, slot: int | None = None
    ) -> HistoryPage:
        """Up to 1,000 transactions that name the address, newest first; those before one of them.
        Anybody can make such: they need not be the address's own. With them, of the same node: the
        oldest slot that it still has, how far it is, and the time of a slot's block.
        """
        config = _config(commitment, limit=HISTORY_MAX, before=before)
        asks: list[Ask] = [
            ("getFirstAvailableBlock", (), _number),
            ("getEpochInfo", (_config(commitment),), _epoch),
            ("getSignaturesForAddress", (address, config), _history),
        ]
        if slot is not None:
            asks.append(("getBlockTime", (slot,), _time))
        first_slot, epoch, lines, *times = await self._link.together(asks)
        return HistoryPage(first_slot, epoch, lines, times[0] if times else None)

    async def get_epoch_info(self, commitment: Commitment) -> EpochInfo:
        """Slot and block height, of one bank."""
        return await self._link.call("getEpochInfo", (_config(commitment),), _epoch)

    async def get_block_height(self, commitment: Commitment) -> int:
        """The block height."""
        return await self._link.call("getBlockHeight", (_config(commitment),), _number)

    async def get_slot(self, commitment: Commitment) -> int:
        """The slot."""
        return await self._link.call("getSlot", (_config(commitment),), _number)

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
        answer = await self._link.call("getBalance", (address, _config(commitment)), _balance)
        return answer.value

    async def get_token_accounts(
        self, owner: str, programs: Sequence[str], commitment: Commitment
    ) -> list[TokenAccount]:
        """All token accounts of an owner under these token programs."""
        config = _config(commitment, encoding="base64")
        answers = await asyncio.gather(
            *(
                self._link.call(
                    "getTokenAccountsByOwner", (owner, {"programId": program}, config), _keyed
                )
                for program in programs
            )
        )
        return [_token_account(one) for one in chain.from_iterable(a.value for a in answers)]


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _first_key(found: Any) -> str | None:
    """The fee payer of a transaction in JSON, where there is one."""
    try:
        first = found["transaction"]["message"]["accountKeys"][0]
    except (TypeError, KeyError, IndexError):
        return None
    return first if isinstance(first, str) else None


def _token_account(found: KeyedAccount) -> TokenAccount:
    data = found.account.bytes()
    amount = int.from_bytes(data[64:72], "little")
    return TokenAccount(found.pubkey, str(Pubkey.from_bytes(data[:32])), amount)
