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
SLOTS_KEPT = 150


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


async def work(engine: Engine) -> None:
    """Orders of all kinds of expiry; each ends as the log server's clock has it."""
    soon_ms = int(time.time() * 1000) + 5000
    resting = await engine.submit_many(1, type="limit", targetPrice="1000000", expiresAt=soon_ms)
    later_ms = int(time.time() * 1000) + 60_000
    ids = await engine.submit_many(3, expiresAt=later_ms)
    ids += await engine.submit_many(3)
    assert set((await engine.ended(ids)).values()) == {"confirmed"}
    assert set((await engine.ended(resting)).values()) == {"expired"}
    events = await engine.read_log()
    [expired] = [event for _, event in events if type(event.fact).__name__ == "OrderExpired"]
    assert expired.order_id == resting[0]
    assert expired.time_us // 1000 >= soon_ms
    assert not [event for _, event in events if type(event.fact).__name__ == "TransactionExpired"]
    ready = await engine.get("/readyz")
    assert ready.body["status"] == "ready"
    for stage in ready.body["lag"]["stages"].values():
        assert stage["seconds"] is not None
        assert 0 <= stage["seconds"] < 60


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
        later_ms = int(time.time() * 1000) + 90_000
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
