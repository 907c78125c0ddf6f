"""The transactions that a wallet executed, by order, from the chain's history: asked when the log
is lost.

A line of an address's history proves little, since strangers can name the address and write any
memo: a transaction counts as the order's if the wallet itself paid for it and its memo names the
order.

A stranger's transaction stops nothing, whatever it holds. Where a transaction cannot be decoded:

- If its fee payer is known, by the layout of the versions known here or by the node, it is a
  stranger's if another wallet paid, and stops the reading if the wallet paid.
- If nothing tells the fee payer, its version decides. No version newer than `NEWEST_VERSION` is
  ever built here, so a newer one belongs to no order of this engine. It stops the reading all the
  same if its line names an order or the wallet's signature is proved, since another program, or a
  newer build, may use the same key.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from solders.pubkey import Pubkey
from solders.signature import Signature

from events.ids import created_ms, parse_order_id
from stages.venues import VenueRefusal
from stages.venues.solana.rpc.answers import HistoryPage, SignatureInfo
from stages.venues.solana.rpc.errors import RpcError
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.transaction_methods import VERSION_UNSUPPORTED
from stages.venues.solana.transaction.messages import (
    NEWEST_VERSION,
    decode,
    is_signed_by,
    memos_of,
    payer_of,
    version_of,
)
from stages.venues.solana.transaction.signing import order_id_of

CLOCKS_S = 3_600
"""How far the chain's clock may be behind the local one."""
AT_ONCE = 16
BEHIND_S, BEHIND_TRIES = 0.5, 20
"""How long a node may take to be as far as another one was."""
OLDEST_TRIES = 5
"""How often a node is asked for the time of its oldest block: it may drop that one meanwhile."""
_MEMO = re.compile(r"\[\d+\] ([^;]+)")
_VERSION = re.compile(r"version \((\d+)\)")
"""In the message of a node that refuses a version."""


class Shown(NamedTuple):
    """A transaction as a node shows it."""

    raw: bytes
    """Empty where the node shows none, because of the version."""
    version: int | None
    """The version that it declares; None: legacy, or unknown."""


class WalletHistory:
    """Asks one wallet's history, as far back as it has to. All methods raise Refused."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self._rpc = rpc
        self._address = address
        self._order_ids: dict[str, str] = {}
        """Signature -> the order that the memo of the history names; newest first."""
        self._proved: dict[str, bool] = {}
        self._unnamed: list[str] = []
        self._before: str | None = None
        """The last line that was read, and its slot."""
        self._oldest_slot = 0
        self.least_height = 0
        """How far, finally, a node has to be that is believed."""
        self._back_to_s: float = float("inf")
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def by(self, order_ids: Sequence[str], since_s: float) -> dict[str, list[str]]:
        """Order id -> signatures under which it was executed, finally, since a time (Unix)."""
        await self._read(since_s)
        ids = set(order_ids)
        signatures: dict[str, list[str]] = {}
        for signature in await self._prove(
            s for s, order_id in self._order_ids.items() if order_id in ids
        ):
            signatures.setdefault(self._order_ids[signature], []).append(signature)
        return signatures

    async def since(self, order_id: str) -> list[str]:
        """The executed orders with this id or a higher one, sorted."""
        await self._read(created_ms(order_id) / 1000)
        later = [s for s, signed_order in self._order_ids.items() if signed_order >= order_id]
        return sorted({self._order_ids[signature] for signature in await self._prove(later)})

    async def reaches(self, since_s: float) -> None:
        """Whether it can be read so far back."""
        await self._read(since_s)

    async def _read(self, since_s: float) -> None:
        """The history back to a time."""
        least_s = since_s - CLOCKS_S
        oldest: int | None = None
        """The slot at which the memory of the node begins whose history has ended."""
        tries = 0
        while self._back_to_s >= least_s:
            page = await self._page(oldest)
            self._check_order(page.lines)
            self._take(page.lines)
            if page.lines:
                self._before, self._oldest_slot = page.lines[-1].signature, page.lines[-1].slot
                oldest = None
                continue
            if not page.first_slot:
                self._back_to_s = float("-inf")
            elif oldest is not None and page.first_slot <= oldest:
                _check_memory(oldest, page.slot_time_s, least_s)
                self._back_to_s = float("-inf")
            elif (tries := tries + 1) > OLDEST_TRIES:
                detail = f"the node's blocks begin at slot {page.first_slot}, ever a later one"
                raise VenueRefusal("history-too-short", detail, retryable=True)
            else:  # how old that slot is, the node has to say
                oldest = page.first_slot
        await asyncio.gather(*map(self._name, self._unnamed))
        self._unnamed.clear()

    async def _page(self, oldest: int | None) -> HistoryPage:
        """The next page, of a node that is as far as those of the pages before."""
        for _ in range(BEHIND_TRIES):
            try:
                page = await self._rpc.get_signatures_for_address(
                    self._address, before=self._before, commitment="finalized", slot=oldest
                )
            except VenueRefusal as error:
                if oldest is None:
                    raise
                detail = f"no node tells the time of its oldest block, slot {oldest}: {error}"
                raise VenueRefusal("history-too-short", detail, retryable=True) from error
            if page.epoch.block_height >= self.least_height:
                self.least_height = page.epoch.block_height
                return page
            await asyncio.sleep(BEHIND_S)
        detail = f"the node is at height {page.epoch.block_height}, not {self.least_height}"
        raise VenueRefusal("node-behind", detail, retryable=True)

    def _take(self, lines: Sequence[SignatureInfo]) -> None:
        for line in lines:
            if line.err is None and line.memo is None:
                self._unnamed.append(line.signature)
            named = _order_in(line.memo or "") if line.err is None else None
            if named is not None:
                self._order_ids[line.signature] = named
            if line.block_time is not None:
                self._back_to_s = min(self._back_to_s, line.block_time)

    def _check_order(self, page: Sequence[SignatureInfo]) -> None:
        """Whether a page continues where the last one ended: a node that ignores `before` would be
        asked without end.
        """
        if self._before is None or not page:
            return
        if page[-1].signature == self._before or page[0].slot > self._oldest_slot:
            detail = f"the node repeats its history after {self._before}"
            raise VenueRefusal("history-repeated", detail, retryable=True)

    async def _prove(self, signatures: Iterable[str]) -> list[str]:
        """Those of them that the wallet paid for, oldest first."""
        ordered = list(signatures)
        await asyncio.gather(
            *(self._look(signature) for signature in ordered if signature not in self._proved)
        )
        return [signature for signature in reversed(ordered) if self._proved[signature]]

    async def _look(self, signature: str) -> None:
        self._proved[signature] = await self._orders_in(signature) == [self._order_ids[signature]]

    async def _name(self, signature: str) -> None:
        """The order id that a transaction itself names, of a line without a memo: a node may leave
        the memo out of its index.
        """
        match await self._orders_in(signature):
            case [str(order_id)]:
                self._order_ids[signature], self._proved[signature] = order_id, True

    async def _orders_in(self, signature: str) -> list[str | None]:
        """The order ids in the memos of a transaction; empty where the wallet did not pay for it.
        Raises VenueRefusal where the wallet may have paid and the memos cannot be read.
        """
        shown = await self._shown(signature)
        try:
            decoded = decode(shown.raw)
        except ValueError as error:
            if await self._may_be_ours(signature, shown):
                detail = f"{signature} may be paid by the wallet and cannot be decoded: {error}"
                raise VenueRefusal("transaction-unreadable", detail) from None
            return []
        if decoded.payer != self._address:
            return []
        return [parse_order_id(order_id_of(memo)) for memo in memos_of(decoded.message)]

    async def _may_be_ours(self, signature: str, shown: Shown) -> bool:
        """Whether the wallet may have paid for what cannot be decoded. See the module."""
        payer, key = payer_of(shown.raw), Pubkey.from_string(self._address)
        if payer is None and shown.raw and bytes(key) not in shown.raw:
            return False  # a fee payer's address stands in the message itself
        if payer is None:
            payer = await self._rpc.get_fee_payer(signature, "finalized")
        if payer is not None:
            return payer == self._address
        if shown.version is None or shown.version <= NEWEST_VERSION or signature in self._order_ids:
            return True
        return _is_signed_by(shown.raw, signature, key)

    async def _shown(self, signature: str) -> Shown:
        async with self._at_once:
            try:
                details = await self._rpc.get_transaction(signature, "finalized")
            except RpcError as error:
                if error.number != VERSION_UNSUPPORTED:
                    raise
                named = _VERSION.search(str(error))
                return Shown(b"", int(named[1]) if named else NEWEST_VERSION + 1)
        if details is None or details.transaction is None:
            detail = f"{signature} is in the history, but no node shows it"
            raise VenueRefusal("details-not-available", detail, retryable=True)
        raw = bytes_of(details.transaction[0])
        return Shown(raw, version_of(raw))


def _check_memory(slot: int, slot_time_s: int | None, least_s: float) -> None:
    """Whether a history that ends here had its beginning here. A node that was restored, or keeps
    little, does not know what was before its oldest block, and does not report that. The age of
    that block comes from the chain, never from slots times a length: that length changes.
    """
    if slot_time_s is None:
        detail = f"the node does not tell the time of its oldest block, slot {slot}"
        raise VenueRefusal("history-too-short", detail, retryable=True)
    if slot_time_s > least_s:
        late_s = slot_time_s - least_s
        detail = (
            f"the node's blocks begin at slot {slot}, {late_s:.0f} s after the time in question"
        )
        raise VenueRefusal("history-too-short", detail, retryable=True)


def _order_in(memo: str) -> str | None:
    """The order that a line of a history names."""
    match = _MEMO.match(memo)
    return parse_order_id(order_id_of(match[1])) if match else None


def bytes_of(text: str) -> bytes:
    """The bytes of base64; any other text as it is."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return text.encode(errors="replace")


def _is_signed_by(raw: bytes, signature: str, key: Pubkey) -> bool:
    try:
        return is_signed_by(raw, Signature.from_string(signature), key)
    except ValueError:
        return False
