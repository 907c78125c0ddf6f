"""Which stages run in one append, and which of them read the wallet's key."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.composition.stages import build_stages, signing_stages
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
    ("fuse", "concurrency", "a_minute"),
    [(True, 0, 0), (False, 0, 0), (True, 1, 0), (True, 0, 100), (False, 1, 100)],
)
def test_stages_are_fused_with_limits_as_without(
    tmp_path: Path, *, fuse: bool, concurrency: int, a_minute: int
) -> None:
    settings = settings_of(tmp_path, fuse=fuse, concurrency=concurrency, a_minute=a_minute)
    stages = build_stages(settings, open_trading(settings, signs=False))
    assert set(stages.by_name) == set(STAGES)
    if fuse:
        assert list(stages.fused) == ["builder", "submitter"]
        assert list(stages.after_trigger) == ["router", "builder", "submitter"]
        assert signing_stages(settings) == {"builder", "router", "watcher"}
    else:
        assert not stages.fused
        assert not stages.after_trigger
        assert signing_stages(settings) == {"builder"}
