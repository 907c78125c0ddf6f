"""A headless Chromium, driven by its own protocol: no driver has to be installed for the tests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from tests.workers import turns_true

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S = 30.0
WITHIN_S = 20.0


def found() -> str:
    """The path of a browser; skips the test where there is none. CHROMIUM names another one."""
    paths = [os.environ.get("CHROMIUM", ""), *(shutil.which(name) or "" for name in NAMES)]
    path = next(filter(None, paths), "")
    if not path:
        pytest.skip("no Chromium is installed: the console was not tested in a browser")
    return path


class Page:
    """A tab. What goes wrong in it is kept in `errors`."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        self._ws = ws
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read(), name="page")

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        async for message in self._ws:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said["method"] == "Runtime.exceptionThrown":
                self.errors.append(str(said["params"]["exceptionDetails"]))
            elif said["method"] == "Log.entryAdded":
                entry = said["params"]["entry"]
                if entry["level"] == "error":
                    self.errors.append(f"{entry['text']} {entry.get('url', '')}")
            elif said["method"] == "Runtime.consoleAPICalled":
                self.errors.append(str(said["params"]["args"]))  # it says nothing at all there

    async def call(self, method: str, **params: Any) -> Any:
        """A command of the protocol, answered."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._ws.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(WITHIN_S):
            said = await answer
        assert "error" not in said, said
        return said["result"]

    async def eval(self, expression: str) -> Any:
        """The value of an expression in the page."""
        said = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def until(self, expression: str, within_s: float = WITHIN_S) -> None:
        """Waits until it is true in the page."""
        try:
            await turns_true(lambda: self.eval(f"Boolean({expression})"), within_s)
        except TimeoutError:
            text = await self.eval("document.body.innerText")
            raise AssertionError(f"never true: {expression}\n{self.errors}\n{text}") from None

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        there = f"location.href.startsWith({json.dumps(url)})"
        await self.until(f"{there} && document.readyState === 'complete'")

    async def click(self, selector: str) -> None:
        """With the mouse, in the middle of what is there."""
        where = json.dumps(selector)
        await self.until(f"document.querySelector({where})?.offsetParent")
        x, y = await self.eval(
            f"(() => {{ const e = document.querySelector({where});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def type(self, selector: str, text: str) -> None:
        """Replaces what stands in a field, with the keyboard."""
        where = json.dumps(selector)
        await self.until(f"document.querySelector({where})?.offsetParent")
        await self.eval(
            f"(document.querySelector({where}).focus(), document.activeElement.select())"
        )
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, text: str = "") -> None:
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, text=text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    async def window(self, width: int, height: int, scheme: str = "light") -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def metric(self, name: str) -> float:
        """What the browser measures, such as JSHeapUsedSize in bytes, without garbage."""
        await self.call("HeapProfiler.collectGarbage")
        found = (await self.call("Performance.getMetrics"))["metrics"]
        return float(next(one["value"] for one in found if one["name"] == name))

    async def screenshot(self, path: Path) -> None:
        said = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(said["data"]))


@contextlib.asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    """A browser of its own with one page, for the length of a block."""
    profile = folder / "profile"
    flags = ["--headless=new", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium's sandbox refuses root
    process = await asyncio.create_subprocess_exec(
        found(), *flags, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    told = profile / "DevToolsActivePort"
    try:
        await turns_true(lambda: told.exists() and "\n" in told.read_text(), START_S)
        port = told.read_text().split()[0]
        async with ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [one for one in await answer.json() if one["type"] == "page"]
            async with http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as ws:
                page = Page(ws)
                for domain in ("Page", "Runtime", "Log", "Performance"):
                    await page.call(f"{domain}.enable")
                try:
                    yield page
                finally:
                    await page.close()
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
