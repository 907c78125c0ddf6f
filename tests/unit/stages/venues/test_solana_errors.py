"""Chain errors map to reason codes: by the program that raised them and what was short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.pools.contract import Instruction
from stages.pools.families import FAMILIES
from stages.venues.solana.outcomes.error_codes import (
    OF_INSTRUCTION,
    OF_PROGRAM,
    OF_TRANSACTION,
    OF_WALLET,
    TOKEN_CODES,
    Reason,
)
from stages.venues.solana.outcomes.errors import reason_of
from stages.venues.solana.transaction.programs import (
    ASSOCIATED_TOKEN,
    COMPUTE_BUDGET,
    MEMO,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
)
from stages.venues.solana.transaction.signing import Wrapping
from tests.support.chain.localchain import FAMILY_NAMES, account_of
from tests.support.chain.toy_family import ToyFamily
from tests.unit.stages.venues.failed_swaps import (
    AMM_V4,
    AMOUNT,
    CLMM,
    CPMM,
    DAMM_V2,
    DLMM,
    MOST,
    anchor,
    at,
    built,
    custom,
    failing,
    logs_of,
)

TOY = "toy"
AROUND = tuple(
    Instruction(program, (), b"") for program in (COMPUTE_BUDGET, MEMO, SYSTEM, TOKEN, TOY)
)
TOYS = (ToyFamily(TOY),)
NO_LOGS: list[str] = []


# -- around the swap, and of the whole transaction -------------------------------------------------


@pytest.mark.parametrize(
    ("err", "code", "retryable"),
    [
        ("InsufficientFundsForFee", "insufficient-funds", False),
        ("AccountNotFound", "insufficient-funds", False),
        ("InvalidRentPayingAccount", "insufficient-funds", False),
        ({"InsufficientFundsForRent": {"account_index": 0}}, "insufficient-funds", False),
        ({"InsufficientFundsForRent": {"account_index": 3}}, "account-not-rent-exempt", True),
        ("BlockhashNotFound", "blockhash-not-found", True),
        ("AlreadyProcessed", "already-processed", True),
        ("WouldExceedMaxBlockCostLimit", "chain-busy", True),
        ({"ProgramExecutionTemporarilyRestricted": {"account_index": 3}}, "chain-busy", True),
        ("UnsupportedVersion", "transaction-version-refused", True),
        ("MaxLoadedAccountsDataSizeExceeded", "transaction-too-large", True),
        ("SanitizeFailure", "transaction-malformed", False),
        ({"DuplicateInstruction": 3}, "transaction-malformed", False),
        ("OfALaterRelease", "transaction-failed", False),
        (failing(4, 6005), "slippage-exceeded", True),
        (failing(4, 6000), "pool-disabled", False),
        (failing(4, 1), "insufficient-funds", False),
        (failing(4, 3010), "instruction-refused", False),
        (failing(4, 9999), "transaction-failed", False),
        (failing(4, "ProgramFailedToComplete"), "pool-arithmetic", False),
        (failing(4, "ComputationalBudgetExceeded"), "compute-budget-exceeded", True),
        (failing(4, {"BorshIoError": "Unknown"}), "instruction-refused", False),
        (failing(3, 1), "insufficient-funds", False),
        (failing(3, 0), "account-not-rent-exempt", True),
        (failing(3, 17), "token-account-frozen", False),
        (failing(3, 67), "token-paused", False),
        (failing(3, 6005), "transaction-failed", False),
        (failing(2, 0), "temporary-account-taken", True),
        (failing(2, 1), "insufficient-funds", False),
        (failing(1, "ProgramFailedToComplete"), "compute-budget-exceeded", True),
        (failing(9, 6005), "transaction-failed", False),
    ],
)
def test_each_error_has_its_reason(err: Any, code: str, retryable: bool) -> None:
    reason = reason_of(err, NO_LOGS, AROUND, TOYS)
    assert (reason.code, reason.retryable) == (code, retryable)
    assert reason.detail


def test_the_detail_names_instruction_program_and_code() -> None:
    reason = reason_of(failing(4, 6005), NO_LOGS, AROUND, TOYS)
    assert reason.detail == "instruction 4 (toy): 0x1775 (6005)"
    logs = logs_of(AROUND, 4, custom(1), within=TOKEN)
    reason = reason_of(failing(4, 1), logs, AROUND, TOYS)
    assert reason.detail == "instruction 4 (toy, within it token): 0x1 (1)"


@pytest.mark.parametrize(
    ("error", "within", "code", "retryable"),
    [
        (1, "", "insufficient-funds", False),
        (1, SYSTEM, "insufficient-funds", False),  # for the rent of the account
        (0, "", "token-account-unusable", False),  # of another owner
        (2, TOKEN_2022, "unsupported-mint", False),
        ("IllegalOwner", "", "token-account-unusable", False),
        ("ComputationalBudgetExceeded", "", "compute-budget-exceeded", True),
    ],
)
def test_a_failed_token_account_creation_has_the_reason_of_its_cause(
    error: Any, within: str, code: str, retryable: bool
) -> None:
    instructions = built((CPMM, "SOL", False, "SOL/USDC"))
    index = [instruction.program for instruction in instructions].index(ASSOCIATED_TOKEN)
    why = custom(error) if isinstance(error, int) else "refused"
    logs = logs_of(instructions, index, why, within=within) if within else NO_LOGS
    reason = reason_of(failing(index, error), logs, instructions, FAMILIES)
    assert (reason.code, reason.retryable) == (code, retryable)


def test_a_wallet_without_the_lamports_that_the_swap_brings() -> None:
    for wrapping in (Wrapping.TEMPORARY, Wrapping.ASSOCIATED):
        instructions = built((CLMM, "SOL", True, "SOL/USDC"), wrapping=wrapping)
        index = [instruction.program for instruction in instructions].index(SYSTEM)
        reason = reason_of(failing(index, 1), NO_LOGS, instructions, FAMILIES)
        assert (reason.code, reason.retryable) == ("insufficient-funds", False)


# -- swaps -----------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The chain's answer to a swap: the error, the program that raised it, what it printed."""

    error: int | str
    within: str = ""
    printed: Sequence[str] = ()
    paid: int = 0
    why: str = ""


class Case(NamedTuple):
    """Who pays, with what kind of swap, what the chain says, and what that means."""

    family: str
    kind: str
    pays: str
    answer: Answer
    code: str
    retryable: bool
    in_logs_only: bool = False
    """Whether the error and its number do not tell as much."""


SHORT = "Error: insufficient funds"
TOKEN_SHORT = Answer(1, TOKEN, (SHORT,))
VAULT_SHORT = TOKEN_SHORT._replace(paid=1)
SLIPPAGE = ("slippage-exceeded", True)
POOR = ("insufficient-funds", False)
DRY = ("insufficient-liquidity", True)
NO_COMPUTE = ("compute-budget-exceeded", True)

THRESHOLDS = {
    (CPMM, "in"): Answer(6005, printed=[anchor("ExceededSlippage", 6005)]),
    (CPMM, "out"): Answer(6005, printed=[anchor("ExceededSlippage", 6005)]),
    (AMM_V4, "in"): Answer(30, printed=["Error: exceeds desired slippage limit"]),
    (AMM_V4, "out"): Answer(30, printed=["Error: exceeds desired slippage limit"]),
    (CLMM, "in"): Answer(6018, printed=[anchor("TooLittleOutputReceived", 6018)]),
    (CLMM, "out"): Answer(6019, printed=[anchor("TooMuchInputPaid", 6019)]),
    (DLMM, "in"): Answer(6003, printed=[anchor("ExceededAmountSlippageTolerance", 6003)]),
    (DLMM, "out"): Answer(6104, printed=[anchor("InsufficientInAmount", 6104)]),
    (DAMM_V2, "in"): Answer(6002, printed=[anchor("ExceededSlippage", 6002)]),
    (DAMM_V2, "out"): Answer(6002, printed=[anchor("ExceededSlippage", 6002)]),
}
"""What each program answers where the price moved beyond the threshold."""
PAYS = ("sol", "sol-associated", "tokens")
MISSING = {
    CPMM: Answer(3012, printed=[anchor("AccountNotInitialized", 3012, "input_token_account")]),
    CLMM: Answer(3012, printed=[anchor("AccountNotInitialized", 3012, "input_token_account")]),
    DLMM: Answer(3012, printed=[anchor("AccountNotInitialized", 3012, "user_token_in")]),
    DAMM_V2: Answer("UninitializedAccount"),
    AMM_V4: Answer(38, printed=["Error: InvalidSplTokenProgram"]),
}
"""What each program answers where the wallet has no account of the token that it pays."""


def _cases() -> list[Case]:
    rows = [
        Case(family, kind, pays, answer, *SLIPPAGE)
        for (family, kind), answer in THRESHOLDS.items()
        for pays in (*PAYS, "first", "inside")
        if (kind, pays) not in (("in", "first"), ("out", "inside"))
    ]
    for family in FAMILY_NAMES:
        own_short = Answer(40, printed=(SHORT,)) if family == AMM_V4 else TOKEN_SHORT
        for pays in ("sol", "sol-associated", "first"):
            # The money is taken before the threshold is looked at.
            rows.append(Case(family, "out", pays, own_short, *SLIPPAGE))
        for pays in ("sol", "sol-associated"):
            # An exact input was brought whole, but for what the rent took of it.
            of_rent = "account-not-rent-exempt", True
            told = family != AMM_V4
            rows.append(Case(family, "in", pays, own_short, *of_rent, in_logs_only=told))
        for kind in ("in", "out"):
            rows.append(Case(family, kind, "tokens", own_short, *POOR))
            rows.append(Case(family, kind, "tokens", MISSING[family], *POOR))
            for pays in PAYS:
                rows.append(Case(family, kind, pays, VAULT_SHORT, *DRY, in_logs_only=True))
                paused = Answer(67, TOKEN_2022)
                rows.append(Case(family, kind, pays, paused, "token-paused", False))
                frozen = Answer(17, TOKEN, ["Error: Account is frozen"])
                rows.append(Case(family, kind, pays, frozen, "token-account-frozen", False))
                for error, why in (
                    ("ProgramFailedToComplete", "exceeded CUs meter at BPF instruction"),
                    ("ComputationalBudgetExceeded", "Computational budget exceeded"),
                ):
                    crosses = family in (CLMM, DLMM) or error == "ComputationalBudgetExceeded"
                    for within in ("", TOKEN):
                        answer = Answer(error, within, why=why)
                        rows.append(
                            Case(family, kind, pays, answer, *NO_COMPUTE, in_logs_only=not crosses)
                        )
        # An exact input is there, so it is the vault that lacks it.
        for pays in ("sol", "sol-associated", "inside"):
            rows.append(Case(family, "in", pays, VAULT_SHORT, *DRY))
    rows += [
        Case(DLMM, "out", pays, Answer(number, printed=[anchor(name, number)]), *SLIPPAGE)
        for pays in (*PAYS, "first")
        for name, number in (
            ("NotExactAmountOut", 6057),
            ("InsufficientOutAmount", 6039),
            ("UndeterminedError", 6085),
        )
    ]
    return rows


def instructions_for(case: Case) -> tuple[tuple[Instruction, ...], int]:
    """The transaction of a case, and where its swap stands."""
    out = case.kind == "out"
    match case.pays:
        case "sol" | "tokens":
            instructions = built(
                (case.family, "SOL" if case.pays == "sol" else "USDC", out, "SOL/USDC")
            )
            return instructions, at(instructions)
        case "sol-associated":
            instructions = built(
                (case.family, "SOL", out, "SOL/USDC"), wrapping=Wrapping.ASSOCIATED
            )
            return instructions, at(instructions)
        case "first":  # SOL > USDC > RAY, of which the first output is exact
            instructions = built(
                (case.family, "SOL", True, "SOL/USDC"), (CPMM, "USDC", False, "RAY/USDC")
            )
            return instructions, at(instructions)
    # RAY > SOL > USDC, of which the second takes what the first pays out.
    first = (AMM_V4, "RAY", True, "RAY/SOL")
    instructions = built(first, (case.family, "SOL", False, "SOL/USDC"), wrapping=Wrapping.KEPT)
    return instructions, at(instructions, swap=1)


CASES = _cases()


@pytest.mark.parametrize("logged", [True, False])
def test_a_failed_swap_has_the_reason_of_the_account_that_was_short(logged: bool) -> None:
    wrong = []
    for case in CASES:
        instructions, index = instructions_for(case)
        answer = case.answer
        why = answer.why or (custom(answer.error) if isinstance(answer.error, int) else "refused")
        logs = logs_of(
            instructions, index, why,
            printed=answer.printed, paid=answer.paid, within=answer.within,
        )  # fmt: skip
        if not logged:
            if case.in_logs_only:
                continue
            logs = NO_LOGS
        reason = reason_of(failing(index, answer.error), logs, instructions, FAMILIES)
        if (reason.code, reason.retryable) != (case.code, case.retryable):
            wrong.append((case, reason))
    print(f"{len(CASES)} cases, {len(wrong)} differ")
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("name", FAMILY_NAMES)
@pytest.mark.parametrize(
    ("exact_out", "missing", "expected"),
    [
        (True, 0, SLIPPAGE),  # it holds the most that the swap may take, which wants more
        (True, 1, POOR),
        (False, 0, DRY),  # it holds what the swap takes: so it was the vault
        (False, 1, POOR),
    ],
)
def test_a_wallet_of_known_balance_lacks_funds_only_below_the_amount(
    name: str, exact_out: bool, missing: int, expected: tuple[str, bool]
) -> None:
    instructions = built((name, "USDC", exact_out, "SOL/USDC"))
    index, error = at(instructions), 40 if name == AMM_V4 and exact_out else 1
    balances = {account_of("USDC"): (MOST if exact_out else AMOUNT) - missing}
    reason = reason_of(failing(index, error), NO_LOGS, instructions, FAMILIES, balances)
    assert (reason.code, reason.retryable) == expected


def test_two_swaps_that_pay_from_one_account_need_the_sum_of_their_amounts() -> None:
    legs = [(name, "USDC", True, "SOL/USDC") for name in (CPMM, AMM_V4)]
    instructions = built(*legs)
    err = failing(at(instructions, swap=1), 40)
    for held, code in ((2 * MOST - 1, "insufficient-funds"), (2 * MOST, "slippage-exceeded")):
        balances = {account_of("USDC"): held}
        assert reason_of(err, NO_LOGS, instructions, FAMILIES, balances).code == code


def test_the_remaining_lines_of_a_truncated_program_log_give_the_reason() -> None:
    instructions = built((CLMM, "SOL", True, "SOL/USDC"))
    index = at(instructions)
    logs = logs_of(instructions, index, custom(1), within=TOKEN, paid=1)
    begun = next(n for n, line in enumerate(logs) if CLMM_PROGRAM in line)
    for length, code in (
        (begun, "slippage-exceeded"),  # nothing of the swap
        (begun + 1, "slippage-exceeded"),
        (begun + 5, "insufficient-liquidity"),  # the payer has paid
        (len(logs), "insufficient-liquidity"),
    ):
        cut = [*logs[:length], "Log truncated"]
        assert reason_of(failing(index, 1), cut, instructions, FAMILIES).code == code, length


CLMM_PROGRAM = built((CLMM, "SOL", True, "SOL/USDC"))[at(built((CLMM, "SOL", True, "SOL/USDC")))][0]

TODAY = [
    (6000, "NotApproved", "pool-disabled", False),
    (6009, "InvalidTickArray", "tick-arrays-missing", True),
    (6011, "SqrtPriceLimitOverflow", "price-limit", False),
    (6012, "SqrtPriceX64", "price-out-of-range", False),
    (6013, "LiquiditySubValueErr", "calculation-overflow", False),
    (6014, "LiquidityAddValueErr", "calculation-overflow", False),
    (6016, "LiquidityInsufficient", "insufficient-liquidity", True),
    (6018, "TooLittleOutputReceived", "slippage-exceeded", True),
    (6019, "TooMuchInputPaid", "slippage-exceeded", True),
    (6020, "ZeroAmountSpecified", "amount-too-small", False),
    (6021, "InvalidInputPoolVault", "invalid-accounts", False),
    (6022, "TooSmallInputOrOutputAmount", "amount-too-small", False),
    (6023, "NotEnoughTickArrayAccount", "tick-arrays-missing", True),
    (6024, "InvalidFirstTickArrayAccount", "tick-arrays-missing", True),
    (6035, "MissingTickArrayBitmapExtensionAccount", "invalid-accounts", False),
    (6036, "InsufficientLiquidityForDirection", "insufficient-liquidity", True),
    (6037, "MaxTokenOverflow", "amount-too-large", False),
    (6038, "CalculateOverflow", "amount-too-large", False),
    (6041, "InvalidOrderPhase", "limit-order-invalid", False),
    (6042, "InvalidLimitOrderAmount", "limit-order-invalid", False),
    (6047, "ZeroLiquidity", "insufficient-liquidity", True),
    (6051, "InvalidTickArrayBitmapExtensionAccount", "invalid-accounts", False),
]
BEFORE = {6018: 6022, 6019: 6023, 6022: 6026, 6023: 6027, 6000: 6001, 6016: 6019}
"""Numbers of today and of the program before May 2026, of which some mean something else today."""


@pytest.mark.parametrize(("number", "name", "code", "retryable"), TODAY)
def test_clmm_error_numbers_are_current_and_error_names_take_precedence(
    number: int, name: str, code: str, retryable: bool
) -> None:
    instructions = built((CLMM, "USDC", False, "SOL/USDC"))
    index = at(instructions)
    for told in (number, BEFORE.get(number, number)):
        logs = logs_of(instructions, index, custom(told), printed=[anchor(name, told)])
        reason = reason_of(failing(index, told), logs, instructions, FAMILIES)
        assert (reason.code, reason.retryable) == (code, retryable)
    reason = reason_of(failing(index, number), NO_LOGS, instructions, FAMILIES)
    assert (reason.code, reason.retryable) == (code, retryable)


def test_a_name_counts_for_the_program_that_failed_and_for_its_own_number_only() -> None:
    """Two families have an `InvalidInput`; and names in other lines of the logs are ignored."""
    instructions = built((CPMM, "SOL", True, "SOL/USDC"), (DLMM, "USDC", False, "JUP/USDC"))
    first, second = at(instructions), at(instructions, swap=1)
    for index, number, code in (
        (first, 6003, "invalid-accounts"),
        (second, 6002, "amount-too-small"),
    ):
        logs = logs_of(
            instructions, index, custom(number), printed=[anchor("InvalidInput", number)]
        )
        assert reason_of(failing(index, number), logs, instructions, FAMILIES).code == code
    stray = logs_of(instructions, second, custom(6002), printed=[anchor("PoolDisabled", 6042)])
    assert (
        reason_of(failing(second, 6002), stray, instructions, FAMILIES).code == "amount-too-small"
    )


@pytest.mark.parametrize(
    ("error", "account", "code"),
    [
        (("AccountNotInitialized", 3012), "input_token_account", "insufficient-funds"),
        (("AccountNotInitialized", 3012), "input_vault", "instruction-refused"),
        (("ConstraintTokenOwner", 2015), "input_token_account", "token-account-unusable"),
        (("AccountOwnedByWrongProgram", 3007), "", "instruction-refused"),
        (("ConstraintSeeds", 2006), "pool_state", "instruction-refused"),
    ],
)
def test_a_failed_account_check_is_of_the_wallet_only_for_its_own_accounts(
    error: tuple[str, int], account: str, code: str
) -> None:
    name, number = error
    instructions = built((CPMM, "USDC", False, "SOL/USDC"))
    index = at(instructions)
    logs = logs_of(instructions, index, custom(number), printed=[anchor(name, number, account)])
    assert reason_of(failing(index, number), logs, instructions, FAMILIES).code == code
    # An account that this transaction opened is there.
    instructions = built((CPMM, "SOL", False, "SOL/USDC"))
    index = at(instructions)
    logs = logs_of(instructions, index, custom(number), printed=[anchor(name, number, account)])
    assert reason_of(failing(index, number), logs, instructions, FAMILIES).code == (
        "instruction-refused"
    )


def test_a_panic_is_distinguished_from_exhausted_compute_units() -> None:
    for name, code in ((DLMM, "calculation-overflow"), (CPMM, "insufficient-liquidity")):
        instructions = built((name, "SOL", False, "SOL/USDC"))
        index = at(instructions)
        err = failing(index, "ProgramFailedToComplete")
        for why in ("SBF program panicked", "Access violation in stack frame 5"):
            logs = logs_of(instructions, index, why, printed=["panicked at src/lib.rs:1"])
            assert reason_of(err, logs, instructions, FAMILIES).code == code
        printed = "exceeded CUs meter"  # by a program: no word of the runtime
        logs = logs_of(instructions, index, "SBF program panicked", printed=[printed])
        assert reason_of(err, logs, instructions, FAMILIES).code == code


def test_a_refusing_transfer_hook_is_not_an_error_of_the_pool() -> None:
    instructions = built((DLMM, "USDC", False, "SOL/USDC"))
    index, hook = at(instructions), "Hook1111111111111111111111111111111111111111"
    logs = logs_of(instructions, index, custom(6003), within=hook)
    reason = reason_of(failing(index, 6003), logs, instructions, FAMILIES)
    assert reason.code == "transfer-hook-mint"
    assert hook in reason.detail


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_every_error_of_a_family_is_identified_by_its_number_alone(name: str) -> None:
    instructions = built((name, "USDC", False, "SOL/USDC"))
    index = at(instructions)
    family = next(family for family in FAMILIES if family.name == name)
    numbers = [row.code for row in family.errors.values() if row.code >= 0]
    assert len(numbers) == len(set(numbers))
    for row in family.errors.values():
        if row.code < 0:
            continue
        reason = reason_of(failing(index, row.code), NO_LOGS, instructions, FAMILIES)
        wallets = row.code == 1 or row.reason in ("insufficient-funds", "token-account-missing")
        assert reason.code == ("insufficient-funds" if wallets else row.reason), row


def test_reasons_are_codes_and_one_code_is_always_worth_a_retry_or_never() -> None:
    reasons = [*OF_TRANSACTION.values(), *OF_INSTRUCTION.values(), *TOKEN_CODES.values()]
    reasons += [reason for table in OF_PROGRAM.values() for reason in table.values()]
    reasons += [
        Reason(row.reason, row.retryable)
        for family in FAMILIES
        for row in family.errors.values()
        if row.code >= 0
    ]
    assert all(reason.code == reason.code.lower().replace(" ", "-") for reason in reasons)
    by_code: dict[str, set[bool]] = {}
    for reason in reasons:
        by_code.setdefault(reason.code, set()).add(reason.retryable)
    assert {code for code, retryable in by_code.items() if len(retryable) > 1} == set()
    assert by_code.keys() >= OF_WALLET
    assert not any(by_code[code] & {True} for code in OF_WALLET)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)
LINES = st.lists(
    st.sampled_from(
        [
            f"Program {TOKEN} invoke [1]",
            f"Program {TOKEN} success",
            f"Program {TOKEN} failed: custom program error: 0x1",
            f"Program {MEMO} failed: ",
            "Log truncated",
            "",
        ]
    )
)


@given(JSON | JSON.map(lambda inner: {"InstructionError": inner}), LINES)
def test_every_answer_of_a_node_has_a_reason(err: Any, logs: list[str]) -> None:
    assert reason_of(err, logs, AROUND, TOYS).code


@given(st.integers(0, 4), st.integers(0, 7_000), LINES)
def test_every_instruction_error_has_a_reason(index: int, code: int, logs: list[str]) -> None:
    assert reason_of(failing(index, code), logs, AROUND, TOYS).code
