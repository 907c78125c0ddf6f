"""The simulated market: two venues, deterministic for a seed and an order; the chain is beside it.

Integer arithmetic throughout. Prices follow a seeded path (`path.py`), pools come and gain
liquidity at seeded slots (`launches.py`); what is executed differs from its quote by at most
MOVE_BPS either way, and never goes below the order's minimum: then it fails.

Some tokens exist to force a failure each (`FAULTS`). Height and slots follow the wall clock, so
that all processes agree on them without talking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import lru_cache
from hashlib import sha256

import msgspec

from events import money
from events.money import Token
from events.order import Order
from events.telemetry.server_clock import now_us as server_now_us
from events.types import U64_MAX, Quote
from stages.runtime.stage import VenueRefusal
from stages.venues import Pair, PoolEvent, Tick
from stages.venues.consensus import DEPTHS, Consensus
from stages.venues.simulated.launches import LAUNCHED, Pool, pool_of, pools_between
from stages.venues.simulated.path import PPM, factor_ppm

TOKENS = {
    token.symbol: token
    for token in (
        Token("SOL", 9, "So11111111111111111111111111111111111111112"),
        Token("USDC", 6, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"),
        Token("USDT", 6, "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB"),
        Token("RAY", 6, "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R"),
        Token("BONK", 5, "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"),
        Token("JUP", 6, "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"),
        Token("NEW", 6),
        Token("NOROUTE", 6),
        Token("TIMEOUT", 6),
        Token("FLAKY", 6),
        Token("SLIP", 6),
        Token("DOUBT", 6),
        Token("NEVER", 6),
    )
}

FAULTS = {
    "NOROUTE": "no venue has a route",
    "TIMEOUT": "venues never answer a quote",
    "FLAKY": "quotes fail twice, then work",
    "SLIP": "the price moves past the minimum before the transaction lands",
    "DOUBT": "the send's answer is lost, and the chain cannot say for a while",
    "NEVER": "the chain drops every transaction",
}

# Worth of a whole token in nano-dollars.
_WORTH = {
    "SOL": 150_000_000_000,
    "USDC": 1_000_000_000,
    "USDT": 999_500_000,
    "RAY": 2_200_000_000,
    "BONK": 25_000,
    "JUP": 800_000_000,
    "NEW": 10_000_000,
    **dict.fromkeys(FAULTS, 1_000_000_000),
}
assert _WORTH.keys() == TOKENS.keys(), "each token has a worth"

HISTORY_S = 200
"""Ticks and pool events of older slots are not reported, as on a chain: an engine that was down for
days would otherwise compute every slot of them before it triggers an order."""
DEXES = (("raydium", 25), ("meteora", 20))
"""Name and fee in bps of each venue."""
_FEE_MAX_BPS = max(fee for _, fee in DEXES)
_DOLLAR = 1_000_000_000

BPS = 10_000
SPREAD_BPS = (200, 500)
"""How far apart the two venues' prices lie."""


class Simulation(msgspec.Struct, frozen=True):
    """How the simulated market behaves."""

    seed: int = 1
    latency_ms: int = 0
    failure_rate: float = 0.0
    """Probability that a call fails in a way worth a retry."""
    slot_ms: int = 200
    consensus: Consensus = "alpenglow"
    volatility_bps: int = 0
    """How far prices move either way from where they would rest."""
    blockhash_slots: int = 150
    """So many slots after its build a transaction may still land."""

    def draw(self, *what: object) -> int:
        """A number in 0..2^64-1 that depends on the seed and `what` alone."""
        text = f"{self.seed}:{what}"
        return int.from_bytes(sha256(text.encode()).digest()[:8])

    def fails(self, *what: object) -> bool:
        """Whether this call fails."""
        return self.failure_rate > 0 and self.draw("fails", *what) < self.failure_rate * 2**64

    def factor_ppm(self, token_in: str, token_out: str, slot: int) -> tuple[int, int]:
        """The factor and divisor of the pair's price at rest at this slot."""
        if not self.volatility_bps:
            return 1, 1
        low, high = sorted((token_in, token_out))
        factor = factor_ppm(self.seed, f"{low}-{high}", slot, self.volatility_bps)
        return (factor, PPM) if token_in == low else (PPM, factor)

    @property
    def finality_slots(self) -> int:
        """So many slots later a height is final."""
        return DEPTHS[self.consensus].finalized

    def height(self) -> int:
        """The chain's slot and block height now."""
        return server_now_us() // 1000 // max(1, self.slot_ms)

    def oldest_slot(self) -> int:
        """The first slot of which ticks and pool events are reported now."""
        return self.height() - HISTORY_S * 1000 // max(1, self.slot_ms)


class SimulatedVenue:
    """One DEX. Its pool takes `fee_bps` of the input."""

    def __init__(self, name: str, fee_bps: int, simulation: Simulation) -> None:
        self.name = name
        self._fee_bps = fee_bps
        self._simulation = simulation

    def quotes(self, order: Order) -> tuple[Quote] | Awaitable[tuple[Quote]]:
        """See `Venue.quotes`."""
        if "TIMEOUT" in (order.token_in, order.token_out):
            return asyncio.get_running_loop().create_future()
        if self._simulation.latency_ms:
            return self._later(order)
        return (self._quote(order),)

    async def _later(self, order: Order) -> tuple[Quote]:
        await asyncio.sleep(self._simulation.latency_ms / 1000)
        return (self._quote(order),)

    def _quote(self, order: Order) -> Quote:
        if "NOROUTE" in (order.token_in, order.token_out):
            raise VenueRefusal("no-route", f"{self.name} has no pool for this pair")
        flaky = "FLAKY" in (order.token_in, order.token_out) and order.attempts < 2
        if flaky or self._simulation.fails(order.id, self.name, "quote", order.attempts):
            raise VenueRefusal("venue-timeout", f"{self.name} did not answer", retryable=True)
        slot = self._simulation.height()
        pool = self._pool(order.token_in, order.token_out, slot)
        rate = self._rate(order, slot)
        discount_bps = self._discount_bps(order)
        if order.exact_amount_out is None:
            amount_in = order.amount_in
            fee = -(-amount_in * self._fee_bps // BPS)
            gross = (amount_in - fee) * rate[0] // rate[1]
            amount_out = gross * (BPS - discount_bps) // BPS
        else:
            amount_out = order.exact_amount_out
            gross = -(-amount_out * BPS // (BPS - discount_bps))
            amount_in = -(-gross * rate[1] * BPS // (rate[0] * (BPS - self._fee_bps)))
            fee = -(-amount_in * self._fee_bps // BPS)
        if amount_out == 0:
            raise VenueRefusal("amount-too-small", "the output rounds down to nothing")
        if max(amount_in, amount_out) > U64_MAX:
            raise VenueRefusal("amount-too-large", "more than what a u64 of base units holds")
        return Quote(self.name, pool, amount_in, amount_out, fee, slot)

    def _rate(self, order: Order, slot: int) -> tuple[int, int]:
        """Base units out per base unit in, before fees, as a fraction."""
        times, by = self._simulation.factor_ppm(order.token_in, order.token_out, slot)
        return (
            int(_WORTH[order.token_in] * times * 10**order.decimals_out),
            int(_WORTH[order.token_out] * by * 10**order.decimals_in),
        )

    def _pool(self, token_in: str, token_out: str, slot: int) -> str:
        """The name of this venue's pool for the pair. Raises VenueRefusal without a pool now."""
        name = f"{self.name}-{token_in}-{token_out}"
        if LAUNCHED.isdisjoint((token_in, token_out)):
            return name
        pool = pool_of(self._simulation.seed, token_in, token_out, slot, len(DEXES))
        if slot < pool.created or DEXES[pool.venue][0] != self.name:
            raise VenueRefusal("no-route", f"{self.name} has no pool for this pair yet")
        return f"{name}-{pool.cycle}"

    def slot(self) -> int:
        """See `Venue.slot`."""
        return self._simulation.height()

    def slot_at(self, time_us: int) -> int:
        """See `Venue.slot_at`."""
        return time_us // 1000 // max(1, self._simulation.slot_ms)

    async def next_slot(self, after: int) -> int:
        """See `Venue.next_slot`."""
        slot_ns = max(1, self._simulation.slot_ms) * 1_000_000
        while (slot := self._simulation.height()) <= after:  # noqa: ASYNC110 - it is a clock
            await asyncio.sleep(((after + 1) * slot_ns - server_now_us() * 1000) / 1e9)
        return slot

    def ticks(self, pair: Pair, first: int, last: int) -> list[Tick]:
        """See `Venue.ticks`. The price is that of the dearest venue, so that the better of any
        order's quotes is never below it.
        """
        if "NOROUTE" in (pair.token_in, pair.token_out):
            return []
        ticks = []
        for slot in range(max(first, self._simulation.oldest_slot()), last + 1):
            try:
                pool = self._pool(pair.token_in, pair.token_out, slot)
            except VenueRefusal:
                continue
            ticks.append(Tick(self.name, pool, slot, self._price(pair, slot)))
        return ticks

    def _price(self, pair: Pair, slot: int) -> str:
        times, by = self._simulation.factor_ppm(pair.token_in, pair.token_out, slot)
        paid = _WORTH[pair.token_in] * times * (BPS - _FEE_MAX_BPS)
        return money.price(paid, 0, _WORTH[pair.token_out] * by * BPS, 0)

    def pools(self, pair: Pair, first: int, last: int) -> list[PoolEvent]:
        """See `Venue.pools`."""
        token_in, token_out = pair.token_in, pair.token_out
        if "NOROUTE" in (token_in, token_out):
            return []
        first = max(first, self._simulation.oldest_slot())
        return [
            PoolEvent(
                cause,  # type: ignore[arg-type]  # of two words
                self.name,
                self._pool(token_in, token_out, slot),
                slot,
                self._price(pair, slot),
                _liquidity(pair, slot, pool),
            )
            for slot, cause, pool in pools_between(
                self._simulation.seed, token_in, token_out, first, last, len(DEXES)
            )
            if DEXES[pool.venue][0] == self.name
        ]

    def _discount_bps(self, order: Order) -> int:
        """The venue that draws the worse price for an order is 2 to 5 % below the other."""
        spread, worse = _spread(self._simulation, order.id)
        low, high = SPREAD_BPS
        return low + spread % (high - low + 1) if DEXES[worse][0] == self.name else 0


@lru_cache(maxsize=8)
def _spread(simulation: Simulation, order_id: str) -> tuple[int, int]:
    """The number that every venue draws for an order, one after the other."""
    return divmod(simulation.draw(order_id, "spread"), len(DEXES))


def _liquidity(pair: Pair, slot: int, pool: Pool) -> int:
    created = pool.dollars * _DOLLAR * int(10**pair.decimals_in) // _WORTH[pair.token_in]
    return created * 2 if slot >= pool.gains else created
