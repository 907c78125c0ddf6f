"""The chain as the stages see it: builds signed transactions, sends bytes, tells outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from solders.message import MessageV0

from events.order import Order, Transaction, next_attempt
from stages.venues import Built, Outcome, Refused
from stages.venues.pool import Family
from stages.venues.solana.accounts import AccountCache
from stages.venues.solana.blockhashes import Blockhashes
from stages.venues.solana.errors import OF_WALLET, named_in, reason_of
from stages.venues.solana.keypair import Wallet
from stages.venues.solana.legs import legs_of
from stages.venues.solana.options import ChainOptions
from stages.venues.solana.outcomes import Outcomes
from stages.venues.solana.pools_file import TokenEntry
from stages.venues.solana.programs import TOKEN, WSOL, associated_account
from stages.venues.solana.rpc import Rpc
from stages.venues.solana.rpc_link import NotServed
from stages.venues.solana.transaction import (
    CU_MAX,
    Budget,
    Draft,
    Leg,
    Plan,
    cu_limit_at_most,
    drafted,
    instructions_of,
    memo_of,
    message,
    signed,
    unsigned,
)

_log = structlog.get_logger()


class SolanaChain:
    """See `stages.venues.Chain`. `tokens` are by symbol and by mint; who only sends and asks for
    outcomes has no wallet.
    """

    def __init__(
        self,
        rpc: Rpc,
        wallet: Wallet | None,
        cache: AccountCache,
        families: Sequence[Family],
        tokens: Mapping[str, TokenEntry],
        options: ChainOptions,
    ) -> None:
        self.first_wait_ms = options.first_wait_ms
        self._rpc = rpc
        self._wallet = wallet
        self._cache = cache
        self._families = families
        self._tokens = tokens
        self._options = options
        self._programs = {token.mint: token.program_id for token in tokens.values()}
        self._blockhashes = Blockhashes(rpc, options.blockhash_age_ms)
        self._outcomes = Outcomes(rpc, families, options)
        self._sends = asyncio.Semaphore(options.sends_at_once)

    async def close(self) -> None:
        """Ends what is under way. The client and the cache are closed by whoever made them."""
        await self._outcomes.close()

    async def build(self, order: Order) -> Built:
        """See `Chain.build`. What a simulation refuses is not signed: failing costs fees too."""
        assert self._wallet is not None, "who builds has a key"
        if order.triggered:
            await self._cache.reach(order.watch_slot)
        legs = legs_of(order, self._cache, self._tokens)
        memo = memo_of(order.id, next_attempt(order))
        recent = await self._blockhashes.recent()
        draft, trial = await self._fitting(
            Plan(self._wallet.pubkey, legs, self._programs, memo), recent.blockhash
        )
        cu_limit = await self._cu_limit(draft, trial)
        made = message(draft, Budget(cu_limit, self._options.cu_price), recent.blockhash)
        signature, raw = signed(made, self._wallet)
        return Built(signature, raw, recent.last_valid_block_height)

    async def _fitting(self, plan: Plan, blockhash: str) -> tuple[Draft, MessageV0]:
        """Its instructions, in the smaller form if only that fits and may be used, and a message
        to try them with. Raises Refused.
        """
        most = Budget(CU_MAX, self._options.cu_price)
        draft = drafted(plan)
        try:
            return draft, message(draft, most, blockhash)
        except Refused:
            if not any(WSOL in (leg.mint_in, leg.mint_out) for leg in plan.legs):
                raise
            account = str(associated_account(plan.owner, WSOL, TOKEN))
            found = await self._rpc.get_multiple_accounts([account], commitment="processed")
            if found[0].value[0] is not None:
                raise
        draft = drafted(plan._replace(associated=True))
        return draft, message(draft, most, blockhash)

    async def _cu_limit(self, draft: Draft, trial: MessageV0) -> int:
        """What the simulation consumes, and a margin. Raises Refused for what it says fails."""
        try:
            # Never signed: a node that simulates must not hold a second valid transaction of the
            # order.
            told = (await self._rpc.simulate_transaction(unsigned(trial), "processed")).value
        except NotServed:  # by no node: what fails on chain costs its fee
            return cu_limit_at_most(draft.legs)
        if told.err is not None:
            programs = [one.program for one in instructions_of(trial)]
            reason = named_in(told.logs or (), self._families) or reason_of(
                told.err, programs, self._families
            )
            retryable = reason.retryable or reason.code not in OF_WALLET
            raise Refused(reason.code, reason.detail, retryable=retryable)
        return _with_margin(told.units_consumed, self._options.cu_margin_percent, draft.legs)

    async def send(self, transactions: Sequence[bytes]) -> None:
        """See `Chain.send`. One that fails does not keep the others from being sent."""
        told = await asyncio.gather(
            *(self._send(raw) for raw in transactions), return_exceptions=True
        )
        failures = [error for error in told if isinstance(error, BaseException)]
        if failures:
            _log.info("not all were taken", failed=len(failures), of=len(transactions))
            raise failures[0]

    async def _send(self, raw: bytes) -> None:
        async with self._sends:
            await self._rpc.send_transaction(raw)

    def outcomes(self, sent: Sequence[Transaction]) -> list[asyncio.Future[Outcome]]:
        """See `Chain.outcomes`."""
        return self._outcomes.ask(sent)


def _with_margin(consumed: int | None, percent: int, legs: Sequence[Leg]) -> int:
    if not consumed:
        return cu_limit_at_most(legs)
    return min(CU_MAX, -(-consumed * percent // 100))
