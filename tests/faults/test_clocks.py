"""Processes whose clocks are minutes apart from the log server's: its clock decides."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.support.processes.engine_up import Engine, engine_up
from tests.support.waits import until

HOOK = str(Path(__file__).parents[1] / "support" / "clocks")
AHEAD = {"gateway": 420, "router": -420, "builder": 180, "submitter": -180, "confirmer": 600,
         "watcher": -120, "projector": 300}  # fmt: skip
BEHIND = {name: -seconds for name, seconds in AHEAD.items()}
SLOTS_KEPT = 1500
"""A minute: less than any skew, and more than a machine stands still."""
SOON_S = (5, 30, 90)
"""Until an order expires. Where the machine stood still until then, it gets more time."""
LATER_S = 110
"""Less than any skew."""


def environ_of(skews: dict[str, int], **more: str) -> dict[str, str]:
    return {
        "PYTHONPATH": HOOK,
        "SKEWS": ",".join(f"{name}={seconds}" for name, seconds in skews.items()),
        **more,
    }


def warned(engine: Engine) -> set[str]:
    """The processes that logged a skew."""
    lines = (engine.settings.data_dir / "up.log").read_text().splitlines()
    skewed = [json.loads(line) for line in lines if '"clock_skewed"' in line]
    return {str(line["process"]) for line in skewed}


def in_ms(seconds: int) -> int:
    return int(time.time() * 1000) + 1000 * seconds


async def submit_short_lived(engine: Engine) -> tuple[str, int]:
    """A limit order that expires soon, and when."""
    body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5, "targetPrice": "1000000"}
    for seconds in SOON_S:
        soon_ms = in_ms(seconds)
        answer = await engine.post(body | {"type": "limit", "expiresAt": soon_ms})
        if answer.status == 202:
            engine.accepted.add(answer.body["orderId"])
            return answer.body["orderId"], soon_ms
        assert answer.body["code"] == "expires-at-past", answer
    raise AssertionError(f"no order was accepted within {seconds} s")


async def is_well(engine: Engine) -> bool:
    """Whether it is ready, and knows how long each stage has waited."""
    ready = (await engine.get("/readyz")).body
    ages = [stage["seconds"] for stage in ready["lag"]["stages"].values()]
    return ready["status"] == "ready" and all(age is not None and 0 <= age < 60 for age in ages)


async def work(engine: Engine) -> None:
    """Orders of all kinds of expiry; each ends as the log server's clock has it."""
    resting, soon_ms = await submit_short_lived(engine)
    later_ms = in_ms(LATER_S)
    ids = await engine.submit_many(3, expiresAt=later_ms)
    ids += await engine.submit_many(3)
    assert set((await engine.ended(ids)).values()) == {"confirmed"}
    assert await engine.ended([resting]) == {resting: "expired"}
    events = await engine.read_log()
    [expired] = [
        event
        for _, event in events
        if type(event.fact).__name__ == "OrderExpired" and event.order_id == resting
    ]
    assert expired.time_us // 1000 >= soon_ms
    assert not [event for _, event in events if type(event.fact).__name__ == "TransactionExpired"]
    await until(lambda: is_well(engine), "readiness, with the age of each stage")


@pytest.mark.parametrize("skews", [AHEAD, BEHIND], ids=["ahead", "behind"])
async def test_the_log_server_decides_where_clocks_are_minutes_apart(
    short_path: Path, skews: dict[str, int]
) -> None:
    async with engine_up(
        short_path / "d", environ_of(skews), blockhash_slots=SLOTS_KEPT, slot_ms=40
    ) as engine:
        told = (await engine.get("/api/time")).body["unixMs"]
        assert abs(told / 1000 - time.time()) < 60
        await work(engine)
        expected = skews.keys() - {"projector"}
        await until(lambda: warned(engine) == expected, "each skew to be logged")
        await engine.assert_each_ended_exactly_once()


async def test_clocks_that_are_set_while_the_engine_runs_change_nothing(short_path: Path) -> None:
    switch = short_path / "switch"
    async with engine_up(
        short_path / "d",
        environ_of(AHEAD, SKEW_FROM=str(switch)),
        blockhash_slots=SLOTS_KEPT,
        slot_ms=40,
    ) as engine:
        later_ms = in_ms(LATER_S)
        resting = await engine.submit_many(
            1, type="limit", targetPrice="1000000", expiresAt=later_ms
        )
        switch.touch()
        await work(engine)
        assert (await engine.get(f"/api/orders/{resting[0]}")).body["status"] == "watching"
        async with engine.http.delete(f"{engine.url}/api/orders/{resting[0]}") as answer:
            assert answer.status in (200, 202)
        assert set((await engine.ended(resting)).values()) == {"cancelled"}
        await engine.assert_each_ended_exactly_once()
