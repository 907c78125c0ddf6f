"""`python -m tests.bench.quotes`: µs a quote with its next state, by family.

The pools and amounts are those of the vectors, both ways, exact in and exact out; the best of
several runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from stages.venues.pool import Clock, Pool, Rejected, Swap
from stages.venues.raydium import amm_v4, cpmm
from tests.unit.venues import raydium_bytes
from tests.unit.venues.vectors import NOW_S, load

SAMPLE = 60
ROUNDS = 200
BEST_OF = 7
CLOCK = Clock(0, NOW_S)


class Case(NamedTuple):
    """One quote."""

    quote: Callable[[int, bool, Clock], Swap]
    amount: int
    a_to_b: bool
    clock: Clock = CLOCK


class Family(NamedTuple):
    """What is quoted, and what a quote may cost."""

    cases: Callable[[], Sequence[Case]]
    target_us: float


def measured(cases: Sequence[Case]) -> float:
    """µs a quote, over all of them."""
    return min(_loop(cases) for _ in range(BEST_OF)) * 1e6 / (ROUNDS * len(cases))


def succeeding(cases: Sequence[Case]) -> list[Case]:
    """Those that are swaps: an error costs something else."""
    return list(islice(filter(_succeeds, cases), SAMPLE))


def main() -> int:
    """Measure and print; 0 if every family stays within its target."""
    within = True
    print(f"{'family':<16}{'µs/quote':>10}{'quotes/s':>12}  target")
    for name, family in FAMILIES.items():
        cases = succeeding(family.cases())
        cost = measured(cases)
        within = within and cost <= family.target_us
        print(f"{name:<16}{cost:>10.2f}{1e6 / cost:>12,.0f}  <= {family.target_us:g} µs")
    return 0 if within else 1


def _loop(cases: Sequence[Case]) -> float:
    start = time.perf_counter()
    for _ in range(ROUNDS):
        for quote, amount, a_to_b, clock in cases:
            quote(amount, a_to_b, clock)
    return time.perf_counter() - start


def _succeeds(case: Case) -> bool:
    try:
        case.quote(case.amount, case.a_to_b, case.clock)
    except Rejected:
        return False
    return True


def _case(pool: Pool, kind: str, amount: int, a_to_b: bool) -> Case:
    return Case(pool.exact_out if kind == "exact_out" else pool.exact_in, amount, a_to_b)


def _cpmm() -> list[Case]:
    found = []
    for each in load("cpmm.json")["vectors"]:
        accounts = raydium_bytes.cpmm(each["pool"], each["config"])
        pool = cpmm.FAMILY.decode(raydium_bytes.POOL, accounts)
        found.append(_case(pool, each["kind"], each["amount"], each["direction"] == "0to1"))
    return found


def _amm_v4() -> list[Case]:
    found = []
    for each in load("ammv4.json")["vectors"]:
        pool = amm_v4.FAMILY.decode(raydium_bytes.POOL, raydium_bytes.amm_v4(each["pool"]))
        found.append(_case(pool, each["kind"], each["amount"], each["direction"] == "coin_to_pc"))
    return found


FAMILIES: dict[str, Family] = {
    "raydium-cpmm": Family(_cpmm, 5),
    "raydium-amm-v4": Family(_amm_v4, 5),
}

if __name__ == "__main__":
    sys.exit(main())
