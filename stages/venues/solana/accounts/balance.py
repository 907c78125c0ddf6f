"""The SOL of a wallet, for who shows it: fees and rents are paid from it."""

from __future__ import annotations

import asyncio
import time
from math import inf

import structlog

from events.telemetry.outages import NODE
from stages.venues import VenueRefusal
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.rpc.methods import Rpc

ASKED_EVERY_S = 10.0
KEPT_S = 60.0
"""An older reading counts as unknown."""

_log = structlog.get_logger()


class WalletBalance(PollingLoop):
    """Asks for the balance of one address in the background."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self._rpc = rpc
        self._address = address
        self._lamports = 0
        self._read_s = -inf
        self._is_logged = False

    def lamports(self) -> int | None:
        """The balance; None: not known."""
        return self._lamports if time.monotonic() - self._read_s < KEPT_S else None

    async def ask(self) -> None:
        """Asks once. Raises VenueRefusal, and changes nothing then."""
        self._lamports = await self._rpc.get_balance(self._address, "confirmed")
        self._read_s = time.monotonic()

    async def _run(self) -> None:
        while True:
            try:
                await self.ask()
                self._is_logged = False
            except VenueRefusal as error:
                if not self._is_logged and not NODE.lasts:
                    _log.info("wallet_balance_unread", error=str(error))
                    self._is_logged = True
            await asyncio.sleep(ASKED_EVERY_S)
