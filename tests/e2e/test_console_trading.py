"""The console for a trader: the form stays, what must fail is not offered, prices help."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Browser, Route

from events.order.order_types import ORDER_TYPES
from tests.support.processes.browser import LIVE, Page, opened
from tests.support.processes.engine_up import Engine

STATUS = "document.querySelector('#order .badge')?.textContent"
OUTCOME = "(document.querySelector('#outcome strong')?.textContent ?? '')"
WHY = "document.getElementById('submit-why').textContent"
DISABLED = "document.getElementById('submit').disabled"


def shown(selector: str) -> str:
    return f"Boolean(document.querySelector({json.dumps(selector)})?.offsetParent)"


def text(element_id: str) -> str:
    return f"document.getElementById({json.dumps(element_id)}).textContent"


async def quoted(page: Page, change: Any) -> None:
    """Changes each answer of /api/quotes before the page gets it."""

    async def answer(route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, json=change(await response.json()))

    await page.tab.route("**/api/quotes?*", answer)


async def refused_then_accepted(page: Page, title: str) -> None:
    """Submits twice: the question, which has this title, is answered with no, then with yes."""
    for answer in ("#ask-no", "#ask-yes"):
        await page.click("#submit")
        await page.until("document.getElementById('ask-dialog').open")
        assert title in await page.eval(text("ask-title"))
        assert await page.barriers() == []
        assert await page.eval("location.hash") in ("", "#/")
        await page.click(answer)
        if answer == "#ask-no":
            await page.until(f"!document.getElementById('ask-dialog').open && !{DISABLED}")
            assert await page.eval("location.hash") in ("", "#/")
    await page.until("location.hash.startsWith('#/orders/')")


async def test_the_form_stays_while_an_order_is_open(engine: Engine, page: Page) -> None:
    order_id = await engine.submit(key="form-stays")
    await engine.ended([order_id])
    await page.type("#amount", "1.5")
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.until(f"{STATUS} === 'confirmed' && {shown('#form')} && {shown('#grid')}")
    await page.until(f"document.getElementById('amount').value === '1.5' && {OUTCOME} !== ''")
    await page.click("#submit")
    await page.until(f"!['', '#/', '#/orders/{order_id}'].includes(location.hash)")
    await page.until(f"{STATUS} === 'confirmed' && {shown('#amount')}")


async def test_on_a_phone_the_list_is_above_the_form(page: Page) -> None:
    await page.window(390, 844)
    top = "document.querySelector('%s').getBoundingClientRect().top"
    await page.until(f"{top % '#grid'} < 500 && {top % '#grid'} < {top % '#form'}")
    await page.click("#new-order")
    await page.until("document.activeElement.id === 'amount'")
    await page.until(f"{top % '#amount'} < innerHeight")


async def test_only_the_fields_of_one_type_are_shown_before_the_tokens_are_read(
    engine: Engine, chromium: Browser
) -> None:
    async with opened(chromium) as page:
        await page.tab.route("**/api/tokens", lambda route: route.abort())
        await page.open(f"{engine.url}/")
        await page.until(LIVE)
        for name, fields in {
            "market": {"slippageBps"},
            "limit": {"targetPrice", "expiresIn"},
            "sniper": {"minLiquidity", "maxPrice", "slippageBps", "expiresIn"},
        }.items():
            await page.click(f"input[value={name}] + span")
            for field in ("slippageBps", "targetPrice", "expiresIn", "minLiquidity", "maxPrice"):
                there = await page.eval(shown(f"[data-field={field}]"))
                assert there is (field in fields), (name, field)
            assert await page.eval(shown("#modes")) is (name == "market")
        page.errors = [error for error in page.errors if "ERR_FAILED" not in error]
        assert page.errors == []


async def test_every_order_type_has_a_row_in_the_console(page: Page) -> None:
    rows = await page.eval("Object.keys((await import('/static/order_types.js')).ORDER_TYPES)")
    assert set(rows) == {str(kind) for kind in ORDER_TYPES}


async def test_a_market_order_without_a_route_is_not_offered(page: Page) -> None:
    await page.type("#amount", "1")
    await page.tab.select_option("#token-out", "NOROUTE")
    await page.until(f"{DISABLED} && {WHY}.includes('It would fail: ')")
    assert "no-route" in await page.eval("document.getElementById('submit-why').title")
    await page.tab.select_option("#token-out", "USDC")
    await page.until(f"!{DISABLED} && {WHY} === ''")
    # A limit order may wait for a route.
    await page.tab.select_option("#token-out", "NOROUTE")
    await page.until(DISABLED)
    await page.click("input[value=limit] + span")
    await page.until(f"!{DISABLED}")


async def test_enter_does_not_overtake_the_quote_that_refuses(page: Page) -> None:
    await page.tab.select_option("#token-out", "NOROUTE")
    await page.type("#amount", "1")
    await page.press("Enter")
    await page.until(f"{WHY}.includes('It would fail: ')")
    assert await page.eval("location.hash") in ("", "#/")


@pytest.mark.parametrize(("bps", "kind"), [("40", ""), ("120", "warn"), ("912.5", "bad")])
async def test_a_high_price_impact_is_coloured_and_confirmed(
    page: Page, bps: str, kind: str
) -> None:
    def change(answer: Any) -> Any:
        answer["best"]["priceImpactBps"] = bps
        return answer

    await quoted(page, change)
    await page.type("#amount", "1.5")
    await page.until(f"{text('impact')}.startsWith('Price impact')")
    assert await page.eval("document.getElementById('impact').className") == (
        f"hint num impact {kind}"
    )
    if kind == "bad":
        return await refused_then_accepted(page, "9.13 %")
    await page.click("#submit")
    return await page.until("location.hash.startsWith('#/orders/')")


async def test_a_target_is_set_from_the_market(engine: Engine, page: Page) -> None:
    def change(answer: Any) -> Any:
        answer["best"]["price"] = "150.12345678"
        return answer

    await quoted(page, change)
    await page.click("input[value=limit] + span")
    await page.type("#amount", "1.5")
    market = text("target-market")
    await page.until(f"{market}.startsWith('Market 150.123')")
    await page.click("#target-chips button:nth-child(4)")
    await page.until(f"{market}.includes('target +5.00 %')")
    await page.type("#target", "1")
    await page.until(f"{market}.includes('executes at once')")
    await page.type("#target", "100000")
    await page.click("#submit")
    await page.until(f"{STATUS} === 'watching'")
    order_id = str(await page.eval("location.hash.split('/')[2]"))
    await page.eval("location.hash = '#/'")
    cell = f"document.querySelector('#row-{order_id} [data-column=distance]')"
    await page.until(f"/^\\+\\d+.\\d+ %$/.test({cell}?.textContent ?? '')")
    await page.click(f"#row-{order_id} [data-column=act] button")
    badge = f"document.querySelector('#row-{order_id} .badge')?.textContent"
    await page.until(f"{badge} === 'cancelled'")


async def test_the_price_of_a_sniper_is_entered_in_either_direction(
    engine: Engine, page: Page
) -> None:
    await page.click("input[value=sniper] + span")
    await page.type("#amount", "1.5")
    await page.tab.select_option("#token-out", "NEW")
    unit = "document.getElementById('price-unit').selectedOptions[0].textContent"
    assert await page.eval(unit) == "SOL per NEW"
    await page.type("#max-price", "0.00008")
    await page.until(f"{text('max-price-hint')}.includes('= 12\u202f500 NEW for one SOL')")
    await page.tab.select_option("#price-unit", "out")
    await page.until("document.getElementById('max-price').value === '12500'")
    await page.type("#max-price", "1000000000")
    await page.click("#submit")
    await page.until("location.hash.startsWith('#/orders/')")
    order_id = str(await page.eval("location.hash.split('/')[2]"))
    order = (await engine.get(f"/api/orders/{order_id}")).body
    assert (order["minPrice"], order["maxPrice"]) == ("1000000000", None)


async def test_terms_are_amended_in_the_panel(engine: Engine, page: Page) -> None:
    order_id = await engine.submit(
        key="amended", type="limit", targetPrice="100000", amount="2", tokenOut="USDC"
    )
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.until(f"{STATUS} === 'watching'")
    await page.click("#amend")
    await page.type("#amend-price", "not a price")
    await page.click("#amend-save")
    await page.until(f"{text('amend-error')} !== ''")
    await page.type("#amend-price", "90000.5")
    await page.type("#amend-expiry", "2031-05-01T10:00")
    await page.click("#amend-save")
    await page.until("!document.getElementById('amend-form')")
    order = (await engine.get(f"/api/orders/{order_id}")).body
    assert (order["targetPrice"], order["expiresAt"][:8]) == ("90000.5", "2031-05-")
    await page.until("document.getElementById('order').textContent.includes('90\u202f000.5')")
    page.errors = [error for error in page.errors if "status of 400" not in error]
    await page.click("#cancel")
    await page.until(f"{STATUS} === 'cancelled'")


async def test_a_failed_order_shows_why_in_a_sentence_and_the_quotes_it_had(
    engine: Engine, page: Page
) -> None:
    order_id = await engine.submit(key="told", tokenOut="NOROUTE")
    await engine.ended([order_id])
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.until(f"{STATUS} === 'failed'")
    reason = "document.querySelector('#order .facts .reason')"
    await page.until(f"{reason}?.title === 'no-route'")
    assert "No route of pools connects the two tokens." in await page.eval(f"{reason}.textContent")
    row = f"document.querySelector('#row-{order_id} [data-column=result] .reason')"
    await page.until(f"{row}.title.startsWith('no-route: ')")
    await page.until("document.querySelectorAll('#order-quotes .refused li').length > 0")
    assert "No route" in await page.eval(text("order-quotes"))


async def test_fills_and_failures_are_told(engine: Engine, page: Page) -> None:
    toasts = "[...document.querySelectorAll('.toast')].map((toast) => toast.textContent)"
    order_id = await engine.submit(key="toasted", amount="1.5")
    await page.until(f"{toasts}.some((text) => text.startsWith('Filled: 1.5 SOL → '))")
    link = f"document.querySelector('.toast[href$=\"{order_id}\"]')"
    await page.until(f"{link} !== null")
    await engine.submit(key="toasted-failure", tokenOut="NOROUTE")
    await page.until(f"{toasts}.some((text) => text.startsWith('Failed, SOL → NOROUTE: No route'))")
    await page.click("#menu > summary")
    await page.tab.uncheck("#notify-toasts")
    await page.until(f"{toasts}.length === 0")
    other = await engine.submit(key="not-toasted")
    await engine.ended([other])
    await page.until(f"document.querySelector('#row-{other} .badge')?.textContent === 'confirmed'")
    assert await page.eval(f"{toasts}.length") == 0


async def test_many_fills_become_one_line_that_counts_and_opens_the_list(
    engine: Engine, page: Page
) -> None:
    await engine.ended(await engine.submit_many(25))
    toasts = "[...document.querySelectorAll('.toast')].map((toast) => toast.textContent)"
    # Of the storm, one line is left: those that were shown alone are counted in it.
    # It is clicked in the same step: it stays for some seconds only.
    alone = f"/^\\d+ orders confirmed$/.test({toasts}.at(0)) && {toasts}.length === 1"
    await page.until(f"{alone} && (document.querySelector('button.toast').click(), true)")
    await page.until(f"{text('status-chosen')} === 'confirmed'")
    await page.until("document.querySelectorAll('#body .badge:not(.confirmed)').length === 0")
    await page.until(f"{toasts}.length === 0")
    # What comes alone after it is told alone.
    order_id = await engine.submit(key="after-the-storm", amount="1.5")
    await page.until(f"document.querySelector('.toast[href$=\"{order_id}\"]') !== null")
    assert await page.barriers() == []


async def test_the_chart_has_axes_a_past_executions_and_targets(engine: Engine, page: Page) -> None:
    price = (await engine.get("/api/quotes?tokenIn=SOL&tokenOut=USDC&amount=1")).body["best"][
        "price"
    ]
    target = f"{float(price) * 1.02:.3f}"
    order_id = await engine.submit(
        key="charted", type="limit", targetPrice=target, tokenOut="USDC", amount="2"
    )
    await engine.ended([await engine.submit(key="dotted", tokenOut="USDC", amount="2")])
    await page.until(
        f"document.querySelector('#row-{order_id} .badge')?.textContent === 'watching'"
    )
    await page.click("[data-view=market]")
    chart = "#market-prices .chart-box"
    many = f"document.querySelectorAll('{chart} %s').length"
    await page.until(f"{many % 'path.line'} === 2 && {many % '.line-name'} === 2")
    await page.until(f"{many % '.tick'} > 6 && {many % '.dot-mark'} > 0")
    await page.until(f"{many % '.level'} > 0")
    await page.tab.hover(f"{chart} svg", position={"x": 400, "y": 100})
    tip = "document.querySelector('#market-prices .tip:not([hidden])')"
    await page.until(f"{tip}?.querySelectorAll('span').length === 2")
    await page.until("document.querySelectorAll('#market-depth path.line').length >= 2")
    # A later visit shows what the gateway has kept.
    pair = "/api/prices/history?tokenIn=SOL&tokenOut=USDC"
    points = (await engine.get(pair)).body["series"][0]["points"]
    await page.tab.reload()
    await page.until(f"document.querySelector('{chart} path.line') !== null")
    assert len(points) >= 1
    await engine.http.delete(f"{engine.url}/api/orders/{order_id}")


async def test_a_market_order_without_a_quote_is_placed_after_a_question(page: Page) -> None:
    await page.tab.route("**/api/quotes?*", lambda route: route.abort())
    await page.type("#amount", "1.5")
    await refused_then_accepted(page, "No quote now")
    page.errors = [error for error in page.errors if "net::ERR_" not in error]
