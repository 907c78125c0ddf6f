"""For all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.http.served import Served
from tests.support.log.workers import Crew, crew
from tests.support.patience import set_bounds
from tests.support.waits import HANG_S


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    set_bounds(monkeypatch, HANG_S)


@pytest.fixture
async def workers(redis_url: str, gateway: Served, tmp_path: Path) -> AsyncIterator[Crew]:
    """Workers beside the gateway of the test's file, which opened the log."""
    assert gateway.log.epoch
    async with crew(redis_url, tmp_path) as context:
        yield context
