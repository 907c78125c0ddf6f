"""A redraw of the console takes nothing away: focus, selection, scroll position, presses, text."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from playwright.async_api import Route

from tests.support.processes.browser import Page
from tests.support.processes.engine_up import Engine

STATUS = "document.querySelector('#order .badge')?.textContent"
ACTIVE = "document.activeElement === window.held"
FOCUSED = "window.held = document.querySelector(%s), window.held?.focus(), " + ACTIVE
COUNT = "document.getElementById('count').textContent"
HELD_BACK = (
    f"Number({COUNT}.match(/The list stays while you point at it: (.*) new/)?.[1]"
    ".replace(/[^0-9]/g, ''))"
)
TARGET = """([...document.querySelectorAll('#order dt')]
    .find((term) => term.textContent === 'Target price')?.nextSibling.textContent ?? '')"""


async def waiting(engine: Engine, key: str, **fields: Any) -> str:
    """An order that rests until it is cancelled."""
    terms = {"type": "limit", "targetPrice": "100000", "amount": "2"} | fields
    order_id = await engine.submit(key=f"{key}-{uuid.uuid4()}", **terms)
    await engine.until(lambda: engine._statuses.get(order_id) == "watching")
    return order_id


async def named(engine: Engine, tag: str, numbers: Iterable[int]) -> list[str]:
    """New orders that a search for the tag shows."""
    return await asyncio.gather(
        *(engine.submit(key=f"{tag}-{n}", clientOrderId=f"{tag}-{n}") for n in numbers)
    )


async def amended(engine: Engine, order_id: str, price: str) -> None:
    version = (await engine.get(f"/api/orders/{order_id}")).body["version"]
    change = {"version": version, "targetPrice": price}
    async with engine.http.patch(f"{engine.url}/api/orders/{order_id}", json=change) as answer:
        assert answer.status == 200


async def cancelled(engine: Engine, order_id: str) -> None:
    await engine.http.delete(f"{engine.url}/api/orders/{order_id}")
    await engine.ended([order_id])


@pytest.fixture
async def moving(page: Page) -> Page:
    """A page to which each answer of /readyz tells another backlog."""
    numbers = itertools.count(1)

    async def answer(route: Route) -> None:
        given = await route.fetch()
        ready = await given.json()
        number = next(numbers)
        lag = {"orders": number, "waiting": number, "seconds": number, "reasons": {"pacing": 1}}
        ready["lag"]["stages"]["builder"] = ready["lag"]["stages"]["router"] = lag
        ready |= {"parked": number, "reasons": {"builder": f"silent since {number} s"}}
        ready |= {"codes": {"builder": "stage-silent"}, "status": "degraded"}
        await route.fulfill(response=given, json=ready)

    await page.tab.route("**/readyz", answer)
    await page.click("[data-view=engine]")
    return page


SHOWN = """Number([...document.querySelectorAll('#stages tbody tr')]
    .find((row) => row.cells[0].textContent === 'builder')?.cells[2].textContent ?? 0)"""


@pytest.mark.parametrize(
    "place",
    ["#banner a", "#tiles a", "#reasons a", "#stages a", "#flow a", "#pacing a", "#stages"],
)
async def test_the_engine_view_keeps_the_focus_under_load(
    engine: Engine, moving: Page, place: str
) -> None:
    await moving.until(FOCUSED % json.dumps(place))
    # What is selected stays selected, too.
    await moving.eval("getSelection().selectAllChildren(document.querySelector('#stages th'))")
    chosen = await moving.eval("getSelection().toString()")
    before = await moving.eval(SHOWN)
    await engine.submit_many(20)
    await moving.until(f"{SHOWN} >= {before + 2}")
    assert await moving.eval(ACTIVE)
    assert await moving.eval("getSelection().toString()") == chosen


async def test_controls_that_take_turns_hand_the_focus_on(engine: Engine, page: Page) -> None:
    await page.click("[data-view=engine]")
    await page.until("!document.getElementById('engine-halt').hidden")
    await page.eval("document.getElementById('engine-halt').focus()")
    await page.press("Enter")
    await page.until("document.getElementById('ask-dialog').open")
    await page.tab.keyboard.type("by keyboard")
    await page.press("Enter")
    await page.until("document.activeElement.id === 'engine-resume'")
    await page.press("Enter")
    await page.until("document.getElementById('ask-dialog').open")
    await page.press("Enter")
    await page.until("document.activeElement.id === 'engine-halt'")
    assert (await engine.get("/readyz")).body["halted"] is None


async def test_the_order_panel_keeps_what_is_open_typed_selected_and_scrolled(
    engine: Engine, page: Page
) -> None:
    await page.window(1360, 600)
    order_id = await waiting(engine, "kept-in-the-panel")
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.until(f"{STATUS} === 'watching'")
    await page.click("#amend")
    await page.type("#amend-price", "12345.6")
    await page.click("#raw-summary")
    await page.eval("getSelection().selectAllChildren(document.querySelector('#steps li'))")
    chosen = await page.eval("getSelection().toString()")
    await page.eval("document.querySelector('#order details pre').focus()")
    await page.eval("window.held = document.activeElement")
    await page.eval("document.querySelector('#order details pre').scrollLeft = 30")
    scrolled = "document.getElementById('order').scrollTop"
    before = await page.eval(scrolled)
    await amended(engine, order_id, "90000")
    await page.until(f"{TARGET} === '90\u202f000 USDC/SOL'")
    await page.until("document.querySelectorAll('#steps li').length === 3")
    assert await page.eval(ACTIVE)
    # The browser may scroll by what a new step above takes, and never back to the top.
    assert await page.eval(scrolled) >= before > 0
    assert await page.eval("window.held.scrollLeft") == 30
    assert await page.eval("document.querySelector('#order details').open")
    assert await page.eval("document.getElementById('amend-price').value") == "12345.6"
    assert await page.eval("getSelection().toString()") == chosen
    # Nothing of it is there in another order.
    other = await waiting(engine, "not-kept-in-the-panel")
    await page.eval(f"location.hash = '#/orders/{other}'")
    await page.until(f"document.getElementById('order').textContent.includes({json.dumps(other)})")
    await page.until(f"{STATUS} === 'watching'")
    assert not await page.eval("document.querySelector('#order details').open")
    for each in (order_id, other):
        await cancelled(engine, each)


async def test_a_press_that_has_begun_is_not_taken_away(engine: Engine, page: Page) -> None:
    order_id = await waiting(engine, "pressed-in-the-panel")
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.until(f"{STATUS} === 'watching'")
    await page.tab.hover("#cancel")
    await page.tab.mouse.down()
    await amended(engine, order_id, "90000")
    await page.until(f"{TARGET} === '90\u202f000 USDC/SOL'")
    await page.tab.mouse.up()
    await page.until(f"{STATUS} === 'cancelled'")


async def test_rows_stay_under_the_pointer_while_orders_arrive(engine: Engine, page: Page) -> None:
    order_id = await waiting(engine, "pressed-in-the-list")
    button = f"#row-{order_id} [data-column=act] button"
    await page.until(f"document.querySelector({json.dumps(button)}) !== null")
    await page.tab.hover(button)
    await page.tab.mouse.down()
    top = f"document.getElementById('row-{order_id}').style.top"
    before = await page.eval(top)
    others = await engine.submit_many(5)
    await page.until(f"{HELD_BACK} >= 5")  # older orders may be being read still
    assert await page.eval(top) == before
    # A price, too, draws the rows again.
    await amended(engine, order_id, "90000")
    await engine.ended(others)
    await page.tab.mouse.up()
    await page.until(
        f"document.querySelector('#row-{order_id} .badge')?.textContent === 'cancelled'"
    )
    await page.tab.mouse.move(5, 5)
    await page.until(f"!{COUNT}.includes('stays')")
    await page.until(f"parseInt({top}) === {int(before.removesuffix('px')) + 5 * 40}")


async def test_a_click_right_after_the_rows_moved_does_nothing(page: Page) -> None:
    script = (
        "(async () => { const { Hold } = await import('/static/hold.js');"
        " const box = document.createElement('div'); const hold = new Hold(box, () => {});"
        " const before = hold.treacherous; hold.shifted(); const after = hold.treacherous;"
        " box.dispatchEvent(new Event('pointermove'));"
        " return [before, after, hold.treacherous, hold.on]; })()"
    )
    assert await page.eval(script) == [False, True, False, True]


@pytest.mark.parametrize("end", ["pointerup", "pointercancel", "contextmenu", "blur"])
async def test_rows_are_let_go_when_a_long_press_ends(page: Page, end: str) -> None:
    script = (
        "(async () => { const { Hold } = await import('/static/hold.js');"
        " const box = document.createElement('div'); let releases = 0;"
        " const hold = new Hold(box, () => { releases += hold.on ? 0 : 1; });"
        " box.dispatchEvent(new Event('pointerdown'));"
        " hold.until = 0; const pressed = hold.on;"  # the pointer has rested for long
        f" dispatchEvent(new Event('{end}'));"
        " await new Promise((done) => setTimeout(done, 50));"
        " return [pressed, hold.on, releases]; })()"
    )
    assert await page.eval(script) == [True, False, 1]


async def test_rows_that_are_read_stay_in_place_when_others_come_above(
    engine: Engine, page: Page
) -> None:
    tag = f"read-{uuid.uuid4().hex[:8]}"
    await engine.ended(await named(engine, tag, range(60)))
    await page.type("#search", tag)  # orders of others come and go as they like
    await page.until("document.getElementById('grid').getAttribute('aria-rowcount') === '61'")
    await page.eval("document.getElementById('grid').scrollTop = 800")
    await page.until("document.querySelector('#body .row[aria-rowindex=\"22\"]') !== null")
    read = await page.eval("document.querySelector('#body .row[aria-rowindex=\"22\"]').dataset.id")
    at = f"document.getElementById('row-{read}').getBoundingClientRect().top"
    before = await page.eval(at)
    others = await named(engine, tag, range(60, 63))
    await page.until(f"document.getElementById('row-{read}').ariaRowIndex === '25'")
    assert await page.eval(at) == before
    await engine.ended(others)
    # The keyboard's row stays in view at the top of the list, too.
    await page.eval("document.getElementById('grid').scrollTop = 0")
    await page.eval("document.getElementById('grid').focus()")
    await page.press("Home")
    await page.press("ArrowDown")
    await page.until("document.querySelector('#body .row.at')?.ariaRowIndex === '3'")
    before = await page.eval("document.querySelector('#body .row.at').getBoundingClientRect().top")
    await named(engine, tag, range(63, 66))
    await page.until("document.querySelector('#body .row.at')?.ariaRowIndex === '6'")
    shown = "document.querySelector('#body .row.at').getBoundingClientRect().top"
    assert await page.eval(shown) == before


async def test_the_market_keeps_the_values_under_the_pointer(engine: Engine, page: Page) -> None:
    await page.click("[data-view=market]")
    path = "document.querySelector('#market-prices path.line')?.getAttribute('d')"
    await page.until(f"{path} && document.querySelector('#market-depth details')")
    await page.click("#market-depth summary")
    await page.tab.hover("#market-prices .chart-box svg", position={"x": 400, "y": 100})
    tip = "document.querySelector('#market-prices .tip:not([hidden])')"
    await page.until(f"{tip}?.querySelectorAll('span').length === 2")
    await page.eval("window.held = document.querySelector('#market-prices svg')")
    before = await page.eval(path)
    await page.until(f"{path} !== {json.dumps(before)}")
    assert await page.eval(f"{tip} !== null && window.held.isConnected")
    assert await page.eval("document.querySelector('#market-depth details').open")


async def test_quotes_stay_selected_while_new_ones_arrive(page: Page) -> None:
    numbers = itertools.count(1)

    async def answer(route: Route) -> None:
        given = await route.fetch()
        body = await given.json()
        body["best"]["priceImpactBps"] = str(next(numbers))
        await route.fulfill(response=given, json=body)

    await page.tab.route("**/api/quotes?*amount=1.5*", answer)
    await page.type("#amount", "1.5")
    await page.until("document.querySelectorAll('#quotes .quote').length >= 2")
    await page.eval("getSelection().selectAllChildren(document.querySelector('#quotes h3'))")
    impact = "document.getElementById('impact').textContent"
    before = await page.eval(impact)
    await page.until(f"{impact} !== {json.dumps(before)}")
    assert await page.eval("getSelection().toString()") == "Every route now"


async def test_a_button_that_is_disabled_for_a_while_keeps_the_focus(page: Page) -> None:
    async def answer(route: Route) -> None:
        await route.fulfill(status=429, json={"code": "rate-limited", "detail": "too many"})

    await page.tab.route("**/api/orders/execute", answer)
    await page.type("#amount", "1.5")
    await page.until("document.querySelector('#outcome strong') !== null")
    await page.eval("document.getElementById('submit').focus()")
    await page.press("Enter")
    await page.until("document.getElementById('form-error').textContent !== ''")
    await page.until("document.activeElement.id === 'submit'")
    page.errors = [error for error in page.errors if "status of 429" not in error]


async def test_a_line_that_is_pointed_at_stays(engine: Engine, page: Page) -> None:
    first = await engine.submit(key=f"pointed-at-{uuid.uuid4()}", amount="1.5")
    link = f".toast[href$='{first}']"
    await page.tab.hover(link)
    await engine.ended(await engine.submit_many(10))
    await page.until("document.querySelector('button.toast') !== null")
    await page.click(link)
    await page.until(f"location.hash === '#/orders/{first}'")


async def test_the_nearest_targets_of_many_are_lines(engine: Engine, page: Page) -> None:
    price = (await engine.get("/api/quotes?tokenIn=SOL&tokenOut=USDC&amount=1")).body["best"][
        "price"
    ]
    near = await waiting(engine, "nearest", targetPrice=f"{float(price) * 1.03:.3f}")
    order = {"type": "limit", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}
    many = {"orders": [order | {"targetPrice": str(10**7 + n)} for n in range(60)]}
    answer = await engine.post(many, path="/api/orders/batch")
    assert answer.status == 202
    await page.eval("location.hash = '#/market'")
    await page.until(f"document.querySelector('#market-prices [data-order=\"{near}\"]') !== null")
    await page.until(
        "document.getElementById('targets-beyond').textContent.includes(' farther ones')"
    )
    for each in [near, *(result["orderId"] for result in answer.body["results"])]:
        await cancelled(engine, each)
