"""What `engine doctor` reports of the pools that POOLS names."""

from __future__ import annotations

import pytest

from engine.doctor.chain import judge_pools
from engine.doctor.findings import Finding, Status


@pytest.mark.parametrize(
    ("cluster", "absent", "status", "detail"),
    [
        ("local", "", "ok", "all 4 are there"),
        ("devnet", "", "ok", "all 4 are there"),
        ("local", "a", "ok", "3 of 4 are there; launches come"),
        ("devnet", "a", "warning", "1 of 4 are not on this chain: a"),
        ("local", "abcd", "failed", "4 of 4 are not on this chain: a, b, c, …"),
        ("devnet", "abcd", "failed", "4 of 4 are not on this chain: a, b, c, …"),
    ],
)
def test_absent_pools_are_named_and_only_a_local_chain_may_lack_some(
    cluster: str, absent: str, status: Status, detail: str
) -> None:
    mend = "" if status == "ok" else "take them out of the file of POOLS"
    assert judge_pools(cluster, 4, list(absent)) == Finding("POOLS", status, detail, mend)
