"""Transactions as this engine builds them, and the chain's answers where one of them fails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from solders.hash import Hash
from solders.pubkey import Pubkey

from stages.pools.contract import Instruction, SwapTerms
from stages.venues.solana.transaction import signing as t
from stages.venues.solana.transaction.messages import instructions_of
from stages.venues.solana.transaction.programs import TOKEN
from stages.venues.solana.transaction.versions import V0, V1, Budget
from tests.support.chain.localchain import FAMILY_NAMES, OWNER, family_of, mint_of, plan_of
from tests.unit.stages.pools.test_contract import pool_of

CPMM, AMM_V4, CLMM = "raydium-cpmm", "raydium-amm-v4", "raydium-clmm"
DLMM, DAMM_V2 = "meteora-dlmm", "meteora-damm-v2"
AMOUNT, MOST = 10**6, 10**9
"""What a swap takes or pays exactly, and the most that one with an exact output may take."""


def leg(name: str, token_in: str, *, exact_out: bool, pair: str = "SOL/USDC") -> t.Leg:
    """A swap of a family, for at most MOST where its output is exact."""
    family, pool = pool_of(plan_of(name, pair))
    terms = SwapTerms(exact_out, AMOUNT, MOST if exact_out else 1)
    return t.Leg(family, pool, pool.mint_a == mint_of(token_in), terms)


@cache
def built(
    *legs: tuple[str, str, bool, str],
    wrapping: t.Wrapping = t.Wrapping.TEMPORARY,
) -> tuple[Instruction, ...]:
    """The instructions of a transaction of these legs: family, token in, exact output, pair. One
    of several legs is of version 1, as a large one would be.
    """
    version = V1 if len(legs) > 1 else V0
    created = tuple(leg(name, given, exact_out=out, pair=pair) for name, given, out, pair in legs)
    mints = {mint for leg in created for mint in (leg.mint_in, leg.mint_out)}
    plan = t.Plan(
        Pubkey.from_string(OWNER), created, dict.fromkeys(mints, TOKEN), "order", wrapping
    )
    draft = t.drafted(plan)
    return tuple(
        instructions_of(t.message(draft, Budget(200_000, 5), str(Hash.default()), version))
    )


def at(instructions: Sequence[Instruction], *, swap: int = 0) -> int:
    """Where a swap stands among the instructions."""
    programs = {p for name in FAMILY_NAMES for p in family_of(name).programs.values()}
    return [n for n, instruction in enumerate(instructions) if instruction.program in programs][
        swap
    ]


def failing(index: int, error: Any) -> dict[str, Any]:
    """The chain's error; a number is a custom one."""
    return {"InstructionError": [index, {"Custom": error} if isinstance(error, int) else error]}


def logs_of(
    instructions: Sequence[Instruction],
    index: int,
    why: str,
    *,
    printed: Sequence[str] = (),
    paid: int = 0,
    within: str = "",
) -> list[str]:
    """As a node shows a failure: `paid` transfers of the instruction succeed, then the program, or
    one that it calls (`within`), fails.
    """
    lines = []
    for instruction in instructions[:index]:
        lines += [
            f"Program {instruction.program} invoke [1]",
            f"Program {instruction.program} success",
        ]
    program = instructions[index].program
    lines.append(f"Program {program} invoke [1]")
    for _ in range(paid):
        lines += [
            f"Program {TOKEN} invoke [2]",
            "Program log: Instruction: TransferChecked",
            f"Program {TOKEN} consumed 6200 of 150000 compute units",
            f"Program {TOKEN} success",
        ]
    if within:
        lines.append(f"Program {within} invoke [2]")
    lines += [f"Program log: {line}" for line in printed]
    if within:
        lines.append(f"Program {within} failed: {why}")
        why = "Program failed to complete" if "CUs" in why or "panicked" in why else why
    lines.append(f"Program {program} consumed 60000 of 150000 compute units")
    return [*lines, f"Program {program} failed: {why}"]


def custom(code: int) -> str:
    """How logs call a custom error."""
    return f"custom program error: {code:#x}"


def anchor(name: str, number: int, account: str = "") -> str:
    """How an Anchor program prints an error."""
    where = f"caused by account: {account}" if account else "thrown in swap.rs:1"
    return f"AnchorError {where}. Error Code: {name}. Error Number: {number}. Error Message: …."
