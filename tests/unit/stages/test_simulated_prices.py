"""The simulated market moves, in the same way for each process with its seed."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.money import amount_at, price_units
from events.order import Order
from events.types import Quote
from stages.runtime.stage import VenueRefusal
from stages.venues import Pair
from stages.venues.simulated.launches import CYCLE_SLOTS, pool_of
from stages.venues.simulated.path import PPM, factor_ppm
from stages.venues.simulated.venue import (
    BPS,
    DEXES,
    HISTORY_S,
    SPREAD_BPS,
    SimulatedVenue,
    Simulation,
)
from stages.venues.venue_group import VenueGroup
from tests.support.waits import HANG_S

SOL_USDC = Pair("SOL", "USDC", 9, 6)
SOL_NEW = Pair("SOL", "NEW", 9, 6)


class At(Simulation, frozen=True):
    """A simulation whose clock stands still."""

    now: int = 0

    def height(self) -> int:
        return self.now


MOVING = At(seed=7, volatility_bps=500)


def market(simulation: Simulation) -> VenueGroup:
    return VenueGroup(
        [SimulatedVenue(name, fee, simulation) for name, fee in DEXES], timeout_s=HANG_S
    )


def quotes(slot: int, order_id: str = "o", to: str = "USDC") -> tuple[Quote, ...]:
    order = Order(order_id, token_in="SOL", token_out=to, decimals_in=9, decimals_out=6)
    order.amount_in = 1_500_000_000
    fact = market(At(seed=7, volatility_bps=500, now=slot)).quotes(order)
    assert isinstance(fact, tuple)
    return fact


@given(st.integers(0, 10**10), st.integers(0, 5000))
def test_a_price_never_leaves_its_bounds(slot: int, volatility_bps: int) -> None:
    factor = factor_ppm(1, "SOL-USDC", slot, volatility_bps)
    assert abs(factor - PPM) <= volatility_bps * 100 + 1


def test_a_price_moves_at_each_slot_and_a_little_at_a_time() -> None:
    prices = [price_units(t.price) for t in market(MOVING).ticks(SOL_USDC, 1000, 5000)]
    assert len(prices) == 4001
    assert sum(a != b for a, b in pairwise(prices)) > 3990
    assert max(abs(a - b) * BPS // a for a, b in pairwise(prices)) <= 40
    assert (max(prices) - min(prices)) * BPS // min(prices) > 100


def test_seeds_and_pairs_have_different_price_paths() -> None:
    paths = {
        tuple(factor_ppm(seed, pair, slot, 500) for slot in range(50))
        for seed in (1, 2)
        for pair in ("A-B", "A-C")
    }
    assert len(paths) == 4


def test_another_process_sees_the_same_path() -> None:
    code = (
        "from stages.venues.simulated.path import factor_ppm;"
        "print([factor_ppm(7, 'SOL-USDC', s, 500) for s in range(9)])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == str([factor_ppm(7, "SOL-USDC", s, 500) for s in range(9)])


@pytest.mark.parametrize("slot", [3, 999, 12_345_678])
def test_the_best_quote_pays_the_price_of_the_tick_of_its_slot(slot: int) -> None:
    [tick] = market(MOVING).ticks(SOL_USDC, slot, slot)
    for n in range(50):
        best = max(quote.amount_out for quote in quotes(slot, f"o{n}"))
        assert best >= amount_at(1_500_000_000, 9, price_units(tick.price), 6) - 1
        assert best <= amount_at(1_500_000_000, 9, price_units(tick.price), 6) * 10_010 // BPS


def test_the_venues_stay_apart_while_the_price_moves() -> None:
    low, high = SPREAD_BPS
    for slot in range(100):
        worse, better = sorted(quote.amount_out for quote in quotes(slot, f"o{slot}"))
        assert low - 10 <= BPS - worse * BPS // better <= high + 10


def test_a_new_pool_is_quoted_at_one_venue_from_its_creation_until_it_is_gone() -> None:
    events = market(MOVING).pools(SOL_NEW, 0, 10 * CYCLE_SLOTS - 1)
    assert [e.cause for e in events] == ["pool-created", "liquidity-added"] * 10
    for created, gained in zip(events[::2], events[1::2], strict=True):
        assert (created.dex, created.pool, created.liquidity * 2) == (
            gained.dex, gained.pool, gained.liquidity,
        )  # fmt: skip
        early = quotes(created.slot - 1, to="NEW")
        there = quotes(created.slot, to="NEW")
        assert [quote.error for quote in early] == ["no-route"] * 2
        assert [quote.pool for quote in there if not quote.error] == [created.pool]
    gone = pool_of(7, "SOL", "NEW", 0, len(DEXES)).gone
    assert [quote.error for quote in quotes(gone, to="NEW")] == ["no-route"] * 2


def test_an_old_pool_gains_liquidity_once_a_cycle() -> None:
    events = market(MOVING).pools(SOL_USDC, 0, 5 * CYCLE_SLOTS - 1)
    assert [e.cause for e in events] == ["liquidity-added"] * 5


def test_events_and_ticks_of_partial_ranges_add_up_to_the_whole_range() -> None:
    prices = market(MOVING)
    for ask in (prices.ticks, prices.pools):
        parts = [item for at in range(0, 300, 7) for item in ask(SOL_NEW, at, min(at + 6, 299))]
        assert parts == ask(SOL_NEW, 0, 299)


async def test_next_slot_returns_when_a_later_slot_begins() -> None:
    venue = SimulatedVenue("raydium", 25, Simulation(slot_ms=5))
    before = venue.slot()
    slot = await venue.next_slot(before)
    assert before < slot <= venue.slot()
    assert await venue.next_slot(before) >= slot


def test_prices_without_volatility_are_constant() -> None:
    ticks = market(At()).ticks(SOL_USDC, 0, 99)
    assert {tick.price for tick in ticks} == {"149.625"}
    with pytest.raises(VenueRefusal):
        SimulatedVenue("raydium", 25, At(now=0))._pool("SOL", "NEW", 0)


def test_slots_older_than_the_history_have_no_ticks_and_no_pool_events() -> None:
    """However long an engine was down, it computes a bounded number of slots."""
    simulation = At(seed=7, now=10_000_000)
    kept = HISTORY_S * 1000 // simulation.slot_ms
    group = market(simulation)
    ticks = group.ticks(SOL_NEW, 0, simulation.now)
    events = group.pools(SOL_NEW, 0, simulation.now)
    assert len(group.ticks(SOL_USDC, 0, simulation.now)) == kept + 1
    assert 0 < len(ticks) <= kept + 1
    assert events
    assert min(tick.slot for tick in ticks) >= simulation.now - kept
    assert min(event.slot for event in events) >= simulation.now - kept
