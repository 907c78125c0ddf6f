"""What a wallet executed, order by order, by the chain's history: asked when the log is lost.

A line of an address's history proves little, since strangers can name the address and write any
memo: a transaction counts as the order's if the wallet itself paid for it and its memo says so.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence

from solders.errors import BincodeError
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from events.ids import created_ms, parse_order_id
from stages.venues import Refused
from stages.venues.solana.programs import MEMO
from stages.venues.solana.rpc import Rpc
from stages.venues.solana.rpc_answers import Details
from stages.venues.solana.transaction import instructions_of, order_id_of

CLOCKS_S = 3_600
"""How far the chain's clock may be behind ours."""
AT_ONCE = 16
_MEMO = re.compile(r"\[\d+\] ([^;]+)")


class Executed:
    """Asks one wallet's history, as far back as it has to. All methods raise Refused."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self._rpc = rpc
        self._address = address
        self._said: dict[str, str] = {}
        """Signature -> the order that the memo of the history names; newest first."""
        self._proved: dict[str, bool] = {}
        self._before: str | None = None
        self._back_to_s: float = float("inf")
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def by(self, order_ids: Sequence[str]) -> dict[str, list[str]]:
        """Order id -> signatures under which it was executed, finally."""
        if not order_ids:
            return {}
        await self._read(min(order_ids))
        wanted = set(order_ids)
        found: dict[str, list[str]] = {}
        for signature in await self._prove(s for s, said in self._said.items() if said in wanted):
            found.setdefault(self._said[signature], []).append(signature)
        return found

    async def since(self, order_id: str) -> list[str]:
        """The executed orders whose ids are no lower."""
        await self._read(order_id)
        later = [s for s, said in self._said.items() if said >= order_id]
        return sorted({self._said[signature] for signature in await self._prove(later)})

    async def _read(self, order_id: str) -> None:
        """The history back to the time when this order was made."""
        wanted_s = created_ms(order_id) / 1000 - CLOCKS_S
        while self._back_to_s >= wanted_s:
            page = await self._rpc.get_signatures_for_address(
                self._address, before=self._before, commitment="finalized"
            )
            for line in page:
                named = _order_in(line.memo or "") if line.err is None else None
                if named is not None:
                    self._said[line.signature] = named
                if line.block_time is not None:
                    self._back_to_s = min(self._back_to_s, line.block_time)
            if not page:
                self._back_to_s = float("-inf")
                return
            self._before = page[-1].signature

    async def _prove(self, signatures: Iterable[str]) -> list[str]:
        """Those of them that the wallet paid for, oldest first."""
        wanted = list(signatures)
        await asyncio.gather(*(self._look(one) for one in wanted if one not in self._proved))
        return [one for one in reversed(wanted) if self._proved[one]]

    async def _look(self, signature: str) -> None:
        async with self._at_once:
            found = await self._rpc.get_transaction(signature, "finalized")
        if found is None or found.transaction is None:
            detail = f"{signature} is in the history, but no node shows it"
            raise Refused("details-not-available", detail, retryable=True)
        self._proved[signature] = _is_ours(found, self._address, self._said[signature])


def _order_in(memo: str) -> str | None:
    """The order that a line of a history names."""
    said = _MEMO.match(memo)
    return parse_order_id(order_id_of(said[1])) if said else None


def _is_ours(found: Details, address: str, order_id: str) -> bool:
    assert found.transaction is not None
    try:
        made = VersionedTransaction.from_bytes(b64decode(found.transaction[0])).message
        if not isinstance(made, MessageV0) or str(made.account_keys[0]) != address:
            return False
        memos = [one.data for one in instructions_of(made) if one.program == MEMO]
    except (BincodeError, ValueError):  # of a stranger: ours can be read
        return False
    return [order_id_of(memo.decode(errors="replace")) for memo in memos] == [order_id]
