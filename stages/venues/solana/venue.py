"""All watched pools as one venue: routes over them for an order, their ticks and pool events.

Quotes are computed at once from the account cache, without a call to a node. One venue for all
DEXes, as routes go across them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from solders.hash import Hash
from solders.keypair import Keypair

from events.money import Token
from events.order import Order
from events.types import Quote
from stages.pools.contract import SwapTerms
from stages.routing.candidates import candidates
from stages.routing.costs import Costs
from stages.routing.quoting import as_quote
from stages.routing.route import Limits, Request, Step
from stages.runtime.stage import VenueRefusal
from stages.venues import Pair, PoolEvent, Tick
from stages.venues.solana.accounts.cache import AccountCache
from stages.venues.solana.accounts.history import PairFilter
from stages.venues.solana.pool_reader import PoolReader
from stages.venues.solana.transaction.signing import (
    Leg,
    Plan,
    cu_needed,
    drafted,
    message,
    wrappings,
)
from stages.venues.solana.transaction.versions import CU_MAX, V0, Budget

HOP_SLACK_BPS = 10
"""Of orders that name no slippage: limit orders."""
HOP_SLACK_MOST_BPS = 100
"""The upper bound: the remainder of the first of two hops is not swapped, and an order that allows
much slippage wants the whole amount swapped all the same."""
_PLACEHOLDER_WALLET = Keypair.from_seed(bytes(32)).pubkey()
"""Any key is as long as another: transactions are measured with this one."""
_SOME_ORDER = "00000000-0000-0000-0000-000000000000/99"
_LONGEST = Budget(CU_MAX, 1)


class SolanaVenue:
    """Routes over the pools of the account cache."""

    name = "solana"

    def __init__(
        self,
        cache: AccountCache,
        tokens: Mapping[str, Token],
        programs: Mapping[str, str],
        dexes: Collection[str],
        costs: Costs,
        *,
        max_price_impact_bps: int,
        version: Callable[[], int] = lambda: V0,
        wraps: Callable[[], bool | None] = lambda: None,
    ) -> None:
        """`tokens` by symbol and mint; `programs`: the token program of each mint; `version`: of
        the transactions that are built; `wraps`: whether the wallet has an account of wrapped SOL,
        None where that is not known.
        """
        self._cache = cache
        self._tokens = tokens
        self._programs = programs
        self._dexes = frozenset(dexes)
        self._costs = costs
        self._version = version
        self._wraps = wraps
        self._max_impact_ppm = max_price_impact_bps * 100
        self._reader = PoolReader(cache, dexes, venue=self.name)

    def quotes(self, order: Order) -> tuple[Quote, ...] | Awaitable[tuple[Quote, ...]]:
        """See `Venue.quotes`. A watcher may be a slot ahead: its pool is new, not missing."""
        if order.triggered and not self._cache.reached(order.watch_slot):
            return self._quotes_later(order)
        return self._quotes(order)

    async def _quotes_later(self, order: Order) -> tuple[Quote, ...]:
        await self._cache.reach(order.watch_slot)
        return self._quotes(order)

    def _quotes(self, order: Order) -> tuple[Quote, ...]:
        exactly = order.exact_amount_out
        for name in (order.token_in, order.token_out):
            if name not in self._tokens:
                raise VenueRefusal("no-route", f"{name} is not in POOLS")
        request = Request(
            self._tokens[order.token_in].mint,
            self._tokens[order.token_out].mint,
            order.amount_in if exactly is None else exactly,
            exactly is not None,
        )
        view = self._reader.view()
        fitted: list[bool] = []

        def fits(steps: Sequence[Step]) -> bool:
            fitted.append(self._fits(steps))
            return fitted[-1]

        limits = Limits(hop_slack_bps(order.slippage_bps), fits)
        quotes = [
            as_quote(
                candidate, request, self._tokens.__getitem__, self._max_impact_ppm, view.warnings
            )
            for candidate in candidates(view.graph, request, self._costs, limits)
        ]
        quotes += view.refused.get(frozenset((request.mint_in, request.mint_out)), [])
        if not quotes and fitted:
            raise VenueRefusal("transaction-too-large", "no route there fits into one transaction")
        if not quotes:
            raise VenueRefusal(
                "no-route", f"no pools lead from {order.token_in} to {order.token_out}"
            )
        return tuple(quotes)

    def _fits(self, steps: Sequence[Step]) -> bool:
        """Whether these swaps fit into one transaction: the longest one is built, in each form that
        it may have.
        """
        legs = [
            Leg(
                step.way.listed.family,
                step.way.listed.pool,
                step.way.a_to_b,
                SwapTerms(step.exact_out, step.swap.amount_out, step.swap.amount_in)
                if step.exact_out
                else SwapTerms(False, step.swap.amount_in, step.swap.amount_out),
            )
            for step in steps
        ]
        if cu_needed(legs) > CU_MAX:
            return False
        plan = Plan(_PLACEHOLDER_WALLET, legs, self._programs, _SOME_ORDER)
        return any(
            self._fits_as(plan._replace(wrapping=form)) for form in wrappings(legs, self._wraps())
        )

    def _fits_as(self, plan: Plan) -> bool:
        try:
            message(drafted(plan), _LONGEST, str(Hash.default()), self._version())
        except VenueRefusal:
            return False
        return True

    def slot(self) -> int:
        """See `Venue.slot`."""
        return self._cache.slot()

    def slot_at(self, time_us: int) -> int:
        """See `Venue.slot_at`."""
        return self._cache.history.slot_at(time_us, self._cache.slot_time.short_ms)

    async def next_slot(self, after: int) -> int:
        """See `Venue.next_slot`."""
        return await self._cache.next_slot(after)

    def ticks(self, pair: Pair, first: int, last: int) -> list[Tick]:
        """See `Venue.ticks`. Slots that were not read have none: a chain's past is not kept."""
        return self._cache.history.ticks(self._market(pair), pair, first, last)

    def pools(self, pair: Pair, first: int, last: int) -> list[PoolEvent]:
        """See `Venue.pools`."""
        return list(self._cache.history.events(self._market(pair), pair, first, last))

    def _market(self, pair: Pair) -> PairFilter:
        """The pair by mints. A token that POOLS does not have (any more) has no market: the filter
        is empty.
        """
        tokens = [self._tokens.get(name) for name in (pair.token_in, pair.token_out)]
        mint_in, mint_out = (token.mint if token is not None else "" for token in tokens)
        return PairFilter(self._dexes, mint_in, mint_out)


def hop_slack_bps(slippage_bps: int) -> int:
    """How much less than the first hop's output the second one takes in."""
    return min(slippage_bps // 2 or HOP_SLACK_BPS, HOP_SLACK_MOST_BPS)
