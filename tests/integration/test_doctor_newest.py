"""The doctor's look at records of very many events: at the newest, and it says so."""

from __future__ import annotations

import pytest

from engine.doctor import newest, records
from engine.doctor.findings import Finding
from tests.integration import test_repair_damage
from tests.integration.test_repair_damage import Scene
from tests.support.log.damaged import CHAIN

template = test_repair_damage.template
scene = test_repair_damage.scene

NEWEST = 20


async def looked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Finding:
    monkeypatch.setattr(records, "EVENTS_MAX", 5)
    monkeypatch.setattr(newest.look, "__kwdefaults__", {"events": NEWEST})
    redis_url, url = scene.settings.redis_url, scene.settings.database_url
    [told] = [
        finding async for finding in records.look(scene.settings, redis_url, url, chain=CHAIN)
    ]
    return told


async def test_the_check_of_sound_records_reports_its_end_position(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await looked(scene, monkeypatch)
    first = scene.end - NEWEST + 1
    assert told.status == "ok", told
    assert f"positions {first} to {scene.end}" in told.detail
    assert "older were not looked at" in told.detail


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM events WHERE position = :END - 2",
        "DELETE FROM events WHERE position = :END",
        "UPDATE events SET version = 77 WHERE position = :END - 2",
        "UPDATE events SET time_us = time_us + 1 WHERE position = :END - 2",
        "UPDATE events SET body = set_byte(body, 40, get_byte(body, 40) # 1)"
        " WHERE position = :END - 2",
        "UPDATE checkpoints SET position = position - 1",
        "DELETE FROM checkpoints",
        "UPDATE orders SET hash = sha256('x') WHERE :END - 2 = ANY(positions)",
        "DELETE FROM orders WHERE :END - 2 = ANY(positions)",
    ],
)
async def test_damage_of_the_newest_events_fails_the_doctor(
    scene: Scene, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.sql.execute(harm.replace(":END", str(scene.end)))
    told = await looked(scene, monkeypatch)
    assert told.status == "failed", told
    assert await scene.problems(), "an audit says so, too"


async def test_a_damaged_entry_of_the_log_is_seen(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = await test_repair_damage.entries(scene)
    at = next(n for n, (item, _) in enumerate(entries) if int(item[:-2]) >= scene.end - 3)
    await test_repair_damage.edited_entry(scene, at)
    told = await looked(scene, monkeypatch)
    assert told.status == "failed", told


async def test_damage_before_the_newest_events_is_left_to_the_audit(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.sql.execute("UPDATE events SET version = 77 WHERE position = 1")
    told = await looked(scene, monkeypatch)
    assert told.status == "ok", told
    assert "`engine audit verify`" in told.detail
