"""Which stages run in one append, and which of them read the wallet's key."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.composition.stages import build_stages, fuses, signing_stages
from engine.settings import Settings
from engine.venues import open_trading
from events.order import STAGES


def settings_of(data_dir: Path, *, fuse: bool, concurrency: int, a_minute: int) -> Settings:
    """Of the simulated venues."""
    return Settings(
        data_dir=data_dir,
        venues=("simulated",),
        fuse_stages=fuse,
        concurrency=concurrency,
        orders_per_minute=a_minute,
    )


@pytest.mark.parametrize(
    ("fuse", "concurrency", "a_minute", "expected"),
    [
        (True, 0, 0, True),
        (False, 0, 0, False),
        (True, 1, 0, False),
        (True, 0, 100, False),
    ],
)
def test_stages_are_fused_only_where_nothing_counts_orders(
    tmp_path: Path, *, fuse: bool, concurrency: int, a_minute: int, expected: bool
) -> None:
    settings = settings_of(tmp_path, fuse=fuse, concurrency=concurrency, a_minute=a_minute)
    stages = build_stages(settings, open_trading(settings, signs=False))
    assert set(stages.by_name) == set(STAGES)
    assert fuses(settings) is expected
    if expected:
        assert list(stages.fused) == ["builder", "submitter"]
        assert list(stages.after_trigger) == ["router", "builder", "submitter"]
        assert signing_stages(settings) == {"builder", "router", "watcher"}
    else:
        assert not stages.fused
        assert not stages.after_trigger
        assert signing_stages(settings) == {"builder"}
