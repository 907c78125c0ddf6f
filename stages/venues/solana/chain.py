"""The chain of the stages: builds signed transactions, sends bytes, follows outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

import structlog

from events.order import Order, Transaction, next_attempt
from events.reason_codes import ReasonCode
from events.secret import SecretBytes
from events.types import Status
from stages.pools.contract import Family
from stages.routing.costs import SIGNATURE_LAMPORTS
from stages.venues import Built, Outcome, VenueRefusal
from stages.venues.solana.accounts.cache import AccountCache
from stages.venues.solana.accounts.pools_file import TokenEntry
from stages.venues.solana.accounts.wallet import WalletAccounts
from stages.venues.solana.budget.budgets import Attempt, Budgets, after_failure
from stages.venues.solana.budget.consumption import Consumption
from stages.venues.solana.budget.simulator import VERSION_REFUSED, Simulator
from stages.venues.solana.cluster.blockhashes import Blockhashes
from stages.venues.solana.cluster.commitments import Commitments
from stages.venues.solana.cluster.features import Features
from stages.venues.solana.cluster.loaded import LoadedSizes
from stages.venues.solana.cluster.rents import Rents
from stages.venues.solana.cluster.slot_time import first_wait_ms, rebroadcast_ms
from stages.venues.solana.cluster.version_trials import refuses_version
from stages.venues.solana.legs import legs_of
from stages.venues.solana.outcomes.error_codes import (
    INSUFFICIENT_FUNDS,
    NOT_RENT_EXEMPT,
    SLIPPAGE,
)
from stages.venues.solana.outcomes.outcomes import Outcomes
from stages.venues.solana.rpc.answers import At, Blockhash
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import ChainOptions
from stages.venues.solana.transaction.compute import Crossing, crossing
from stages.venues.solana.transaction.keypair import Wallet
from stages.venues.solana.transaction.messages import version_of
from stages.venues.solana.transaction.programs import TOKEN, WSOL, associated_account
from stages.venues.solana.transaction.signing import (
    Draft,
    Leg,
    Plan,
    Wrapping,
    brought,
    drafted,
    memo_of,
    message,
    signed,
    sol_is_inside,
)
from stages.venues.solana.transaction.versions import CU_MAX, V0, V1, Budget, Message
from stages.venues.solana.transaction.wrapping import TOKEN_ACCOUNT_BYTES, rent_at_most

SHORT_OF_RENT = frozenset({INSUFFICIENT_FUNDS.code, NOT_RENT_EXEMPT.code, SLIPPAGE.code})
"""The errors of a transaction that opens accounts with too little rent. The missing rent is taken
from the wrapped SOL, so that a swap may lack some of its input, as after a worse price."""
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
        consumption: Consumption,
        wallet_accounts: WalletAccounts | None = None,
    ) -> None:
        self._rpc = rpc
        self._wallet = wallet
        self._cache = cache
        self._families = families
        self._tokens = tokens
        self._most = Budget(CU_MAX, options.cu_price)
        self._programs = {token.mint: token.program_id for token in tokens.values()}
        self._blockhashes = Blockhashes(rpc, cache.slot_time, commitments)
        self._features = features
        self._wallet_accounts = wallet_accounts
        self._budgets = Budgets(
            Simulator(rpc, families, features),
            LoadedSizes(rpc, self._data_length),
            options,
            consumption,
            wallet_accounts,
        )
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

    def start(self) -> None:
        """Fetches blockhashes ahead; for a process that builds."""
        self._blockhashes.start()

    async def close(self) -> None:
        """Ends what is under way. The client and the cache are closed by their owner."""
        await self._blockhashes.close()
        await self._budgets.close()
        await self._outcomes.close()

    def _data_length(self, address: str) -> int | None:
        known = self._cache.data_length(address)
        if known is None and self._wallet_accounts is not None:
            known = self._wallet_accounts.data_length(address)
        return known

    def build(self, order: Order) -> Built | Awaitable[Built]:
        """See `Chain.build`. Given at once where no node has to be asked for it."""
        return self._at_once(order) or self.build_asking(order)

    def _at_once(self, order: Order) -> Built | None:
        """The transaction by what is known; None where blockhash, limits or funds are not."""
        recent = self._blockhashes.known()
        if recent is None or not self._budgets.may_be_known(order):
            return None
        if order.triggered and not self._cache.reached(order.watch_slot):
            return None
        # No simulation shows that the rent rose: the most it ever was comes back with the account.
        plan, crossings = self._plan(order, rent_at_most(TOKEN_ACCOUNT_BYTES))
        version = self._first_version(order)
        draft = drafted(plan)
        try:
            trial = message(draft, self._most, recent.value.blockhash, version)
            budget = self._budgets.known(Attempt(order, draft, trial, version, crossings))
            if budget is None:
                return None
            transaction = message(draft, budget, recent.value.blockhash, version)
            return self._signed(transaction, plan, recent, budget)
        except VenueRefusal:  # too large: `build_asking` tries other forms
            return None

    async def build_asking(self, order: Order) -> Built:
        """As `build`. What a simulation refuses is not signed: failing costs fees too."""
        if order.triggered:
            await self._cache.reach(order.watch_slot)
        recent = await self._blockhashes.recent(fresh=after_failure(order))
        plan, crossings = self._plan(order, await self._rents.of(TOKEN_ACCOUNT_BYTES))
        version = self._first_version(order)
        try:
            transaction, budget = await self._transaction(
                order, plan, recent.value.blockhash, version, crossings
            )
        except VenueRefusal as error:
            if error.code != VERSION_REFUSED or self._features.version == version:
                raise
            transaction, budget = await self._transaction(
                order, plan, recent.value.blockhash, V0, crossings
            )
        return self._signed(transaction, plan, recent, budget)

    def _plan(self, order: Order, rent: int) -> tuple[Plan, list[Crossing]]:
        """The swaps by the pools as they are now. Raises VenueRefusal."""
        assert self._wallet is not None, "who builds has a key"
        legs = legs_of(order, self._cache, self._tokens)
        crossings = [crossing(leg, self._cache.quotable(leg.pool.address).clock) for leg in legs]
        memo = memo_of(order.id, next_attempt(order))
        return Plan(self._wallet.pubkey, legs, self._programs, memo, rent=rent), crossings

    def _signed(
        self, transaction: Message, plan: Plan, recent: At[Blockhash], budget: Budget
    ) -> Built:
        assert self._wallet is not None, "who builds has a key"
        if self._wallet_accounts is not None:
            opened = self._wallet_accounts.missing(plan) * rent_at_most(TOKEN_ACCOUNT_BYTES)
            fees = SIGNATURE_LAMPORTS + budget.priority_lamports
            self._wallet_accounts.claim(brought(plan.legs), fees + opened)
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
    ) -> tuple[Message, Budget]:
        """The message to sign, and its limits. Raises VenueRefusal."""
        try:
            draft, trial = await self._fitting(plan, blockhash, version)
        except VenueRefusal as error:
            if error.code != TOO_LARGE or version != V0 or not self._features.auto:
                raise
            version = await self._larger(error)
            draft, trial = await self._fitting(plan, blockhash, version)
        try:
            budget = await self._budgets.of(Attempt(order, draft, trial, version, crossings))
        except VenueRefusal as error:
            short = error.code in SHORT_OF_RENT and draft.created
            if short and await self._rents.rose(TOKEN_ACCOUNT_BYTES, plan.rent):
                raise VenueRefusal(
                    "rent-changed", f"{plan.rent} is too little", retryable=True
                ) from None
            raise
        return message(draft, budget, blockhash, version), budget

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
        draft = drafted(plan)
        try:
            return draft, message(draft, self._most, blockhash, version)
        except VenueRefusal:
            smaller = await self._smaller(plan.legs)
            if smaller is None:
                raise
        draft = drafted(plan._replace(wrapping=smaller))
        return draft, message(draft, self._most, blockhash, version)

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
