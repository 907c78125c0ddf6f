"""What a landed swap moved: read from the balances before and after, never from the quote. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stages.venues.pool import Family, Instruction, Parsed
from stages.venues.solana.messages import decode, instructions_of
from stages.venues.solana.rpc_answers import Meta, TokenBalance


class Fill(NamedTuple):
    """What the swap took and gave, in base units, and what the chain took for it, in lamports."""

    amount_in: int
    amount_out: int
    fee: int
    rent: int
    """Laid down for token accounts that the transaction opened and left open."""


class Sent(NamedTuple):
    """What our own bytes say of the swap they make."""

    keys: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    swaps: tuple[Parsed, ...]


def read_sent(raw: bytes, families: Sequence[Family]) -> Sent:
    """Reads a transaction of ours, of any version. Raises ValueError for bytes that are none."""
    made = decode(raw)
    instructions = instructions_of(made.message)
    by_program = {program: f for f in families for program in f.programs.values()}
    swaps = [
        by_program[one.program].parse(one) for one in instructions if one.program in by_program
    ]
    return Sent(
        made.keys,
        tuple(instructions),
        tuple(swap for swap in swaps if swap is not None),
    )


def fill_of(sent: Sent, meta: Meta) -> Fill:
    """The swap's amounts. Raises ValueError where the balances do not tell them."""
    if not (sent.swaps and len(meta.pre_balances) == len(sent.keys) == len(meta.post_balances)):
        raise ValueError("the balances are of another transaction")
    before, after = _units(meta.pre_token_balances), _units(meta.post_token_balances)
    gained = _lamports_gained(sent, meta)

    def moved(account: str) -> int:
        """What reached this token account; for SOL, whose account is gone, what reached us."""
        index = sent.keys.index(account)
        if index in before or index in after:
            return after.get(index, 0) - before.get(index, 0)
        return gained + meta.fee

    fill = Fill(
        amount_in=-moved(sent.swaps[0].accounts.token_in),
        amount_out=moved(sent.swaps[-1].accounts.token_out),
        fee=meta.fee,
        rent=_rent(sent, meta),
    )
    if fill.amount_in <= 0 or fill.amount_out <= 0:
        raise ValueError(f"the balances say {fill}")
    return fill


def _units(balances: Sequence[TokenBalance] | None) -> dict[int, int]:
    return {balance.account_index: balance.units for balance in balances or ()}


def _rent(sent: Sent, meta: Meta) -> int:
    """Somebody may have sent lamports to the address before: then less was missing."""
    there = {balance.account_index for balance in meta.pre_token_balances or ()}
    opened = {
        balance.account_index
        for balance in meta.post_token_balances or ()
        if balance.owner == sent.keys[0] and balance.account_index not in there
    }
    return sum(meta.post_balances[index] - meta.pre_balances[index] for index in opened)


def _lamports_gained(sent: Sent, meta: Meta) -> int:
    """By the wallet and its token accounts together, so that rent that moves between them, for an
    account that was created, is no part of the swap.
    """
    owner = sent.keys[0]
    balances = [*(meta.pre_token_balances or ()), *(meta.post_token_balances or ())]
    ours = {0} | {balance.account_index for balance in balances if balance.owner == owner}
    return sum(meta.post_balances[i] - meta.pre_balances[i] for i in ours)
