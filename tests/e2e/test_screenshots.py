"""Pictures of the console as it is. `make screenshots` puts them into docs/screenshots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.processes.browser import Page
from tests.support.processes.engine_up import Engine

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "docs" / "screenshots"
DESKTOP, PHONE = (1360, 860), (390, 844)
STEPS = "document.querySelectorAll('#steps li').length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    value = os.environ.get("SCREENSHOTS")
    return ROOT / value if value else tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
async def ended(engine: Engine) -> str:
    """An order that was confirmed, among others."""
    ids = await engine.submit_many(12)
    await engine.submit(type="limit", targetPrice="100000", key="rests", amount="2")
    last = await engine.submit(key="pictured", clientOrderId="grid-bot-7", amount="12.5")
    await engine.ended([*ids, last])
    return last


async def take(page: Page, path: Path) -> None:
    await page.tab.wait_for_timeout(300)  # transitions
    await page.screenshot(path)
    assert path.stat().st_size > 10_000


async def test_a_screenshot_of_an_order_with_its_timeline_is_taken(
    page: Page, ended: str, folder: Path
) -> None:
    await page.eval(f"location.hash = '#/orders/{ended}'")
    await page.until(f"{STEPS} === 6")
    await take(page, folder / "order.png")


async def test_a_screenshot_of_the_dark_order_form_is_taken(
    page: Page, ended: str, folder: Path
) -> None:
    assert ended
    await page.window(*DESKTOP, "dark")
    await page.type("#amount", "250")
    await page.until("document.querySelectorAll('#quotes .quote').length >= 2")
    await take(page, folder / "form-dark.png")


async def test_a_screenshot_of_the_market_view_is_taken(
    page: Page, ended: str, folder: Path
) -> None:
    assert ended
    await page.click("[data-view=market]")
    await page.until("document.querySelectorAll('#market-prices path.line').length === 2")
    await page.until("document.querySelectorAll('#market-depth tbody td').length === 15")
    if "SCREENSHOTS" in os.environ:
        await page.tab.wait_for_timeout(4000)  # so that there is a line to see
    await take(page, folder / "market.png")


async def test_a_screenshot_of_the_engine_view_is_taken(
    page: Page, engine: Engine, folder: Path
) -> None:
    await page.click("[data-view=engine]")
    await engine.ended(await engine.submit_many(30))
    names = "[...document.querySelectorAll('#latency tbody th')].map((e) => e.textContent)"
    await page.until(f"{names}.includes('POST to confirmed')")
    await page.until("document.querySelector('#throughput path')")
    moves = "(e) => /[1-9].*\\/s/.test(e.textContent)"
    moving = f"[...document.querySelectorAll('#flow text')].filter({moves})"
    for _ in range(20):
        await engine.submit_many(20)
        if await page.eval(f"{moving}.length >= 5"):
            break
        await page.tab.wait_for_timeout(300)
    await take(page, folder / "engine.png")


async def test_a_screenshot_of_the_audit_view_is_taken(
    page: Page, ended: str, folder: Path
) -> None:
    await page.eval(f"location.hash = '#/audit/{ended}'")
    await page.until("document.querySelector('#audit-state .badge')?.textContent === 'confirmed'")
    await page.click("#verify")
    await page.until("document.getElementById('verify-status').textContent.startsWith('Sound')")
    await take(page, folder / "audit.png")


async def test_a_screenshot_of_an_order_on_a_phone_is_taken(
    page: Page, ended: str, folder: Path
) -> None:
    await page.window(*PHONE)
    await page.eval(f"location.hash = '#/orders/{ended}'")
    await page.until(f"{STEPS} === 6")
    await take(page, folder / "phone.png")


def test_the_documents_show_every_picture() -> None:
    documents = [ROOT / "README.md", ROOT / "docs/guide/console.md"]
    shown = "".join(path.read_text(encoding="utf-8") for path in documents)
    assert [p.name for p in DEFAULT.iterdir() if f"screenshots/{p.name}" not in shown] == []
