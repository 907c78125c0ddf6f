"""The prices of the last day, for the charts of the console: in memory, bounded, of this gateway.

A pair is sampled from the first read of its history, and for `KEPT_S` after the
last time. A gateway whose charts are not opened asks the venues for nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import structlog

from events.ids import new_order_id
from events.money import Token, price
from events.order import Order
from events.telemetry.server_clock import now_us as server_now_us
from events.types import Quote

_log = structlog.get_logger()

EVERY_S = 10.0
"""Between two samples of a pair."""
KEPT_S = 86_400
"""How far back a history reaches, and how long a pair is sampled after it was last read."""
FINE = 360
"""Newest points of a pool that are kept one by one; older ones are thinned out."""
THINNED = 12
"""One of so many older points is kept."""
COARSE = KEPT_S // int(EVERY_S) // THINNED
PAIRS = 8
"""Pairs that are sampled; a further one replaces the pair that was read longest ago."""
POOLS = 12
"""Pools of a pair that are recorded."""
LOOKED_AT_S = 60.0
"""A pair that was read within this time is not replaced by another one."""

SAMPLED_AT_ONCE = 2
"""Pairs: the quotes of orders and clients come first."""

ASK_S = 5.0
LEAST_OUT = 1_000_000
"""A sample brings at least so many base units: its price has six digits."""
FACTOR_MAX = 10**9

Asks = Callable[[Order], Awaitable[Sequence[Quote]]]
Pair = tuple[str, str]
"""Symbols of token_in and token_out."""


class Point(NamedTuple):
    """The price of a pool at a time."""

    time_ms: int
    price: str
    """token_out for one token_in."""


class Series:
    """The points of one pool: all of the newest, every `THINNED`th of the older."""

    def __init__(self, dex: str, pool: str, name: str) -> None:
        self.dex = dex
        self.pool = pool
        self.name = name
        """The pool program, or the venue where no program is known."""
        self._fine: deque[Point] = deque()
        self._coarse: deque[Point] = deque(maxlen=COARSE)
        self._moved = 0

    def add(self, point: Point) -> None:
        """Appends the newest point."""
        self._fine.append(point)
        if len(self._fine) > FINE:
            oldest = self._fine.popleft()
            if self._moved % THINNED == 0:
                self._coarse.append(oldest)
            self._moved += 1

    def points(self, since_ms: int) -> list[Point]:
        """The points from a time on, oldest first."""
        return [p for p in (*self._coarse, *self._fine) if p.time_ms >= since_ms]


class PriceHistory:
    """Samples the pairs that are looked at."""

    def __init__(self, ask: Asks, tokens: Mapping[str, Token], partition: int) -> None:
        """`ask` gives every quote of an order; `tokens` by symbol."""
        self._ask = ask
        self._tokens = tokens
        self._partition = partition
        self._read_at: dict[Pair, float] = {}
        self._series: dict[Pair, dict[str, Series]] = {}
        self._amounts: dict[Pair, int] = {}
        self._turns = asyncio.Semaphore(SAMPLED_AT_ONCE)

    async def read(self, pair: Pair) -> Sequence[Series]:
        """The series of a pair, sampled at once where it has none yet."""
        now = time.monotonic()
        first = pair not in self._read_at
        if first and len(self._read_at) >= PAIRS:
            oldest = min(self._read_at, key=lambda known: self._read_at[known])
            if now - self._read_at[oldest] < LOOKED_AT_S:
                return []  # every pair that is kept is looked at
            self._forget(oldest)
        self._read_at[pair] = now
        if first:
            await self._sample(pair)
        return list(self._series.get(pair, {}).values())

    def amount(self, pair: Pair) -> int:
        """Whole tokens of token_in that a sample of the pair sells: a power of ten."""
        return self._amounts.get(pair, 1)

    async def run(self) -> None:
        """Samples until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            until = time.monotonic() - KEPT_S
            for pair in [pair for pair, at in self._read_at.items() if at < until]:
                self._forget(pair)
            await asyncio.gather(*(self._sample(pair) for pair in [*self._read_at]))

    def _forget(self, pair: Pair) -> None:
        del self._read_at[pair]
        self._series.pop(pair, None)
        self._amounts.pop(pair, None)

    async def _sample(self, pair: Pair) -> None:
        into, out = self._tokens[pair[0]], self._tokens[pair[1]]
        try:
            async with asyncio.timeout(ASK_S), self._turns:
                quotes = await self._quotes(pair, into, out)
        except TimeoutError:
            return  # a gap of the chart
        except Exception:  # one pair must not end the samples of all
            _log.exception("price_sample_failed", pair="/".join(pair))
            return
        if pair in self._read_at:
            self.take(pair, quotes, server_now_us() // 1000)

    async def _quotes(self, pair: Pair, into: Token, out: Token) -> Sequence[Quote]:
        """For one token, or for more of one that is worth too little for an exact price."""
        amount = self.amount(pair)
        while True:
            quotes = await self._ask(_sample_of(into, out, amount, self._partition))
            most = max((quote.amount_out for quote in quotes if not quote.error), default=0)
            if most >= LEAST_OUT or not most or amount >= FACTOR_MAX:
                self._amounts[pair] = amount
                return quotes
            amount *= 10

    def take(self, pair: Pair, quotes: Sequence[Quote], now_ms: int) -> None:
        """Records the usable quotes of single pools."""
        into, out = self._tokens[pair[0]], self._tokens[pair[1]]
        series = self._series.setdefault(pair, {})
        for quote in quotes:
            if quote.error or not quote.amount_out or len(quote.legs) > 1:
                continue
            key = quote.pool or quote.dex
            if key not in series and len(series) >= POOLS:
                continue
            name = quote.legs[0].family if quote.legs else quote.dex
            known = series.setdefault(key, Series(quote.dex, quote.pool, name))
            at = price(quote.amount_out, out.decimals, quote.amount_in, into.decimals)
            known.add(Point(now_ms, at))


def _sample_of(into: Token, out: Token, amount: int, partition: int) -> Order:
    return Order(
        new_order_id(partition),
        token_in=into.symbol,
        token_out=out.symbol,
        decimals_in=into.decimals,
        decimals_out=out.decimals,
        amount_in=amount * 10**into.decimals,
    )
