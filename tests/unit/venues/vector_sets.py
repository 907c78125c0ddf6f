"""Which folders of vectors a run compares: tests/vectors, or those that VECTORS names.

VECTORS holds one folder or several, separated by `:` or `,`. Files may lie in a folder itself or in
a subfolder of a name below, and a folder may hold some of the files only.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

SUBFOLDERS = ("dammv2_more", "dlmm_orders")
GIVEN = os.environ.get("VECTORS")


def folders() -> list[Path]:
    """The folders that VECTORS names, or that of the tests."""
    if not GIVEN:
        return [Path(__file__).resolve().parents[2] / "vectors"]
    return [Path(each).resolve() for each in re.split("[:,]", GIVEN) if each]


def with_file(name: str) -> list[Path]:
    """The folders, and subfolders of theirs, that hold a file of this name."""
    searched = [path for each in folders() for path in (each, *(each / s for s in SUBFOLDERS))]
    return [path for path in dict.fromkeys(searched) if (path / name).exists()]


@cache
def read(path: Path) -> Any:
    """A JSON file; None if it does not exist."""
    return json.loads(path.read_bytes()) if path.exists() else None


def sequences(folder: Path, family: str) -> list[Any]:
    """The sequences of a family in a folder: swaps in a row on one moving pool."""
    found = read(folder / "sequences.json") or {"sequences": []}
    return [each for each in found["sequences"] if each["family"] == family]
