"""A DAMM v2 pool and its quoter.

The fee is a rate per 1e9, the base fee and the dynamic fee together, capped by the pool's fee
version. It is taken from the output, or from the input where b pays and the pool collects b only.
An amount with its fee pays ceil(amount · rate); one without costs ceil(net · 1e9 / (1e9 - rate)).
Of the fee the protocol has floor(percent), the liquidity providers the rest; of theirs a
compounding pool puts floor(bps) back into its reserve of b (docs.meteora.ag, DAMM v2 formulas).

The program fills swaps that pay 0, and so does this quoter: a sender requires at least 1.
"""

from __future__ import annotations

from typing import NoReturn

import msgspec

from stages.pools.contract import PPB, Clock, Rejected, Swap
from stages.pools.keyed import Keyed
from stages.pools.meteora.damm_v2.maths import (
    OVERFLOW,
    Spent,
    cost,
    product_in,
    product_out,
    product_price,
    spend,
)
from stages.pools.meteora.damm_v2.terms import Collected, DammKeys, DammTerms
from stages.pools.meteora.damm_v2.volatility import Volatility, moved

U64_MAX = 2**64 - 1


class DammPool(msgspec.Struct, Keyed, frozen=True, gc=False):
    """The state of a pool."""

    keys: DammKeys
    terms: DammTerms
    liquidity: int
    """Scaled by 2^64."""
    sqrt_price: int
    """√(b per a) in Q64.64."""
    reserve_a: int
    reserve_b: int
    collected_a: Collected
    collected_b: Collected
    volatility: Volatility | None
    keeps_reserves: bool = True
    """Whether the account holds the reserves; the first swap writes them where it does not."""

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps exactly `amount` base units in. Raises Rejected."""
        return self._paying(amount, a_to_b, clock, False)

    def partial_fill(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps `amount` base units in, or less at the price's limit. Raises Rejected."""
        return self._paying(amount, a_to_b, clock, True)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps so that exactly `amount` base units come out. Raises Rejected."""
        point = self._open(amount, clock)
        if self.terms.collects_b and not a_to_b:
            net, after = self._cost(amount, a_to_b)
            paid = _grossed(net, self._rate(point, excluded=net))
            return self._settled(paid, amount, paid - net, (net, amount, after), a_to_b, clock)
        gross = _grossed(amount, self._rate(point))
        net, after = self._cost(gross, a_to_b)
        return self._settled(net, amount, gross - amount, (net, gross, after), a_to_b, clock)

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """Base units out per base unit in, before fees, as a fraction."""
        if self.terms.compounds:
            b, a = self.reserve_b, self.reserve_a
        else:
            b, a = self.sqrt_price * self.sqrt_price, 1 << 128
        return (b, a) if a_to_b else (a, b)

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:  # noqa: ARG002 - the same either way
        """The rate of a very small swap: a limiter's first bracket is its cliff fee."""
        return self._rate(clock.time_s if self.terms.by_time else clock.slot)

    def _paying(self, amount: int, a_to_b: bool, clock: Clock, partial: bool) -> Swap:
        point = self._open(amount, clock)
        if self.terms.collects_b and not a_to_b:
            rate = self._rate(point, included=amount)
            offered = amount - -(-amount * rate // PPB)
            spent = self._spend(offered, a_to_b, partial)
            if (net := spent[0]) < offered:
                amount = _grossed(net, self._rate(point, excluded=net))
            return self._settled(amount, spent[1], amount - net, spent, a_to_b, clock)
        spent = net, gross, _ = self._spend(amount, a_to_b, partial)
        fee = -(-gross * self._rate(point) // PPB)
        return self._settled(net, gross - fee, fee, spent, a_to_b, clock)

    def _open(self, amount: int, clock: Clock) -> int:
        """The slot or second that counts for this pool, if it trades then."""
        terms = self.terms
        point = clock.time_s if terms.by_time else clock.slot
        if not terms.enabled or point < terms.activation:
            raise Rejected("PoolDisabled")
        if amount <= 0:
            raise Rejected("AmountIsZero")
        if amount > U64_MAX or not self.liquidity:
            self._overflow()
        return point

    def _rate(self, point: int, included: int = 0, excluded: int = 0) -> int:
        """The fee per 1e9; of an input with or without its fee where the fee is taken there."""
        terms = self.terms
        limiter = terms.limiter
        if limiter is None or not (included or excluded) or not limiter.applies(point):
            rate = terms.schedule.numerator(point, self.sqrt_price)
        elif included:
            rate = limiter.of_included(included)
        else:
            rate = limiter.of_excluded(excluded)
        if self.volatility is not None and terms.volatility is not None:
            rate += terms.volatility.fee(self.volatility.accumulator)
        highest = terms.highest_fee
        return rate if rate < highest else highest

    def _spend(self, net: int, a_to_b: bool, partial: bool) -> Spent:
        terms = self.terms
        if not terms.compounds:
            limit = terms.sqrt_min if a_to_b else terms.sqrt_max
            return spend(self.liquidity, self.sqrt_price, limit, net, a_to_b, partial)
        if a_to_b:
            return net, product_out(self.reserve_a, self.reserve_b, net), 0
        return net, product_out(self.reserve_b, self.reserve_a, net), 0

    def _cost(self, gross: int, a_to_b: bool) -> tuple[int, int]:
        terms = self.terms
        if not terms.compounds:
            limit = terms.sqrt_min if a_to_b else terms.sqrt_max
            return cost(self.liquidity, self.sqrt_price, limit, gross, a_to_b)
        if a_to_b:
            return product_in(self.reserve_a, self.reserve_b, gross), 0
        return product_in(self.reserve_b, self.reserve_a, gross), 0

    def _settled(
        self, paid: int, out: int, fee: int, spent: Spent, a_to_b: bool, clock: Clock
    ) -> Swap:
        """The swap, and the pool after it: fees shared out, price and volatility moved."""
        terms = self.terms
        net, gross, after = spent
        protocol = fee * terms.protocol_percent // 100
        providers = fee - protocol
        compounded = providers * terms.compounding_bps // 10_000
        providers -= compounded
        collected_a, collected_b = self.collected_a, self.collected_b
        if a_to_b or terms.collects_b:
            collected_b = self._collect(collected_b, protocol, providers, compounded)
        else:
            collected_a = self._collect(collected_a, protocol, providers, compounded)
        if a_to_b:
            reserve_a, reserve_b = self.reserve_a + net, self.reserve_b - gross + compounded
        else:
            reserve_a, reserve_b = self.reserve_a - gross, self.reserve_b + net + compounded
        if paid > U64_MAX or not (0 <= reserve_a <= U64_MAX and 0 <= reserve_b <= U64_MAX):
            self._overflow()
        if terms.compounds:
            after = product_price(reserve_a, reserve_b)
        volatility = self.volatility
        if volatility is not None and terms.volatility is not None:
            volatility = moved(terms.volatility, volatility, self.sqrt_price, after, clock.time_s)
        pool = DammPool(
            self.keys, terms, self.liquidity, after, reserve_a, reserve_b,
            collected_a, collected_b, volatility,
        )  # fmt: skip
        return Swap(paid, out, fee, a_to_b or not terms.collects_b, pool)

    def _collect(self, was: Collected, protocol: int, providers: int, compounded: int) -> Collected:
        return Collected(
            was.protocol + protocol,
            was.protocol_ever + protocol,
            was.providers_ever + providers + compounded,
            was.per_liquidity + (providers << 128) // self.liquidity,
        )

    def _overflow(self) -> NoReturn:
        raise Rejected(OVERFLOW, "more than there can be")


def _grossed(net: int, rate: int) -> int:
    """The amount of which `net` remains after the fee, rounded up."""
    return -(-net * PPB // (PPB - rate))
