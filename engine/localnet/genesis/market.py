"""The market of the local chain: tokens with their prices, and a plan for each pool."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from engine.localnet.state import addresses
from engine.localnet.state.addresses import named, raw
from stages.pools.families import FAMILIES


class Token(NamedTuple):
    """A token and the price of a whole one, in dollars, when the chain begins."""

    symbol: str
    mint: str
    decimals: int
    dollars: Fraction

    @property
    def unit(self) -> Fraction:
        """The price of one base unit, in dollars."""
        return Fraction(self.dollars, 10**self.decimals)


NEW = Token("NEW", named("mint:NEW"), 6, Fraction(1, 100))
"""Its pools are created and removed, for sniper orders."""

TOKENS = (
    Token("SOL", addresses.WSOL, 9, Fraction(150)),
    Token("USDC", addresses.USDC, 6, Fraction(1)),
    Token("USDT", addresses.USDT, 6, Fraction(1)),
    Token("RAY", addresses.RAY, 6, Fraction(5, 2)),
    Token("JUP", addresses.JUP, 6, Fraction(4, 5)),
    Token("BONK", addresses.BONK, 5, Fraction(2, 100_000)),
    NEW,
)
BY_SYMBOL = {token.symbol: token for token in TOKENS}
BY_MINT = {token.mint: token for token in TOKENS}

PROGRAMS = {family.name: family.programs["mainnet"] for family in FAMILIES}
"""The programs have the addresses of mainnet."""
CPMM = PROGRAMS["raydium-cpmm"]
AMM_V4 = PROGRAMS["raydium-amm-v4"]
CLMM = PROGRAMS["raydium-clmm"]
DLMM = PROGRAMS["meteora-dlmm"]
DAMM_V2 = PROGRAMS["meteora-damm-v2"]


class PoolPlan(NamedTuple):
    """A pool to be created. `fee` is per million; `spacing` is in ticks, or the bin step in bps."""

    name: str
    family: str
    token_a: Token
    token_b: Token
    dollars: int
    """The value of each side, in dollars."""
    fee: int = 2_500
    spacing: int = 0
    dynamic_fee: bool = False
    """Whether a CLMM pool has a dynamic fee, and limit orders on both sides."""

    @property
    def address(self) -> str:
        """The address of the pool."""
        return named(f"pool:{self.name}")

    @property
    def program(self) -> str:
        """The program that owns it."""
        return PROGRAMS[self.family]

    @property
    def pair(self) -> str:
        """The pair, such as `SOL/USDC`, however the program sorts its mints."""
        tokens = list(BY_SYMBOL)
        first, second = self.token_a.symbol, self.token_b.symbol
        if first in ("USDC", "USDT") or (first == "SOL" and second not in ("USDC", "USDT")):
            first, second = second, first
        assert first in tokens
        return f"{first}/{second}"

    @property
    def price(self) -> Fraction:
        """Base units of b for one of a."""
        return self.token_a.unit / self.token_b.unit

    @property
    def sqrt_price(self) -> int:
        """The square root of the price, Q64.64."""
        return isqrt((self.price.numerator << 128) // self.price.denominator)

    def amount(self, token: Token) -> int:
        """The liquidity of a side, in base units."""
        return int(self.dollars / token.unit)

    def part(self, what: str) -> str:
        """The address of an account of the pool."""
        return named(f"{what}:{self.name}")


def _plan(
    family: str,
    pair: str,
    dollars: int,
    fee: int = 2_500,
    spacing: int = 0,
    *,
    dynamic_fee: bool = False,
) -> PoolPlan:
    """Raydium sorts the mints of CPMM and CLMM pools; elsewhere the creator chooses."""
    a, b = (BY_SYMBOL[symbol] for symbol in pair.split("/"))
    if family in ("raydium-cpmm", "raydium-clmm") and raw(a.mint) > raw(b.mint):
        a, b = b, a
    name = f"{family}:{pair}:{spacing}"
    return PoolPlan(name, family, a, b, dollars, fee, spacing, dynamic_fee)


POOLS = (
    _plan("raydium-cpmm", "SOL/USDC", 4_000_000),
    _plan("raydium-amm-v4", "SOL/USDC", 6_000_000),
    _plan("raydium-clmm", "SOL/USDC", 5_000_000, 400, 10),
    _plan("meteora-dlmm", "SOL/USDC", 5_000_000, 1_000, 10),
    _plan("meteora-damm-v2", "SOL/USDC", 3_000_000),
    _plan("raydium-clmm", "SOL/USDT", 2_000_000, 500, 10, dynamic_fee=True),
    _plan("meteora-dlmm", "SOL/USDT", 1_000_000, 1_000, 10),
    _plan("raydium-clmm", "USDC/USDT", 8_000_000, 100, 1),
    _plan("meteora-damm-v2", "USDC/USDT", 2_000_000),
    _plan("raydium-amm-v4", "RAY/SOL", 1_500_000),
    _plan("meteora-damm-v2", "RAY/SOL", 800_000),
    _plan("raydium-cpmm", "RAY/USDC", 1_200_000),
    _plan("raydium-clmm", "RAY/USDC", 900_000, 2_500, 60),
    _plan("meteora-dlmm", "JUP/USDC", 1_000_000, 2_000, 20),
    _plan("meteora-damm-v2", "JUP/USDC", 1_000_000),
    _plan("raydium-cpmm", "BONK/SOL", 700_000),
    _plan("meteora-dlmm", "BONK/SOL", 500_000, 2_000, 20),
)
"""Other pairs, such as JUP/SOL, BONK/USDC and RAY/USDT, need two hops."""


class Launch(NamedTuple):
    """A pool of NEW that is created and removed. Slots count from the start of the cycle."""

    plan: PoolPlan
    created: int
    gains: int
    gone: int


LAUNCH_CYCLE = 100
"""Slots, after which the launches repeat."""


def launches() -> tuple[Launch, ...]:
    """The pools that are created, gain liquidity and are removed in each cycle."""
    return (
        Launch(_plan("raydium-cpmm", "NEW/SOL", 30_000), 5, 20, 48),
        Launch(_plan("meteora-damm-v2", "NEW/SOL", 30_000), 55, 70, 98),
    )
