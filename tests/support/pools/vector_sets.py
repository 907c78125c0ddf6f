"""Which folders of vectors a run compares: tests/vectors, or those that VECTORS names.

VECTORS holds one folder or several, separated by `:` or `,`. Files may lie in a folder itself or in
its subfolders, and a folder may hold some of the files only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

COMMITTED = Path(__file__).resolve().parents[2] / "vectors"
GIVEN = os.environ.get("VECTORS")


def folders() -> list[Path]:
    """The folders that VECTORS names, or that of the tests. ValueError if one does not exist: all
    tests would be skipped.
    """
    given = [Path(each).resolve() for each in re.split("[:,]", GIVEN or "") if each]
    for folder in given:
        if not folder.is_dir():
            raise ValueError(f"VECTORS: {folder} is not a folder")
    return given or [COMMITTED]


def searched(roots: Sequence[Path] = ()) -> list[Path]:
    """The folders that may hold files: these (those of VECTORS), and their subfolders."""
    each = [path for root in roots or folders() for path in (root, *sorted(root.iterdir()))]
    return [path for path in dict.fromkeys(each) if path.is_dir()]


def with_file(name: str) -> list[Path]:
    """The folders, and subfolders of theirs, that hold a file of this name."""
    return [path for path in searched() if (path / name).exists()]


def with_pool(name: str, pools: str, accounts: str, first: Path) -> Path | None:
    """The folder that describes a pool in the file `pools` and has its bytes in `accounts`: `first`
    if it has both, else another of VECTORS, else one of the committed vectors.
    """
    for folder in (first, *searched(), *searched([COMMITTED])):
        described = (read(folder / pools) or {}).get("pools", {})
        if name in described and name in (read(folder / accounts) or {}):
            return folder
    return None


def label(folder: Path, name: str) -> str:
    """How a file is called in what the run prints."""
    inside = [folder.relative_to(root) for root in folders() if folder.is_relative_to(root)]
    return str((inside[0] if len(folders()) == 1 else folder) / name)


@cache
def read(path: Path) -> Any:
    """A JSON file; None if it does not exist."""
    return json.loads(path.read_bytes()) if path.exists() else None


def sequences(folder: Path, family: str) -> list[Any]:
    """The sequences of a family in a folder: swaps in a row on one moving pool."""
    result = read(folder / "sequences.json") or {"sequences": []}
    return [each for each in result["sequences"] if each["family"] == family]
