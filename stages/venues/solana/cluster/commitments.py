"""Which consensus the cluster runs, and which commitment follows from it.

Alpenglow reports the same block as `confirmed` and as `finalized`, and `confirmed` is to be removed
from nodes. TowerBFT needs 31 more blocks from the one to the other. A node tells which it is by
`getAgGenesisCert` (Agave 4.3): the certificate with which Alpenglow began, or null.

The answer is settled once a process, and changes once at most: when the cluster migrates. Until a
node has answered, `finalized` holds: it is right under both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec
import structlog

from stages.venues import VenueRefusal
from stages.venues.consensus import Consensus
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.rpc.errors import NotServed, RpcError
from stages.venues.solana.rpc.methods import Rpc

T = TypeVar("T")

Fill = Literal["confirmed", "finalized"]
Setting = Literal["auto", "confirmed", "finalized"]

LOOK_EVERY_S = 60.0
"""How often a cluster that has not migrated is asked again."""
UNANSWERED_S = 2.0
METHOD_NOT_FOUND, INVALID_PARAMS = -32601, -32602
NOT_SERVED = "method-not-served"

_log = structlog.get_logger()


class ConsensusFacts(msgspec.Struct, frozen=True, rename="camel"):
    """The consensus and commitment, for /readyz."""

    consensus: Consensus | None
    """The consensus of the cluster; None: no node has answered yet."""
    commitment: Fill
    """From when on a transaction counts as a fill."""


class Commitments(PollingLoop):
    """The commitments to ask with; one object a process."""

    def __init__(self, rpc: Rpc, setting: Setting) -> None:
        self._rpc = rpc
        self._setting = setting
        self._confirmed_is_gone = False
        self._known = asyncio.Event()
        self.consensus: Consensus | None = None
        """The consensus of the cluster; None: not known yet."""

    @property
    def facts(self) -> ConsensusFacts:
        """For people."""
        return ConsensusFacts(self.consensus, self.fill)

    @property
    def fill(self) -> Fill:
        """From when on a transaction counts as a fill."""
        if self._setting == "auto":
            return self._still("confirmed" if self.consensus == "tower" else "finalized")
        return self._still(self._setting)

    @property
    def blockhash(self) -> Fill:
        """That of the blockhashes that are signed with. A finalized one is of no fork; under
        TowerBFT it has lost a fifth of its life already, a confirmed one next to nothing.
        """
        return self._still("finalized" if self.consensus == "alpenglow" else "confirmed")

    def _still(self, commitment: Fill) -> Fill:
        return "finalized" if self._confirmed_is_gone else commitment

    async def ask(self, commitment: Fill, call: Callable[[Fill], Awaitable[T]]) -> T:
        """The answer of a call at a commitment; at `finalized` where nodes do not know `confirmed`
        any more. Raises what the call raises.
        """
        commitment = self._still(commitment)
        try:
            return await call(commitment)
        except (RpcError, NotServed) as error:
            if commitment != "confirmed" or not _names_no_commitment(error):
                raise
        _log.warning("commitment_unsupported", used_instead="finalized")
        self._confirmed_is_gone = True
        return await call("finalized")

    # -- asking for it ------------------------------------------------------------------------

    async def look(self) -> None:
        """Asks once which consensus it is. Raises VenueRefusal, and changes nothing then."""
        try:
            migrated = await self._rpc.is_alpenglow()
        except VenueRefusal as error:
            if not _too_old(error):
                raise
            migrated = False  # before Agave 4.3: its cluster cannot have migrated
        if migrated or self.consensus is None:
            consensus: Consensus = "alpenglow" if migrated else "tower"
            if consensus != self.consensus:
                _log.info("consensus_detected", cluster=consensus, setting=self._setting)
            self.consensus = consensus
        self._known.set()

    async def known(self) -> None:
        """Returns once a node has answered."""
        await self._known.wait()

    async def _run(self) -> None:
        while self.consensus != "alpenglow":  # nothing leads back
            try:
                await self.look()
                wait_s = LOOK_EVERY_S
            except VenueRefusal as error:
                _log.info("consensus_unread", error=str(error))
                wait_s = UNANSWERED_S
            await asyncio.sleep(wait_s)


def _too_old(error: VenueRefusal) -> bool:
    """Whether no node knows the method."""
    number = error.number if isinstance(error, RpcError) else None
    return number == METHOD_NOT_FOUND or error.code == NOT_SERVED


def _names_no_commitment(error: RpcError | NotServed) -> bool:
    """Whether nodes refuse the commitment itself: `unknown variant` is what serde says. Words of
    their own may have been taken for a method that is not served.
    """
    text = error.detail.lower()
    refused = isinstance(error, NotServed) or error.number == INVALID_PARAMS
    return refused and ("commitment" in text or "unknown variant" in text)
