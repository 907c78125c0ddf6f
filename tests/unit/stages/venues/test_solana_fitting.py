"""Which routes fit into a transaction: by version, form of wrapping, and families."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, product

import pytest
from solders.hash import Hash
from solders.keypair import Keypair

from stages.runtime.stage import VenueRefusal
from stages.venues.solana.transaction.signing import (
    Leg,
    Plan,
    Wrapping,
    cu_needed,
    drafted,
    message,
    unsigned,
    wrappings,
)
from stages.venues.solana.transaction.versions import CU_MAX, V0, V1, VERSIONS, Budget
from tests.support.chain.laid_pools import FAMILY_NAMES, PROGRAMS, legs

OWNER = Keypair.from_seed(bytes(32)).pubkey()
MEMO = "00000000-0000-0000-0000-000000000000/99"
PATHS = (("BONK", "SOL", "RAY"), ("SOL", "USDC", "RAY"), ("RAY", "USDC", "SOL"))
PAIRS = list(product(FAMILY_NAMES, FAMILY_NAMES))


def size(of: Sequence[Leg], wrapping: Wrapping, version: int) -> tuple[int, int]:
    """Bytes and addresses. Raises Refused."""
    plan = Plan(OWNER, of, PROGRAMS, MEMO, wrapping)
    created = message(drafted(plan), Budget(CU_MAX, 1), str(Hash.default()), version)
    return len(unsigned(created)), len(created.account_keys)


def fits(of: Sequence[Leg], wrapping: Wrapping, version: int = V0) -> bool:
    try:
        size(of, wrapping, version)
    except VenueRefusal as refused:
        assert (refused.code, refused.retryable) == ("transaction-too-large", True)
        return False
    return True


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("first", "last"), PAIRS)
def test_two_hops_of_any_families_fit_into_version_1(
    path: tuple[str, ...], first: str, last: str
) -> None:
    size(legs(path, [first], [last]), Wrapping.TEMPORARY, V1)


@pytest.mark.parametrize("path", [("SOL", "USDC"), ("USDC", "SOL"), ("RAY", "USDC")])
def test_a_split_over_three_pools_of_any_families_fits_into_version_1(
    path: tuple[str, ...],
) -> None:
    for three in combinations_with_replacement(FAMILY_NAMES, 3):
        size(legs(path, three), Wrapping.TEMPORARY, V1)


@pytest.mark.parametrize("path", PATHS)
def test_both_hops_split_fit_into_version_1(path: tuple[str, ...]) -> None:
    """The largest that the router makes: far from both limits."""
    halves = list(combinations_with_replacement(FAMILY_NAMES, 2))
    sizes = [
        size(legs(path, first, last), Wrapping.TEMPORARY, V1)
        for first, last in product(halves, halves)
    ]
    assert max(size for size, _ in sizes) < VERSIONS[V1].bytes_max // 2
    assert max(addresses for _, addresses in sizes) < 48


def test_four_of_the_dearest_swaps_would_compute_too_much() -> None:
    dearest = ["meteora-dlmm", "meteora-dlmm"]
    assert cu_needed(legs(PATHS[0], dearest, dearest)) > CU_MAX
    assert cu_needed(legs(("SOL", "USDC"), ["meteora-dlmm"] * 3)) <= CU_MAX


@pytest.mark.parametrize(("first", "last"), PAIRS)
def test_sol_in_the_middle_fits_version_0_in_one_form_whatever_the_families(
    first: str, last: str
) -> None:
    """The wallet may have an account of wrapped SOL, or none: it fits either way."""
    of = legs(("BONK", "SOL", "RAY"), [first], [last])
    assert any(fits(of, form) for form in wrappings(of, has_account=True))
    assert any(fits(of, form) for form in wrappings(of, has_account=False))
    assert any(fits(of, form) for form in wrappings(of, has_account=None))


def test_some_routes_fit_version_0_in_the_smaller_form_alone() -> None:
    """So that the tests above and below say something."""
    for path in PATHS:
        smaller = [
            pair
            for first, last in PAIRS
            if not fits(pair := legs(path, [first], [last]), Wrapping.TEMPORARY)
            and fits(pair, Wrapping.ASSOCIATED)
        ]
        assert len(smaller) >= 10


@pytest.mark.parametrize(
    ("path", "has_account", "forms"),
    [
        (("RAY", "USDC"), None, [Wrapping.TEMPORARY]),
        (("RAY", "USDC"), False, [Wrapping.TEMPORARY]),
        (("SOL", "USDC"), None, [Wrapping.TEMPORARY]),
        (("SOL", "USDC"), True, [Wrapping.TEMPORARY]),
        (("SOL", "USDC"), False, [Wrapping.TEMPORARY, Wrapping.ASSOCIATED]),
        (("RAY", "USDC", "SOL"), None, [Wrapping.TEMPORARY]),
        (("RAY", "USDC", "SOL"), True, [Wrapping.TEMPORARY]),
        (("RAY", "USDC", "SOL"), False, [Wrapping.TEMPORARY, Wrapping.ASSOCIATED]),
        (("RAY", "SOL", "USDC"), None, [Wrapping.TEMPORARY, Wrapping.ASSOCIATED]),
        (("RAY", "SOL", "USDC"), True, [Wrapping.TEMPORARY, Wrapping.KEPT]),
        (("RAY", "SOL", "USDC"), False, [Wrapping.TEMPORARY, Wrapping.ASSOCIATED]),
    ],
)
def test_an_account_that_the_user_keeps_is_never_one_that_the_transaction_closes(
    path: tuple[str, ...], has_account: bool | None, forms: list[Wrapping]
) -> None:
    of = legs(path, *[["raydium-cpmm"]] * (len(path) - 1))
    assert list(wrappings(of, has_account)) == forms


def test_the_form_that_keeps_the_account_is_no_larger_than_the_one_that_closes_it() -> None:
    """A route is offered before it is known which of the two it becomes."""
    for first, last in PAIRS:
        of = legs(("BONK", "SOL", "RAY"), [first], [last])
        if fits(of, Wrapping.ASSOCIATED):
            kept, closed = (size(of, form, V0) for form in (Wrapping.KEPT, Wrapping.ASSOCIATED))
            assert kept < closed
