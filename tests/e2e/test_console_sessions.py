"""Keys that end while the page is open, a computer that slept, a network that is gone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
import uuid
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Route

from events.commands import api_keys
from events.commands.api_keys import IssuedKey
from gateway.middleware import auth
from gateway.middleware.auth import BEARER
from tests.support.http.served import ACCOUNT, GOOD, Served, served
from tests.support.processes.browser import LIVE, Page, opened
from tests.support.processes.engine_up import Engine

OPEN = "document.getElementById('key-dialog').open"
WHY = "document.getElementById('key-why').textContent"
STATE = "document.getElementById('connection').dataset.state"
TEXT = "document.getElementById('connection-text').textContent"
OLD = "document.getElementById('not-current').textContent"
ROWS = "document.querySelectorAll('#body .row').length"
HIDDEN = "getComputedStyle(document.querySelector('main')).visibility === 'hidden'"
ALL = ["read", "trade", "cancel"]
HOUR_S = 3600


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[Served]:
    async with served(redis_url, keys_required=True) as gateway:
        yield gateway


async def signed_in(page: Page, url: str, key: IssuedKey) -> None:
    await page.open(f"{url}/")
    await page.until(OPEN)
    await page.type("#key", key.text.reveal())
    await page.press("Enter")
    await page.until(LIVE)


async def order_of(gateway: Served, key: IssuedKey) -> None:
    headers = {"Authorization": BEARER + key.text.reveal()}
    assert (await gateway.post(GOOD, headers=headers))[0] == 202


def without(page: Page, pattern: str) -> list[str]:
    return [error for error in page.errors if not re.search(pattern, error)]


async def ended(gateway: Served, key: IssuedKey, how: str, clock: pytest.MonkeyPatch) -> None:
    """Ends a key; where it expires, the clock of the gateway moves on."""
    if how == "revoked":
        await api_keys.revoke(gateway.log, key.key.id, "lost", "ann")
    elif how == "rotated":
        await api_keys.rotate(gateway.log, key.key.id, 0, "ann")
    else:
        clock.setattr(auth, "server_now_us", lambda: int((time.time() + 2 * HOUR_S) * 1e6))


@pytest.mark.parametrize("how", ["revoked", "rotated", "expired"])
async def test_a_key_that_ends_is_told_at_once_and_what_it_read_is_hidden(
    gateway: Served, chromium: Browser, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await api_keys.create(gateway.log, "other", ALL, "", 0, "ann")
    expires = int((time.time() + HOUR_S) * 1e6)
    key = await api_keys.create(gateway.log, ACCOUNT, ALL, "", expires, "ann")
    async with opened(chromium) as page:
        await signed_in(page, gateway.url, key)
        await order_of(gateway, key)
        await page.until(f"{ROWS} === 1")
        second = await page.tab.context.new_page()
        tab = Page(second, await page.tab.context.new_cdp_session(second))
        await signed_in(tab, gateway.url, key)  # it shares the stream of the first
        await tab.until(f"{ROWS} === 1")
        await ended(gateway, key, how, monkeypatch)
        for shown in (page, tab):
            await shown.until(f"{OPEN} && {WHY}.includes('not valid') && {HIDDEN}")
            await shown.until(f"{STATE} === 'down' && {TEXT} === 'Key refused'")
            assert "not accepted any more" in await shown.eval(OLD)
            # It stays, however often Escape is pressed.
            await shown.press("Escape")
            await shown.press("Escape")
            await shown.until(f"{OPEN} && {HIDDEN}")
        assert await page.barriers() == []
        await page.type("#key", other.text.reveal())
        await page.press("Enter")
        await page.until(f"{LIVE} && !({HIDDEN}) && {ROWS} === 0")
        await page.until("document.getElementById('account').textContent === 'other'")
        # The other tab asks still.
        assert await tab.eval(f"{OPEN} && {HIDDEN}")
        assert without(page, "status of 401|net::ERR_") == []


async def test_an_order_of_the_old_key_is_not_placed_with_the_new_one(
    gateway: Served, chromium: Browser
) -> None:
    key = await api_keys.create(gateway.log, ACCOUNT, ALL, "", 0, "ann")
    other = await api_keys.create(gateway.log, "other", ALL, "", 0, "ann")
    posted: list[str] = []
    async with opened(chromium) as page:
        await signed_in(page, gateway.url, key)
        page.tab.on("request", lambda r: posted.append(r.method) if r.method == "POST" else None)
        await page.type("#amount", "1.5")
        await page.until("document.querySelector('#outcome strong') !== null")
        # The page learns of it by the refusal of its order.
        await page.tab.route("**/api/orders/execute", lambda route: route.fulfill(
            status=401, json={"code": "unauthenticated"}))  # fmt: skip
        await page.click("#submit")
        await page.until(f"{OPEN} && {HIDDEN}")
        await page.tab.unroute("**/api/orders/execute")
        await page.type("#key", other.text.reveal())
        await page.press("Enter")
        await page.until(f"{LIVE} && document.getElementById('account').textContent === 'other'")
        await page.until("document.getElementById('empty').textContent.startsWith('No orders')")
        assert posted == ["POST"]


async def test_a_key_that_is_not_needed_can_be_forgotten(redis_url: str, chromium: Browser) -> None:
    async with served(redis_url) as gateway, opened(chromium) as page:
        await page.open(f"{gateway.url}/static/console.css")  # no script of the console runs here
        await page.eval("sessionStorage.setItem('oee-key', 'oee_old')")
        await page.open(f"{gateway.url}/")
        await page.until(f"{OPEN} && {WHY}.includes('not valid')")
        await page.click("#key-forget")
        await page.until(f"{LIVE} && !{OPEN}")


@pytest.mark.parametrize(
    ("scopes", "offered"),
    [
        (["read"], set()),
        (["read", "trade"], {"submit", "amend"}),
        (["read", "cancel"], {"cancel", "cancel-all"}),
        (["read", "trade", "cancel"], {"submit", "amend", "cancel", "cancel-all"}),
        (["admin"], {"submit", "amend", "cancel", "cancel-all", "halt"}),
    ],
)
async def test_only_what_the_scopes_allow_is_offered(
    engine: Engine, chromium: Browser, scopes: list[str], offered: set[str]
) -> None:
    order_id = await engine.submit(
        key=f"scopes-{uuid.uuid4()}", type="limit", targetPrice="100000", amount="2"
    )
    await engine.until(lambda: engine._statuses.get(order_id) == "watching")
    drawn = asyncio.Event()
    async with opened(chromium) as page:

        async def session(route: Route) -> None:
            await drawn.wait()  # the scopes are known last: no other change draws the page again
            await route.fulfill(json={"account": "default", "scopes": scopes, "keyId": "k"})

        await page.tab.route("**/api/session", session)
        await page.window(1360, 860)
        await page.open(f"{engine.url}/#/orders/{order_id}")
        await page.until(LIVE)
        await page.until("document.querySelector('#order .badge')?.textContent === 'watching'")
        await page.until(f"{ROWS} > 0")
        drawn.set()
        await page.until("document.getElementById('account').textContent === 'default'")
        await page.click("#menu > summary")
        for name in ("submit", "amend", "cancel", "cancel-all", "halt"):
            there = (
                f"(() => {{ const control = document.getElementById('{name}');"
                " return Boolean(control?.offsetParent) && !control.disabled; })()"
            )
            await page.until(f"{there} === {json.dumps(name in offered)}")
    await engine.http.delete(f"{engine.url}/api/orders/{order_id}")


async def test_a_computer_that_slept_does_not_show_a_live_page(
    engine: Engine, chromium: Browser
) -> None:
    async with opened(chromium) as page:
        await page.tab.clock.install()
        await page.open(f"{engine.url}/")
        await page.until(LIVE)
        await page.type("#amount", "1.5")
        await page.until("document.querySelector('#outcome strong') !== null")
        await page.eval(
            "window.texts = [], new MutationObserver(() => window.texts.push("
            f"{TEXT})).observe(document.getElementById('connection'),"
            " {childList: true, subtree: true, characterData: true})"
        )
        pid = engine.kill("gateway", signal.SIGSTOP)
        try:
            # Timers did not run, and one of the two clocks stood still.
            await page.tab.clock.set_system_time(time.time() + 300)
            await page.until(
                "window.texts.some((text) => /^No sign of life for . min$/.test(text))"
            )
            await page.until(f"{STATE} !== 'live' && 'stale' in document.body.dataset")
            await page.until(f"{OLD}.startsWith('Not current')")
            await page.until("document.getElementById('form').classList.contains('stale')")
        finally:
            os.kill(pid, signal.SIGCONT)
        order_id = await engine.submit(key=f"after-the-sleep-{uuid.uuid4()}")
        await page.until(f"{LIVE} && document.getElementById('not-current').hidden")
        await page.until(f"document.querySelector('#row-{order_id} .badge') !== null")
        await engine.ended([order_id])
        assert without(page, "net::ERR_") == []


async def test_slow_timers_of_a_tab_in_the_background_are_not_taken_for_a_sleep(
    page: Page,
) -> None:
    asleep = (
        "(async () => { const { Live } = await import('/static/live.js');"
        " const look = (ago, silent) => Live.prototype.asleep.call("
        "{ looked: Date.now() - ago }, silent);"
        " return [look(60000, 6000), look(60000, 12000), look(500, 12000)]; })()"
    )
    assert await page.eval(asleep) == [False, True, False]


async def test_a_network_that_is_gone_is_seen_at_once_and_so_is_its_return(
    engine: Engine, page: Page
) -> None:
    await page.tab.context.set_offline(True)
    await page.until(f"{STATE} === 'down' && {OLD}.startsWith('Not current')")
    await page.window(390, 844)
    await page.until("document.getElementById('menu').getBoundingClientRect().right <= innerWidth")
    await page.window(1360, 860)
    await page.type("#amount", "1.5")
    await page.click("#submit")
    await page.until("document.getElementById('ask-dialog').open")  # no quote now
    await page.click("#ask-yes")
    error = "document.getElementById('form-error').textContent"
    await page.until(f"{error}.includes('Placing it again is safe')")
    order_id = await engine.submit(key=f"while-offline-{uuid.uuid4()}")
    await engine.ended([order_id])
    await page.tab.context.set_offline(False)
    await page.until(f"{LIVE} && document.getElementById('not-current').hidden")
    row = f"document.querySelector('#row-{order_id} .badge')?.textContent"
    await page.until(f"{row} === 'confirmed'")
    page.errors = without(page, "net::ERR_")
