"""The console behind a proxy that serves the gateway below a path and strips it."""

from __future__ import annotations

import json
import re

from playwright.async_api import Browser

from tests.support.http.reverse_proxy import reverse_proxy
from tests.support.processes.browser import LIVE, opened
from tests.support.processes.engine_up import Engine

STATUS = "document.querySelector('#order .badge')?.textContent"


async def test_an_order_is_placed_and_followed_below_a_path(
    engine: Engine, chromium: Browser
) -> None:
    async with reverse_proxy(engine.url, "/desk/one") as proxy, opened(chromium) as page:
        await page.open(f"{proxy.url}/")
        await page.until(LIVE)
        await page.type("#amount", "1.5")
        await page.until("document.querySelector('#outcome strong') !== null")
        async with page.tab.expect_response("**/desk/one/api/orders/execute") as answered:
            await page.click("#submit")
        order_id = (await (await answered.value).json())["orderId"]
        row = f"#row-{order_id}"
        await page.until(f"document.querySelector({json.dumps(row)}) !== null")
        await page.click(row)
        await page.until(f"{STATUS} === 'confirmed'")
        await page.click("[data-view=engine]")
        await page.until("document.querySelectorAll('#stages tbody tr').length === 5")
        await page.until("document.querySelector('#throughput path')")
        await page.click("[data-view=audit]")
        await page.click("#verify")
        await page.until("document.getElementById('verify-status').textContent.startsWith('Sound')")
        # Another gateway of this origin is sent no key of this one.
        names = "import('/desk/one/static/base.js').then(({ own }) => own('oee-key'))"
        assert await page.eval(names) == "oee-key /desk/one/"
        assert page.errors == []


async def test_the_reference_links_its_specifications_below_a_path(engine: Engine) -> None:
    async with (
        reverse_proxy(engine.url, "/desk/one") as proxy,
        engine.http.get(f"{proxy.url}/docs", headers={"Accept": "text/html"}) as answer,
    ):
        text = await answer.text()
        for name in re.findall(r'href="([a-z]+\.json)"', text):
            async with engine.http.get(f"{proxy.url}/{name}") as specification:
                assert specification.status == 200
        assert not re.findall(r'(?:href|src)="/', text)
