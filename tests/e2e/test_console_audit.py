"""The audit view of the console in a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Route

from tests.support.processes.browser import Page
from tests.support.processes.engine_up import Engine

BADGE = "document.querySelector('#audit-state .badge')?.textContent"
POSITION = "document.getElementById('audit-position').value"
WRONG = "document.getElementById('audit-position-error').textContent"


@pytest.fixture(autouse=True)
async def _one_audit_at_a_time(page: Page) -> AsyncIterator[None]:
    """The audit of the page before may still run: the gateway refuses this one's, which is asked
    again. The browser reports each refusal.
    """
    yield
    page.errors = [
        error for error in page.errors if not ("status of 503" in error and "/api/audit/" in error)
    ]


async def audited(engine: Engine, key: str) -> tuple[str, list[dict[str, Any]]]:
    """An order that has ended, and its events."""
    order_id = await engine.submit(key=key)
    await engine.ended([order_id])
    events = (await engine.get(f"/api/orders/{order_id}/events")).body["events"]
    return order_id, events


def same_text(selector: str, text: str) -> str:
    """Whether an element has this text."""
    return f"document.querySelector({json.dumps(selector)})?.textContent === {json.dumps(text)}"


async def test_a_position_is_entered_and_stepped_through_by_keyboard(
    engine: Engine, page: Page
) -> None:
    order_id, events = await audited(engine, "stepped-through")
    await page.eval(f"location.hash = '#/audit/{order_id}'")
    await page.until(f"{BADGE} === 'confirmed'")
    await page.type("#audit-position", f"{events[0]['position']:,}")
    await page.until(f"{BADGE} === 'pending'")
    assert await page.eval("document.getElementById('audit-at').value") == str(
        events[0]["position"]
    )
    await page.eval("document.getElementById('audit-next').focus()")
    await page.press("Enter")
    await page.until(f"{POSITION} === '{events[1]['position']}' && {BADGE} === 'routing'")
    await page.press("Enter")
    await page.until(f"{POSITION} === '{events[2]['position']}' && {BADGE} === 'building'")
    for button, status in (("#audit-back", "routing"), ("#audit-newest", "confirmed")):
        await page.click(button)
        await page.until(f"{BADGE} === '{status}'")


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "abc", "1e3", "99999999999999"])
async def test_an_invalid_position_is_refused_and_the_state_stays(
    engine: Engine, page: Page, text: str
) -> None:
    order_id, _ = await audited(engine, f"refused-{text}")
    await page.eval(f"location.hash = '#/audit/{order_id}'")
    await page.until(f"{BADGE} === 'confirmed'")
    await page.type("#audit-position", text)
    await page.until(f"{WRONG} !== ''")
    assert await page.eval(BADGE) == "confirmed"


async def test_a_time_is_picked_and_gives_its_position(engine: Engine, page: Page) -> None:
    _, events = await audited(engine, "picked-by-time")
    answer = await engine.get("/api/audit/state?at=" + events[-1]["timestamp"])
    await page.click("[data-view=audit]")
    await page.until("document.querySelector('#audit-state caption')")
    local = await page.eval(
        f"(() => {{ const t = new Date({json.dumps(events[-1]['timestamp'])});"
        " return new Date(t - 60000 * t.getTimezoneOffset()).toISOString().slice(0, 19); })()"
    )
    await page.tab.fill("#audit-position", "1")
    await page.tab.fill("#audit-when", local)
    await page.tab.dispatch_event("#audit-when", "change")
    await page.until(f"Number({POSITION}) >= {answer.body['position']}")
    await page.tab.fill("#audit-when", "2001-01-01T00:00:00")
    await page.tab.dispatch_event("#audit-when", "change")
    await page.until(f"{WRONG} === 'Nothing had happened at that time.'")


async def test_the_timeline_leads_to_the_order_as_it_was(engine: Engine, page: Page) -> None:
    order_id, events = await audited(engine, "as-it-was")
    await page.eval(f"location.hash = '#/orders/{order_id}'")
    await page.click("#steps li:nth-child(2) a.moment")
    await page.until(f"{POSITION} === '{events[1]['position']}' && {BADGE} === 'routing'")
    await page.until(f"location.hash === '#/audit/{order_id}/{events[1]['position']}'")


async def test_two_positions_of_an_order_are_compared(engine: Engine, page: Page) -> None:
    order_id, events = await audited(engine, "compared")
    await page.eval(f"location.hash = '#/audit/{order_id}/{events[-1]['position']}'")
    await page.until(f"{BADGE} === 'confirmed'")
    await page.type("#audit-compare", str(events[0]["position"]))
    row = (
        "[...document.querySelectorAll('#audit-state tbody tr')].map((r) =>"
        " [...r.cells].map((c) => c.textContent).join('|'))"
    )
    await page.until(f"{row}.includes('status|pending|confirmed')")
    assert not any(line.startswith("amount|") for line in await page.eval(row))
    await page.type("#audit-compare", str(events[-1]["position"]))
    await page.until("document.getElementById('audit-same')")


async def test_two_positions_of_all_orders_are_compared(engine: Engine, page: Page) -> None:
    _, events = await audited(engine, "all-compared")
    first, last = events[0]["position"], events[-1]["position"]
    # Before the page asks: the gateway runs one audit at a time.
    states = [(await engine.get(f"/api/audit/state?at={at}")).body for at in (first, last)]
    await page.click("[data-view=audit]")
    await page.type("#audit-order", "")
    await page.type("#audit-position", str(last))
    await page.type("#audit-compare", str(first))
    change = states[1]["statuses"]["confirmed"] - states[0]["statuses"].get("confirmed", 0)
    row = "[...document.querySelectorAll('#audit-state tr')].find((r) => r.cells[0].textContent === 'confirmed')"  # noqa: E501
    await page.until(f"{row}?.cells.length === 4")
    assert await page.eval(f"{row}.cells[3].textContent") == f"+{change}"


async def test_counts_stand_beside_their_labels(engine: Engine, page: Page) -> None:
    await audited(engine, "beside")
    await page.click("[data-view=audit]")
    await page.type("#audit-order", "")
    await page.until("document.querySelector('#audit-state td.n')")
    apart = (
        "(() => { const r = document.querySelector('#audit-state tbody tr');"
        " const text = document.createRange(); text.selectNodeContents(r.cells[1]);"
        " return text.getBoundingClientRect().left"
        " - r.cells[0].querySelector('.badge').getBoundingClientRect().right; })()"
    )
    assert 0 < await page.eval(apart) < 400


FINDINGS = [
    {"store": "archive", "code": "gap", "position": 2, "key": None, "orderId": None,
     "detail": "the next event is at 3", "mend": "engine repair"},
    {"store": "log", "code": "entry", "position": None, "key": "oee:{0}:log", "orderId": None,
     "detail": "damaged <b>bytes</b>", "mend": ""},
]  # fmt: skip


async def test_findings_of_a_verification_are_a_table_that_leads_to_their_positions(
    engine: Engine, page: Page
) -> None:
    await audited(engine, "listed")
    verdict = {
        "sound": False, "firstBadPosition": 2, "events": 9, "orders": 2, "archivedThrough": 9,
        "head": 9, "acceptedLosses": [], "problemCount": 5, "problems": FINDINGS,
    }  # fmt: skip

    async def broken(route: Route) -> None:
        body = f"event: result\ndata: {json.dumps(verdict)}\n\n"
        await route.fulfill(body=body, content_type="text/event-stream")

    await page.tab.route("**/api/audit/verify", broken)
    await page.click("[data-view=audit]")
    await page.click("#verify")
    await page.until(
        same_text("#verify-status", "BROKEN, first at position 2: 5 findings.")
        + " && document.querySelectorAll('#findings tbody tr').length === 2"
    )
    text = await page.eval("document.getElementById('findings').innerText")
    for part in ("gap", "the next event is at 3", "engine repair", "<b>bytes</b>", "3 more"):
        assert part in text
    await page.click("#findings button")
    await page.until(f"{POSITION} === '2'")


async def test_a_sound_verification_shows_no_table(engine: Engine, page: Page) -> None:
    await audited(engine, "sound")
    await page.click("[data-view=audit]")
    await page.click("#verify")
    await page.until("document.getElementById('verify-status').textContent.startsWith('Sound')")
    assert await page.eval("document.getElementById('findings').hidden")


async def test_a_proof_is_offered_for_an_order_only_and_its_last_hash_is_copied(
    engine: Engine, page: Page
) -> None:
    order_id, events = await audited(engine, "hash-copied")
    await page.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.click("[data-view=audit]")
    await page.type("#audit-order", "")
    await page.until("document.getElementById('proof').disabled")
    await page.type("#audit-order", "no order")
    await page.until("document.getElementById('audit-order-error').textContent !== ''")
    assert await page.eval("document.getElementById('proof').disabled")
    await page.type("#audit-order", order_id)
    await page.until("!document.getElementById('proof').disabled")
    await page.until(same_text("#last-hash", events[-1]["hash"]))
    await page.click("#copy-hash")
    await page.until(same_text("#copy-hash", "Copied"))
    assert await page.eval("navigator.clipboard.readText()") == events[-1]["hash"]
