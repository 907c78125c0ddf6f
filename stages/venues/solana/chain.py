"""The chain of the stages: builds signed transactions, sends bytes, follows outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from events.order import Order, Transaction, next_attempt
from events.reason_codes import ReasonCode
from events.secret import SecretBytes
from events.types import Status
from stages.pools.contract import Family
from stages.venues import Built, Outcome, VenueRefusal
from stages.venues.solana.accounts.cache import AccountCache
from stages.venues.solana.accounts.pools_file import TokenEntry
from stages.venues.solana.cluster.blockhashes import Blockhashes
from stages.venues.solana.cluster.commitments import Commitments
from stages.venues.solana.cluster.features import Features
from stages.venues.solana.cluster.loaded import RETRY_MARGIN_PERCENT, LoadedSizes, limit
from stages.venues.solana.cluster.rents import Rents
from stages.venues.solana.cluster.slot_time import first_wait_ms, rebroadcast_ms
from stages.venues.solana.cluster.version_trials import UNSUPPORTED_VERSION, refuses_version
from stages.venues.solana.legs import legs_of
from stages.venues.solana.outcomes.error_codes import (
    INSUFFICIENT_FUNDS,
    NOT_RENT_EXEMPT,
    OF_WALLET,
    SLIPPAGE,
    Reason,
)
from stages.venues.solana.outcomes.errors import reason_of
from stages.venues.solana.outcomes.outcomes import Outcomes
from stages.venues.solana.rpc.answers import Simulation, held
from stages.venues.solana.rpc.errors import NotServed
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import ChainOptions
from stages.venues.solana.transaction.compute import Crossing, crossing
from stages.venues.solana.transaction.keypair import Wallet
from stages.venues.solana.transaction.messages import instructions_of, version_of
from stages.venues.solana.transaction.programs import TOKEN, WSOL, associated_account
from stages.venues.solana.transaction.signing import (
    Draft,
    Leg,
    Plan,
    Wrapping,
    cu_needed,
    drafted,
    memo_of,
    message,
    signed,
    sol_is_inside,
    unsigned,
)
from stages.venues.solana.transaction.versions import CU_MAX, DATA_SIZE_MAX, V0, V1, Budget, Message
from stages.venues.solana.transaction.wrapping import TOKEN_ACCOUNT_BYTES

SHORT_OF_RENT = frozenset({INSUFFICIENT_FUNDS.code, NOT_RENT_EXEMPT.code, SLIPPAGE.code})
"""The errors of a transaction that opens accounts with too little rent. The missing rent is taken
from the wrapped SOL, so that a swap may lack some of its input, as after a worse price."""
VERSION_REFUSED: ReasonCode = "transaction-version-refused"
TOO_LARGE: ReasonCode = "transaction-too-large"

_log = structlog.get_logger()


class SolanaChain:
    """See `stages.venues.Chain`. `tokens` are by symbol and by mint. A chain that only
    sends and asks for outcomes has no wallet.
    """

    def __init__(
        self,
        rpc: Rpc,
        wallet: Wallet | None,
        cache: AccountCache,
        families: Sequence[Family],
        tokens: Mapping[str, TokenEntry],
        options: ChainOptions,
        features: Features,
        *,
        commitments: Commitments,
    ) -> None:
        self._rpc = rpc
        self._wallet = wallet
        self._cache = cache
        self._families = families
        self._tokens = tokens
        self._options = options
        self._programs = {token.mint: token.program_id for token in tokens.values()}
        self._blockhashes = Blockhashes(rpc, cache.slot_time, commitments)
        self._features = features
        self._sizes = LoadedSizes(rpc, cache.data_length)
        self._outcomes = Outcomes(rpc, families, options, cache.slot_time, commitments)
        self._rents = Rents(rpc)
        self._sends = asyncio.Semaphore(options.sends_at_once)

    @property
    def first_wait_ms(self) -> int:
        """See `Chain.first_wait_ms`."""
        return first_wait_ms(self._cache.slot_time)

    @property
    def rebroadcast_ms(self) -> int:
        """See `Chain.rebroadcast_ms`."""
        return rebroadcast_ms(self._cache.slot_time)

    async def close(self) -> None:
        """Ends what is under way. The client and the cache are closed by their owner."""
        await self._outcomes.close()

    async def build(self, order: Order) -> Built:
        """See `Chain.build`. What a simulation refuses is not signed: failing costs fees too."""
        assert self._wallet is not None, "who builds has a key"
        if order.triggered:
            await self._cache.reach(order.watch_slot)
        legs = legs_of(order, self._cache, self._tokens)
        crossings = [crossing(leg, self._cache.quotable(leg.pool.address).clock) for leg in legs]
        memo = memo_of(order.id, next_attempt(order))
        again = bool(order.signature or order.attempts or order.retreats)
        recent = await self._blockhashes.recent(fresh=again)
        rent = await self._rents.of(TOKEN_ACCOUNT_BYTES)
        plan = Plan(self._wallet.pubkey, legs, self._programs, memo, rent=rent)
        version = self._first_version(order)
        try:
            transaction = await self._transaction(
                order, plan, recent.value.blockhash, version, crossings
            )
        except VenueRefusal as error:
            if error.code != VERSION_REFUSED or self._features.version == version:
                raise
            transaction = await self._transaction(
                order, plan, recent.value.blockhash, V0, crossings
            )
        signature, raw = signed(transaction, self._wallet)
        last_valid_height = recent.value.last_valid_block_height
        return Built(signature, SecretBytes(raw), last_valid_height, least_slot=recent.slot)

    def _first_version(self, order: Order) -> int:
        """The transaction version to try first.

        A replacement for an expired transaction is v0 where that fits: the services behind a node
        may drop v1 silently.
        """
        replaces = order.status is Status.SUBMITTED
        return V0 if replaces and self._features.auto else self._features.version

    async def _transaction(
        self,
        order: Order,
        plan: Plan,
        blockhash: str,
        version: int,
        crossings: Sequence[Crossing],
    ) -> Message:
        """The message to sign, within the limits that its simulation gives. Raises VenueRefusal."""
        try:
            draft, trial = await self._fitting(plan, blockhash, version)
        except VenueRefusal as error:
            if error.code != TOO_LARGE or version != V0 or not self._features.auto:
                raise
            version = await self._larger(error)
            draft, trial = await self._fitting(plan, blockhash, version)
        try:
            budget = await self._budget(order, draft, trial, version, crossings)
        except VenueRefusal as error:
            short = error.code in SHORT_OF_RENT and draft.created
            if short and await self._rents.rose(TOKEN_ACCOUNT_BYTES, plan.rent):
                raise VenueRefusal(
                    "rent-changed", f"{plan.rent} is too little", retryable=True
                ) from None
            raise
        return message(draft, budget, blockhash, version)

    async def _larger(self, too_large: VenueRefusal) -> int:
        """The version that may hold what v0 does not. The process that routed the order may know
        more about the cluster. Raises VenueRefusal.
        """
        features = self._features
        if features.version == V0 and not features.refusal:
            await features.ask()
        if features.refusal:
            detail = f"the route does not fit into v0 ({too_large.detail}): {features.refusal}"
            raise VenueRefusal(VERSION_REFUSED, detail, retryable=True)
        if features.version == V0:
            raise too_large
        return features.version

    async def _fitting(self, plan: Plan, blockhash: str, version: int) -> tuple[Draft, Message]:
        """Its instructions, in a smaller form if only that fits and may be used, and a message to
        try them with: it may load all that a transaction may. Raises VenueRefusal.
        """
        most = Budget(CU_MAX, self._options.cu_price)
        draft = drafted(plan)
        try:
            return draft, message(draft, most, blockhash, version)
        except VenueRefusal:
            smaller = await self._smaller(plan.legs)
            if smaller is None:
                raise
        draft = drafted(plan._replace(wrapping=smaller))
        return draft, message(draft, most, blockhash, version)

    async def _smaller(self, legs: Sequence[Leg]) -> Wrapping | None:
        """The smaller form, where these swaps may have one. Raises VenueRefusal."""
        assert self._wallet is not None, "who builds has a key"
        if not any(WSOL in (leg.mint_in, leg.mint_out) for leg in legs):
            return None
        account = str(associated_account(self._wallet.pubkey, WSOL, TOKEN))
        answer = await self._rpc.get_multiple_accounts([account], commitment="processed")
        if answer[0].value[0] is None:
            return Wrapping.ASSOCIATED
        return Wrapping.KEPT if sol_is_inside(legs) else None

    async def _budget(
        self,
        order: Order,
        draft: Draft,
        trial: Message,
        version: int,
        crossings: Sequence[Crossing],
    ) -> Budget:
        """The compute and data limits. Raises VenueRefusal where the simulation fails."""
        if version == V0:
            simulation = await self._simulated(trial, version)
            return Budget(self._cu_limit(simulation, draft, crossings), self._options.cu_price)
        later = bool(order.attempts or order.retreats)
        measuring = asyncio.create_task(self._measured(draft, trial, afresh=later))
        try:
            simulation = await self._simulated(trial, version)
            measured = await measuring or 0
        finally:
            measuring.cancel()  # not needed where the simulation is refused
        loaded = max(measured, simulation.loaded_accounts_data_size or 0) or DATA_SIZE_MAX
        return Budget(
            self._cu_limit(simulation, draft, crossings),
            self._options.cu_price,
            limit(loaded, RETRY_MARGIN_PERCENT) if later else limit(loaded),
        )

    async def _measured(self, draft: Draft, trial: Message, *, afresh: bool) -> int | None:
        """Bytes of account data that it loads; None where the nodes do not report it."""
        addresses = [str(address) for address in trial.account_keys]
        try:
            return await self._sizes.of(addresses, draft.created, afresh=afresh)
        except (VenueRefusal, ValueError) as error:
            _log.warning("accounts_not_measured", error=str(error))
            return None

    async def _simulated(self, trial: Message, version: int) -> Simulation:
        """The simulation of the transaction. Raises VenueRefusal where it fails."""
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

    def _cu_limit(self, simulation: Simulation, draft: Draft, crossings: Sequence[Crossing]) -> int:
        """The units of the simulation, a margin, and the units of further ticks that the swaps may
        cross.
        """
        spare = sum(crossing.spare for crossing in crossings)
        if not simulation.units_consumed:
            return min(
                CU_MAX, cu_needed(draft.legs) + sum(crossing.now for crossing in crossings) + spare
            )
        consumed = simulation.units_consumed * self._options.cu_margin_percent
        return min(CU_MAX, -(-consumed // 100) + spare)

    async def send(self, transactions: Sequence[SecretBytes]) -> None:
        """See `Chain.send`. A failed send does not keep the others from being sent."""
        told = await asyncio.gather(
            *(self._send(raw) for raw in transactions), return_exceptions=True
        )
        failures = [error for error in told if isinstance(error, BaseException)]
        if failures:
            _log.info("sends_incomplete", failed=len(failures), of=len(transactions))
            raise failures[0]

    async def _send(self, raw: SecretBytes) -> None:
        async with self._sends:
            try:
                await self._rpc.send_transaction(raw)
            except VenueRefusal as error:
                if version_of(raw.reveal()) == V1 and refuses_version(error):
                    self._features.doubt(error.detail)
                raise

    def outcomes(self, sent: Sequence[Transaction]) -> list[asyncio.Future[Outcome]]:
        """See `Chain.outcomes`."""
        return self._outcomes.ask(sent)
