"""One engine with the settings that it has by itself, for all who only use it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.support.patience import set_bounds
from tests.support.processes.browser import LIVE, Page, browser, opened
from tests.support.processes.engine_up import Engine, engine_up
from tests.support.waits import HANG_S


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways in this process wait for as long as this machine takes."""
    set_bounds(monkeypatch, HANG_S)


@pytest.fixture(scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """Run it; what others did before is in its log."""
    async with engine_up(tmp_path_factory.mktemp("w") / "d") as engine:
        yield engine


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as context:
        yield context


@pytest.fixture
async def page(engine: Engine, chromium: Browser) -> AsyncIterator[Page]:
    """The console, open and live; nothing may go wrong in it."""
    async with opened(chromium) as page:
        await page.window(1360, 860)
        await page.open(f"{engine.url}/")
        await page.until(LIVE)
        await page.until("document.querySelectorAll('#token-in option').length > 2")
        yield page
        assert page.errors == []
