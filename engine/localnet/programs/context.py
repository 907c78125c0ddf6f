"""The state that the instructions of a transaction share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.localnet.state.accounts import Account
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.transaction import Step, Transaction
from engine.localnet.state.view import View
from stages.pools.contract import Clock


class Swapped(NamedTuple):
    """A swap of a transaction. Amounts are base units."""

    pool: str
    mint_in: str
    mint_out: str
    amount_in: int
    amount_out: int


class Context:
    """One transaction under way: its view, its compute units, its logs and effects."""

    def __init__(self, tx: Transaction, view: View, clock: Clock, units: int) -> None:
        self.tx = tx
        self.view = view
        self.clock = clock
        self.units = units
        """Compute units left."""
        self.logs: list[str] = []
        self.swaps: list[Swapped] = []
        self.memos: list[str] = []

    def spend(self, units: int, *, builtin: bool = False) -> None:
        """Uses compute units. Raises InstructionFailed when there are not enough."""
        self.units -= units
        if self.units < 0:
            self.units = 0
            if builtin:
                raise InstructionFailed("ComputationalBudgetExceeded")
            raise InstructionFailed(
                "ProgramFailedToComplete", message="exceeded CUs meter at BPF instruction"
            )

    def keys(self, step: Step, least: int) -> list[str]:
        """The accounts of an instruction. Raises InstructionFailed for fewer than `least`."""
        accounts = step.accounts
        if len(accounts) < least:
            raise InstructionFailed("NotEnoughAccountKeys")
        keys = self.tx.keys
        return [keys[at] for at in accounts]

    def signs(self, step: Step, at: int) -> bool:
        """Whether account number `at` of an instruction signed the transaction."""
        return step.accounts[at] < self.tx.signatures

    def account(self, address: str) -> Account:
        """An account. Raises InstructionFailed where there is none."""
        account = self.view.get(address)
        if account is None:
            raise InstructionFailed("InvalidAccountData")
        return account


Program = Callable[[Context, Step], None]
