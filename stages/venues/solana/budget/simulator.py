"""Simulates transactions, unsigned: what they consume, or the reason why they would fail."""

from __future__ import annotations

from collections.abc import Sequence

from events.reason_codes import ReasonCode
from stages.pools.contract import Family
from stages.venues import VenueRefusal
from stages.venues.solana.cluster.features import Features
from stages.venues.solana.cluster.version_trials import UNSUPPORTED_VERSION, refuses_version
from stages.venues.solana.outcomes.error_codes import OF_WALLET, Reason
from stages.venues.solana.outcomes.errors import reason_of
from stages.venues.solana.rpc.answers import Simulation, held
from stages.venues.solana.rpc.errors import NotServed
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.transaction.messages import instructions_of
from stages.venues.solana.transaction.signing import unsigned
from stages.venues.solana.transaction.versions import V0, Message

VERSION_REFUSED: ReasonCode = "transaction-version-refused"


class Simulator:
    """Asks the nodes."""

    def __init__(self, rpc: Rpc, families: Sequence[Family], features: Features) -> None:
        self._rpc = rpc
        self._families = families
        self._features = features

    async def simulate(self, trial: Message, version: int) -> Simulation:
        """The simulation of a message. Raises VenueRefusal where it fails."""
        try:
            # Never signed: a node that simulates must not hold a second valid transaction of the
            # order.
            answer = await self._rpc.simulate_transaction(unsigned(trial), "processed")
        except VenueRefusal as error:
            if version != V0 and refuses_version(error, simulated=True):
                raise self._doubted(error.detail) from None
            if isinstance(error, NotServed):  # by no node: what fails on chain costs its fee
                return Simulation()
            raise
        simulation = answer.value
        if simulation.err is not None:
            if simulation.err == UNSUPPORTED_VERSION:
                raise self._doubted(UNSUPPORTED_VERSION)
            reason = self._reason(simulation, trial)
            retryable = reason.retryable or reason.code not in OF_WALLET
            raise VenueRefusal(reason.code, reason.detail, retryable=retryable)
        return simulation

    def _doubted(self, detail: str) -> VenueRefusal:
        """The refusal of a version that the cluster should take: it is asked again."""
        self._features.doubt(detail)
        return VenueRefusal(VERSION_REFUSED, detail, retryable=True)

    def _reason(self, simulation: Simulation, trial: Message) -> Reason:
        """Why it fails."""
        logs, instructions = simulation.logs or (), instructions_of(trial)
        balances = held(
            simulation.pre_token_balances, [str(pubkey) for pubkey in trial.account_keys]
        )
        return reason_of(simulation.err, logs, instructions, self._families, balances)
