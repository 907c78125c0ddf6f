"""Raydium CLMM: one pool, and what a swap makes of it."""

from __future__ import annotations

import msgspec

from stages.venues.pool import Clock, Rejected, Swap
from stages.venues.raydium.clmm.maths import U64_MAX
from stages.venues.raydium.clmm.walk import U128_MAX, Depth, Position, Rates, Walked, limit_of, walk

_SWAP_DISABLED = 1 << 4


class ClmmPool(msgspec.Struct, frozen=True, gc=False):
    """One pool, with the initialised ticks near its price. Amounts in base units."""

    address: str
    program: str
    config: str
    mint_a: str
    mint_b: str
    vault_a: str
    vault_b: str
    observation: str
    spacing: int
    status: int
    open_time: int
    rates: Rates
    depth: Depth
    arrays: tuple[int, ...]
    """The numbers of the tick arrays that were read, in order."""
    balance_a: int
    """What the vault of mint_a holds, fees that nobody collected yet included."""
    balance_b: int
    sqrt_price: int
    """The square root of b per a, Q64.64."""
    tick: int
    liquidity: int
    growth_a: int
    """Fees in mint_a ever paid per unit of liquidity, Q64.64."""
    growth_b: int
    protocol_fees_a: int
    protocol_fees_b: int
    fund_fees_a: int
    fund_fees_b: int
    outside: tuple[tuple[int, int], ...]
    """For each tick of the depth, the fee growths on its far side, Q64.64."""
    crossed: frozenset[int] = frozenset()
    """The ticks of the depth that swaps crossed since the pool was read."""

    @property
    def reserve_a(self) -> int:
        """What is there of mint_a besides the protocol's and the fund's fees."""
        return self.balance_a - self.protocol_fees_a - self.fund_fees_a

    @property
    def reserve_b(self) -> int:
        """What is there of mint_b besides the protocol's and the fund's fees."""
        return self.balance_b - self.protocol_fees_b - self.fund_fees_b

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock, sqrt_price_limit: int = 0) -> Swap:
        """Swap `amount` in, or less if the price reaches the limit (0: none) first."""
        self._open(clock)
        return self.swap(amount, a_to_b, out=False, sqrt_price_limit=sqrt_price_limit)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock, sqrt_price_limit: int = 0) -> Swap:
        """Swap so that `amount` comes out, or less if the price reaches the limit (0: none)."""
        self._open(clock)
        return self.swap(amount, a_to_b, out=True, sqrt_price_limit=sqrt_price_limit)

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """The square of the sqrt price, or its inverse."""
        price = self.sqrt_price * self.sqrt_price
        return (price, 1 << 128) if a_to_b else (1 << 128, price)

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:  # noqa: ARG002 - one rate for all
        """The config's rate, the same either way and at any time."""
        return self.rates.fee * 1000

    def swap(self, amount: int, a_to_b: bool, *, out: bool, sqrt_price_limit: int = 0) -> Swap:
        """As `exact_in`, or `exact_out` if `out`, whether or not the pool is open."""
        walked = self.walked(amount, a_to_b, out=out, sqrt_price_limit=sqrt_price_limit)
        after = self._after(walked, a_to_b)
        return Swap(walked.amount_in, walked.amount_out, walked.fee, False, after)

    def walked(self, amount: int, a_to_b: bool, *, out: bool, sqrt_price_limit: int = 0) -> Walked:
        """The walk of `swap`, if the program lets it pass. Raises Rejected."""
        if amount == 0:
            raise Rejected("ZeroAmountSpecified")
        if not 0 < amount <= U64_MAX:
            raise Rejected("MaxTokenOverflow", f"{amount} is not a u64")
        growth = self.growth_a if a_to_b else self.growth_b
        walked = walk(
            self.depth,
            self.rates,
            Position(self.sqrt_price, self.tick, self.liquidity, growth),
            amount,
            a_to_b=a_to_b,
            out=out,
            limit=limit_of(sqrt_price_limit, self.sqrt_price, a_to_b),
        )
        if not walked.amount_in or not walked.amount_out:
            raise Rejected("TooSmallInputOrOutputAmount")
        if walked.amount_out > (self.balance_b if a_to_b else self.balance_a):
            raise Rejected("InsufficientFunds", "the vault holds less than the price says")
        if not sqrt_price_limit and amount != (walked.amount_out if out else walked.amount_in):
            raise Rejected("RequireEqViolated", "the price came to its end before the swap did")
        return walked

    def _open(self, clock: Clock) -> None:
        if clock.time_s <= self.open_time:
            raise Rejected("RequireGtViolated", f"the pool opens at {self.open_time}")
        if self.status & _SWAP_DISABLED:
            raise Rejected("NotApproved", "swaps are switched off")

    def _after(self, walked: Walked, a_to_b: bool) -> ClmmPool:
        price, tick, liquidity, growth = walked.at
        changes: dict[str, object] = {"sqrt_price": price, "tick": tick, "liquidity": liquidity}
        if a_to_b:
            changes["growth_a"] = growth
            changes["balance_a"] = self.balance_a + walked.amount_in
            changes["balance_b"] = self.balance_b - walked.amount_out
            changes["protocol_fees_a"] = self.protocol_fees_a + walked.protocol_fee
            changes["fund_fees_a"] = self.fund_fees_a + walked.fund_fee
        else:
            changes["growth_b"] = growth
            changes["balance_b"] = self.balance_b + walked.amount_in
            changes["balance_a"] = self.balance_a - walked.amount_out
            changes["protocol_fees_b"] = self.protocol_fees_b + walked.protocol_fee
            changes["fund_fees_b"] = self.fund_fees_b + walked.fund_fee
        if walked.crossed:
            changes["outside"] = self._outside_after(walked.crossed, a_to_b)
            changes["crossed"] = self.crossed.union([number for number, _ in walked.crossed])
        return msgspec.structs.replace(self, **changes)

    def _outside_after(
        self, crossed: list[tuple[int, int]], a_to_b: bool
    ) -> tuple[tuple[int, int], ...]:
        """Whoever crosses a tick changes its far side (Uniswap v3 whitepaper, formula 6.26)."""
        outside = list(self.outside)
        for number, growth in crossed:
            far_a, far_b = outside[number]
            growth_a, growth_b = (growth, self.growth_b) if a_to_b else (self.growth_a, growth)
            outside[number] = ((growth_a - far_a) & U128_MAX, (growth_b - far_b) & U128_MAX)
        return tuple(outside)
