"""Faults that are injected while the chain runs (`localnet_setFaults`)."""

from __future__ import annotations

from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

Rate = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


class Faults(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Rates are probabilities from 0 to 1; `…_next` counts the next calls, whatever the rate."""

    methods: tuple[str, ...] = ()
    """Methods that latency and 429s apply to; empty: all."""
    latency_ms: Count = 0
    """Time before a call is handled."""
    reject_rate: Rate = 0.0
    """HTTP 429."""
    reject_next: Count = 0
    drop_rate: Rate = 0.0
    """A transaction is accepted, and never lands."""
    drop_next: Count = 0
    lose_rate: Rate = 0.0
    """A transaction is accepted and executed; the connection breaks before the answer."""
    lose_next: Count = 0
    confirm_delay: Count = 0
    """Blocks by which `confirmed` is delayed."""
    stalled: bool = False
    """No blocks are made; transactions wait."""
    fork_every: Count = 0
    """Slots between two forks; 0: no forks."""
    fork_depth: Count = 2
    """Blocks that a fork drops, as far as they are not final."""


class Luck:
    """Decides, from a seed, which call a fault hits."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self._random = Random(f"{seed}:faults")

    def hits(self, name: str) -> bool:
        """Whether the fault `name` (reject, drop, lose) hits this call."""
        left = getattr(self.faults, f"{name}_next")
        if left > 0:
            self.faults = msgspec.structs.replace(self.faults, **{f"{name}_next": left - 1})
            return True
        rate = getattr(self.faults, f"{name}_rate")
        return bool(rate > 0 and self._random.random() < rate)

    def concerns(self, method: str) -> bool:
        """Whether latency and 429s apply to this method."""
        return not self.faults.methods or method in self.faults.methods
