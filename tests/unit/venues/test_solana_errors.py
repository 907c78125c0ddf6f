"""Errors on chain have names, and the names say whether a new try may do better."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.venues.solana.errors import OF_INSTRUCTION, OF_TRANSACTION, reason_of
from stages.venues.solana.programs import COMPUTE_BUDGET, MEMO, SYSTEM, TOKEN
from tests.toy_family import ToyFamily

TOY = "toy"
PROGRAMS = (COMPUTE_BUDGET, MEMO, SYSTEM, TOKEN, TOY)
FAMILIES = (ToyFamily(TOY),)


def at(index: int, error: Any) -> dict[str, Any]:
    return {"InstructionError": [index, error]}


@pytest.mark.parametrize(
    ("err", "code", "retryable"),
    [
        ("InsufficientFundsForFee", "insufficient-funds", False),
        ("AccountNotFound", "insufficient-funds", False),
        ({"InsufficientFundsForRent": {"account_index": 0}}, "insufficient-funds", False),
        ("BlockhashNotFound", "blockhash-not-found", True),
        ("AlreadyProcessed", "already-processed", True),
        ("WouldExceedMaxBlockCostLimit", "chain-busy", True),
        (at(4, {"Custom": 6005}), "slippage-exceeded", True),
        (at(4, {"Custom": 6000}), "pool-disabled", False),
        (at(4, {"Custom": 1}), "insufficient-funds", False),
        (at(4, {"Custom": 3012}), "instruction-refused", False),
        (at(4, {"Custom": 9999}), "transaction-failed", False),
        (at(4, "ProgramFailedToComplete"), "pool-arithmetic", False),
        (at(4, "ComputationalBudgetExceeded"), "compute-budget-exceeded", True),
        (at(3, {"Custom": 1}), "insufficient-funds", False),
        (at(3, {"Custom": 17}), "token-account-frozen", False),
        (at(3, {"Custom": 6005}), "transaction-failed", False),
        (at(2, {"Custom": 0}), "temporary-account-taken", True),
        (at(2, {"Custom": 1}), "insufficient-funds", False),
        (at(1, "ProgramFailedToComplete"), "program-panicked", True),
        (at(9, {"Custom": 6005}), "transaction-failed", False),
    ],
)
def test_each_error_has_its_reason(err: Any, code: str, retryable: bool) -> None:
    found = reason_of(err, PROGRAMS, FAMILIES)
    assert (found.code, found.retryable) == (code, retryable)
    assert found.detail


def test_the_detail_names_instruction_program_and_code() -> None:
    found = reason_of(at(4, {"Custom": 6005}), PROGRAMS, FAMILIES)
    assert found.detail == "instruction 4 (toy): 0x1775 (6005)"


def test_reasons_are_codes() -> None:
    reasons = [*OF_TRANSACTION.values(), *OF_INSTRUCTION.values()]
    assert all(reason.code == reason.code.lower().replace(" ", "-") for reason in reasons)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)


@given(JSON | JSON.map(lambda inner: {"InstructionError": inner}))
def test_whatever_a_node_says_has_a_reason(err: Any) -> None:
    assert reason_of(err, PROGRAMS, FAMILIES).code
