"""A family whose row is incomplete is refused where it is defined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stages.pools.families import DEXES, FAMILIES
from stages.pools.raydium import cpmm


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "meteora-cpmm"},
        {"programs": {"mainnet": "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C"}},
        {"too_little_out": "NoSuchError"},
        {"too_much_in": "NoSuchError"},
    ],
)
def test_a_family_has_its_dex_in_its_name_all_its_programs_and_its_errors(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(AssertionError):
        replace(cpmm.FAMILY, **fields)


def test_the_dexes_are_those_of_the_families() -> None:
    assert set(DEXES) == {family.dex for family in FAMILIES}
    assert len(DEXES) == len(set(DEXES))
