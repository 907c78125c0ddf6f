"""Whether the wallet has an account of wrapped SOL: it decides how small v0 can be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import inf

import structlog
from solders.pubkey import Pubkey

from stages.venues import VenueRefusal
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.transaction.programs import TOKEN, WSOL, associated_account

ASKED_EVERY_S = 10.0
KEPT_S = 30.0
"""An older reading counts as unknown. The builder asks again before it relies on it."""

_log = structlog.get_logger()


class WrappedAccount(PollingLoop):
    """Asks in the background, while it matters."""

    def __init__(self, rpc: Rpc, owner: Pubkey, matters: Callable[[], bool]) -> None:
        self._rpc = rpc
        self._address = str(associated_account(owner, WSOL, TOKEN))
        self._matters = matters
        self._exists = False
        self._read_s = -inf

    def exists(self) -> bool | None:
        """Whether the account exists; None: not known."""
        return self._exists if time.monotonic() - self._read_s < KEPT_S else None

    async def ask(self) -> bool:
        """Asks once. Raises VenueRefusal, and changes nothing then."""
        answer = await self._rpc.get_multiple_accounts([self._address], commitment="processed")
        self._exists, self._read_s = answer[0].value[0] is not None, time.monotonic()
        return self._exists

    async def _run(self) -> None:
        while True:
            if self._matters():
                try:
                    await self.ask()
                except VenueRefusal as error:
                    _log.info("wrapped_sol_unread", error=str(error))
            await asyncio.sleep(ASKED_EVERY_S)
