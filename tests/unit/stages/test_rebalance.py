"""Which watcher follows which pair, and what changes after a round of claims."""

from __future__ import annotations

import pytest

from events.log import LeaseGrant, PairProgress
from stages.triggers.rebalance import Changes, preferred, rebalance, rendezvous_owner

PAIRS = [f"TOKEN{n}/USDC" for n in range(300)]
BOOKS = ["a", "b", "c"]
BOTH = ["ann", "bob"]
AT_7 = PairProgress(7, 3)


def test_every_pair_is_preferred_by_one_watcher_and_each_has_its_share() -> None:
    shares = [preferred(name, PAIRS, BOTH) for name in BOTH]
    assert sorted(shares[0] + shares[1]) == sorted(PAIRS)
    assert min(map(len, shares)) > 100


def test_a_watcher_that_stops_moves_only_its_own_pairs() -> None:
    for pair in PAIRS:
        owner = rendezvous_owner(pair, [*BOTH, "eve"])
        assert owner == "eve" or rendezvous_owner(pair, BOTH) == owner


def test_while_no_watcher_is_known_no_pair_is_preferred() -> None:
    assert preferred("ann", PAIRS, []) == []


@pytest.mark.parametrize(
    ("shares", "followed", "watchers", "held", "changes"),
    [
        ([], [], [], {}, Changes([], [], {})),
        (["a"], [], BOTH, {"a": None}, Changes([], [], {"a": None})),
        (["a", "b"], ["b"], BOTH, {"a": AT_7, "b": AT_7}, Changes([], [], {"a": AT_7})),
        (["a"], [], BOTH, {}, Changes([], [], {})),
        (["a"], ["a"], BOTH, {}, Changes([], ["a"], {})),
        ([], ["a"], BOTH, {"a": AT_7}, Changes(["a"], ["a"], {})),
        ([], ["a"], BOTH, {}, Changes([], ["a"], {})),
        ([], [], BOTH, {"a": AT_7}, Changes(["a"], [], {})),
        ([], ["a"], [], {"a": AT_7}, Changes([], [], {})),
        (["z"], [], BOTH, {"z": None}, Changes([], [], {})),
    ],
    ids=[
        "nothing to do", "granted, never followed", "granted, followed by another",
        "held by another", "lost", "given", "given and lost", "given, not followed yet",
        "no watcher known", "without a book any more",
    ],
)  # fmt: skip
def test_a_claim_determines_which_pair_books_begin_and_end(
    shares: list[str],
    followed: list[str],
    watchers: list[str],
    held: dict[str, PairProgress | None],
    changes: Changes,
) -> None:
    assert rebalance(shares, followed, BOOKS, watchers, LeaseGrant(BOTH, held)) == changes
