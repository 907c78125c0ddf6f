"""When the accounts of the pools are recent enough to quote from."""

from __future__ import annotations

import pytest

from stages.venues.solana.accounts.cache import STALE
from stages.venues.solana.pool_reader import NO_DATA, NO_POOL, freshness


@pytest.mark.parametrize(
    ("slot", "stale", "quotable", "refused", "why"),
    [
        (None, False, 0, (), NO_DATA),
        (None, True, 1, (), NO_DATA),
        (10, True, 1, (), NO_DATA),
        (10, False, 1, (), ""),
        (10, False, 1, (STALE,), ""),  # another route may still be quoted
        (10, False, 0, (STALE,), NO_POOL),
        (10, False, 0, (STALE, "pool-not-found"), NO_POOL),
        (10, False, 0, ("pool-not-found",), ""),  # the quotes say why, each by itself
        (10, False, 0, (), ""),
    ],
)
def test_quotes_take_recent_data_of_one_pool_at_least(
    slot: int | None,
    stale: bool,
    quotable: int,
    refused: tuple[str, ...],
    why: str,
) -> None:
    assert freshness(slot, stale=stale, quotable=quotable, refused=refused) == why
