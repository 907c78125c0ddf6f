"""How much account data a transaction loads, and the limit that v1 has to name for it.

SIMD-0186: the data of each address, 64 bytes for each account, and the same of the programdata
account behind each program of the upgradeable loader. An account that does not exist counts 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from solders.pubkey import Pubkey

from stages.venues.solana.rpc.answers import AccountInfo
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.transaction.versions import DATA_SIZE_MAX

ACCOUNT_BYTES = 64
"""The bytes that each account counts besides its data."""
PAGE_BYTES = 32 * 1024
"""Blocks are filled by pages of this size: a limit within one costs nothing more."""
MARGIN_PERCENT = 125
"""Programs are upgraded and accounts grow between the measuring and the landing."""
RETRY_MARGIN_PERCENT = 400
"""Of an order's later attempts: whatever the first one met, it is not to be this limit again."""
ABSENT_BYTES = 10_240
"""An account that is absent now may exist at the landing. The longest is a CLMM tick array."""
HEAD_BYTES = 36
"""Of an upgradeable program's account: the tag, then the address of its programdata."""
KEPT_S = 3_600.0
LOADER = "BPFLoaderUpgradeab1e11111111111111111111111"
_PROGRAM_TAG = bytes([2, 0, 0, 0])


class _Length(NamedTuple):
    bytes: int
    read_s: float


def limit(loaded_bytes: int, margin_percent: int = MARGIN_PERCENT) -> int:
    """The limit to name for so much data: with a margin, whole pages, at most 64 MiB."""
    least_bytes = -(-loaded_bytes * margin_percent // 100)
    return min(DATA_SIZE_MAX, max(1, -(-least_bytes // PAGE_BYTES)) * PAGE_BYTES)


class LoadedSizes:
    """Measures the accounts of transactions; what was read is kept for an hour."""

    def __init__(self, rpc: Rpc, known: Callable[[str], int | None]) -> None:
        """`known`: the data length of an account that this process reads anyway."""
        self._rpc = rpc
        self._known = known
        self._lengths: dict[str, _Length] = {}

    async def of(
        self, addresses: Sequence[str], created: Mapping[str, int], *, afresh: bool = False
    ) -> int:
        """Bytes that a transaction of these addresses may load. `created`: data lengths of
        accounts that it creates itself. `afresh`: reads all of them again. Raises VenueRefusal.
        """
        oldest_s = time.monotonic() - (0 if afresh else KEPT_S)
        known = self._known_lengths(addresses, created)
        if unread := self._unread(addresses, known, oldest_s):
            await self._read(unread)
        return self._sum(addresses, known)

    def known(self, addresses: Sequence[str], created: Mapping[str, int]) -> int | None:
        """As `of`, without asking; None where something would have to be read."""
        known = self._known_lengths(addresses, created)
        if self._unread(addresses, known, time.monotonic() - KEPT_S):
            return None
        return self._sum(addresses, known)

    def _known_lengths(
        self, addresses: Sequence[str], created: Mapping[str, int]
    ) -> dict[str, int]:
        """Lengths that need not be read."""
        lengths = dict(created)
        for address in addresses:
            known = self._known(address)
            if known is not None:
                lengths.setdefault(address, known)
        return lengths

    def _unread(
        self, addresses: Sequence[str], known: Mapping[str, int], oldest_s: float
    ) -> list[str]:
        return [
            address
            for address in addresses
            if address not in known
            and (address not in self._lengths or self._lengths[address].read_s < oldest_s)
        ]

    def _sum(self, addresses: Sequence[str], known: Mapping[str, int]) -> int:
        return sum(
            ACCOUNT_BYTES + (known[a] if a in known else self._lengths[a].bytes) for a in addresses
        )

    async def _read(self, addresses: Sequence[str]) -> None:
        heads = await self._rpc.get_account_heads(addresses, HEAD_BYTES, "processed")
        behind = {
            address: data
            for address, head in zip(addresses, heads, strict=True)
            if (data := programdata_of(head))
        }
        programdata = dict[str, int]()
        if behind:
            accounts = await self._rpc.get_account_heads(list(behind.values()), 0, "processed")
            programdata = {
                address: ACCOUNT_BYTES + _space(head)
                for address, head in zip(behind, accounts, strict=True)
            }
        now_s = time.monotonic()
        for address, head in zip(addresses, heads, strict=True):
            self._lengths[address] = _Length(_space(head) + programdata.get(address, 0), now_s)


def programdata_of(head: AccountInfo | None) -> str:
    """The address of a program's programdata account; empty for any other account."""
    if head is None or head.owner != LOADER:
        return ""
    data = head.bytes()
    return str(Pubkey(data[4:36])) if len(data) >= HEAD_BYTES and data[:4] == _PROGRAM_TAG else ""


def _space(head: AccountInfo | None) -> int:
    """The length of an account that the node does not report may be any."""
    if head is None:
        return ABSENT_BYTES
    return DATA_SIZE_MAX if head.space is None else head.space
