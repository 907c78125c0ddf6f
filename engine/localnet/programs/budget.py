"""The limits of a transaction, and its fee.

Legacy and v0 set them by instructions of the compute budget program, v1 in its header (SIMD-0385):
there an absent value is 0, and instructions of the program do nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from solders.message import TransactionConfig

from engine.localnet.programs.context import Context
from engine.localnet.state.addresses import COMPUTE_BUDGET, LAMPORTS_PER_SIGNATURE, SYSTEM
from engine.localnet.state.failures import NotTaken
from engine.localnet.state.transaction import Step

UNITS_MAX = 1_400_000
UNITS_DEFAULT = 200_000
UNITS_BUILTIN = 3_000
UNITS = 150
LOADED_MAX = 64 * 1024 * 1024
"""Bytes of account data that a transaction may load at most (SIMD-0186)."""
MICRO = 1_000_000
_LIMIT, _PRICE, _LOADED = 2, 3, 4
_SIZES = {1: 5, _LIMIT: 5, _PRICE: 9, _LOADED: 5}
"""Bytes of the instructions: heap frame, unit limit, unit price, loaded data limit."""


class Budget(NamedTuple):
    """The limits of a transaction."""

    units: int
    """Compute units."""
    priority: int
    """The whole priority fee, in lamports."""
    loaded: int = LOADED_MAX
    """Bytes of account data."""

    def fee(self, signatures: int) -> int:
        """The fee in lamports."""
        return signatures * LAMPORTS_PER_SIGNATURE + self.priority


def budget(steps: Sequence[Step], config: TransactionConfig | None = None) -> Budget:
    """The budget, from a v1 header or from the instructions. Raises NotTaken."""
    return _of_steps(steps) if config is None else _of_config(config)


def _of_config(config: TransactionConfig) -> Budget:
    units = min(config.compute_unit_limit or 0, UNITS_MAX)
    loaded = min(config.loaded_accounts_data_size_limit or 0, LOADED_MAX)
    return Budget(units, config.priority_fee or 0, loaded)


def _of_steps(steps: Sequence[Step]) -> Budget:
    named: dict[int, int] = {}
    builtin = 0
    for index, step in enumerate(steps):
        if step.program != COMPUTE_BUDGET:
            builtin += step.program == SYSTEM
            continue
        builtin += 1
        tag = step.data[0] if step.data else 255
        if tag not in _SIZES or len(step.data) != _SIZES[tag]:
            raise NotTaken({"InstructionError": [index, "InvalidInstructionData"]})
        if tag in named:
            raise NotTaken({"DuplicateInstruction": index})
        named[tag] = int.from_bytes(step.data[1:], "little")
    others = len(steps) - builtin
    units = min(named.get(_LIMIT, builtin * UNITS_BUILTIN + others * UNITS_DEFAULT), UNITS_MAX)
    loaded = min(named.get(_LOADED, LOADED_MAX), LOADED_MAX)
    if not loaded:
        raise NotTaken("InvalidLoadedAccountsDataSizeLimit")
    return Budget(units, -(-units * named.get(_PRICE, 0) // MICRO), loaded)


def run(context: Context, _step: Step) -> None:
    """Spends the units of an instruction: `budget` has read it before."""
    context.spend(UNITS, builtin=True)
