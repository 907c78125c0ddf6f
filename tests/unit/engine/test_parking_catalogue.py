"""Every code with which a settlement is refused has its meaning in the reference."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from engine.recovery.parking_catalogue import CODES
from events.commands.parked import NotAllowed

ROOT = Path(__file__).parents[3]
SOURCES = (
    "engine/recovery/chain_history.py",
    "engine/recovery/settle.py",
    "gateway/api/parked.py",
    "stages/settlement.py",
    "stages/venues/solana/outcomes/recorded.py",
)
"""The files that refuse a settlement."""
REFUSALS = {"NotSettled", "VenueRefusal"}
OF_NODES = {"venue-unavailable"}
"""The node did not answer, which any question to it may meet."""


def raised(file: str) -> Iterator[str]:
    """The codes that the calls of a refusal name in a file."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in REFUSALS and node.args:
            code = node.args[0]
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                yield code.value


def test_every_code_that_is_raised_has_a_meaning_and_no_other() -> None:
    codes = {code for file in SOURCES for code in raised(file)} - OF_NODES
    assert codes | {NotAllowed.code} == CODES.keys()
