"""For all tests of this folder."""

from __future__ import annotations

import pytest

from tests.support.patience import set_bounds
from tests.support.waits import HANG_S


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    set_bounds(monkeypatch, HANG_S)
