"""Compute units that transactions of a kind consumed, and what the next one may consume. Pure.

Two transactions are of a kind where the programs do the same for both: version, wrapping, accounts
to be opened, and each swap's program, direction and tokens. Ticks and bins are counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stages.venues.solana.transaction.programs import TOKEN
from stages.venues.solana.transaction.signing import Draft, Leg

KEPT = 4
"""Measurements of a kind: the largest of them counts, so that one that was small hides none."""
KEPT_MS = 24 * 3_600_000
"""Programs are upgraded: an older measurement counts no more."""
KINDS_MAX = 1_000


class Measurement(NamedTuple):
    """What the simulation of one transaction consumed."""

    units: int
    """Compute units of the whole transaction. 0: it failed, and what was measured before does not
    count."""
    crossed: int
    """Units for the ticks or bins that it was expected to cross; part of `units`, or more."""
    time_ms: int
    """Unix time."""


def kind_of(draft: Draft, version: int, opens: int) -> str:
    """The kind of a transaction. `opens`: how many token accounts of the wallet it opens."""
    plan = draft.plan
    swaps = "+".join(_swap(leg, plan.programs) for leg in plan.legs)
    return f"v{version} {plan.wrapping.value} {len(draft.created)} {opens} {swaps}"


def _swap(leg: Leg, programs: Mapping[str, str]) -> str:
    direction = "b" if leg.a_to_b else "a"
    exact = "out" if leg.terms.exact_out else "in"
    tokens = ">".join(
        # A mint of the newer token program may have extensions, each of which computes.
        "spl" if programs[mint] == TOKEN else mint
        for mint in (leg.mint_in, leg.mint_out)
    )
    return f"{leg.family.name}:{direction}:{exact}:{tokens}"


class Consumption:
    """The measurements by kind. A pure table: who shares it is `shared`."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[Measurement, ...]] = {}
        self.changed: set[str] = set()
        """Kinds that were measured or forgotten here, and not shared yet."""
        self.missed = False
        """Whether a kind was asked for that is not known: another process may have measured it."""

    def expected(self, kind: str, crossed: int, now_ms: int) -> int | None:
        """The units that a transaction will consume which crosses so much; None: not known.

        Fewer ticks than a measured one had do not lower it: their units are an upper bound.
        """
        recent = [m for m in self._kinds.get(kind, ()) if m.units and now_ms - m.time_ms < KEPT_MS]
        self.missed = self.missed or not recent
        return max((m.units + max(0, crossed - m.crossed) for m in recent), default=None)

    def age_ms(self, kind: str, now_ms: int) -> int | None:
        """The time since the newest measurement; None without one."""
        known = self._kinds.get(kind)
        return None if not known or not known[-1].units else now_ms - known[-1].time_ms

    def record(self, kind: str, measurement: Measurement) -> None:
        """Adds a measurement."""
        self.merge(kind, [measurement])
        self.changed.add(kind)

    def forget(self, kind: str, now_ms: int) -> None:
        """After a failure: the next of the kind is simulated, by other processes too."""
        self.record(kind, Measurement(0, 0, now_ms))

    def merge(self, kind: str, measurements: Iterable[Measurement]) -> None:
        """Adds what other processes measured."""
        known = {*self._kinds.pop(kind, ()), *measurements}
        if not known:
            return
        failed_ms = max((m.time_ms for m in known if not m.units), default=None)
        if failed_ms is not None:
            failure = Measurement(0, 0, failed_ms)
            known = {failure, *(m for m in known if m.time_ms > failed_ms)}
        # The kind that was measured last is the last of the table: the first one is dropped.
        self._kinds[kind] = tuple(sorted(known, key=lambda m: m.time_ms)[-KEPT:])
        if len(self._kinds) > KINDS_MAX:
            del self._kinds[next(iter(self._kinds))]

    def of(self, kind: str) -> tuple[Measurement, ...]:
        """The measurements of a kind, the oldest first."""
        return self._kinds.get(kind, ())
