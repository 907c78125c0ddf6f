"""What the real programs answered: read from tests/vectors, or from the folders of VECTORS."""

from typing import Any, NamedTuple

import pytest

from stages.pools.contract import Clock, Family, Pool, Rejected, Swap
from tests.support.pools import vector_sets

NOW_S = 1_760_000_000
"""The chain's clock in vectors that name none."""
INSUFFICIENT_FUNDS = "Error: insufficient funds"


class Asked(NamedTuple):
    """A swap as a program receives it."""

    a_to_b: bool
    exact_out: bool
    amount: int
    threshold: int
    balance: int = 2**63
    """What the wallet holds of the input."""


def vectors_of(name: str) -> list[Any]:
    """All vectors of the files of this name; the test is skipped where VECTORS has none."""
    vectors = [vector for file in _files(name) for vector in file["vectors"]]
    assert vectors, f"{name} has no vectors"
    return vectors


def sequences(family: str) -> list[Any]:
    """The sequences of a family: swaps in a row on one moving pool. The test is skipped where
    VECTORS has none.
    """
    files = _files("sequences.json")
    results = [each for file in files for each in file["sequences"] if each["family"] == family]
    if not results:
        _absent(f"a sequence of {family}")
    return results


def _files(name: str) -> list[Any]:
    files = [vector_sets.read(folder / name) for folder in vector_sets.with_file(name)]
    if not files:
        _absent(name)
    return files


def _absent(what: str) -> None:
    """A folder that VECTORS names may hold only some of the files."""
    assert vector_sets.GIVEN, f"the committed vectors lack {what}"
    pytest.skip(f"VECTORS has no {what}")


def asked(vector: Any, *, a_to_b: bool) -> Asked:
    """What a vector asks for, in families whose `kind` says exact_in or exact_out."""
    return Asked(
        a_to_b=a_to_b,
        exact_out=vector["kind"] == "exact_out",
        amount=vector["amount"],
        threshold=vector["other_amount_threshold"],
        balance=vector.get("user_balance_in", 2**63),
    )


def execute(
    family: Family, pool: Pool, swap: Asked, clock: Clock, *, balance_first: bool = False
) -> Swap:
    """Swap as the program does, with the wallet's threshold and balance. Raises Rejected.

    Most programs look at the threshold, and the token program then misses what the wallet lacks;
    AMM v4 looks at the balance first.
    """
    quote = pool.exact_out if swap.exact_out else pool.exact_in
    done = quote(swap.amount, swap.a_to_b, clock)
    missed = None
    if swap.exact_out and done.amount_in > swap.threshold:
        missed = family.too_much_in
    elif not swap.exact_out and done.amount_out < swap.threshold:
        missed = family.too_little_out
    lacking = INSUFFICIENT_FUNDS if done.amount_in > swap.balance else None
    for error in (lacking, missed) if balance_first else (missed, lacking):
        if error:
            raise Rejected(error)
    return done


def outcome(
    family: Family, pool: Pool, swap: Asked, clock: Clock, *, balance_first: bool = False
) -> Swap | str:
    """The swap, or the name of the error."""
    try:
        return execute(family, pool, swap, clock, balance_first=balance_first)
    except Rejected as rejected:
        return rejected.error


def different(actual: dict[str, int], expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is not as expected, of those that are expected at all: actual and expected."""
    return {
        name: (value, expected[name])
        for name, value in actual.items()
        if name in expected and expected[name] != value
    }
