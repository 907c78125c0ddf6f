"""The amounts of a landed swap: read from the balances before and after, never from the quote.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import NamedTuple

from stages.pools.contract import Family, Instruction, Parsed
from stages.venues import LegOutcome
from stages.venues.solana.rpc.answers import Meta, TokenBalance
from stages.venues.solana.transaction.messages import decode, instructions_of


class Fill(NamedTuple):
    """The amounts of the swap, in base units, and the chain's fees, in lamports."""

    amount_in: int
    amount_out: int
    fee: int
    rent: int
    """Laid down for token accounts that the transaction opened and left open."""
    legs: tuple[LegOutcome, ...] = ()
    """Of each swap, in order."""


class Sent(NamedTuple):
    """The swaps of a transaction, read from its own bytes."""

    keys: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    swaps: tuple[Parsed, ...]
    accounts: tuple[tuple[str, ...], ...] = ()
    """All that each of these swaps names."""


def read_sent(raw: bytes, families: Sequence[Family]) -> Sent:
    """Reads a transaction of this engine, of any version. Raises ValueError for other bytes."""
    decoded = decode(raw)
    instructions = instructions_of(decoded.message)
    by_program = {program: f for f in families for program in f.programs.values()}
    parsed = [
        (
            by_program[instruction.program].parse(instruction),
            tuple(use.address for use in instruction.accounts),
        )
        for instruction in instructions
        if instruction.program in by_program
    ]
    swaps = [(swap, accounts) for swap, accounts in parsed if swap is not None]
    return Sent(
        decoded.keys,
        tuple(instructions),
        tuple(swap for swap, _ in swaps),
        tuple(accounts for _, accounts in swaps),
    )


def fill_of(sent: Sent, meta: Meta) -> Fill:
    """The swap's amounts. Raises ValueError where the balances do not show them."""
    if not (sent.swaps and len(meta.pre_balances) == len(sent.keys) == len(meta.post_balances)):
        raise ValueError("the balances are of another transaction")
    before, after = _units(meta.pre_token_balances), _units(meta.post_token_balances)
    gained = _lamports_gained(sent, meta)

    def moved(account: str) -> int:
        """The change of this token account; for SOL, whose account is closed, the change of the
        wallet.
        """
        index = sent.keys.index(account)
        if index in before or index in after:
            return after.get(index, 0) - before.get(index, 0)
        return gained + meta.fee

    fill = Fill(
        amount_in=-moved(sent.swaps[0].accounts.token_in),
        amount_out=moved(sent.swaps[-1].accounts.token_out),
        fee=meta.fee,
        rent=_rent(sent, meta),
        legs=_legs(sent, meta, moved),
    )
    if fill.amount_in <= 0 or fill.amount_out <= 0:
        raise ValueError(f"the balances say {fill}")
    return fill


def _legs(sent: Sent, meta: Meta, moved: Callable[[str], int]) -> tuple[LegOutcome, ...]:
    """The amounts of each swap, by the balances of its pool.

    The remainder of a token that one swap gives and another takes is counted once, with the first
    swap that gives it.
    """
    first, last = sent.swaps[0].accounts.token_in, sent.swaps[-1].accounts.token_out
    told = {first, last}
    legs = []
    for swap, accounts in zip(sent.swaps, sent.accounts, strict=True):
        middle = swap.accounts.token_out
        leftover = 0 if middle in told else moved(middle)
        told.add(middle)
        ours = {swap.accounts.token_in, swap.accounts.token_out}
        legs.append(LegOutcome(*_through_pool(sent, meta, set(accounts) - ours), leftover))
    return tuple(legs)


def _through_pool(sent: Sent, meta: Meta, accounts: Set[str]) -> tuple[int, int]:
    """The amounts that token accounts gained of one token and lost of another; 0 where that is not
    clear.
    """
    names, change = dict(enumerate(sent.keys)), dict[str, int]()
    for balances, sign in ((meta.pre_token_balances, -1), (meta.post_token_balances, 1)):
        for balance in balances or ():
            if names.get(balance.account_index) in accounts:
                change[balance.mint] = change.get(balance.mint, 0) + sign * balance.units
    gained = [units for units in change.values() if units > 0]
    lost = [-units for units in change.values() if units < 0]
    return (gained[0], lost[0]) if len(gained) == len(lost) == 1 else (0, 0)


def _units(balances: Sequence[TokenBalance] | None) -> dict[int, int]:
    return {balance.account_index: balance.units for balance in balances or ()}


def _rent(sent: Sent, meta: Meta) -> int:
    """Lamports may have been sent to the address before: then less was missing."""
    there = {balance.account_index for balance in meta.pre_token_balances or ()}
    opened = {
        balance.account_index
        for balance in meta.post_token_balances or ()
        if balance.owner == sent.keys[0] and balance.account_index not in there
    }
    return sum(meta.post_balances[index] - meta.pre_balances[index] for index in opened)


def _lamports_gained(sent: Sent, meta: Meta) -> int:
    """The change of the wallet and its token accounts together: rent that moves between them, for
    an account that was created, does not count as part of the swap.
    """
    owner = sent.keys[0]
    balances = [*(meta.pre_token_balances or ()), *(meta.post_token_balances or ())]
    ours = {0} | {balance.account_index for balance in balances if balance.owner == owner}
    return sum(meta.post_balances[i] - meta.pre_balances[i] for i in ours)
