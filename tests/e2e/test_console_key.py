"""The console at a gateway that requires a key."""

from __future__ import annotations

from playwright.async_api import Browser

from events.commands import api_keys
from gateway.middleware.auth import BEARER
from tests.support.http.served import ACCOUNT, GOOD, served
from tests.support.processes.browser import LIVE, opened

ASKED = "document.getElementById('key-dialog').open && document.getElementById('key').value === ''"
WHY = "document.getElementById('key-why').textContent"
ROWS = "document.querySelectorAll('#body .row').length"


async def test_the_console_asks_for_a_valid_key_and_keeps_it_for_the_tab(
    redis_url: str, chromium: Browser
) -> None:
    async with served(redis_url, keys_required=True) as gateway:
        mine = await api_keys.create(gateway.log, ACCOUNT, ["read", "trade"], "", 0, "ann")
        theirs = await api_keys.create(gateway.log, "other", ["read", "trade"], "", 0, "ann")
        async with opened(chromium) as page:
            await page.open(f"{gateway.url}/")
            await page.until(ASKED)
            assert await page.barriers() == []
            await page.type("#key", "oee_000000000000_nonsense")
            await page.press("Enter")
            await page.until(ASKED)
            assert not await page.eval(LIVE)
            await page.type("#key", mine.text.reveal())
            await page.press("Enter")
            await page.until(LIVE)
            assert not await page.eval("document.getElementById('key-dialog').open")
            # With a key that may not read there is nothing to show: the page says so, and asks.
            trades = await api_keys.create(gateway.log, ACCOUNT, ["trade"], "", 0, "ann")
            async with opened(chromium) as other:
                await other.open(f"{gateway.url}/")
                await other.until(ASKED)
                await other.type("#key", trades.text.reveal())
                await other.press("Enter")
                await other.until(f"{ASKED} && {WHY}.includes('the scope `read`')")
                await other.type("#key", mine.text.reveal())
                await other.press("Enter")
                await other.until(LIVE)
                other.errors.clear()  # the browser tells of each refusal
            for key in (mine, theirs):
                headers = {"Authorization": BEARER + key.text.reveal()}
                assert (await gateway.post(GOOD, headers=headers))[0] == 202
            await page.until(f"{ROWS} === 1")  # the other one is not of this account
            await page.tab.reload()
            await page.until(f"{LIVE} && {ROWS} === 1")
            assert mine.text.reveal() not in await page.eval("document.documentElement.outerHTML")
            assert await page.eval("localStorage.length") == 0
            assert [error for error in page.errors if "status of 401" not in error] == []
