"""The compute limit of a swap suffices where the price moves before it lands."""

from __future__ import annotations

import random
from typing import NamedTuple

import msgspec
import pytest

from engine.localnet.programs.shapes import SHAPES
from stages.pools.contract import Clock, Family, Pool, Rejected, Swap, SwapTerms
from stages.pools.meteora.dlmm import FAMILY as DLMM
from stages.pools.raydium.clmm import FAMILY as CLMM
from stages.pools.raydium.cpmm import FAMILY as CPMM
from stages.venues.solana.transaction.compute import SPARE_MAX, Crossing, crossing
from stages.venues.solana.transaction.signing import Leg
from tests.support.chain.localchain import plan_of
from tests.support.pools import clmm_chain, dlmm, vector_sets
from tests.unit.stages.pools.test_contract import CLOCK, pool_of

MARGIN_PERCENT = 130
MOVES = 12


class Asked(NamedTuple):
    """A swap of the vectors."""

    family: Family
    pool: Pool
    clock: Clock
    a_to_b: bool
    exact_out: bool
    amount: int


def asked() -> list[Asked]:
    result = []
    for each in vector_sets.read(vector_sets.COMMITTED / "clmm.json")["vectors"]:
        pool, clock = clmm_chain.pool_of(each["pool"]), clmm_chain.CLOCK
        way, out = each["zero_for_one"], not each["is_base_input"]
        result.append(Asked(CLMM, pool, clock, way, out, each["amount"]))
    for each in dlmm.read("dlmm.json")["vectors"]:
        pair, clock = dlmm.pool_of(each["pool"]), Clock(0, each["timestamp"])
        way, out = each["swap_for_y"], each["kind"] == "exact_out"
        result.append(Asked(DLMM, pair, clock, way, out, each["amount"]))
    return result


def filled(leg: Leg, pool: Pool, clock: Clock) -> Swap | None:
    """The swap, if it meets its threshold."""
    quote = pool.exact_out if leg.terms.exact_out else pool.exact_in
    try:
        swap = quote(leg.terms.amount, leg.a_to_b, clock)
    except Rejected:
        return None
    if leg.terms.exact_out:
        return swap if swap.amount_in <= leg.terms.threshold else None
    return swap if swap.amount_out >= leg.terms.threshold else None


def with_slippage(each: Asked, bps: int) -> tuple[Leg, Swap] | None:
    free = SwapTerms(each.exact_out, each.amount, 2**64 - 1 if each.exact_out else 1)
    leg = Leg(each.family, each.pool, each.a_to_b, free)
    swap = filled(leg, each.pool, each.clock)
    if swap is None:
        return None
    threshold = max(1, swap.amount_out * (10_000 - bps) // 10_000)
    if each.exact_out:
        threshold = swap.amount_in * (10_000 + bps) // 10_000
    return leg._replace(terms=free._replace(threshold=threshold)), swap


def test_swaps_of_others_within_the_threshold_do_not_exhaust_the_compute_limit() -> None:
    """With the units of a swap that crosses nothing as in the vectors; the same cases each time."""
    chance, moved = random.Random(12), 0
    by_pool: dict[str, list[Asked]] = {}
    for each in asked():
        by_pool.setdefault(each.pool.address, []).append(each)
    for swaps in by_pool.values():
        for each in chance.sample(swaps, min(len(swaps), 12)):
            result = with_slippage(each, chance.choice((10, 50, 300)))
            if result is None:
                continue
            leg, now = result
            plain = SHAPES[each.family.name].units
            simulated = plain + each.family.cu_step * now.steps
            limit = simulated * MARGIN_PERCENT // 100 + crossing(leg, each.clock).spare
            for other in chance.sample(swaps, min(len(swaps), MOVES)):
                quote = each.pool.exact_out if other.exact_out else each.pool.exact_in
                try:
                    after = quote(other.amount, leg.a_to_b, each.clock).after
                except Rejected:
                    continue
                then = filled(leg, after, each.clock)
                if then is not None:
                    needed = plain + each.family.cu_step * then.steps
                    assert needed <= limit, (leg.terms, now.steps, then.steps)
                    moved += 1
    print(f"{moved} moves")
    assert moved > 500


def test_bins_that_hold_next_to_nothing_behind_the_first_are_counted() -> None:
    """A swap that one bin fills now crosses twenty more once others have emptied that bin."""
    pool = dlmm.pool_of("dlmm-pool-01")
    dust = tuple(
        place._replace(x=0, y=10**9 if slot in (30, 9) else 10) if slot < 31 else place
        for slot, place in enumerate(pool.arrays[0])
    )
    pool = msgspec.structs.replace(pool, active_id=30, arrays={**pool.arrays, 0: dust})
    clock, amount = Clock(0, 1_760_000_000), 10**6
    now = pool.exact_out(amount, True, clock)
    leg = Leg(DLMM, pool, True, SwapTerms(True, amount, now.amount_in * 11 // 10))
    then = filled(leg, pool.exact_out(10**9, True, clock).after, clock)
    assert then is not None
    assert (now.steps, then.steps) == (1, 21)
    assert crossing(leg, clock).now == DLMM.cu_step
    assert 20 * DLMM.cu_step <= crossing(leg, clock).spare <= SPARE_MAX


@pytest.mark.parametrize("name", ["raydium-clmm", "meteora-dlmm"])
def test_each_tick_or_bin_counts_and_one_more_is_spare(name: str) -> None:
    family, pool = pool_of(plan_of(name))
    for part in (10**9, 10):
        terms = SwapTerms(True, pool.reserve_b // part, 2**64 - 1)
        swap = pool.exact_out(terms.amount, True, CLOCK)
        leg = Leg(family, pool, True, terms._replace(threshold=swap.amount_in))
        result = crossing(leg, CLOCK)
        assert result.now == swap.steps * family.cu_step
        # The price may not move at all, but within a bin.
        assert result.spare == family.cu_step or (family is DLMM and result.spare > family.cu_step)


def test_a_swap_that_cannot_be_quoted_gets_a_compute_limit_and_is_left_to_the_simulation() -> None:
    family, pool = pool_of(plan_of("raydium-clmm"))
    beyond = Leg(family, pool, True, SwapTerms(True, pool.reserve_b * 2, 1))
    assert crossing(beyond, CLOCK) == Crossing(0, family.cu_step)


def test_a_family_without_ticks_needs_no_more_than_its_simulation() -> None:
    family, pool = pool_of(plan_of("raydium-cpmm"))
    assert family is CPMM
    assert crossing(Leg(family, pool, True, SwapTerms(False, 10**9, 1)), CLOCK) == Crossing(0, 0)
