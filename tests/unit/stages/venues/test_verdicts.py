"""What the answers of nodes prove: a fill, a death, or nothing, as a table."""

from __future__ import annotations

import pytest

from stages.venues.solana.outcomes.verdicts import (
    Dead,
    Expired,
    Landed,
    Pending,
    Unknown,
    Witness,
    verdict_of_status,
    verdict_of_witnesses,
)
from stages.venues.solana.rpc.answers import EpochInfo, SignatureStatus

FINALIZED = EpochInfo(absolute_slot=10_000, block_height=9_000)
NEEDED = 500
"""The oldest slot in which the transaction may have landed."""

ERROR = {"InstructionError": [0, {"Custom": 6001}]}
PROCESSED = SignatureStatus(9_990, confirmations=1, confirmation_status="processed")
CONFIRMED = SignatureStatus(9_990, confirmations=9, confirmation_status="confirmed")
ROOTED = SignatureStatus(9_990, confirmation_status="finalized")
FAILED = SignatureStatus(9_990, ERROR, 9, "confirmed")
FAILED_FOR_GOOD = SignatureStatus(9_990, ERROR, None, "finalized")
OLD_NODE_ROOTED = SignatureStatus(9_990)
OLD_NODE_RECENT = SignatureStatus(9_990, confirmations=3)
NEWER = SignatureStatus(9_990, confirmation_status="a word of a later version")

SEES_ALL = Witness(10_000, 0, None)
SEES_ENOUGH = Witness(10_001, NEEDED, None)
LAGS = Witness(9_999, 0, None)
RESTORED = Witness(10_000, NEEDED + 1, None)
RESTORED_LATER = Witness(10_000, NEEDED + 7, None)
KNOWS = Witness(10_000, 0, PROCESSED)
KNOWS_RESTORED = Witness(10_000, NEEDED + 1, PROCESSED)
SHORT = f"blocks begin at slot {NEEDED + 1}, slot {NEEDED} is needed"


@pytest.mark.parametrize(
    ("status", "commitment", "verdict"),
    [
        (PROCESSED, "confirmed", Pending()),
        (CONFIRMED, "confirmed", Landed(CONFIRMED)),
        (CONFIRMED, "finalized", Pending()),
        (ROOTED, "finalized", Landed(ROOTED)),
        (FAILED, "confirmed", Pending()),  # a fork may drop the block of a failure
        (FAILED_FOR_GOOD, "confirmed", Landed(FAILED_FOR_GOOD)),
        (OLD_NODE_ROOTED, "finalized", Landed(OLD_NODE_ROOTED)),
        (OLD_NODE_RECENT, "confirmed", Pending()),
        (NEWER, "confirmed", Pending()),
    ],
)
def test_a_status_counts_at_its_commitment_and_a_failure_once_it_is_final(
    status: SignatureStatus, commitment: str, verdict: Landed | Pending
) -> None:
    for last_valid_height in (8_999, 9_001):
        assert (
            verdict_of_status(
                status,
                finalized=FINALIZED,
                last_valid_height=last_valid_height,
                commitment=commitment,
            )
            == verdict
        )


@pytest.mark.parametrize(
    ("finalized", "last_valid_height", "verdict"),
    [
        (FINALIZED, 8_999, Expired()),
        (FINALIZED, 9_000, Pending()),  # it may be in the block of this very height
        (FINALIZED, 9_001, Pending()),
        (None, 8_999, Pending()),
    ],
)
def test_an_absent_signature_has_expired_once_its_last_height_is_finalized(
    finalized: EpochInfo | None, last_valid_height: int, verdict: Expired | Pending
) -> None:
    assert (
        verdict_of_status(
            None, finalized=finalized, last_valid_height=last_valid_height, commitment="confirmed"
        )
        == verdict
    )


@pytest.mark.parametrize(
    ("witnesses", "quorum", "verdict"),
    [
        ([SEES_ALL], 1, Dead(9_000)),
        ([SEES_ENOUGH], 1, Dead(9_000)),
        ([SEES_ALL, SEES_ENOUGH], 2, Dead(9_000)),
        ([SEES_ALL, SEES_ENOUGH, LAGS], 2, Dead(9_000)),
        ([LAGS], 1, Pending()),
        ([KNOWS], 1, Pending()),
        ([SEES_ALL, SEES_ENOUGH, KNOWS], 2, Pending()),  # who knows it outweighs all others
        ([SEES_ALL, LAGS], 2, Unknown("too-few-witnesses", "a node: not served")),
        ([SEES_ALL, RESTORED], 2, Unknown("too-few-witnesses", f"a node: not served; {SHORT}")),
        ([RESTORED], 1, Unknown("history-too-short", SHORT)),
        ([RESTORED_LATER, RESTORED], 2, Unknown("history-too-short", SHORT)),
        ([RESTORED, LAGS], 2, Pending()),  # the second may catch up
        ([KNOWS_RESTORED], 1, Unknown("history-too-short", SHORT)),
    ],
)
def test_a_death_takes_a_quorum_that_has_seen_every_block_and_no_node_that_knows_it(
    witnesses: list[Witness], quorum: int, verdict: Dead | Unknown | Pending
) -> None:
    assert (
        verdict_of_witnesses(
            witnesses,
            finalized=FINALIZED,
            oldest_slot=NEEDED,
            quorum=quorum,
            refusals=["a node: not served"],
        )
        == verdict
    )
