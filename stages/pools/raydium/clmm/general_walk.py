"""Raydium CLMM: the walk of a swap where the fee moves, is on the output, or limit orders rest.

The steps are those of `walk`, with three things more: a step ends at the edge of a group of ticks
where the dynamic fee changes, the fee may be taken from the output, and at an initialised tick the
limit orders are filled before its liquidity is crossed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple

from stages.pools.contract import PPM, Rejected
from stages.pools.raydium.clmm.dynamic_fee import DynamicFee, DynamicRate, FixedRate
from stages.pools.raydium.clmm.maths import MOVES
from stages.pools.raydium.clmm.orders import Orders, fill
from stages.pools.raydium.clmm.ticks import tick_at
from stages.pools.raydium.clmm.walk import (
    U128_MAX,
    Depth,
    Position,
    Rates,
    Walked,
    checked,
    edge,
)

# A bound on the time of a quote. The dynamic fee of a pool that the program made stops rising 430
# groups away from its reference, and a transaction lacks the compute units for so many steps.
STEPS_MAX = 2_048
OUT_OF_COMPUTE = "ProgramFailedToComplete"


class Conditions(NamedTuple):
    """The parameters of a swap, apart from the pool's position."""

    depth: Depth
    rates: Rates
    orders: Mapping[int, Orders]
    """By tick, where any rest."""
    spacing: int
    dynamic: DynamicFee | None
    """As the swap finds it."""
    on_input: bool
    """Whether the fee is taken from the input."""

    def fee_from(self, tick: int, a_to_b: bool) -> FixedRate:
        """The fee along a walk from `tick`."""
        if self.dynamic is None:
            return FixedRate(self.rates.fee)
        return DynamicRate(self.dynamic, self.rates.fee, self.spacing, tick, a_to_b)


def walk_through(
    conditions: Conditions, start: Position, amount: int, *, a_to_b: bool, out: bool, limit: int
) -> Walked:
    """Swaps `amount` of the input, or of the output if `out`, up to `limit`. Raises Rejected."""
    walk = _Walk(conditions, start, amount, a_to_b, out, limit)
    while walk.remaining and walk.price != limit:
        walk.step()
    return checked(walk.walked())


def first_fill(conditions: Conditions, start: Position, a_to_b: bool) -> tuple[int, int]:
    """The sqrt price and the fee rate of a very small swap; those of `start` if nothing fills."""
    depth, fee = conditions.depth, conditions.fee_from(start.tick, a_to_b)
    price, liquidity = start.sqrt_price, start.liquidity
    number, way = bisect_right(depth.ticks, start.tick) - a_to_b, -1 if a_to_b else 1
    fee.begin(price, liquidity)
    here = price, fee.rate
    while 0 <= number < len(depth.ticks):
        ahead, tick = depth.prices[number], depth.ticks[number]
        target = fee.begin(ahead, liquidity)
        if liquidity and target != price:
            return price, fee.rate
        if target == ahead:
            if tick in conditions.orders:
                return ahead, fee.rate
            price = ahead
            liquidity += depth.nets[number] * way
            number += way
        fee.end(tick)
    return here


class _Walk:
    """A swap under way."""

    def __init__(
        self,
        conditions: Conditions,
        start: Position,
        amount: int,
        a_to_b: bool,
        out: bool,
        limit: int,
    ) -> None:
        self._conditions = conditions
        self._a_to_b, self._out, self._limit = a_to_b, out, limit
        self._on_input = conditions.on_input
        _fee, self._protocol_ppm, self._fund_ppm = conditions.rates
        self._move = MOVES[out, conditions.on_input]
        self._fee = conditions.fee_from(start.tick, a_to_b)
        self._number = bisect_right(conditions.depth.ticks, start.tick) - a_to_b
        self.price, self._tick, self._liquidity, self._growth = start
        self.remaining = amount
        self._paid = self._got = self._fees = self._protocol = self._fund = self._steps = 0
        self._crossed: list[tuple[int, int]] = []
        self._filled: dict[int, Orders] = {}

    def walked(self) -> Walked:
        """The state of a walk."""
        return Walked(
            amount_in=self._paid,
            amount_out=self._got,
            fee=self._fees,
            protocol_fee=self._protocol,
            fund_fee=self._fund,
            at=Position(self.price, self._tick, self._liquidity, self._growth & U128_MAX),
            crossed=self._crossed,
            steps=self._steps,
            filled=self._filled,
            dynamic=self._fee.state(),
        )

    def step(self) -> None:
        """Moves on to the next tick, edge of a group, or limit, as far as the rest allows."""
        depth, number, fee = self._conditions.depth, self._number, self._fee
        if not 0 <= number < len(depth.ticks):
            raise edge(depth.more_below if self._a_to_b else depth.more_above)
        if self._steps >= STEPS_MAX:
            raise Rejected(OUT_OF_COMPUTE, f"it takes more than {STEPS_MAX} steps")
        ahead, before = depth.prices[number], self.price
        goal = max(ahead, self._limit) if self._a_to_b else min(ahead, self._limit)
        target = fee.begin(goal, self._liquidity)
        price, paid, got, charged = self._move(
            before, target, self._liquidity, self.remaining, fee.rate, self._a_to_b
        )
        self.price = price
        self._steps += price == target
        self._take(paid, got, charged)
        if price == ahead:
            self._arrive(number)
            fee.end(depth.ticks[number])
            return
        if price != before:
            edge_price, edge_tick = fee.edge
            self._tick = edge_tick if price == edge_price else tick_at(price)
        fee.end(self._tick)

    def _take(self, paid: int, got: int, fee: int) -> None:
        """Counts the input (without a fee on it), the output (less its fee), and the fee."""
        if self._on_input:
            paid += fee
        self._paid += paid
        self._got += got
        self.remaining -= got if self._out else paid
        if fee:
            protocol, fund = fee * self._protocol_ppm // PPM, fee * self._fund_ppm // PPM
            rest = fee - protocol - fund
            self._fees += fee
            self._fund += fund
            if self._liquidity:
                self._growth += (rest << 64) // self._liquidity
                self._protocol += protocol
            else:
                self._protocol += protocol + rest

    def _arrive(self, number: int) -> None:
        """Fill the orders of a tick; if none are left, cross it."""
        depth, a_to_b = self._conditions.depth, self._a_to_b
        tick = depth.ticks[number]
        orders = self._conditions.orders.get(tick)
        if orders is not None and self.remaining:
            orders = self._fill(tick, orders)
        done = orders is None or not orders.total
        self._tick = tick - (done if a_to_b else not done)
        if not done:
            return
        if orders is None or not orders.alone:
            self._liquidity += depth.nets[number] * (-1 if a_to_b else 1)
            if self._liquidity < 0:
                raise Rejected("LiquiditySubValueErr", "ticks and pool are not of one moment")
            self._crossed.append((number, self._growth))
        self._number += -1 if a_to_b else 1

    def _fill(self, tick: int, orders: Orders) -> Orders:
        """Takes from the orders at a tick, and returns the rest of them."""
        paid, got, fee, left = fill(
            orders,
            self.price,
            self.remaining,
            self._fee.rate,
            a_to_b=self._a_to_b,
            out=self._out,
            on_input=self._on_input,
        )
        self._take(paid, got, fee)
        if left != orders:
            self._steps += 1
            self._filled[tick] = left
        return left
