"""The engine view of the console in a real browser: what an operator sees and does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Route

from tests.support.processes.browser import Page
from tests.support.processes.engine_up import Engine

Json = dict[str, Any]


def cells(box: str, row: str) -> str:
    """The texts of the cells of a row, by what its first cell says."""
    return (
        f"([...document.querySelectorAll('#{box} tbody tr')].find((row) =>"
        f" row.cells[0].textContent === {json.dumps(row)})?.cells ?? [])"
    )


def texts(box: str, row: str) -> str:
    """The same as an array."""
    return f"[...{cells(box, row)}].map((cell) => cell.textContent)"


def shows(box: str, text: str) -> str:
    """Whether a text stands in an element."""
    return f"document.getElementById('{box}').textContent.includes({json.dumps(text)})"


async def changed(page: Page, pattern: str, change: Callable[[Json], Json]) -> None:
    """Answers of the gateway are changed before the page gets them."""

    async def answer(route: Route) -> None:
        given = await route.fetch()
        await route.fulfill(response=given, json=change(await given.json()))

    await page.tab.route(pattern, answer)


def with_router(lag: Json) -> Callable[[Json], Json]:
    """The lag of the router in an answer of /readyz."""

    def change(ready: Json) -> Json:
        ready["lag"]["stages"]["router"] = lag
        return ready

    return change


async def test_paced_orders_show_their_number_their_age_and_the_next_start(page: Page) -> None:
    lag = {"orders": 63, "waiting": 60, "seconds": 42.5, "reasons": {"pacing": 60, "queue": 3}}
    await changed(page, "**/readyz", with_router(lag))
    until = (datetime.now(UTC) + timedelta(minutes=50)).isoformat()

    def page_of(answer: Json) -> Json:
        order = {"orderId": "x", "status": "pending"}
        later = order | {"waiting": {"reason": "backoff", "until": "2020-01-01T00:00:00Z"}}
        return {
            "orders": [later, order | {"waiting": {"reason": "pacing", "until": until}}],
            "nextCursor": None,
        }

    await changed(page, "**/api/orders?*status=pending*", page_of)
    await page.click("[data-view=engine]")
    await page.until(
        "document.getElementById('pacing').textContent.startsWith("
        "'Pacing: 60 waiting, next in 49 min ')"
    )
    row = texts("stages", "router")
    assert await page.eval(f"{row}.slice(2, 5)") == [
        "63",
        "42.5 s",
        "60 orders per minute, 3 in the queue",
    ]
    await page.until(shows("flow", "63 wait, 42 s") + " || " + shows("flow", "63 wait, 43 s"))


@pytest.mark.parametrize(
    ("lag", "shown"),
    [
        ({"orders": 2, "waiting": 1, "seconds": None, "reasons": {"halt": 2}},
         ["2", "unknown", "2 halt"]),
        ({"orders": 2, "waiting": 1, "seconds": 3700.0}, ["2", "1 h 1 min", "1 for their time"]),
        ({"orders": 0, "waiting": 0, "seconds": 0, "reasons": {}}, ["0", "\u2013", ""]),
        ({"orders": 1, "waiting": 1, "seconds": 7, "reasons": {"new": 1}}, ["1", "7.0 s", "1 new"]),
    ],
    ids=["age unknown", "no reasons given", "nothing waits", "a reason of a newer engine"],
)  # fmt: skip
async def test_a_stage_shows_what_is_known_of_its_backlog(
    page: Page, lag: Json, shown: list[str]
) -> None:
    await changed(page, "**/readyz", with_router(lag))
    await page.click("[data-view=engine]")
    row = f"{texts('stages', 'router')}.slice(2, 5).join('|')"
    await page.until(f"{row} === {json.dumps('|'.join(shown))}")
    assert await page.eval("document.getElementById('pacing').hidden")


async def test_the_wait_before_the_router_is_measured_apart_from_the_router(
    engine: Engine, page: Page
) -> None:
    await page.click("[data-view=engine]")
    await engine.ended(await engine.submit_many(5))
    for step in ("wait before the router", "router", "POST to confirmed"):
        await page.until(f"Number({texts('latency', step)}[1]) >= 5")


async def test_a_parked_order_counts_at_its_stage_and_is_linked(engine: Engine, page: Page) -> None:
    order_id = await engine.submit(key="seen-as-parked")
    await engine.ended([order_id])

    def parked(answer: Json) -> Json:
        for order in answer["orders"]:
            if order["orderId"] == order_id:
                order |= {"status": "building", "parked": "worker-died", "signature": None}
        return answer

    await changed(page, "**/api/orders?*", parked)
    await changed(page, "**/readyz", lambda ready: ready | {"parked": 1})
    await page.tab.reload()
    await page.eval("location.hash = '#/engine'")
    await page.until(f"{texts('stages', 'builder')}[5] === '1'")
    assert await page.eval(f"{texts('stages', 'router')}[5]") == "0"
    link = f'#trouble a[href="#/orders/{order_id}"]'
    await page.until(f"document.querySelector({json.dumps(link)})")
    await page.eval(f"document.querySelector({json.dumps(link)}).focus()")
    await page.press("Enter")
    await page.until(f"location.hash === '#/orders/{order_id}'")


async def test_orders_that_are_not_loaded_are_counted_below_the_list(page: Page) -> None:
    await changed(page, "**/readyz", lambda ready: ready | {"parked": 7})
    await page.click("[data-view=engine]")
    await page.until(shows("trouble", "more are not listed here"))
    await page.until(f"{texts('stages', 'builder')}[5] === '\u2013'")


async def test_the_engine_is_halted_with_a_reason_and_resumed_by_keyboard(
    engine: Engine, page: Page
) -> None:
    await page.click("[data-view=engine]")
    await page.until("!document.getElementById('engine-halt').hidden")
    await page.eval("document.getElementById('engine-halt').focus()")
    await page.press("Enter")
    await page.until("document.getElementById('ask-dialog').open")
    await page.press("Escape")
    await page.until("!document.getElementById('ask-dialog').open")
    assert (await engine.get("/readyz")).body["halted"] is None
    await page.click("#engine-halt")
    await page.type("#ask-reason", "odd prices seen")
    await page.press("Enter")
    await page.until(shows("banner", "odd prices seen"))
    await page.until("!document.getElementById('engine-resume').hidden")
    assert await page.eval("document.getElementById('engine-halt').hidden")
    await page.click("#engine-resume")
    await page.click("#ask-yes")
    await page.until("document.getElementById('banner').hidden")
    assert (await engine.get("/readyz")).body["halted"] is None


async def test_the_flow_connects_every_part(page: Page) -> None:
    await page.click("[data-view=engine]")
    await page.until("document.querySelector('#flow .arrow')")
    arrows = await page.eval(
        "[...document.querySelectorAll('#flow .arrow')].map((e) => [e.dataset.from, e.dataset.to])"
    )
    assert sorted(map(tuple, arrows)) == [
        ("builder", "projector"),
        ("builder", "submitter"),
        ("confirmer", "projector"),
        ("gateway", "router"),
        ("gateway", "watcher"),
        ("router", "builder"),
        ("submitter", "confirmer"),
        ("submitter", "projector"),
        ("watcher", "projector"),
        ("watcher", "router"),
    ]


async def test_each_reason_has_a_remedy(page: Page) -> None:
    wrong = {
        "reasons": {"router": "its workers have been silent", "odd": "something new"},
        "codes": {"router": "stage-silent", "odd": "a-new-code"},
    }
    await changed(page, "**/readyz", lambda ready: ready | wrong)
    await page.click("[data-view=engine]")
    await page.until(f"{texts('reasons', 'router')}[2] === 'StageSilent'")
    assert await page.eval(f"{texts('reasons', 'odd')}[3]") == "Run engine doctor."


async def test_failed_orders_are_counted_with_their_reason(engine: Engine, page: Page) -> None:
    order_id = await engine.submit(
        key="fails", amount="150", swapMode="exactOut", maxAmountIn="0.001", tokenOut="USDC"
    )
    await engine.ended([order_id])
    await page.click("[data-view=engine]")
    await page.until(f"Number({texts('failures', 'Orders failed')}[1]) >= 1")
    reason = (await engine.get(f"/api/orders/{order_id}")).body["reason"]
    await page.until(f"document.querySelector('#failures [title=\"{reason}\"]')")
    await page.until(f"{texts('failures', 'Answers 5xx of this gateway')}[2].endsWith('a minute')")


async def test_version_uptime_nodes_slot_wallet_and_restarts_are_shown(
    engine: Engine, page: Page
) -> None:
    chain = {
        "transactionVersion": 1, "buildsVersion": 1, "consensus": "alpenglow",
        "commitment": "finalized", "slotMs": 214, "slot": 312345678,
        "nodes": [{"host": "one.example", "detail": ""}, {"host": "two.example", "detail": "429"}],
        "walletLamports": 1500000000,
    }  # fmt: skip
    known = {"chain": chain, "restarts": {"router": 2}}
    await changed(page, "**/readyz", lambda ready: ready | known)
    await page.click("[data-view=engine]")
    for text in ("312\u202f345\u202f678", "one.example: ok", "two.example: 429", "1.5 SOL"):
        await page.until(shows("backends", text))
    version = (await engine.get("/readyz")).body["version"]
    for text in (version, "router: 2"):
        await page.until(shows("processes", text))
    await page.until("document.querySelector('#processes time')")


async def test_a_red_state_leads_to_its_row_of_the_runbook(page: Page) -> None:
    wrong = {
        "status": "degraded",
        "reasons": {"builder": "its workers are silent"},
        "codes": {"builder": "stage-silent"},
        "parked": 3,
    }
    await changed(page, "**/readyz", lambda ready: ready | wrong)
    row = "document.getElementById('alert-StageSilent')"
    await page.until("document.querySelector('#banner a') !== null")
    await page.click("#banner a")
    await page.until(
        f"location.hash === '#/engine/StageSilent' && document.activeElement === {row}"
    )
    assert "engine alive" in await page.eval(f"{row}.textContent")
    places = ("#banner", "#stages", "#reasons", "#flow")
    for place in places:
        await page.until(f"document.querySelector('{place} a[href$=StageSilent]') !== null")
    await page.until("document.querySelector('#tiles a[href$=OrdersParked]') !== null")
    assert await page.barriers() == []


async def test_a_wallet_with_little_sol_is_red(page: Page) -> None:
    chain = {
        "transactionVersion": 1, "buildsVersion": 1, "consensus": "alpenglow",
        "commitment": "finalized", "slotMs": 214, "walletLamports": 49_999_999,
    }  # fmt: skip
    await changed(page, "**/readyz", lambda ready: ready | {"chain": chain})
    await page.click("[data-view=engine]")
    tile = "[...document.querySelectorAll('.tile.trouble')].map((one) => one.textContent).join()"
    await page.until(f"{tile}.includes('Wallet0.05 SOLWhat to do')")
    chain["walletLamports"] = 1_500_000_000
    await page.until("document.getElementById('tiles').textContent.includes('Wallet1.5 SOL')")
    await page.until(f"!{tile}.includes('Wallet')")
