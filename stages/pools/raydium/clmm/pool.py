"""Raydium CLMM: one pool, and what a swap makes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from stages.pools.contract import Clock, Rejected, Swap
from stages.pools.raydium.clmm.bitmap import number_of
from stages.pools.raydium.clmm.dynamic_fee import DynamicFee
from stages.pools.raydium.clmm.general_walk import Conditions, first_fill, walk_through
from stages.pools.raydium.clmm.maths import U64_MAX
from stages.pools.raydium.clmm.orders import Orders
from stages.pools.raydium.clmm.walk import (
    U128_MAX,
    Depth,
    Position,
    Rates,
    Walked,
    limit_of,
    walk,
)

_SWAP_DISABLED = 1 << 4

Outside = tuple[tuple[int, int], ...]


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
    fee_on: int
    """The token of the fees: 0 the input, 1 mint_a, 2 mint_b."""
    extended: bool
    """Whether the extension of its tick array bitmap exists."""
    rates: Rates
    dynamic: DynamicFee | None
    depth: Depth
    arrays: tuple[int, ...]
    """The numbers of the tick arrays that were read, in order."""
    orders: Mapping[int, Orders]
    """By tick of the depth, the limit orders, where any rest."""
    balance_a: int
    """The balance of mint_a's vault, uncollected fees included."""
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
    """The ticks that swaps crossed since the pool was read."""
    filled: Mapping[int, Orders] = {}
    """By tick, the orders that swaps took from since the pool was read, as they are now."""

    @property
    def reserve_a(self) -> int:
        """The balance of mint_a without the fees of the protocol and the fund."""
        return self.balance_a - self.protocol_fees_a - self.fund_fees_a

    @property
    def reserve_b(self) -> int:
        """The balance of mint_b without the fees of the protocol and the fund."""
        return self.balance_b - self.protocol_fees_b - self.fund_fees_b

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock, sqrt_price_limit: int = 0) -> Swap:
        """Swaps `amount` in, or less if the price reaches the limit (0: none) first."""
        self._open(clock)
        return self._swap(amount, a_to_b, clock, out=False, limit=sqrt_price_limit)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock, sqrt_price_limit: int = 0) -> Swap:
        """Swaps so that `amount` comes out, or less if the price reaches the limit (0: none)."""
        self._open(clock)
        return self._swap(amount, a_to_b, clock, out=True, limit=sqrt_price_limit)

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """The square of the sqrt price, or its inverse.

        Without liquidity at the price: of the first sqrt price that way at which something fills,
        if there is any.
        """
        price = self.sqrt_price
        if not self.liquidity:
            conditions = self._conditions(a_to_b, self.dynamic)
            price, _rate = first_fill(conditions, self._start(a_to_b), a_to_b)
        square = price * price
        return (square, 1 << 128) if a_to_b else (1 << 128, square)

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:
        """The config's rate, or more by a dynamic fee; of the input or the output."""
        if self.dynamic is None:
            return self.rates.fee * 1000
        conditions = self._conditions(a_to_b, self._dynamic_at(clock.time_s))
        _price, rate = first_fill(conditions, self._start(a_to_b), a_to_b)
        return rate * 1000

    def walked(
        self, amount: int, a_to_b: bool, time_s: int, *, out: bool, limit: int = 0
    ) -> Walked:
        """The walk of a swap at `time_s`, if the program lets it pass. Raises Rejected."""
        if amount == 0:
            raise Rejected("ZeroAmountSpecified")
        if not 0 < amount <= U64_MAX:
            raise Rejected("MaxTokenOverflow", f"{amount} is not a u64")
        walked = self._walk(amount, a_to_b, time_s, out, limit_of(limit, self.sqrt_price, a_to_b))
        if not walked.amount_in or not walked.amount_out:
            raise Rejected("TooSmallInputOrOutputAmount")
        if walked.amount_out > (self.balance_b if a_to_b else self.balance_a):
            raise Rejected("InsufficientFunds", "the vault holds less than the price says")
        if not limit and amount != (walked.amount_out if out else walked.amount_in):
            raise Rejected("RequireEqViolated", "the price came to its end before the swap did")
        return walked

    def fee_in_a(self, a_to_b: bool) -> bool:
        """Whether a swap pays its fee in mint_a."""
        return self.fee_on == 1 if self.fee_on else a_to_b

    def _open(self, clock: Clock) -> None:
        if clock.time_s <= self.open_time:
            raise Rejected("RequireGtViolated", f"the pool opens at {self.open_time}")
        if self.status & _SWAP_DISABLED:
            raise Rejected("NotApproved", "swaps are switched off")

    def _swap(self, amount: int, a_to_b: bool, clock: Clock, *, out: bool, limit: int) -> Swap:
        walked = self.walked(amount, a_to_b, clock.time_s, out=out, limit=limit)
        return Swap(
            walked.amount_in,
            walked.amount_out,
            walked.fee,
            self.fee_in_a(a_to_b) != a_to_b,
            _after(self, walked, a_to_b),
            steps=walked.steps,
        )

    def _walk(self, amount: int, a_to_b: bool, time_s: int, out: bool, limit: int) -> Walked:
        start = self._start(a_to_b)
        if not self.fee_on and self.dynamic is None:
            walked = walk(
                self.depth, self.rates, self.orders, start, amount,
                a_to_b=a_to_b, out=out, limit=limit,
            )  # fmt: skip
            if walked is not None:
                return walked
        conditions = self._conditions(a_to_b, self._dynamic_at(time_s))
        return walk_through(conditions, start, amount, a_to_b=a_to_b, out=out, limit=limit)

    def _start(self, a_to_b: bool) -> Position:
        growth = self.growth_a if self.fee_in_a(a_to_b) else self.growth_b
        return Position(self.sqrt_price, self.tick, self.liquidity, growth)

    def _dynamic_at(self, time_s: int) -> DynamicFee | None:
        return self.dynamic and self.dynamic.at(self.tick // self.spacing, time_s)

    def _conditions(self, a_to_b: bool, dynamic: DynamicFee | None) -> Conditions:
        on_input = self.fee_in_a(a_to_b) == a_to_b
        return Conditions(self.depth, self.rates, self.orders, self.spacing, dynamic, on_input)


def _after(pool: ClmmPool, walked: Walked, a_to_b: bool) -> ClmmPool:
    """The pool after a swap that walked so."""
    price, tick, liquidity, growth = walked.at
    fee_in_a = pool.fee_in_a(a_to_b)
    changes: dict[str, object] = {"sqrt_price": price, "tick": tick, "liquidity": liquidity}
    if a_to_b:
        changes["balance_a"] = pool.balance_a + walked.amount_in
        changes["balance_b"] = pool.balance_b - walked.amount_out
    else:
        changes["balance_b"] = pool.balance_b + walked.amount_in
        changes["balance_a"] = pool.balance_a - walked.amount_out
    if fee_in_a:
        changes["growth_a"] = growth
        changes["protocol_fees_a"] = pool.protocol_fees_a + walked.protocol_fee
        changes["fund_fees_a"] = pool.fund_fees_a + walked.fund_fee
    else:
        changes["growth_b"] = growth
        changes["protocol_fees_b"] = pool.protocol_fees_b + walked.protocol_fee
        changes["fund_fees_b"] = pool.fund_fees_b + walked.fund_fee
    if walked.dynamic is not None:
        changes["dynamic"] = walked.dynamic
    outside = pool.outside
    if walked.crossed:
        changes["outside"] = outside = _outside_after(pool, walked.crossed, fee_in_a)
        ticks = [pool.depth.ticks[number] for number, _ in walked.crossed]
        changes["crossed"] = pool.crossed.union(ticks)
    if walked.filled:
        changes.update(_filled(pool, walked.filled, outside))
    return msgspec.structs.replace(pool, **changes)


def _outside_after(pool: ClmmPool, crossed: list[tuple[int, int]], fee_in_a: bool) -> Outside:
    """A tick that is crossed changes its far side (Uniswap v3 whitepaper, formula 6.26)."""
    outside = list(pool.outside)
    for number, growth in crossed:
        far_a, far_b = outside[number]
        growth_a, growth_b = (growth, pool.growth_b) if fee_in_a else (pool.growth_a, growth)
        outside[number] = ((growth_a - far_a) & U128_MAX, (growth_b - far_b) & U128_MAX)
    return tuple(outside)


def _filled(pool: ClmmPool, filled: Mapping[int, Orders], outside: Outside) -> dict[str, object]:
    """The change by filled orders: a tick that held nothing else is no longer initialised."""
    orders = {tick: left for tick, left in {**pool.orders, **filled}.items() if left.total}
    changes: dict[str, object] = {"orders": orders, "filled": {**pool.filled, **filled}}
    gone = {tick for tick, left in filled.items() if left.alone and not left.total}
    if gone:
        changes.update(_without(pool, gone, outside))
    return changes


def _without(pool: ClmmPool, gone: Collection[int], outside: Outside) -> dict[str, object]:
    """The ticks without some, and the tick arrays without those that are empty then."""
    ticks = pool.depth.ticks
    depth = pool.depth.without(gone)
    kept = {number_of(tick, pool.spacing) for tick in depth.ticks}
    return {
        "depth": depth,
        "arrays": tuple([number for number in pool.arrays if number in kept]),
        "outside": tuple(
            [far for tick, far in zip(ticks, outside, strict=True) if tick not in gone]
        ),
    }
