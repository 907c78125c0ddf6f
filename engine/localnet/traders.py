"""Other traders on the chain, so that prices move and the two DEXes differ.

Every token has a fair price that varies around its first one; it depends on seed and slot alone.
In each slot some pools get a random trade, and some get one that moves the pool towards the fair
price.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from random import Random
from typing import NamedTuple

from engine.localnet.bank import Bank
from engine.localnet.genesis.market import BY_MINT, NEW, POOLS, TOKENS
from engine.localnet.launches import Launches
from engine.localnet.programs import swaps
from engine.localnet.programs.shapes import SHAPES
from engine.localnet.state.accounts import Account, token_account
from engine.localnet.state.addresses import named, token_address
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.pools import Pooled
from engine.localnet.state.view import View
from stages.pools.contract import PPB, PPM, Pool, Rejected, Swap, Unsupported
from stages.venues.simulated.path import factor_ppm

TRADER = named("trader")
_TRIES = 6
_NOISE_PPM = (50, 1_500)
"""Size of a random trade, of the pool's reserve."""
_EDGE_PPB = 300_000
"""Least gain of an arbitrage trade, besides the pool's fee."""


class Terms(NamedTuple):
    """The parameters of the traders. `per_slot` 0: there are none."""

    seed: int
    per_slot: int = 3
    volatility_bps: int = 300
    """How far fair prices vary either way."""


def wallet() -> dict[str, Account]:
    """The traders' token accounts."""
    return {
        token_address(TRADER, token.mint): token_account(token.mint, TRADER, 10**16)
        for token in TOKENS
    }


class Traders:
    """The traders; their state is on the chain."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._launches = Launches()

    def trade(self, bank: Bank) -> None:
        """Trades in the newest block."""
        if not self._terms.per_slot:
            return
        slot = bank.blocks.tip.slot
        draw = Random(f"{self._terms.seed}:{slot}")
        self._launches.follow(bank, slot)
        addresses = [plan.address for plan in POOLS]
        for address in draw.sample(addresses, min(len(addresses), self._terms.per_slot)):
            self._random_trade(bank, address, draw)
        for address in draw.sample(addresses, min(len(addresses), self._terms.per_slot)):
            self._arbitrage(bank, address, slot)

    def fair(self, pool: Pool, slot: int) -> Fraction:
        """Base units of b for one of a, by fair prices."""
        a, b = BY_MINT[pool.mint_a], BY_MINT[pool.mint_b]
        return a.unit / b.unit * self._factor(a.symbol, slot) / self._factor(b.symbol, slot)

    def _factor(self, symbol: str, slot: int) -> Fraction:
        if symbol in ("USDC", "USDT", NEW.symbol) or not self._terms.volatility_bps:
            return Fraction(1)
        return _wandered(self._terms.seed, symbol, slot, self._terms.volatility_bps)

    def _random_trade(self, bank: Bank, address: str, draw: Random) -> None:
        pooled = _pool(bank, address)
        a_to_b, part = draw.random() < 0.5, draw.randint(*_NOISE_PPM)
        if pooled is not None:
            reserve = pooled.pool.reserve_a if a_to_b else pooled.pool.reserve_b
            _trade(bank, address, a_to_b, reserve * part // PPM, None)

    def _arbitrage(self, bank: Bank, address: str, slot: int) -> None:
        pooled = _pool(bank, address)
        if pooled is None:
            return
        pool, fair = pooled.pool, self.fair(pooled.pool, slot)
        out, into = pool.spot(a_to_b=True)
        spot = Fraction(out, into)
        a_to_b = spot > fair  # a is expensive here: sell it
        gap = spot / fair - 1 if a_to_b else fair / spot - 1
        edge = Fraction(pool.fee_ppb(a_to_b, bank.clock) + _EDGE_PPB, PPB)
        if gap > edge:
            reserve = pool.reserve_a if a_to_b else pool.reserve_b
            _trade(bank, address, a_to_b, int(reserve * (gap - edge) * 2), fair)


@lru_cache(maxsize=256)
def _wandered(seed: int, symbol: str, slot: int, volatility_bps: int) -> Fraction:
    return Fraction(factor_ppm(seed, f"{symbol}-USD", slot, volatility_bps), PPM)


def _pool(bank: Bank, address: str) -> Pooled | None:
    """The pool; None where there is none that can be swapped with now: a token may be paused."""
    try:
        return bank.state.pool(address)
    except Unsupported:
        return None


def _trade(bank: Bank, address: str, a_to_b: bool, amount: int, fair: Fraction | None) -> None:
    """Swaps this amount, or less where it would move the pool past the fair price."""
    for _ in range(_TRIES):
        pooled = _pool(bank, address)
        if pooled is None or amount <= 0:
            return
        try:
            swap = pooled.pool.exact_in(amount, a_to_b, bank.clock)
        except Rejected:
            bank.flush()
        else:
            if fair is None or not _past(swap.after, a_to_b, fair):
                _keep(bank, pooled, a_to_b, swap)
                return
        amount //= 2


def _past(pool: Pool, a_to_b: bool, fair: Fraction) -> bool:
    out, into = pool.spot(a_to_b=True)
    return out < fair * into if a_to_b else out > fair * into


def _keep(bank: Bank, pooled: Pooled, a_to_b: bool, swap: Swap) -> None:
    pool = pooled.pool
    mints = (pool.mint_a, pool.mint_b) if a_to_b else (pool.mint_b, pool.mint_a)
    programs = bank.state.accounts
    source, target = (token_address(TRADER, mint, programs[mint].owner) for mint in mints)
    view = View(bank.state)
    try:
        accounts, epoch = (source, target), bank.clock.epoch
        swaps.settle(view, SHAPES[pooled.family.name], swap, a_to_b, accounts, epoch)
    except InstructionFailed:
        return  # out of tokens
    view.move(Pooled(pooled.family, swap.after, pooled.reads))
    bank.keep(view)
