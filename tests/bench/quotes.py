"""Figure (i): quotes a second with the pool's next state, one process, by family.

The pools are those of the vectors, both ways, exact in and exact out, and for the CLMM the mainnet
pool of the recorded swaps; CLMM and DLMM cross ten initialised ticks or ten bins each time. What
counts is the best pass over all cases: the rest is what a busy machine adds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, product
from typing import NamedTuple

from stages.pools.contract import Clock, Pool, Rejected, Swap
from stages.pools.meteora.dlmm.pool import DlmmPool
from stages.pools.raydium import amm_v4, cpmm
from stages.pools.raydium.clmm.pool import ClmmPool
from tests.bench.report import Figure, Outcome, Target
from tests.bench.subject import Subject
from tests.bench.yardsticks import Around, Yardsticks
from tests.support.pools import clmm_chain, dlmm, raydium_bytes
from tests.support.pools.vectors import NOW_S, vectors_of
from tests.unit.stages.pools import test_damm_v2_vectors

SAMPLE = 60
CROSSED = 10
CONNECTIONS = 50
CLOCK = Clock(0, NOW_S)


class Case(NamedTuple):
    """One quote."""

    quote: Callable[[int, bool, Clock], Swap]
    amount: int
    a_to_b: bool
    clock: Clock = CLOCK


class Kind(NamedTuple):
    """What is quoted, and what a quote may cost."""

    what: str
    cases: Callable[[], Iterable[Case]]
    target_us: float


def per_family(_: Subject, yardsticks: Yardsticks, seconds: float) -> Outcome:
    """(i) Quotes of each pool family, next state included."""
    with yardsticks.around(connections=CONNECTIONS) as known:
        costs = [
            _cost_us(list(islice(filter(_succeeds, kind.cases()), SAMPLE)), seconds)
            for kind in KINDS
        ]
    return Outcome(tuple(map(_figure, KINDS, costs, [known] * len(KINDS))))


def _figure(kind: Kind, cost_us: float, known: Around) -> Figure:
    return Figure(
        letter="i",
        what=f"quotes, {kind.what}",
        value=1e6 / cost_us,
        unit="/s",
        set_yardstick=known.set_rate,
        post_yardstick=known.post_rate,
        targets=(Target(f"<= {kind.target_us:g} µs", cost_us <= kind.target_us),),
        note=f"{cost_us:.2f} µs a quote",
    )


def _cost_us(cases: Sequence[Case], seconds: float) -> float:
    """Of the best pass over all of them."""
    best, deadline = float("inf"), time.perf_counter() + seconds
    while (start := time.perf_counter()) < deadline:
        for quote, amount, a_to_b, clock in cases:
            quote(amount, a_to_b, clock)
        best = min(best, time.perf_counter() - start)
    return best * 1e6 / len(cases)


def _succeeds(case: Case) -> bool:
    """Those that are swaps: an error costs something else."""
    try:
        case.quote(case.amount, case.a_to_b, case.clock)
    except Rejected:
        return False
    return True


def _case(pool: Pool, kind: str, amount: int, a_to_b: bool, clock: Clock = CLOCK) -> Case:
    return Case(pool.exact_out if kind == "exact_out" else pool.exact_in, amount, a_to_b, clock)


def _cpmm() -> Iterator[Case]:
    for each in vectors_of("cpmm.json"):
        accounts = raydium_bytes.cpmm(each["pool"], each["config"])
        pool = cpmm.FAMILY.decode(raydium_bytes.POOL, accounts)
        yield _case(pool, each["kind"], each["amount"], each["direction"] == "0to1")


def _amm_v4() -> Iterator[Case]:
    for each in vectors_of("ammv4.json"):
        pool = amm_v4.FAMILY.decode(raydium_bytes.POOL, raydium_bytes.amm_v4(each["pool"]))
        yield _case(pool, each["kind"], each["amount"], each["direction"] == "coin_to_pc")


def _damm_v2() -> Iterator[Case]:
    result = test_damm_v2_vectors.SETS[0]
    for each in result.vectors:
        address = result.pools[each["pool"]]["address"]
        pool = test_damm_v2_vectors.decoded(address, result.bytes[each["pool"]])
        clock = Clock(each["slot"], each["timestamp"])
        yield _case(pool, each["kind"], each["amount"], each["a_to_b"], clock)


# -- those that walk -------------------------------------------------------------------------------


def _clmm() -> Iterator[Case]:
    pools = [clmm_chain.recorded(file)[0] for file in clmm_chain.recorded_swaps()]
    return _crossing(pools, _ticks_crossed, clmm_chain.CLOCK)


def _ticks_crossed(before: Pool, after: Pool) -> int:
    assert isinstance(before, ClmmPool)
    assert isinstance(after, ClmmPool)
    return len(after.crossed - before.crossed)


def _dlmm() -> Iterator[Case]:
    pools = [dlmm.pool_of(name) for name in dlmm.read("dlmm.json")["pools"]]
    return _crossing(pools, _bins_crossed, CLOCK)


def _bins_crossed(before: Pool, after: Pool) -> int:
    assert isinstance(before, DlmmPool)
    assert isinstance(after, DlmmPool)
    return abs(after.active_id - before.active_id)


def _crossing(
    pools: Iterable[Pool], crossed: Callable[[Pool, Pool], int], clock: Clock
) -> Iterator[Case]:
    """For each pool, way and kind an amount that crosses so many, where there is one."""
    for pool, kind, a_to_b in product(pools, ("exact_in", "exact_out"), (True, False)):
        low, high = 0, 1 << 63
        while high - low > 1:
            case = _case(pool, kind, (low + high) // 2, a_to_b, clock)
            try:
                count = crossed(pool, case.quote(case.amount, a_to_b, clock).after)
            except Rejected as refused:
                small = "TooSmall" in refused.error or refused.error == "InsufficientOutAmount"
                count = 0 if small else CROSSED + 1
            if count == CROSSED:
                yield case
                break
            low, high = (case.amount, high) if count < CROSSED else (low, case.amount)


KINDS = (
    Kind("raydium-cpmm", _cpmm, 5),
    Kind("raydium-amm-v4", _amm_v4, 5),
    Kind("meteora-damm-v2", _damm_v2, 5),
    Kind(f"raydium-clmm over {CROSSED} ticks", _clmm, 150),
    Kind(f"meteora-dlmm over {CROSSED} bins", _dlmm, 150),
)
