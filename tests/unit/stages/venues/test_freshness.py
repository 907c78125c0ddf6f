"""When the accounts of the pools are recent enough to quote from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stages.venues import VenueRefusal
from stages.venues.solana.accounts.cache import STALE
from stages.venues.solana.pool_reader import NO_DATA, NO_POOL, PoolReader, RefusedPool, freshness


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


@pytest.mark.parametrize(
    ("slot", "stale", "why"), [(None, False, NO_DATA), (10, True, NO_DATA), (10, False, NO_POOL)]
)
def test_a_pool_reader_refuses_to_quote_from_stale_accounts(
    slot: int | None, stale: bool, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = None if slot is None else SimpleNamespace(slot=slot)
    cache: Any = SimpleNamespace(
        history=SimpleNamespace(newest=newest), stale=lambda: stale, readings=1
    )
    reader = PoolReader(cache, ["raydium"], venue="raydium")
    refused = RefusedPool("raydium", "p", frozenset("ab"), STALE)
    monkeypatch.setattr(reader, "_quotable", lambda: ([], [refused]))
    with pytest.raises(VenueRefusal) as error:
        reader.view()
    assert (error.value.code, error.value.detail) == ("quotes-stale", why)
