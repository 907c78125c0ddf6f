"""The list beyond what is loaded: the server searches with the filters of its list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Route

from tests.support.processes.browser import LIVE, Page
from tests.support.processes.engine_up import Engine

ROWS = "document.querySelectorAll('#body .row').length"
STATUS = "document.getElementById('older-status').textContent"
Query = dict[str, str]


@pytest.fixture
async def asked(page: Page) -> AsyncIterator[list[Query]]:
    """What the page asks the server; nothing is loaded by itself, as if all orders were old."""
    queries: list[Query] = []

    async def serve(route: Route) -> None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(route.request.url).query).items()}
        if set(query) == {"limit"}:  # the newest orders
            return await route.fulfill(json={"orders": [], "nextCursor": "x"})
        if query.get("cursor") == "x":
            return await route.abort()
        if filters := {k: v for k, v in query.items() if k not in ("limit", "cursor")}:
            queries.append(filters)
        return await route.continue_()

    await page.tab.route("**/api/orders?*", serve)
    await page.tab.route("**/api/events", lambda route: route.abort())
    await page.tab.reload()
    await page.until("document.getElementById('count').textContent.includes('newest')")
    await page.until("document.querySelectorAll('#token-in option').length > 2")
    yield queries
    page.errors = [error for error in page.errors if "net::ERR_" not in error]


async def choose(page: Page, *names: str) -> None:
    """Chooses statuses in their menu."""
    await page.click("#status-menu > summary")
    for name in names:
        await page.click(f"#status-list label:has([value='{name}'])")
    await page.press("Escape")
    await page.until("!document.getElementById('status-menu').open")


def row(order_id: str) -> str:
    return f"document.getElementById('row-{order_id}') !== null"


async def test_several_statuses_are_searched_at_once(
    engine: Engine, page: Page, asked: list[Query]
) -> None:
    rests = await engine.submit(key="s1", clientOrderId="s1", type="limit", targetPrice="90000")
    fails = await engine.submit(key="s2", clientOrderId="s2", tokenOut="NOROUTE")
    await engine.ended([fails])
    await engine.until(lambda: engine._statuses.get(rests) == "watching")
    await choose(page, "watching", "failed")
    await page.until(f"{row(rests)} && {row(fails)}")
    assert {"status": "watching,failed"} in asked
    assert await page.eval("document.getElementById('status-chosen').textContent") == (
        "watching, failed"
    )
    await page.until("document.querySelectorAll('#body .confirmed').length === 0")
    await page.click("#status-menu > summary")
    await page.click("#status-clear")
    await page.until("document.getElementById('status-chosen').textContent === 'All statuses'")
    await engine.http.delete(f"{engine.url}/api/orders/{rests}")


async def test_open_parked_and_in_doubt_are_asked_as_the_api_has_them(
    engine: Engine, page: Page, asked: list[Query]
) -> None:
    rests = await engine.submit(key="s3", type="limit", targetPrice="90000")
    await engine.until(lambda: engine._statuses.get(rests) == "watching")
    await page.click("#tabs [data-tab=open]")
    await page.until(row(rests))
    assert {"open": "true"} in asked
    await page.click("#tabs [data-tab=all]")
    await choose(page, "parked", "in doubt")
    await page.until(f"{STATUS} === 'The server has no more.'")
    assert {"parked": "true"} in asked
    assert {"inDoubt": "true"} in asked
    await engine.http.delete(f"{engine.url}/api/orders/{rests}")


async def test_words_become_the_filters_of_the_server(
    engine: Engine, page: Page, asked: list[Query]
) -> None:
    order_id = await engine.submit(key="s4", clientOrderId="Desk-7", tokenOut="BONK")
    await engine.ended([order_id])
    await page.type("#search", "bonk Desk-7 confirmed market")
    await page.until(row(order_id))
    assert asked[-1] == {
        "token": "BONK", "clientOrderId": "Desk-7", "status": "confirmed", "type": "market",
    }  # fmt: skip
    await page.type("#search", "no-such-name")
    await page.until(f"{STATUS}.includes('no order with the client order ID no-such-name')")
    await page.type("#search", "two words")
    await page.until(f"{STATUS}.startsWith('The server searches one client order ID')")


async def test_an_id_is_read_directly_and_one_that_is_unknown_is_told(
    engine: Engine, page: Page, asked: list[Query]
) -> None:
    order_id = await engine.submit(key="s5")
    await engine.ended([order_id])
    await page.type("#search", order_id)
    await page.until(row(order_id))
    await page.type("#search", order_id.replace(order_id[:2], "02", 1))
    await page.until(f"{STATUS} === 'The server has no such order.'")
    assert asked == []
    page.errors = [error for error in page.errors if "status of 404" not in error]


async def test_days_are_searched_from_their_beginning_to_their_end(
    engine: Engine, page: Page, asked: list[Query]
) -> None:
    order_id = await engine.submit(key="s6")
    await engine.ended([order_id])
    await page.click("#more-filters > summary")
    today = await page.eval(
        "(() => {const d = new Date(); d.setMinutes(d.getMinutes() - d.getTimezoneOffset());"
        " return d.toISOString().slice(0, 10)})()"
    )
    await page.type("#from", today)
    await page.type("#to", today)
    await page.until(row(order_id))
    assert int(asked[-1]["to"]) - int(asked[-1]["from"]) >= 23 * 3_600_000
    await page.press("Escape")
    await page.until("document.activeElement === document.querySelector('#more-filters > summary')")


async def test_further_pages_of_a_search_are_read_on_demand(engine: Engine, page: Page) -> None:
    ids = [await engine.submit(key=f"page-{n}", tokenOut="JUP") for n in range(3)]
    await engine.ended(ids)

    async def one_by_one(route: Route) -> None:
        if "token=JUP" in route.request.url:
            return await route.continue_(url=route.request.url.replace("limit=500", "limit=2"))
        if "cursor=x" in route.request.url:
            return await route.abort()
        return await route.fulfill(json={"orders": [], "nextCursor": "x"})

    await page.tab.route("**/api/orders?*", one_by_one)
    await page.tab.route("**/api/events", lambda route: route.abort())
    await page.tab.reload()
    await page.until("document.querySelectorAll('#token-in option').length > 2")
    await page.type("#search", "jup")
    await page.until(f"{ROWS} === 2 && !document.getElementById('older').disabled")
    await page.click("#older")
    await page.until(f"{ROWS} >= 3")
    page.errors = [error for error in page.errors if "net::ERR_" not in error]


async def test_a_search_that_the_server_refuses_can_be_repeated(
    engine: Engine, page: Page, asked: list[Query]
) -> None:
    order_id = await engine.submit(key="s7", clientOrderId="s7")
    await engine.ended([order_id])
    refuse = True

    async def serve(route: Route) -> None:
        problem = {"title": "Unavailable", "status": 503, "detail": "Postgres does not answer"}
        await (route.fulfill(status=503, json=problem) if refuse else route.continue_())

    await page.tab.route("**/api/orders?*clientOrderId*", serve)
    await page.type("#search", "s7")
    await page.until(f"{STATUS} === 'Postgres does not answer'")
    refuse = False
    await page.click("#older")
    await page.until(row(order_id))
    assert asked == []  # the other route answered
    page.errors = [error for error in page.errors if "status of 503" not in error]


async def test_menus_close_with_escape_and_elsewhere(page: Page) -> None:
    await page.until(LIVE)
    opened = "document.querySelectorAll('details.menu[open], details.more[open]').length"
    for clicked, state in (
        ("#menu > summary", f"{opened} === 1"),
        (
            "#status-menu > summary",
            f"{opened} === 1 && document.getElementById('status-menu').open",
        ),
        ("#orders-title", f"{opened} === 0"),
    ):
        await page.click(clicked)
        await page.until(state)
