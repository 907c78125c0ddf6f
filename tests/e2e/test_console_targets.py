"""Targets of limit orders on the price chart, and what amounts are worth in USD."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Route

from tests.support.processes.browser import Page
from tests.support.processes.engine_up import Engine

ASK = "document.getElementById('ask-dialog').open"
RANGE = "document.querySelector('#market-form [name=range]')"
TEXT = "document.getElementById('ask-text').textContent"


def line(order_id: str) -> str:
    return f"document.querySelector('#market-prices [data-order=\"{order_id}\"]')"


def value(order_id: str) -> str:
    """The price at which a line stands."""
    return f"({line(order_id)}?.getAttribute('aria-valuetext') ?? '')"


async def market_price(engine: Engine) -> float:
    body = (await engine.get("/api/quotes?tokenIn=SOL&tokenOut=USDC&amount=1")).body
    return float(body["best"]["price"])


@pytest.fixture
async def target(engine: Engine, page: Page) -> AsyncIterator[str]:
    """An order whose target is a little above the market; the chart shows it."""
    price = f"{await market_price(engine) * 1.04:.3f}"
    order_id = await engine.submit(key=f"line-{price}", type="limit", targetPrice=price, amount="2")
    await engine.until(lambda: engine._statuses.get(order_id) == "watching")
    await page.eval("location.hash = '#/market'")
    await page.until(f"{line(order_id)} !== null")
    yield order_id
    await engine.http.delete(f"{engine.url}/api/orders/{order_id}")


async def amended(engine: Engine, order_id: str) -> str:
    order = (await engine.get(f"/api/orders/{order_id}")).body
    return str(order["targetPrice"])


async def gripped(engine: Engine, page: Page, order_id: str) -> tuple[str, float, float]:
    """Holds a line with the mouse: its target, and where it is held.

    A chart that is drawn before the press has it elsewhere: again then.
    """
    box = f"{line(order_id)}.querySelector('.grip').getBoundingClientRect().toJSON()"
    for _ in range(20):
        at = await page.eval(box)
        x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
        await page.tab.mouse.move(x, y)
        await page.tab.mouse.down()
        if await page.eval(f"{line(order_id)}.classList.contains('held')"):
            return await amended(engine, order_id), x, y
        await page.tab.mouse.up()
    raise AssertionError("the line cannot be held")


async def until_amended(engine: Engine, order_id: str) -> None:
    def told() -> bool:
        return any(f["event"] == "OrderAmended" and f["orderId"] == order_id for f in engine.frames)

    await engine.until(told)


async def pressed(page: Page, *keys: str) -> None:
    for key in keys:
        await page.press(key)


async def test_a_dragged_target_is_amended_after_a_question(
    engine: Engine, page: Page, target: str
) -> None:
    before, x, y = await gripped(engine, page, target)
    # A redraw between press and motion would move the line.
    await page.eval(f"{RANGE}.dispatchEvent(new Event('change', {{ bubbles: true }}))")
    await page.tab.mouse.move(x, y - 12, steps=4)
    await page.until(f"{line(target)}.classList.contains('moving')")
    assert "from the market" in await page.eval(value(target))
    await page.tab.mouse.up()
    await page.until(f"{ASK} && {TEXT}.includes('USDC for one SOL')")
    assert await page.barriers() == []
    await page.click("#ask-yes")
    await page.until(f"!{ASK}")
    await until_amended(engine, target)
    after = await amended(engine, target)
    assert float(after) > float(before)
    await page.until(f"{value(target)} === {json.dumps(after)}")


async def test_a_target_that_is_left_alone_returns_to_its_place(
    engine: Engine, page: Page, target: str
) -> None:
    before, x, y = await gripped(engine, page, target)
    await page.tab.mouse.move(x, y - 12, steps=4)
    await page.tab.mouse.up()
    await page.until(ASK)
    await page.click("#ask-no")
    await page.until(f"{value(target)} === {json.dumps(before)}")
    assert await amended(engine, target) == before


async def test_a_target_is_amended_with_the_keyboard_alone(
    engine: Engine, page: Page, target: str
) -> None:
    before = await amended(engine, target)
    await page.eval(f"{line(target)}.focus()")
    await pressed(page, "ArrowUp", "PageUp")
    await page.until(f"{value(target)}.includes('from the market')")
    await page.press("Escape")
    await page.until(f"{value(target)} === {json.dumps(before)}")
    # The focus stays on the line, though the chart was drawn again.
    await page.until(f"document.activeElement === {line(target)}")
    # Far below the market it would execute at once: the question warns of it.
    await pressed(page, *["PageDown"] * 8, "Enter")
    await page.until(f"{ASK} && {TEXT}.includes('executes at once')")
    await page.press("Escape")
    await page.until(f"!{ASK} && {value(target)} === {json.dumps(before)}")
    await page.until(f"document.activeElement === {line(target)}")
    await pressed(page, "ArrowUp", "Enter")
    await page.until(ASK)
    await page.press("Enter")
    await page.until(f"!{ASK}")
    await until_amended(engine, target)
    expected = float(before) * 1.001
    assert float(await amended(engine, target)) == pytest.approx(expected, rel=1e-4)


async def test_an_order_that_changed_meanwhile_is_not_amended(
    engine: Engine, page: Page, target: str
) -> None:
    async def conflict(route: Route) -> None:
        problem = {"title": "Conflict", "status": 409, "code": "version-conflict", "detail": "x"}
        await route.fulfill(status=409, json=problem)

    await page.tab.route(f"**/api/orders/{target}", conflict)
    await page.eval(f"{line(target)}.focus()")
    await pressed(page, "ArrowUp", "Enter")
    await page.until(ASK)
    await page.press("Enter")
    await page.until("document.getElementById('toasts').textContent.includes('was not amended')")
    page.errors = [error for error in page.errors if "status of 409" not in error]


async def test_a_target_far_away_is_named_below_the_chart(engine: Engine, page: Page) -> None:
    order_id = await engine.submit(key="far-line", type="limit", targetPrice="90000", amount="2")
    await engine.until(lambda: engine._statuses.get(order_id) == "watching")
    await page.eval("location.hash = '#/market'")
    link = f"document.querySelector('#targets-beyond a[href$=\"{order_id}\"]')"
    await page.until(f"{link}?.textContent === '90\u202f000 USDC'")
    await engine.http.delete(f"{engine.url}/api/orders/{order_id}")
    await page.until(f"{link} === null")


async def test_an_order_of_the_other_direction_is_a_line_in_the_prices_of_the_chart(
    engine: Engine, page: Page
) -> None:
    price = await market_price(engine) * 0.97
    order_id = await engine.submit(
        key="buys", type="limit", targetPrice=f"{1 / price:.9f}", tokenIn="USDC", tokenOut="SOL",
        amount="300",
    )  # fmt: skip
    await engine.until(lambda: engine._statuses.get(order_id) == "watching")
    await page.eval("location.hash = '#/market'")
    await page.until(f"{line(order_id)} !== null")
    shown = float(await page.eval(value(order_id)))
    assert shown == pytest.approx(price, rel=1e-4)
    await page.eval(f"{line(order_id)}.focus()")
    await pressed(page, "PageDown", "Enter")
    await page.until(f"{ASK} && {TEXT}.includes('SOL for one USDC')")
    await page.press("Enter")
    await page.until(f"!{ASK}")
    await until_amended(engine, order_id)
    # A lower price of the chart is a higher target of the order: it wants more SOL.
    assert float(await amended(engine, order_id)) == pytest.approx(1 / (price * 0.99), rel=1e-4)
    await engine.http.delete(f"{engine.url}/api/orders/{order_id}")


async def test_amounts_are_valued_by_the_quotes_of_the_engine(engine: Engine, page: Page) -> None:
    """Half the price of the answers: the page asks, and invents nothing."""

    async def answer(route: Route) -> None:
        response = await route.fetch()
        body: Any = await response.json()
        if "tokenIn=SOL" in route.request.url and body["best"]:
            body["best"]["price"] = "123.456"
        await route.fulfill(response=response, json=body)

    await page.tab.route("**/api/quotes?*", answer)
    await page.tab.reload()
    await page.until("document.querySelectorAll('#token-in option').length > 2")
    await page.type("#amount", "2")
    usd = "document.getElementById('amount-usd').textContent"
    await page.until(f"{usd} === '≈ $246.91'")
    await page.tab.select_option("#token-in", "NOROUTE")
    await page.until(f"{usd} === ''")
    rests = await engine.submit(key="valued", type="limit", targetPrice="80000", amount="1000")
    cell = f"document.querySelector('#row-{rests} [data-column=amount] .usd')?.textContent"
    await page.until(f"{cell} === '≈ $123\u202f456.00'")
    await engine.http.delete(f"{engine.url}/api/orders/{rests}")
    # What was paid is known exactly once it was.
    order_id = await engine.submit(key="paid", amount="1.5", tokenOut="USDC")
    await engine.ended([order_id])
    paid = (await engine.get(f"/api/orders/{order_id}")).body["amountOut"]
    cell = f"document.querySelector('#row-{order_id} [data-column=amount] .usd')?.textContent"
    await page.until(f"{cell} === '${int(float(paid) * 100) / 100:.2f}'")


async def test_without_quotes_nothing_is_valued(engine: Engine, page: Page) -> None:
    await page.tab.route("**/api/quotes?*", lambda route: route.abort())
    await page.tab.reload()
    await page.until("document.querySelectorAll('#token-in option').length > 2")
    await page.type("#amount", "2")
    order_id = await engine.submit(key="unvalued", type="limit", targetPrice="80000", amount="7")
    await page.until(f"document.querySelector('#row-{order_id} [data-column=amount] data')")
    await page.until("document.getElementById('quotes-error').textContent !== ''")
    assert await page.eval(f"document.querySelector('#row-{order_id} .usd')") is None
    assert await page.eval("document.getElementById('amount-usd').textContent") == ""
    await engine.http.delete(f"{engine.url}/api/orders/{order_id}")
    page.errors = [error for error in page.errors if "net::ERR_" not in error]
