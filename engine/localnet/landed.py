"""A transaction that landed, with everything that a node reports of it afterwards."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.localnet.execute import Outcome
from engine.localnet.programs.context import Swapped
from engine.localnet.state.accounts import Account, is_token_account, read_token
from engine.localnet.state.addresses import SYSTEM
from engine.localnet.state.blocks import Blocks
from engine.localnet.state.transaction import Transaction
from engine.localnet.state.view import State, View


class TokenBalance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The balance of a token account of the transaction, in base units."""

    index: int
    mint: str
    owner: str
    amount: int


class Details(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `getTransaction` adds. Balances are in lamports, in the order of the account keys."""

    raw: bytes
    before: list[int]
    after: list[int]
    tokens_before: list[TokenBalance]
    tokens_after: list[TokenBalance]
    logs: list[str]
    wallets: list[str] = []
    """Wallets that it names besides the payer: it is in their history too."""


class Landed(msgspec.Struct, frozen=True, gc=False):
    """A transaction in a block, failed ones too. Amounts are base units."""

    signature: str
    slot: int
    height: int
    time_s: int
    err: Any
    """The chain's JSON value; None on success."""
    fee: int
    units: int
    memo: str
    payer: str
    swaps: list[Swapped]
    details: Details


def landed(
    tx: Transaction, outcome: Outcome, state: State, view: View, at: tuple[int, int, int]
) -> Landed:
    """The record of an executed transaction, made before its view is applied.

    `at`: slot, height, Unix time.
    """
    slot, height, time_s = at
    before = [state.accounts.get(key) for key in tx.keys]
    after = [view.get(key) for key in tx.keys]
    return Landed(
        tx.signature,
        slot,
        height,
        time_s,
        outcome.err,
        outcome.fee,
        outcome.units,
        outcome.memo,
        tx.keys[0],
        list(outcome.swaps),
        Details(
            tx.raw,
            [account.lamports if account else 0 for account in before],
            [account.lamports if account else 0 for account in after],
            _tokens(before),
            _tokens(after),
            outcome.logs,
            _wallets(tx.keys, before, after),
        ),
    )


def _wallets(
    keys: list[str], before: list[Account | None], after: list[Account | None]
) -> list[str]:
    """The wallets among the keys. On a real node every address has a history; here only wallets."""
    return [
        key
        for key, was, now in zip(keys[1:], before[1:], after[1:], strict=True)
        if (account := now or was) is not None and account.owner == SYSTEM and not account.data
    ]


def _tokens(accounts: list[Account | None]) -> list[TokenBalance]:
    balances = []
    for index, account in enumerate(accounts):
        if account is not None and is_token_account(account):
            token = read_token(account.data)
            balances.append(TokenBalance(index, token.mint, token.owner, token.amount))
    return balances


class Seen(msgspec.Struct, frozen=True, gc=False):
    """The commitment of a landed transaction."""

    status: str
    confirmations: int | None


def seen(blocks: Blocks, landed: Landed) -> Seen:
    """The commitment now, and the number of blocks built on it; None once it is final."""
    if landed.height <= blocks.finalized_height:
        return Seen("finalized", None)
    status = "confirmed" if landed.height <= blocks.confirmed_height else "processed"
    return Seen(status, blocks.tip.height - landed.height)
