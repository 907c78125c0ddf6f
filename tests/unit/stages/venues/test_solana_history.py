"""The ring of past slots: ticks and pool events of what was seen, and nothing made up."""

from __future__ import annotations

from stages.pools.contract import Clock
from stages.pools.probe import first_rate
from stages.venues import Pair
from stages.venues.solana.accounts.history import (
    PairFilter,
    PoolHistory,
    Probed,
    Seen,
    SlotSnapshot,
    seen,
)
from stages.venues.solana.accounts.watched import WatchedPool, together
from tests.support.chain.toy_family import ToyPool

PAIR = Pair("SOL", "USDC", 9, 6)
MARKET = PairFilter(frozenset({"raydium"}), "sol", "usdc")
SECOND_US = 1_000_000


def pool(reserve_a: int, reserve_b: int, dex: str = "raydium") -> Seen:
    toy = ToyPool("p", "x", "sol", "usdc", "va", "vb", reserve_a, reserve_b)
    clock = Clock(1, 1)
    rates = first_rate(toy, True, clock), first_rate(toy, False, clock)
    return seen(Probed(toy, *rates, reserve_a, reserve_b), dex, clock)


def ring(*moments: tuple[int, dict[str, Seen]], kept: int = 100) -> PoolHistory:
    history = PoolHistory(kept)
    for slot, pools in moments:
        history.record(SlotSnapshot(slot, slot * SECOND_US, pools))
    return history


BASE = pool(10**12, 150 * 10**9)
BETTER = pool(10**12, 160 * 10**9)


def test_a_tick_is_the_net_price_of_the_best_pool_of_its_slot() -> None:
    history = ring((5, {"p": BASE, "q": BETTER}), (7, {"p": BASE}))
    ticks = history.ticks(MARKET, PAIR, 0, 100)
    assert [(t.slot, t.pool, t.price) for t in ticks] == [(5, "q", "159.6"), (7, "p", "149.625")]


def test_ticks_are_those_of_the_slots_asked_for_and_of_the_dex() -> None:
    history = ring(*((slot, {"p": BASE}) for slot in range(10)))
    assert [t.slot for t in history.ticks(MARKET, PAIR, 3, 6)] == [3, 4, 5, 6]
    assert history.ticks(MARKET._replace(dexes=frozenset({"meteora"})), PAIR, 0, 9) == []


def test_the_other_way_round_has_its_own_net_price() -> None:
    back = PairFilter(frozenset({"raydium"}), "usdc", "sol")
    ticks = ring((1, {"p": BASE})).ticks(back, Pair("USDC", "SOL", 6, 9), 1, 1)
    assert ticks[0].price == "0.00665"  # 1/150, less a quarter of a percent


def test_the_ring_drops_slots_beyond_its_capacity() -> None:
    history = ring(*((slot, {"p": BASE}) for slot in range(10)), kept=3)
    assert [t.slot for t in history.ticks(MARKET, PAIR, 0, 100)] == [6, 7, 8, 9]


def test_a_second_reading_of_a_slot_counts_from_the_next_slot() -> None:
    """A watcher that has passed the slot would never look at it again."""
    history = ring((5, {}), (5, {"p": BASE}))
    assert list(history.events(MARKET, PAIR, 0, 5)) == []
    history.record(SlotSnapshot(6, 6 * SECOND_US, {"p": BASE}))
    assert [event.slot for event in history.events(MARKET, PAIR, 6, 6)] == [6]
    assert [t.slot for t in history.ticks(MARKET, PAIR, 0, 9)] == [6]


def test_a_restarted_chain_has_no_history() -> None:
    history = ring((5, {"p": BASE}))
    history.record(SlotSnapshot(2, 0, {"p": BASE}))
    assert [t.slot for t in history.ticks(MARKET, PAIR, 0, 100)] == [2]


def test_added_liquidity_is_an_event_and_a_swap_is_not() -> None:
    swapped = pool(10**12 + 10**9, 149 * 10**9)
    deeper = pool(2 * 10**12, 300 * 10**9)
    one_sided = pool(2 * 10**12, 310 * 10**9)
    history = ring(
        (1, {"p": BASE}), (2, {"p": swapped}), (3, {"p": deeper}), (4, {"p": one_sided}),
        (5, {"p": one_sided, "q": BASE}), (6, {"p": swapped}),
    )  # fmt: skip
    events = list(history.events(MARKET, PAIR, 0, 100))
    assert [(e.slot, e.pool, e.cause) for e in events] == [
        (3, "p", "liquidity-added"), (4, "p", "liquidity-added"), (5, "q", "pool-created"),
    ]  # fmt: skip
    assert events[0].liquidity == 2 * 10**12


def test_fees_of_round_trips_are_not_added_liquidity() -> None:
    turned_over = pool(10**12 + 10**9, 150 * 10**9 + 150 * 10**6)  # a fifth of it, at 0.25 %
    some_percent = pool(2 * 10**12 // 100 * 51, 150 * 10**9)
    history = ring((1, {"p": BASE}), (2, {"p": turned_over}), (3, {"p": BASE}))
    assert not list(history.events(MARKET, PAIR, 0, 100))
    history = ring((1, {"p": BASE}), (2, {"p": some_percent}))
    assert [e.slot for e in history.events(MARKET, PAIR, 0, 100)] == [2]


def test_pools_of_the_first_reading_are_not_new() -> None:
    assert not list(ring((1, {"p": BASE})).events(MARKET, PAIR, 0, 100))


def test_the_slot_of_a_time_is_never_a_later_one() -> None:
    history = ring(*((slot, {}) for slot in range(100, 110)))
    for second in range(0, 200):
        slot = history.slot_at(second * SECOND_US, 1000)
        assert slot <= second
        assert slot == min(second, 109) or second < 100


def test_all_accounts_of_a_pool_are_in_one_group() -> None:
    pools = []
    for number in range(30):
        pools.append(WatchedPool(str(number), {}, ()))
        pools[-1].addresses = tuple(f"{number}.{n}" for n in range(9))
    groups = list(together(pools, 99))
    assert [len(group) for group in groups] == [11, 11, 8]
    assert [pool for group in groups for pool in group] == pools
