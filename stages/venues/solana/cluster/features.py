"""Features of the cluster that the engine uses: whether it takes transaction v1 (SIMD-0385).

A feature is an account of the feature program: absent or without a slot, it is not active. Where it
is active, nodes are tried as well: a node that cannot read v1 refuses what the cluster would take.
Asked at the start, every hour, every minute while nodes refuse v1, and after a refusal that leaves
it in doubt. A node that does not answer changes nothing: the last answer holds, and v0 before any
answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Literal

import msgspec
import structlog

from events.metrics import VERSION_REFUSALS
from stages.venues import VenueRefusal
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.cluster.version_trials import version_refusal
from stages.venues.solana.rpc.answers import AccountInfo
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.transaction.versions import V0, V1

TX_V1 = "txv1aq4pp281K9um3tnPgkfX8UqtFT6wcVW3hNezGLL"
FEATURES = "Feature111111111111111111111111111111111111"
"""The owner of all feature accounts."""
ASKED_EVERY_S = 3_600.0
UNANSWERED_S = 2.0
"""Before the next question where no node answered, and the least time between two."""
PENDING_S = 60.0
"""Before the next question where the feature is active from a later slot on, or nodes refuse v1."""

TxVersion = Literal["auto", "0", "1"]

_log = structlog.get_logger()


class ChainFacts(msgspec.Struct, frozen=True, rename="camel"):
    """The features, for /readyz. Null: no node has answered yet."""

    transaction_version: int | None
    """The newest version that the cluster takes."""
    builds_version: int
    """The version that this process routes or builds for."""


def activation_slot(account: AccountInfo | None) -> int | None:
    """The slot from which a feature is active; None: not decided. The first byte tells whether
    there is a slot; the slot follows, u64 little endian.
    """
    if account is None or account.owner != FEATURES:
        return None
    data = account.bytes()
    return int.from_bytes(data[1:9], "little") if len(data) >= 9 and data[0] == 1 else None


class Features(PollingLoop):
    """The version that is built, kept up to date in the background."""

    def __init__(self, rpc: Rpc, setting: TxVersion) -> None:
        self._rpc = rpc
        self._setting = setting
        self._active: bool | None = None
        self._pending = False
        self.refusal = ""
        """Why nodes take no v1, though the cluster does; empty where they do."""
        self._answered = asyncio.Event()
        self._doubted = asyncio.Event()

    @property
    def facts(self) -> ChainFacts:
        """For people."""
        cluster = None if self._active is None else V1 if self._active else V0
        return ChainFacts(cluster, self.version)

    @property
    def auto(self) -> bool:
        """Whether the version follows the cluster and its nodes."""
        return self._setting == "auto"

    @property
    def version(self) -> int:
        """The version to build."""
        if self.auto:
            return V1 if self._active and not self.refusal else V0
        return int(self._setting)

    @property
    def fault(self) -> str:
        """Why TX_VERSION cannot be kept to; empty where it can."""
        if self._setting != "1":
            return ""
        if self._active is False:
            return "TX_VERSION=1: the cluster does not take transaction v1; `auto` or 0 fits it"
        if self.refusal:
            return f"TX_VERSION=1: no node takes transaction v1; `auto` or 0 fits: {self.refusal}"
        return ""

    async def unsuited(self) -> str:
        """Why TX_VERSION does not fit the cluster, once a node has answered: at once where no
        answer could make it unfit. Not for what nodes refuse: they change.
        """
        if self._setting == "1":
            await self._answered.wait()
        return self.fault if self._active is False else ""

    async def known(self) -> None:
        """Returns once a node has answered."""
        await self._answered.wait()

    def doubt(self, refusal: str) -> None:
        """Nodes have refused a transaction for its version, in these words: until they are asked
        again, they refuse all of it.
        """
        VERSION_REFUSALS.add()
        self._take_refusal(refusal)
        self._doubted.set()

    def _take_refusal(self, refusal: str) -> None:
        if refusal and not self.refusal:
            _log.warning(
                "transaction_version_refused", reason=refusal, built=V0 if self.auto else V1
            )
        elif self.refusal and not refusal:
            _log.info("transaction_version_accepted", setting=self._setting)
        self.refusal = refusal

    async def ask(self) -> None:
        """Asks once. Raises VenueRefusal, and changes nothing then."""
        # Finalized: a fork cannot take the activation back.
        answer = (await self._rpc.get_multiple_accounts([TX_V1], commitment="finalized"))[0]
        since = activation_slot(answer.value[0])
        active = since is not None and since <= answer.slot
        self._pending = since is not None and not active
        if not active or self._setting == "0":
            self._take_refusal("")
        else:
            with contextlib.suppress(VenueRefusal):
                self._take_refusal(await version_refusal(self._rpc, V1))
        if active is not self._active:
            _log.info("transaction_version_detected", cluster=int(active), setting=self._setting)
        self._active = active
        self._answered.set()

    async def _run(self) -> None:
        while True:
            self._doubted.clear()
            wait_s, asked_s = UNANSWERED_S, time.monotonic()
            try:
                await self.ask()
                wait_s = PENDING_S if self._pending or self.refusal else ASKED_EVERY_S
            except (VenueRefusal, ValueError) as error:
                _log.warning("features_unread", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._doubted.wait()
            # At once in a doubt, and never in a rush.
            await asyncio.sleep(asked_s + UNANSWERED_S - time.monotonic())
