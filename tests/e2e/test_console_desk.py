"""The console as a desk uses it: what is current, who acts, many orders and many tabs at once."""

from __future__ import annotations

import json
import os
import re
import signal

from playwright.async_api import Browser, Request, Route

from events.commands import api_keys
from events.types import OrderParked
from gateway.middleware.auth import BEARER
from tests.support.http.served import ACCOUNT, GOOD, served
from tests.support.log.played import Play
from tests.support.processes.browser import LIVE, Page, opened
from tests.support.processes.engine_up import Engine

STATE = "document.getElementById('connection').dataset.state"
ROWS = "document.querySelectorAll('#body .row').length"
WHY = "document.getElementById('key-why').textContent"
ASKED = "document.getElementById('key-dialog').open && document.getElementById('key').value === ''"
ASK = "document.getElementById('ask-dialog').open"
STATUS = "document.querySelector('#order .badge')?.textContent"
TOASTS = "[...document.querySelectorAll('.toast')].map((toast) => toast.textContent).join()"


async def test_a_stopped_gateway_does_not_look_live(engine: Engine, page: Page) -> None:
    await engine.ended([await engine.submit(key="before-the-stop")])
    await page.type("#amount", "1.5")
    await page.until("document.querySelector('#outcome strong')")
    opacity = "getComputedStyle(document.getElementById('outcome')).opacity"
    assert await page.eval(opacity) == "1"
    await page.until("document.getElementById('connection-age').textContent !== ''")
    await page.eval(
        "window.states = [], new MutationObserver(() => window.states.push("
        f"{STATE})).observe(document.getElementById('connection'), {{attributes: true}})"
    )
    pid = engine.kill("gateway", signal.SIGSTOP)
    try:
        # Amber after two heartbeats, before the stream gives up.
        await page.until("window.states.includes('stale')")
        await page.until("'stale' in document.body.dataset")
        await page.until(f"{opacity} === '0.4'")
        told = "document.getElementById('not-current')"
        await page.until(f"!{told}.hidden && {told}.textContent.startsWith('Not current')")
    finally:
        os.kill(pid, signal.SIGCONT)
    await page.until(f"{LIVE} && !('stale' in document.body.dataset)")
    await page.until(f"{opacity} === '1' && {told}.hidden")
    page.errors = [error for error in page.errors if not re.search(r"net::ERR_|\b503\b", error)]


async def test_quotes_of_a_gateway_that_stops_to_answer_are_greyed(page: Page) -> None:
    await page.click("input[value=limit] + span")
    await page.type("#amount", "1.5")
    await page.until("document.querySelector('#outcome strong')")
    chip = "document.querySelector('#target-chips button').disabled"
    await page.until(f"!{chip}")
    await page.tab.route("**/api/quotes?*", lambda _: None)  # no answer
    await page.until("document.getElementById('form').classList.contains('stale')")
    assert await page.eval("getComputedStyle(document.getElementById('quotes')).opacity") == "0.4"
    # No target is set from an old price.
    await page.until(f"{chip} && document.getElementById('target-market').textContent === ''")


async def test_a_wrong_key_is_told_and_a_good_one_can_sign_out(
    redis_url: str, chromium: Browser
) -> None:
    async with served(redis_url, keys_required=True) as gateway, opened(chromium) as page:
        key = await api_keys.create(gateway.log, ACCOUNT, ["read"], "", 0, "ann")
        await page.open(f"{gateway.url}/")
        await page.until(f"{ASKED} && {WHY} === ''")
        await page.type("#key", "oee_wrong")
        await page.press("Enter")
        await page.until(f"{ASKED} && {WHY}.includes('not valid')")
        assert await page.barriers() == []
        await page.type("#key", key.text.reveal())
        await page.press("Enter")
        await page.until(f"{LIVE} && {WHY} === ''")
        await page.until(
            f"document.getElementById('account').textContent === {json.dumps(ACCOUNT)}"
        )
        # What this key may not do is not offered.
        await page.until("document.getElementById('submit').disabled")
        assert "lacks the scope trade" in await page.eval(
            "document.getElementById('submit-why').textContent"
        )
        for control in ("cancel-all", "halt", "resume"):
            assert await page.eval(f"document.getElementById('{control}').hidden")
        await page.click("#menu > summary")
        await page.until("document.getElementById('session-facts').textContent.includes('read')")
        await page.click("#sign-out")
        await page.until(f"{ASKED} && {WHY} === ''")
        assert await page.eval("sessionStorage.length") == 0


async def test_tabs_share_one_stream_and_the_next_one_takes_over(
    engine: Engine, page: Page
) -> None:
    other = await page.tab.context.new_page()
    streams: list[str] = []

    def count(request: Request) -> None:
        if request.url.endswith("/api/events"):
            streams.append(request.url)

    other.on("request", count)
    await other.goto(f"{engine.url}/")
    tab = Page(other, await page.tab.context.new_cdp_session(other))
    await tab.until(LIVE)
    order_id = await engine.submit(key="for-all-tabs")
    row = f"document.querySelector('#row-{order_id} .badge')?.textContent === 'confirmed'"
    await page.until(row)
    await tab.until(row)
    assert streams == []
    await page.tab.goto("about:blank")
    next_id = await engine.submit(key="for-the-next-tab")
    await tab.until(f"{LIVE} && document.querySelector('#row-{next_id} .badge') !== null")
    await engine.ended([next_id])
    await tab.until(f"document.querySelector('#row-{next_id} .badge').textContent === 'confirmed'")
    assert len(streams) >= 1
    await other.close()


async def test_a_stream_comes_back_after_refusals(engine: Engine, chromium: Browser) -> None:
    refusals = [(503, "Mon, 01 Jan 2024 00:00:00 GMT"), (429, "0"), (502, "")]

    async def refuse(route: Route) -> None:
        if not refusals:
            return await route.continue_()
        status, after = refusals.pop(0)
        headers = {"Retry-After": after} if after else {}
        return await route.fulfill(status=status, headers=headers, body="<html>busy</html>")

    async with opened(chromium) as page:
        await page.tab.route("**/api/events", refuse)
        await page.open(f"{engine.url}/")
        await page.until(LIVE)
        assert refusals == []


async def test_parked_orders_are_red_are_filtered_and_can_be_replayed(
    redis_url: str, chromium: Browser
) -> None:
    async with served(redis_url) as gateway, opened(chromium) as page:
        play = Play(gateway.log)
        await page.open(f"{gateway.url}/")
        await page.until(LIVE)
        order_id, _ = await play.create(2)
        await play.append([order_id], OrderParked("builder", "its worker died", "engine"))
        attention = "document.getElementById('attention')"
        await page.until(f"{attention}.textContent.includes('1 order parked')")
        await page.click("#attention button")
        await page.until(f"{ROWS} === 1")
        row = f"document.getElementById('row-{order_id}')"
        assert await page.eval(f"{row}.querySelector('.trouble').textContent") == "parked"
        assert "its worker died" in await page.eval(f"{row}.textContent")
        await page.click("#body .row")
        await page.until("document.querySelectorAll('#order .actions button').length === 3")
        assert await page.barriers() == []
        await page.click("#parked-requeue")
        await page.until(ASK)
        await page.click("#ask-yes")
        await page.until(f"{attention}.hidden && {ROWS} === 0")
        page.errors.clear()  # the archive of this gateway has no proofs


async def test_many_orders_are_cancelled_together_and_all_with_a_reason(
    redis_url: str, chromium: Browser
) -> None:
    async with served(redis_url) as gateway, opened(chromium) as page:

        async def told(order_id: str) -> tuple[str, str]:
            order = (await gateway.get(f"/api/orders/{order_id}"))[1]
            return order["status"], order["detail"]

        await page.open(f"{gateway.url}/")
        await page.until(LIVE)
        first, second, third = [await gateway.accepted(amount=str(n + 1)) for n in range(3)]
        await page.until("document.querySelectorAll('#body .row input').length === 3")
        await page.click(f"#row-{first} input")
        await page.click(f"#row-{second} input")
        await page.click("#cancel-marked")
        await page.until(ASK)
        await page.type("#ask-reason", "book is closed")
        await page.click("#ask-yes")
        await page.until("document.querySelectorAll('#body .cancelled').length === 2")
        for order_id in (first, second):
            assert await told(order_id) == ("cancelled", "book is closed")
        assert (await told(third))[0] == "pending"
        await page.click("#cancel-all")
        await page.until(ASK)
        await page.click("#ask-yes")
        assert await page.eval(ASK)  # a reason is required
        await page.type("#ask-reason", "end of day")
        await page.click("#ask-yes")
        await page.until("document.querySelectorAll('#body .cancelled').length === 3")
        assert await told(third) == ("cancelled", "end of day")
        await page.until(f"{TOASTS}.includes('orders are cancelled')")


async def test_the_engine_is_halted_and_resumed_from_the_menu(engine: Engine, page: Page) -> None:
    await page.click("#menu > summary")
    await page.click("#halt")
    await page.until(ASK)
    await page.type("#ask-reason", "odd prices")
    await page.press("Enter")
    await page.until("document.getElementById('banner').textContent.includes('odd prices')")
    await page.click("#menu > summary")  # an act closes the menu
    await page.click("#resume")
    await page.until(ASK)
    await page.click("#ask-yes")
    await page.until("document.getElementById('banner').hidden")
    await page.until("!document.getElementById('halt').hidden")
    assert (await engine.get("/readyz")).body["halted"] is None


async def test_tabs_filters_and_columns_are_chosen_and_kept(engine: Engine, page: Page) -> None:
    open_id = await engine.submit(
        key="kept", clientOrderId="kept-filter", type="limit", targetPrice="100000"
    )
    await engine.ended([await engine.submit(key="kept-2", clientOrderId="kept-filter-2")])
    await page.type("#search", "kept-filter")
    await page.until(f"{ROWS} === 2")
    await page.click("#tabs [data-tab=history]")
    await page.until(f"{ROWS} === 1 && document.querySelector('#body .confirmed')")
    await page.click("#tabs [data-tab=open]")
    await page.until(f"{ROWS} === 1 && document.querySelector('#body .watching')")
    assert await page.eval("document.querySelector('[data-tab=open] .num').textContent") != "0"
    await page.click("#more-filters > summary")
    await page.type("#filters-name", "my open")
    await page.click("#filters-save")
    await page.tab.check("#columns-list label:has-text('Client order ID') input")
    await page.tab.reload()
    await page.until(LIVE)
    assert await page.eval("document.getElementById('search').value") == ""
    await page.click("#more-filters > summary")
    await page.tab.select_option("#filters-saved", "my open")
    await page.until(f"{ROWS} === 1 && document.getElementById('search').value === 'kept-filter'")
    client = f"document.querySelector('#row-{open_id} [data-column=client]')?.textContent"
    await page.until(f"{client} === 'kept-filter'")
    await page.type("#from", "2020-01-01")
    await page.type("#to", "2020-01-02")
    await page.until(f"{ROWS} === 0")
    await engine.http.delete(f"{engine.url}/api/orders/{open_id}")


async def test_shortcuts_reach_everything(engine: Engine, page: Page) -> None:
    name = "by-shortcut"
    order_id = await engine.submit(key=name, clientOrderId=name, type="limit", targetPrice="100000")
    await page.press("?")
    await page.until("document.getElementById('shortcuts').open")
    assert await page.barriers() == []
    await page.press("Escape")
    await page.press("/")
    await page.until("document.activeElement.id === 'search'")
    await page.tab.keyboard.type(name)
    await page.until(f"{ROWS} === 1")
    await page.press("ArrowDown")
    await page.until("document.activeElement.id === 'grid'")
    await page.until(f"document.getElementById('row-{order_id}').classList.contains('at')")
    await page.press("c")
    await page.until(ASK)
    await page.click("#ask-yes")
    await engine.ended([order_id])
    await page.until("!document.querySelector('dialog[open]')")
    await page.press("n")
    await page.until("document.activeElement.id === 'amount'")
    assert await page.eval("document.getElementById('amount').value") == ""


async def test_copied_figures_are_complete(engine: Engine, page: Page) -> None:
    name = "copied"
    await engine.ended([await engine.submit(key=name, clientOrderId=name, amount="1234.123456789")])
    await page.type("#search", name)
    figure = "document.querySelector('#body [data-column=amount] data')"
    await page.until(f"{figure}?.textContent.startsWith('1\u202f234.12')")
    await page.until(f"{figure}.title === '1\u202f234.123456789 SOL → USDC'")
    copied = await page.eval(
        f"(() => {{ getSelection().selectAllChildren({figure}.parentElement);"
        " const event = new ClipboardEvent('copy', {clipboardData: new DataTransfer(),"
        " cancelable: true, bubbles: true}); document.body.dispatchEvent(event);"
        " return event.clipboardData.getData('text/plain'); })()"
    )
    # What it is worth may stand behind it.
    assert copied.split(" ≈")[0].split(" $")[0].strip() == "1234.123456789 SOL → USDC"


async def test_a_key_of_another_account_gets_a_stream_of_its_own(
    redis_url: str, chromium: Browser
) -> None:
    async with served(redis_url, keys_required=True) as gateway, opened(chromium) as page:
        keys = {
            name: await api_keys.create(gateway.log, name, ["read", "trade"], "", 0, "ann")
            for name in (ACCOUNT, "other")
        }
        tabs = {}
        for name, key in keys.items():
            tab = page.tab if name == ACCOUNT else await page.tab.context.new_page()
            tabs[name] = Page(tab, await page.tab.context.new_cdp_session(tab))
            await tabs[name].open(f"{gateway.url}/")
            await tabs[name].until(ASKED)
            await tabs[name].type("#key", key.text.reveal())
            await tabs[name].press("Enter")
            await tabs[name].until(LIVE)
        for key in keys.values():
            headers = {"Authorization": BEARER + key.text.reveal()}
            assert (await gateway.post(GOOD, headers=headers))[0] == 202
        for shown in tabs.values():
            await shown.until(f"{ROWS} === 1")
