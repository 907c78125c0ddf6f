"""A headless Chromium, the system's, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, CDPSession, ConsoleMessage, async_playwright
from playwright.async_api import Error as BrowserError
from playwright.async_api import Page as Tab

from tests.support.waits import HANG_S, until

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
AXE_RUN = "async () => await axe.run(document, {resultTypes: ['violations']})"
"""What passes is not described node by node: that took most of the time."""
LIVE = "document.getElementById('connection').dataset.state === 'live'"
"""The console gets events."""


def browser_path() -> str:
    """The path of a browser; skips the test where there is none. CHROMIUM names another one."""
    paths = [os.environ.get("CHROMIUM", ""), *(shutil.which(name) or "" for name in NAMES)]
    path = next(filter(None, paths), "")
    if not path:
        pytest.skip("no Chromium is installed: the console was not tested in a browser")
    return path


class Page:
    """A tab. What goes wrong in it is kept in `errors`."""

    def __init__(self, tab: Tab, protocol: CDPSession) -> None:
        self.errors: list[str] = []
        self.tab = tab
        self._protocol = protocol
        tab.on("console", self._output)
        tab.on("pageerror", lambda error: self.errors.append(str(error)))

    def _output(self, message: ConsoleMessage) -> None:
        # Chromium reports a refused request without a text of its own.
        self.errors.append(f"{message.text} {message.location.get('url', '')}")

    async def eval(self, expression: str) -> Any:
        """The value of an expression in the page."""
        return await self.tab.evaluate(f"async () => ({expression})")

    async def until(self, expression: str) -> None:
        """Waits until it is true in the page. An element that is not there yet is waited for."""

        async def true() -> bool:
            try:
                return bool(await self.eval(expression))
            except BrowserError as error:
                if "navigation" not in str(error) and "of null" not in str(error):
                    raise
                return False

        try:
            await until(true)
        except AssertionError:
            text = await self.eval("document.body.innerText")
            raise AssertionError(f"never true: {expression}\n{self.errors}\n{text}") from None

    async def open(self, url: str) -> None:
        await self.tab.goto(url, wait_until="load")

    async def click(self, selector: str) -> None:
        """With the mouse, in the middle of what is there."""
        await self.tab.click(selector, timeout=HANG_S * 1000)

    async def type(self, selector: str, text: str) -> None:
        """Replaces what stands in a field, with the keyboard."""
        await self.tab.fill(selector, text, timeout=HANG_S * 1000)

    async def press(self, key: str) -> None:
        await self.tab.keyboard.press(key)

    async def window(self, width: int, height: int, scheme: str = "light") -> None:
        await self.tab.set_viewport_size({"width": width, "height": height})
        await self.tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")

    async def metric(self, name: str) -> float:
        """What the browser measures, such as JSHeapUsedSize in bytes, without garbage."""
        await self._protocol.send("HeapProfiler.collectGarbage")
        result = (await self._protocol.send("Performance.getMetrics"))["metrics"]
        return float(next(item["value"] for item in result if item["name"] == name))

    async def barriers(self) -> list[str]:
        """What keeps people out, by the rules of axe; none is how it should be."""
        if not await self.eval("'axe' in window"):
            await self.tab.evaluate(AXE_SCRIPT)
        result = await self.tab.evaluate(AXE_RUN)
        return [
            f"{item['id']} ({item['impact']}): {node['target']} {node['failureSummary']}"
            for item in result["violations"]
            for node in item["nodes"]
        ]

    async def screenshot(self, path: Path) -> None:
        await self.tab.screenshot(path=path)


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser, for the length of a block."""
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]  # it refuses root
    path = browser_path()
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=path, args=flags)
        try:
            yield chromium
        finally:
            await chromium.close()


@contextlib.asynccontextmanager
async def opened(chromium: Browser) -> AsyncIterator[Page]:
    """A page that shares nothing with others: no storage, no cache, no process."""
    context = await chromium.new_context()
    try:
        tab = await context.new_page()
        protocol = await context.new_cdp_session(tab)
        await protocol.send("Performance.enable")
        yield Page(tab, protocol)
        # What a test answers itself may be under way still: its fault would be the next test's.
        await tab.unroute_all(behavior="ignoreErrors")
    finally:
        await context.close()
