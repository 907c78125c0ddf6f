"""The order in which tests are run: at random, by the seed of pytest-randomly.

The slowest files come first (see `tests.__main__`), the others at random, and so do the tests of a
file, except those marked `in_order`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from tests.__main__ import LONGEST

IN_ORDER = "in_order"
_place_in_file = pytest.StashKey[int]()
_places = count()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keeps the place that a test has in its file."""
    item.stash[_place_in_file] = next(_places)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs after pytest-randomly, which shuffles before all plain hooks."""
    steps = _steps(items)
    shuffled = [next(steps[item.path]) if _is_step(item) else item for item in items]
    items[:] = sorted(shuffled, key=lambda item: _place_of_file(item.path.name))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Shows the seed of a failed run, also where `-q` drops the header."""
    if exitstatus and config.pluginmanager.hasplugin("randomly"):
        seed = config.getoption("randomly_seed")
        terminalreporter.write_line(f"the same order again: --randomly-seed={seed}")


def _is_step(item: pytest.Item) -> bool:
    return item.get_closest_marker(IN_ORDER) is not None


def _steps(items: Sequence[pytest.Item]) -> dict[object, Iterator[pytest.Item]]:
    """The steps of each file, in the order of the file."""
    steps: dict[object, list[pytest.Item]] = {}
    for item in sorted(filter(_is_step, items), key=lambda item: item.stash[_place_in_file]):
        steps.setdefault(item.path, []).append(item)
    return {path: iter(of_file) for path, of_file in steps.items()}


def _place_of_file(name: str) -> int:
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)
