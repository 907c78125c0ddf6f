"""An event is two files of one name: what it means, and how it is shown."""

import re
from pathlib import Path

import pytest

from events.types import FACTS

ROOT = Path(__file__).resolve().parents[3]
MEANINGS = ("events/order/events", "events/streams/events")
VIEWS = "projections/views/payloads"
NAMES = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): name for name in FACTS}


def names(folder: str) -> set[str]:
    """The files of a package of events, besides what they share."""
    return {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__", "base"}


def test_each_event_has_a_file_for_its_meaning_and_a_file_for_its_view() -> None:
    order, system = (names(folder) for folder in MEANINGS)
    assert not order & system
    assert order | system == set(NAMES)
    assert names(VIEWS) == set(NAMES)


@pytest.mark.parametrize("file", NAMES)
def test_a_file_has_the_event_of_its_name(file: str) -> None:
    [meaning] = [path for folder in MEANINGS if (path := ROOT / folder / f"{file}.py").exists()]
    assert f"class {NAMES[file]}(Fact," in meaning.read_text(encoding="utf-8")
    view = (ROOT / VIEWS / f"{file}.py").read_text(encoding="utf-8")
    assert f"class {NAMES[file]}Payload(Payload" in view
