"""The console in a real browser, before a whole engine: what a person does and sees."""

from __future__ import annotations

import base64
import json
import re

import pytest
from playwright.async_api import Route

from events.audit.proof import faults_of
from tests.support.processes.browser import LIVE, Page
from tests.support.processes.engine_up import Engine
from tests.support.waits import HANG_S

STATUS = "document.querySelector('#order .badge')?.textContent"
VIEWS = ("#/", "#/market", "#/engine", "#/audit")
WIDTHS = [(360, 740), (820, 1100), (1360, 860)]


async def shown_id(page: Page) -> str:
    await page.until("location.hash.startsWith('#/orders/')")
    return str(await page.eval("location.hash.split('/')[2]"))


async def test_an_order_is_quoted_placed_and_watched_until_it_is_confirmed(
    engine: Engine, page: Page
) -> None:
    await page.type("#amount", "1.5")
    await page.until("document.querySelector('#outcome strong')?.textContent.includes('USDC')")
    await page.until("document.querySelectorAll('#quotes .quote').length >= 2")
    assert await page.eval("document.querySelectorAll('#quotes .won').length") == 1
    await page.click("#submit")
    order_id = await shown_id(page)
    await page.until(f"{STATUS} === 'confirmed'")
    await page.until("document.querySelectorAll('#steps li').length === 6")
    await page.until("document.getElementById('chain')?.textContent.startsWith('Holds: 6 events')")
    order = (await engine.get(f"/api/orders/{order_id}")).body
    assert (order["status"], order["amountIn"]) == ("confirmed", "1.5")
    shown = await page.eval("document.getElementById('signature').textContent")
    assert shown == order["txHash"]
    row = f"document.getElementById('row-{order_id}')"
    await page.until(f"{row}.querySelector('.badge').textContent === 'confirmed'")


async def test_a_waiting_limit_order_is_cancelled(engine: Engine, page: Page) -> None:
    await page.click("input[value=limit] + span")
    await page.type("#amount", "2")
    await page.type("#target", "100000")
    await page.click("#submit")
    order_id = await shown_id(page)
    await page.until(f"{STATUS} === 'watching'")
    await page.click("#cancel")
    await page.until(f"{STATUS} === 'cancelled'")
    await page.until("!document.getElementById('cancel')")
    assert (await engine.get(f"/api/orders/{order_id}")).body["status"] == "cancelled"


FACT = """(name) => [...document.querySelectorAll('#order dt')]
    .find((term) => term.textContent === name)?.nextSibling.textContent ?? ''"""


def fact(name: str) -> str:
    """What the open order says of itself under this name."""
    return f"({FACT})({json.dumps(name)})"


async def test_an_open_order_shows_its_current_terms_and_keeps_the_focus(
    engine: Engine, page: Page
) -> None:
    await page.click("input[value=limit] + span")
    await page.type("#amount", "1.5")
    await page.type("#target", "100000")
    outcome = "document.getElementById('outcome').textContent"
    await page.until(f"{outcome}.includes('at least 150\u202f000 USDC, or nothing')")
    assert "Now it would bring" in await page.eval(outcome)
    await page.click("#submit")
    order_id = await shown_id(page)
    await page.until(f"{STATUS} === 'watching'")
    await page.until(f"{fact('Target price')} === '100\u202f000 USDC/SOL'")
    await page.eval("document.getElementById('cancel').focus()")
    url = f"{engine.url}/api/orders/{order_id}"
    change = {"version": 2, "targetPrice": "90000"}
    async with engine.http.patch(url, json=change) as answer:
        assert answer.status == 200
    await page.until(f"{fact('Target price')} === '90\u202f000 USDC/SOL'")
    assert await page.eval("document.activeElement.id") == "cancel"
    await page.click("#cancel")
    await page.until(f"{STATUS} === 'cancelled'")


async def test_an_exact_output_is_entered_in_the_output_token(engine: Engine, page: Page) -> None:
    order_id = await engine.submit(
        key="exact", amount="150", swapMode="exactOut", maxAmountIn="2", tokenOut="USDC"
    )
    await engine.ended([order_id])
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.until(f"{fact('Receive exactly')} === '150 USDC' && {fact('At most')} === '2 SOL'")
    assert await page.eval(fact("At least")) == ""
    await page.eval(f"location.hash = '#/audit/{order_id}'")
    await page.until(
        "document.getElementById('audit-state').textContent.includes('SOL → 150 USDC')"
    )


async def test_an_invalid_field_shows_its_error_and_no_order_is_placed(page: Page) -> None:
    await page.click("input[value=limit] + span")
    await page.type("#amount", "1.0000000001")
    await page.until("document.querySelector('[data-error=amount]').textContent !== ''")
    await page.type("#amount", "1")
    await page.click("#submit")
    await page.until("document.querySelector('[data-error=targetPrice]').textContent !== ''")
    assert await page.eval("document.activeElement.id") == "target"
    await page.type("#target", "-4")
    # Only the gateway knows this one: its answer is shown where it belongs.
    await page.click("#submit")
    await page.until("document.querySelector('[data-error=targetPrice]').textContent.length > 30"
                     " || document.getElementById('form-error').textContent !== ''")  # fmt: skip
    assert await page.eval("location.hash") in ("", "#/")
    page.errors = [error for error in page.errors if "status of 400" not in error]


async def test_after_a_restart_of_the_gateway_no_event_is_missing(
    engine: Engine, page: Page
) -> None:
    await page.eval("window.neverReloaded = true")
    before = await page.eval("document.getElementById('count').textContent")
    async with engine.without("gateway"):
        await page.until("document.getElementById('connection').dataset.state === 'down'")
    ids = await engine.submit_many(30)  # most of them before the page has come back
    await page.until(LIVE)
    await engine.ended(ids)
    await page.until(f"document.getElementById('count').textContent !== {json.dumps(before)}")
    rows = "[...document.querySelectorAll('#body .row')]"
    top = f"{rows}.filter((row) => {json.dumps(ids)}.includes(row.dataset.id))"
    await page.eval("document.getElementById('grid').scrollTop = 0")
    await page.until(f"{top}.length >= 15")
    await page.until(f"{top}.every((row) => row.textContent.includes('confirmed'))")
    await page.type("#search", ids[0])
    await page.until(f"{rows}.length === 1 && {rows}[0].textContent.includes('confirmed')")
    assert await page.eval("window.neverReloaded") is True
    # The browser reports each connection that failed: while the gateway was away, and while a
    # gateway that had just started refused with 503 because it had not read the log yet.
    page.errors = [error for error in page.errors if not re.search(r"net::ERR_|\b503\b", error)]


async def test_ten_thousand_events_are_a_few_rows_in_the_page_and_leak_no_memory(
    engine: Engine, page: Page
) -> None:
    order = {"type": "limit", "tokenIn": "SOL", "tokenOut": "BONK", "amount": "3"}
    orders = [order | {"targetPrice": str(10**12 + n)} for n in range(500)]
    for _ in range(10):
        assert (await engine.post({"orders": orders}, path="/api/orders/batch")).status == 202
    await page.type("#search", "BONK watching")
    await page.until("document.getElementById('grid').getAttribute('aria-rowcount') === '5001'")
    assert await page.eval("document.querySelectorAll('#body .row').length") < 60
    await page.eval("document.getElementById('grid').scrollTop = 1e7")
    await page.until("document.querySelector('#body .row[aria-rowindex=\"5001\"]')")
    assert await page.eval("document.querySelectorAll('#body .row').length") < 60
    assert await page.metric("Nodes") < 3_000  # of the document, and those not yet collected
    assert await page.metric("JSHeapUsedSize") < 20e6
    await page.type("#search", "no-such-order")
    await page.until("!document.getElementById('empty').hidden")
    # The pages of the tests that follow do not read them again.
    terms = {"all": "true", "reason": "the test is over"}
    while terms.get("cursor") != "":
        async with engine.http.delete(f"{engine.url}/api/orders", params=terms) as answer:
            terms["cursor"] = (await answer.json())["nextCursor"] or ""


async def test_amounts_are_sorted_as_numbers_exactly(engine: Engine, page: Page) -> None:
    amounts = ["9", "10", "0.5", "9.000000001", "9.00000001"]
    for amount in amounts:
        await engine.submit(key=f"sort-{amount}", amount=amount, clientOrderId=f"sorted-{amount}")
    await page.type("#search", "sorted-")
    await page.until("document.querySelectorAll('#body .row').length === 5")
    head = "#columns [data-column=amount]"
    await page.click(f"{head} button")
    await page.until(f"document.querySelector('{head}').ariaSort === 'descending'")
    # Shown with six digits, kept and sorted with all of them.
    shown = (
        "[...document.querySelectorAll('#body .row')].sort((a, b) => a.ariaRowIndex -"
        " b.ariaRowIndex).map((row) => row.querySelector('[data-column=amount] data').value).join()"
    )
    await page.until(f"{shown} === '10,9.00000001,9.000000001,9,0.5'")


async def test_the_keyboard_is_enough(engine: Engine, page: Page) -> None:
    await engine.submit(key="by-keyboard")
    await page.until("document.querySelectorAll('#body .row').length > 0")
    await page.eval("document.getElementById('grid').focus()")
    await page.press("ArrowDown")
    await page.until("document.getElementById('grid').hasAttribute('aria-activedescendant')")
    await page.press("Enter")
    await shown_id(page)
    await page.until("document.querySelectorAll('#steps li').length > 0")
    await page.press("Escape")
    await page.until("document.getElementById('order').hidden")
    assert await page.eval("document.activeElement.id") == "grid"
    await page.press("/")
    await page.until("document.activeElement.id === 'search'")


async def test_text_of_an_order_never_becomes_markup(engine: Engine, page: Page) -> None:
    name = "<img/src=x/onerror=alert(1)>"
    await engine.submit(key="markup", clientOrderId=name)
    await page.type("#search", name)
    await page.until("document.querySelectorAll('#body .row').length === 1")
    await page.click("#body .row")
    await page.until(f"document.getElementById('order').textContent.includes({json.dumps(name)})")
    assert await page.eval("document.querySelectorAll('main img').length") == 0


async def test_the_engine_view_shows_stages_and_a_halt(engine: Engine, page: Page) -> None:
    await page.click("[data-view=engine]")
    await page.until("document.querySelectorAll('#stages tbody tr').length === 5")
    await page.until("document.querySelector('#throughput path')")
    results = {"reason": "odd prices", "actor": "ann"}
    assert (await engine.post(results, path="/api/admin/halt")).status == 200
    await page.until("document.getElementById('banner').textContent.includes('odd prices')")
    assert (await engine.post(results, path="/api/admin/resume")).status == 200
    await page.until("document.getElementById('banner').hidden")


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1360, "light")])
async def test_the_console_has_no_accessibility_violations(
    engine: Engine, page: Page, width: int, scheme: str
) -> None:
    """By the rules of axe: names, contrast, order of headings, what a screen reader is told …"""
    await page.window(width, 900, scheme)
    order_id = await engine.submit(key=f"axe-{width}-{scheme}")
    await engine.ended([order_id])
    for view in (*VIEWS, f"#/orders/{order_id}"):
        await page.eval(f"location.hash = {json.dumps(view)}")
        await page.until(f"location.hash === {json.dumps(view)}")
        if view == "#/market":
            await page.until("document.querySelectorAll('#market-depth tbody tr').length > 0")
        assert await page.barriers() == [], view


async def test_the_market_shows_prices_and_depth_of_every_pool(page: Page) -> None:
    await page.click("[data-view=market]")
    await page.until("document.querySelectorAll('#market-prices tbody tr').length === 2")
    await page.until("document.querySelectorAll('#market-prices path.line').length === 2")
    # Two pools and the best route, in five sizes each.
    await page.until("document.querySelectorAll('#market-depth tbody td').length === 15")
    await page.tab.select_option("#market-form [name=tokenOut]", "SOL")
    await page.until("document.getElementById('market-status').textContent.includes('different')")


async def test_the_engine_view_measures_orders_by_their_events(engine: Engine, page: Page) -> None:
    await page.click("[data-view=engine]")
    await engine.ended(await engine.submit_many(5))
    whole = "[...document.querySelectorAll('#latency tbody th')].map((e) => e.textContent)"
    await page.until(f"{whole}.includes('POST to confirmed')")
    assert await page.eval("document.querySelectorAll('#flow .box').length") == 7


async def test_the_engine_view_counts_the_orders_of_the_engine_not_of_the_page(
    engine: Engine, page: Page
) -> None:
    order_id = await engine.submit(key="in-doubt", tokenOut="NEVER")
    await engine.until(lambda: engine._statuses[order_id] == "submitted")
    await page.eval("location.hash = '#/engine'")
    tile = "[...document.querySelectorAll('.tile')].find((one) => one.textContent.startsWith(%r))"
    await page.until(f"{tile % 'Parked'}.textContent === 'Parked0'")
    await page.until(f"/^In doubt\\d+$/.test({tile % 'In doubt'}.textContent)")


async def test_the_audit_view_shows_past_states_verification_and_proofs(
    engine: Engine, page: Page
) -> None:
    order_id = await engine.submit(key="audited")
    await engine.ended([order_id])
    await page.eval(f"location.hash = '#/audit/{order_id}'")
    await page.until("document.querySelector('#audit-state .badge')?.textContent === 'confirmed'")
    history = (await engine.get(f"/api/orders/{order_id}/events")).body["events"]
    await page.tab.fill("#audit-at", str(history[2]["position"]))
    await page.until("document.querySelector('#audit-state .badge')?.textContent === 'building'")
    await page.type("#audit-order", "")
    await page.until("document.querySelector('#audit-state caption')")
    await page.click("#verify")
    await page.until("document.getElementById('verify-status').textContent.startsWith('Sound')")
    await page.type("#audit-order", order_id)
    async with page.tab.expect_download(timeout=HANG_S * 1000) as download:
        await page.click("#proof")
    proof = json.loads((await (await download.value).path()).read_text())
    assert faults_of(proof) == []


@pytest.mark.parametrize(("width", "height"), WIDTHS)
async def test_no_view_overflows_the_window(page: Page, width: int, height: int) -> None:
    await page.window(width, height)
    await page.type("#amount", "250")
    await page.until("document.querySelector('#outcome strong')")
    for view in VIEWS:
        await page.eval(f"location.hash = {json.dumps(view)}")
        await page.until("document.querySelector('main').scrollWidth <= innerWidth")
        await page.until("document.documentElement.scrollWidth <= innerWidth")
        wide = (
            "[...document.querySelectorAll('.card, header, .tile')].filter((e) => e.offsetParent)"
            ".every((e) => e.getBoundingClientRect().right <= innerWidth)"
        )
        await page.until(wide)


async def test_a_tampered_hash_chain_is_shown_as_broken(engine: Engine, page: Page) -> None:
    order_id = await engine.submit(key="tampered")
    await engine.ended([order_id])

    async def tamper(route: Route) -> None:
        answer = await route.fetch()
        proof = await answer.json()
        body = bytearray(base64.b64decode(proof["events"][1]["body"]))
        body[-1] ^= 1
        proof["events"][1]["body"] = base64.b64encode(body).decode()
        await route.fulfill(response=answer, json=proof)

    await page.tab.route("**/proof", tamper)
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.until("document.getElementById('chain')?.textContent.startsWith('Broken at')")


WARNED = "document.querySelector('#order .warnings')?.textContent"


async def test_an_order_shows_its_warnings_fees_rent_and_fills(engine: Engine, page: Page) -> None:
    order_id = await engine.submit(key="accounted")
    await engine.ended([order_id])
    fill = {"pool": "P", "tokenIn": "SOL", "tokenOut": "USDC", "amountIn": "1.5"}
    accounts = {
        "warnings": [{"code": "pausable", "token": "USDC", "text": "Its authority may pause it."}],
        "feeLamports": 5821,
        "rentLamports": 114840,
        "fills": [
            fill | {"amountOut": "225.5"},
            fill | {"tokenIn": "USDC", "tokenOut": "RAY", "amountIn": None, "amountOut": "100"},
        ],
        "leftovers": [{"token": "USDC", "amount": "0.25"}],
    }

    async def account(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json=await answer.json() | accounts)

    await page.tab.route(f"**/api/orders/{order_id}", account)
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.until(f"{WARNED} === 'USDC pausable Its authority may pause it.'")
    for text in (
        "Network fee 5\u202f821 lamports",
        "Rent of token accounts left open 114\u202f840 lamports",
        "Swapped 1.5 SOL → 225.5 USDC",
        "Swapped ? USDC → 100 RAY",
        "Left between two swaps 0.25 USDC",
    ):
        await page.until(
            f"document.getElementById('order').textContent.includes({json.dumps(text)})"
        )


async def test_the_engine_view_shows_version_consensus_commitment_and_slot_time(page: Page) -> None:
    chain = {
        "transactionVersion": 1,
        "buildsVersion": 0,
        "consensus": "alpenglow",
        "commitment": "finalized",
        "slotMs": 214,
    }

    async def ready(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json=await answer.json() | {"chain": chain})

    await page.tab.route("**/readyz", ready)
    await page.click("[data-view=engine]")
    shown = "document.getElementById('backends').textContent"
    for text in ("alpenglow", "finalized", "v0 is built, the cluster takes v1", "214 ms"):
        await page.until(f"{shown}.includes({json.dumps(text)})")
