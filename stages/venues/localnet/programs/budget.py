"""The compute budget program: what a transaction may use, and what it pays for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stages.venues.localnet.addresses import COMPUTE_BUDGET, LAMPORTS_PER_SIGNATURE, SYSTEM
from stages.venues.localnet.failures import NotTaken
from stages.venues.localnet.programs.context import Context
from stages.venues.localnet.transaction import Step

UNITS_MAX = 1_400_000
UNITS_DEFAULT = 200_000
UNITS_BUILTIN = 3_000
UNITS = 150


class Budget(NamedTuple):
    """Compute units, and micro-lamports for each of them."""

    units: int
    price: int

    def fee(self, signatures: int) -> int:
        """The fee in lamports."""
        return signatures * LAMPORTS_PER_SIGNATURE - (-self.units * self.price // 1_000_000)


def budget(steps: Sequence[Step]) -> Budget:
    """Read the budget from all instructions. Raises NotTaken."""
    said: dict[int, int] = {}
    builtin = 0
    for index, step in enumerate(steps):
        if step.program != COMPUTE_BUDGET:
            builtin += step.program == SYSTEM
            continue
        builtin += 1
        tag = step.data[0] if step.data else 255
        if tag not in _SIZES or len(step.data) != _SIZES[tag]:
            raise NotTaken({"InstructionError": [index, "InvalidInstructionData"]})
        if tag in said:
            raise NotTaken({"DuplicateInstruction": index})
        said[tag] = int.from_bytes(step.data[1:], "little")
    others = len(steps) - builtin
    units = said.get(2, builtin * UNITS_BUILTIN + others * UNITS_DEFAULT)
    return Budget(min(units, UNITS_MAX), said.get(3, 0))


_SIZES = {1: 5, 2: 5, 3: 9, 4: 5}
"""Heap frame, unit limit, unit price, loaded data limit."""


def run(context: Context, _step: Step) -> None:
    """Nothing is left to do."""
    context.spend(UNITS, builtin=True)
