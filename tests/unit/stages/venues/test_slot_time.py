"""The length of a slot is measured, and every wait follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from stages.venues import VenueRefusal
from stages.venues.solana.cluster import slot_time
from stages.venues.solana.cluster.slot_time import SlotTime
from stages.venues.solana.rpc.answers import EpochInfo, PerformanceSample

LENGTHS_MS = (150, 200, 214, 400, 1_000)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def watched(
    slot_ms: float, seconds: float, clock: Clock, slot_time: SlotTime | None = None
) -> SlotTime:
    """Of a process that saw slots of this length pass for so long."""
    slot_time = slot_time or SlotTime(clock_s=clock)
    began_s = clock.now_s
    while clock.now_s - began_s < seconds:
        slot_time.see(int(clock.now_s * 1000 / slot_ms))
        clock.now_s += 0.1
    return slot_time


@pytest.mark.parametrize("slot_ms", LENGTHS_MS)
def test_the_slot_time_is_that_of_observed_slots(slot_ms: int) -> None:
    assert watched(slot_ms, 30, Clock()).ms == pytest.approx(slot_ms, rel=0.05)


def test_the_slot_time_follows_a_change_within_a_minute() -> None:
    clock = Clock()
    slot_time = watched(250, 90, clock)
    assert slot_time.ms == pytest.approx(250, rel=0.05)
    shift = int(clock.now_s * 1000 / 250)
    for tenth in range(700):
        slot_time.see(shift + tenth // 2)
        clock.now_s += 0.1
    assert slot_time.ms == pytest.approx(200, rel=0.05)


def test_a_lagging_node_and_a_short_observation_give_no_measurement() -> None:
    clock = Clock()
    assert watched(200, 5, clock).ms == slot_time.UNMEASURED_MS
    created = watched(200, 30, clock)
    for _ in range(20):
        created.see(3)
        clock.now_s += 1
    assert created.ms == pytest.approx(200, rel=0.05)


def samples(*pairs: tuple[int, int]) -> list[PerformanceSample]:
    return [PerformanceSample(slots, seconds) for slots, seconds in pairs]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (samples((300, 60)), 200),
        (samples((280, 60), (240, 60)), 60_000 * 2 / 520),
        (samples(), None),
        (samples((0, 60)), None),
        (samples((1, 600)), None),
        (samples((10**9, 60)), None),
    ],
)
def test_the_samples_of_a_node_are_taken_where_they_can_be_true(
    given: Sequence[PerformanceSample], expected: float | None
) -> None:
    assert slot_time.sampled_ms(given) == expected


def rpc(given: list[PerformanceSample] | None, slots: Any = None) -> Any:
    async def get_samples(_: int) -> list[PerformanceSample]:
        if given is None:
            raise VenueRefusal("node-refused", "-32601")
        return given

    async def get_epoch_info(_: str) -> EpochInfo:
        return EpochInfo(next(slots), 1)

    return SimpleNamespace(
        get_recent_performance_samples=get_samples, get_epoch_info=get_epoch_info
    )


async def test_a_node_reports_the_slot_time_at_once_and_observed_slots_override_it() -> None:
    clock = Clock()
    slot_time = SlotTime(None, rpc(samples((300, 60))), clock)
    await slot_time.measure()
    assert slot_time.ms == 200
    watched(250, 30, clock, slot_time)
    assert slot_time.ms == pytest.approx(250, rel=0.05)


async def test_a_node_without_samples_is_measured_by_two_of_its_slots() -> None:
    clock = Clock()
    created = SlotTime(None, rpc(None, iter((1_000, 1_050))), clock)
    for _ in range(2):
        await created.measure()
        clock.now_s += slot_time.SEEN_LEAST_S
    assert created.ms == slot_time.SEEN_LEAST_S * 1000 / 50


async def test_the_local_chain_has_a_setting_and_no_node_is_asked() -> None:
    slot_time = SlotTime(60_000, rpc(samples((300, 60))))
    await slot_time.measure()
    slot_time.start()
    assert (slot_time.ms, slot_time._task) == (60_000, None)
    assert SlotTime(20).follows_a_clock
    assert not SlotTime(0).follows_a_clock
    await asyncio.sleep(0)


@pytest.mark.parametrize("slot_ms", LENGTHS_MS)
def test_every_wait_follows_the_length(slot_ms: int) -> None:
    created = SlotTime(slot_ms)
    waits = slot_time.rebroadcast_ms(created)
    assert waits in (400, 3 * slot_ms)
    assert waits <= max(400, 4 * slot_ms), "every leader's turn of four slots is sent to"
    assert slot_time.first_wait_ms(created) == slot_ms // 2
    assert slot_time.stalled_s(created, 2_000) == max(2.0, slot_ms / 100)
    assert slot_time.stale_s(created, 2_000, 0) == max(2.0, 3 * slot_ms / 1000)
    assert slot_time.stale_s(created, 2_000, 5_000) == 15.0
    assert slot_time.finalized_age_s(created) == max(0.2, 2 * slot_ms / 1000)
    assert slot_time.details_pause_s(created, 2) == 2 * slot_ms / 1000
    # Of the 150 blocks that a blockhash lives, sharing it costs next to nothing.
    assert slot_time.blockhash_shared_s(created) <= max(0.4, 150 * slot_ms / 1000 * 0.03)
    assert 200_000 / slot_ms < created.slots_in(200) <= 200_000 / slot_ms * 1.2


@pytest.mark.parametrize("slot_ms", LENGTHS_MS)
def test_every_slot_is_read(slot_ms: int) -> None:
    """By readings that follow each other at this pace, each late by up to a tenth of a slot."""
    created, at_ms, seen = SlotTime(slot_ms), 0.0, [0]
    for number in range(1_000):
        slot = int(at_ms // slot_ms)
        advanced = slot > seen[-1]
        assert slot <= seen[-1] + 1, "a slot was missed"
        seen += [slot] * advanced
        pause_s = slot_time.read_pause_s(created, 0, advanced=advanced)
        at_ms += pause_s * 1000 + number % 10 / 100 * slot_ms
    assert 1.5 <= 1_000 / len(seen) <= 3, "readings a slot"
    assert slot_time.read_pause_s(created, 2_000, advanced=False) == 2
