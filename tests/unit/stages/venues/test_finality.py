"""When a signature that no node knows is proved dead: never while it may be in some block."""

from __future__ import annotations

import pytest

from stages.venues.solana.outcomes.finality import (
    is_overdue,
    may_prove,
    oldest_slot_needed,
    proved_height,
)
from stages.venues.solana.rpc.answers import EpochInfo

FINALIZED = EpochInfo(absolute_slot=10_000, block_height=9_000)


@pytest.mark.parametrize(
    ("last_valid_height", "may"), [(8_999, True), (9_000, False), (9_001, False)]
)
def test_only_a_finalized_height_beyond_the_last_valid_one_may_prove_death(
    last_valid_height: int, may: bool
) -> None:
    assert may_prove(FINALIZED, last_valid_height) is may
    assert may_prove(None, last_valid_height) is False


@pytest.mark.parametrize(
    ("least_slot", "needed"), [(9_500, 9_468), (33, 1), (32, 0), (31, 0), (1, 0)]
)
def test_blocks_are_needed_from_a_fork_before_the_slot_of_the_blockhash(
    least_slot: int, needed: int
) -> None:
    assert oldest_slot_needed(FINALIZED, 8_990, least_slot) == needed


@pytest.mark.parametrize(
    ("last_valid_height", "needed"),
    [
        (8_990, 9_680),  # 10 blocks beyond it and its lifetime of 150, of two slots each
        (4_151, 2),
        (4_150, 0),
        (4_149, 0),
    ],
)
def test_an_unknown_first_slot_is_estimated_at_two_slots_a_block(
    last_valid_height: int, needed: int
) -> None:
    assert oldest_slot_needed(FINALIZED, last_valid_height) == needed


@pytest.mark.parametrize(
    ("slot", "first_slot", "oldest_slot", "height"),
    [
        (10_000, 0, 0, 9_000),
        (9_999, 0, 0, 0),  # it stood before the finalized slot: it may not have seen the block
        (10_000, 500, 500, 9_000),
        (10_000, 501, 500, 0),  # a block that is needed is gone from it
        (10_001, 1, 0, 0),
    ],
)
def test_a_node_proves_heights_that_it_has_passed_and_has_the_blocks_of(
    slot: int, first_slot: int, oldest_slot: int, height: int
) -> None:
    assert proved_height(FINALIZED, slot, first_slot, oldest_slot) == height


@pytest.mark.parametrize(
    ("submitted_at_us", "overdue"),
    [(0, False), (1_000_000_000, False), (939_999_999, True), (1_060_000_001, True)],
)
def test_a_transaction_is_overdue_a_minute_after_it_was_sent_or_by_a_clock_as_far_ahead(
    submitted_at_us: int, overdue: bool
) -> None:
    assert is_overdue(submitted_at_us, now_s=1_000.0) is overdue
