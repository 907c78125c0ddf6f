"""The compute and data limits of a transaction: known from others of its kind, or simulated.

SIMULATE=auto simulates before the send what is not known, what follows a failure, and what the
wallet may lack the funds for. Anything else is simulated beside the append, if the newest
measurement is older than LEARNED_EVERY_MS; what that shows counts for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog

from events.order import Order
from events.telemetry.server_clock import now_us as server_now_us
from stages.venues import VenueRefusal
from stages.venues.solana.accounts.wallet import WalletAccounts
from stages.venues.solana.budget.consumption import Consumption, Measurement, kind_of
from stages.venues.solana.budget.simulator import Simulator
from stages.venues.solana.cluster.loaded import RETRY_MARGIN_PERCENT, LoadedSizes, limit
from stages.venues.solana.rpc.answers import Simulation
from stages.venues.solana.rpc.options import ChainOptions
from stages.venues.solana.transaction.compute import Crossing
from stages.venues.solana.transaction.signing import Draft, brought, cu_needed
from stages.venues.solana.transaction.versions import (
    CU_MAX,
    DATA_SIZE_MAX,
    V0,
    Budget,
    Message,
)

LEARNED_EVERY_MS = 10_000

_log = structlog.get_logger()


def after_failure(order: Order) -> bool:
    """Whether an attempt of the order came before."""
    return bool(order.signature or order.attempts or order.retreats)


class Attempt(NamedTuple):
    """A transaction whose limits are asked for."""

    order: Order
    draft: Draft
    trial: Message
    """The message without limits, to be simulated."""
    version: int
    crossings: Sequence[Crossing]

    @property
    def crossed(self) -> int:
        """Units of the ticks or bins that it crosses as the pools are now."""
        return sum(crossing.now for crossing in self.crossings)

    @property
    def spare(self) -> int:
        """Units of those that it may cross besides."""
        return sum(crossing.spare for crossing in self.crossings)


class Budgets:
    """Gives limits. `clock_ms` is Unix time by the log's server."""

    def __init__(
        self,
        simulator: Simulator,
        sizes: LoadedSizes,
        options: ChainOptions,
        consumption: Consumption,
        wallet: WalletAccounts | None,
        clock_ms: Callable[[], int] = lambda: server_now_us() // 1000,
    ) -> None:
        self._simulator = simulator
        self._sizes = sizes
        self._options = options
        self._consumption = consumption
        self._wallet = wallet
        self._clock_ms = clock_ms
        self._learning: dict[str, asyncio.Task[None]] = {}
        self._measuring: asyncio.Task[int | None] | None = None

    async def close(self) -> None:
        """Ends the simulations that are under way."""
        tasks: list[asyncio.Task[Any]] = list(self._learning.values())
        if self._measuring is not None:
            tasks.append(self._measuring)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def may_be_known(self, order: Order) -> bool:
        """Whether the limits of the order's next transaction may come without a question."""
        return self._options.simulate == "auto" and not after_failure(order)

    def known(self, attempt: Attempt) -> Budget | None:
        """The limits without asking a node; None where something is not known, or is to be asked
        for. What the transaction consumes is then simulated beside the append.
        """
        if not self.may_be_known(attempt.order):
            return None
        kind = self._kind(attempt)
        known = self._by_kind(attempt, kind)
        if known is not None:
            self._learn_beside(attempt, kind)
        return known

    async def of(self, attempt: Attempt) -> Budget:
        """The limits. Raises VenueRefusal where a simulation fails."""
        if self._options.simulate == "never":
            return await self._unsimulated(attempt)
        return self.known(attempt) or await self._simulated(attempt, self._kind(attempt))

    # -- by kind ---------------------------------------------------------------------------------

    def _kind(self, attempt: Attempt) -> str:
        opens = self._wallet.missing(attempt.draft.plan) if self._wallet else 0
        return kind_of(attempt.draft, attempt.version, opens)

    def _by_kind(self, attempt: Attempt, kind: str) -> Budget | None:
        """The limits by what was consumed before; None where something is not known."""
        units = self._consumption.expected(kind, attempt.crossed, self._clock_ms())
        if units is None or self._wallet is None:
            return None
        data_size = DATA_SIZE_MAX
        if attempt.version != V0:
            loaded = self._sizes.known(_addresses(attempt.trial), attempt.draft.created)
            if loaded is None:
                self._measure_beside(attempt)
                return None
            data_size = limit(loaded)
        budget = Budget(self._with_margin(units, attempt), self._options.cu_price, data_size)
        lamports = budget.priority_lamports
        return budget if self._wallet.covers(brought(attempt.draft.plan.legs), lamports) else None

    def _with_margin(self, units: int, attempt: Attempt) -> int:
        """A margin, and the units of further ticks that the swaps may cross."""
        return min(CU_MAX, -(-units * self._options.cu_margin_percent // 100) + attempt.spare)

    def _measure_beside(self, attempt: Attempt) -> None:
        """Reads the lengths of accounts for the next one; once at a time."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.create_task(self._measured(attempt, afresh=False))

    def _learn_beside(self, attempt: Attempt, kind: str) -> None:
        """Simulates what is being sent, for the next one. One simulation a kind at a time."""
        age_ms = self._consumption.age_ms(kind, self._clock_ms())
        if kind in self._learning or (age_ms is not None and age_ms < LEARNED_EVERY_MS):
            return
        task = self._learning[kind] = asyncio.create_task(self._learn(attempt, kind))
        task.add_done_callback(lambda _: self._learning.pop(kind, None))

    async def _learn(self, attempt: Attempt, kind: str) -> None:
        try:
            simulation = await self._simulator.simulate(attempt.trial, attempt.version)
        except VenueRefusal as error:
            # Its own transaction may have landed meanwhile. The next one is simulated before it is
            # sent, and shows whether something changed.
            _log.info("simulation_beside_failed", kind=kind, reason=error.code)
            self._consumption.forget(kind, self._clock_ms())
            return
        self._record(attempt, kind, simulation)

    # -- simulated -------------------------------------------------------------------------------

    async def _simulated(self, attempt: Attempt, kind: str) -> Budget:
        later = bool(attempt.order.attempts or attempt.order.retreats)
        measuring = asyncio.create_task(self._measured(attempt, afresh=later))
        try:
            simulation = await self._simulator.simulate(attempt.trial, attempt.version)
            loaded = await measuring or 0
        except VenueRefusal:
            self._consumption.forget(kind, self._clock_ms())
            raise
        finally:
            measuring.cancel()  # not needed where the simulation is refused
        self._record(attempt, kind, simulation)
        data_size = DATA_SIZE_MAX
        if attempt.version != V0:
            loaded = max(loaded, simulation.loaded_accounts_data_size or 0) or DATA_SIZE_MAX
            data_size = limit(loaded, RETRY_MARGIN_PERCENT) if later else limit(loaded)
        return Budget(self._cu_limit(simulation, attempt), self._options.cu_price, data_size)

    def _record(self, attempt: Attempt, kind: str, simulation: Simulation) -> None:
        if simulation.units_consumed:
            measurement = Measurement(simulation.units_consumed, attempt.crossed, self._clock_ms())
            self._consumption.record(kind, measurement)

    async def _unsimulated(self, attempt: Attempt) -> Budget:
        """The most that such swaps take."""
        loaded = await self._measured(attempt, afresh=after_failure(attempt.order))
        data_size = limit(loaded) if loaded else DATA_SIZE_MAX
        return Budget(self._cu_limit(Simulation(), attempt), self._options.cu_price, data_size)

    async def _measured(self, attempt: Attempt, *, afresh: bool) -> int | None:
        """Bytes of account data that it loads; None where the nodes do not report it, and for v0,
        which needs no limit.
        """
        if attempt.version == V0:
            return None
        try:
            return await self._sizes.of(
                _addresses(attempt.trial), attempt.draft.created, afresh=afresh
            )
        except (VenueRefusal, ValueError) as error:
            _log.warning("accounts_not_measured", error=str(error))
            return None

    def _cu_limit(self, simulation: Simulation, attempt: Attempt) -> int:
        if simulation.units_consumed:
            return self._with_margin(simulation.units_consumed, attempt)
        most = cu_needed(attempt.draft.plan.legs) + attempt.crossed + attempt.spare
        return min(CU_MAX, most)


def _addresses(trial: Message) -> list[str]:
    return [str(address) for address in trial.account_keys]
