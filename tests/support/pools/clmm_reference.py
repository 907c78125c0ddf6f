"""A second Raydium CLMM, for comparison: the rules of the swap as its fact sheet lists them.

Slow and literal: one loop, one dictionary of ticks, no special cases. It shares only the price at a
tick with the engine, which the vectors of both walks pin. Amounts in base units, square roots and
growths in Q64.64, rates per million.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from stages.pools.raydium.clmm.ticks import MAX_TICK, MIN_TICK, sqrt_price_at, tick_at

U64 = 1 << 64
U128 = 1 << 128


class Refused(Exception):
    """The swap fails; the argument is the program's error name."""


@dataclass
class Tick:
    """A tick that was ever initialised."""

    net: int = 0
    gross: int = 0
    outside: tuple[int, int] = (0, 0)
    phase: int = 0
    open: int = 0
    part: int = 0
    ratio: int = 0

    @property
    def initialised(self) -> bool:
        """Whether liquidity begins or ends there, or orders rest there."""
        return bool(self.gross or self.open or self.part)


@dataclass
class Dynamic:
    """The ten fields of the dynamic fee, without the padding."""

    filter_s: int
    decay_s: int
    reduction: int
    control: int
    volatility_max: int
    group: int
    reference: int
    volatility: int
    updated_s: int


@dataclass
class State:
    """A pool. Pairs are of token 0 and token 1."""

    spacing: int
    fee_on: int
    rate: int
    protocol_ppm: int
    fund_ppm: int
    sqrt: int
    tick: int
    liquidity: int
    growth: list[int]
    protocol: list[int]
    fund: list[int]
    ticks: dict[int, Tick]
    dynamic: Dynamic | None


@dataclass
class Done:
    """A swap that passed."""

    amount_in: int
    amount_out: int
    after: State


def up(numerator: int, denominator: int) -> int:
    """The quotient, rounded up."""
    return -(-numerator // denominator)


def u64(amount: int) -> int:
    """The amount, if it is a u64."""
    if amount >= U64:
        raise Refused("MaxTokenOverflow")
    return amount


def amounts(liquidity: int, a: int, b: int, down: bool) -> tuple[int, int]:
    """What goes in and out between two square roots."""
    moved = liquidity * abs(a - b)
    if down:
        return up(moved << 64, a * b), moved >> 64
    return up(moved, 1 << 64), (moved << 64) // (a * b)


def price_from(state: State, gross: int, exact_in: bool, down: bool) -> int:
    """The square root after `gross` went in, or out, at constant liquidity."""
    p, liquidity = state.sqrt, state.liquidity
    if exact_in:
        if down:
            return up((liquidity << 64) * p, (liquidity << 64) + gross * p)
        return p + (gross << 64) // liquidity
    if down:
        return p - up(gross << 64, liquidity)
    return up((liquidity << 64) * p, (liquidity << 64) - gross * p)


def swap(  # noqa: PLR0912 - one loop, in the order of the fact sheet
    before: State, amount: int, *, down: bool, exact_in: bool, limit: int, now_s: int
) -> Done:
    """Swap `amount` of the input, or of the output, not beyond the square root `limit`."""
    s = copy.deepcopy(before)
    on_input = s.fee_on == 0 or (s.fee_on == 1) == down
    fee_token = s.fee_on - 1 if s.fee_on else (0 if down else 1)
    left, total_in, total_out = amount, 0, 0
    dyn, group = s.dynamic, s.tick // s.spacing
    if dyn is not None:
        age = max(0, now_s - dyn.updated_s)
        if age >= dyn.filter_s:
            kept = age < dyn.decay_s
            dyn.reference = dyn.volatility * dyn.reduction // 10_000 if kept else 0
            dyn.group, dyn.updated_s = group, now_s

    def volatility() -> int:
        assert dyn is not None
        here = dyn.reference + abs(dyn.group - group) * 10_000
        return min(here, dyn.volatility_max)

    def book(paid: int, got: int, fee: int) -> None:
        nonlocal left, total_in, total_out
        paid += fee if on_input else 0
        total_in += paid
        total_out += got
        left -= paid if exact_in else got
        protocol, fund = fee * s.protocol_ppm // 10**6, fee * s.fund_ppm // 10**6
        rest = fee - protocol - fund
        s.fund[fee_token] += fund
        if s.liquidity:
            s.protocol[fee_token] += protocol
            grown = s.growth[fee_token] + (rest << 64) // s.liquidity
            s.growth[fee_token] = grown % U128
        else:
            s.protocol[fee_token] += protocol + rest

    while left and s.sqrt != limit:
        live = [t for t, tick in s.ticks.items() if tick.initialised]
        ahead = [t for t in live if (t <= s.tick if down else t > s.tick)]
        if not ahead:
            raise Refused("LiquidityInsufficient")
        t = max(ahead) if down else min(ahead)
        at = sqrt_price_at(t)
        target = max(at, limit) if down else min(at, limit)
        r, skipped, edge = s.rate, False, None
        if dyn is not None:
            v = dyn.volatility = volatility()
            risen = up(dyn.control * (v * s.spacing) ** 2, 10**13)
            r = min(10**5, s.rate + min(10**5, risen))
            skipped = not s.liquidity or v >= dyn.volatility_max
            if not skipped:
                edge = group * s.spacing if down else (group + 1) * s.spacing
                edge = min(max(edge, MIN_TICK), MAX_TICK)
                near = sqrt_price_at(edge)
                target = max(target, near) if down else min(target, near)
        n = 10**6 - r
        if exact_in:
            g = left * n // 10**6 if on_input else left
        else:
            g = left if on_input else up(left * 10**6, n)
        start = s.sqrt
        paid, got = amounts(s.liquidity, start, target, down)
        reached = g >= (paid if exact_in else got)
        if reached:
            u64(paid), u64(got)  # a shorter way does not exist
        if reached:
            s.sqrt = target
        else:
            if not s.liquidity:
                raise Refused("ZeroLiquidity")
            s.sqrt = price_from(s, g, exact_in, down)
            paid, got = amounts(s.liquidity, start, s.sqrt, down)
            paid, got = u64(paid), u64(got)
        if exact_in and on_input:
            fee = up(paid * r, n) if reached else left - paid
        elif exact_in:
            fee = up(got * r, 10**6)
            got -= fee
            paid = paid if reached else left
        elif on_input:
            got = min(got, left)
            fee = up(paid * r, n)
        else:
            fee = up(got * r, 10**6)
            if got - fee > left:
                fee, got = got - left, left
            else:
                got -= fee
        book(paid, got, fee)

        if s.sqrt == at:
            tick = s.ticks[t]
            if left and tick.open + tick.part:
                book(*fill(tick, at, left, r, down=down, exact_in=exact_in, on_input=on_input))
            orders = tick.open + tick.part
            if not orders and tick.gross:
                growth = s.growth
                tick.outside = (
                    (growth[0] - tick.outside[0]) % U128,
                    (growth[1] - tick.outside[1]) % U128,
                )
                s.liquidity += -tick.net if down else tick.net
            s.tick = t - 1 if (down and not orders) or (not down and orders) else t
            k = t
        else:
            if s.sqrt != start:
                on_edge = edge is not None and s.sqrt == sqrt_price_at(edge)
                s.tick = edge if on_edge and edge is not None else tick_at(s.sqrt)
            k = s.tick
        if dyn is not None:
            if skipped:
                group = k // s.spacing
                if not down and k % s.spacing == 0:
                    group -= 1
                if dyn.volatility != dyn.volatility_max:
                    dyn.volatility = volatility()
            group += -1 if down else 1

    if total_in >= U64:
        raise Refused("CalculateOverflow")
    if not total_in or not total_out:
        raise Refused("TooSmallInputOrOutputAmount")
    return Done(total_in, total_out, s)


def fill(
    tick: Tick, sqrt: int, left: int, r: int, *, down: bool, exact_in: bool, on_input: bool
) -> tuple[int, int, int]:
    """Take from the orders of a tick: what is paid without a fee on it, what comes out, the fee."""
    price = sqrt * sqrt // (1 << 64) if down else up(sqrt * sqrt, 1 << 64)
    total, n = tick.open + tick.part, 10**6 - r

    def give(a: int) -> int:
        return a * price // (1 << 64) if down else (a << 64) // price

    def need(a: int) -> int:
        return up(a << 64, price) if down else up(a * price, 1 << 64)

    if exact_in:
        fee = up(left * r, 10**6) if on_input else 0
        paid = left - fee
        out = give(paid)
        if out > total:
            out, paid = total, need(total)
            fee = up(paid * r, n) if on_input else 0
    else:
        net = min(left, total)
        out = net if on_input else min(up(net * 10**6, n), total)
        paid = need(out)
        fee = up(paid * r, n) if on_input else 0
    if paid >= U64:
        raise Refused("CalculateOverflow")
    first = min(out, tick.part)
    if first:
        tick.ratio = tick.ratio * (tick.part - first) // tick.part
        tick.part -= first
    if rest := out - first:
        tick.phase += 1
        tick.ratio = (tick.open - rest << 64) // tick.open
        tick.part, tick.open = tick.open - rest, 0
    if not on_input:
        fee = up(out * r, 10**6)
        out -= fee
    return paid, out, fee
