"""The answers of nodes, as far as they are read: one struct an answer, decoded by msgspec.

Field names are the protocol's own (camelCase on the wire). Amounts are lamports or base units.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")


class Context(msgspec.Struct, frozen=True, gc=False):
    """Where the node stood when it answered."""

    slot: int


class At(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """An answer together with the slot it holds for."""

    context: Context
    value: T

    @property
    def slot(self) -> int:
        """The slot it holds for."""
        return self.context.slot


class AccountInfo(msgspec.Struct, frozen=True, gc=False):
    """An account; its data as base64, so that what did not change need not be decoded."""

    owner: str
    data: tuple[str, str]
    lamports: int = 0
    space: int | None = None
    """The length of its data, also where the answer holds a part of it."""

    def bytes(self) -> bytes:
        """The data. Raises ValueError if it is not base64."""
        return b64decode(self.data[0], validate=True)


class Blockhash(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A recent blockhash, and the last block height at which a transaction with it may land."""

    blockhash: str
    last_valid_block_height: int


class SignatureStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The status of a signature that was processed."""

    slot: int
    err: Any = None
    confirmations: int | None = None
    """None: rooted."""
    confirmation_status: str | None = None


class EpochInfo(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Slot and block height of one and the same bank."""

    absolute_slot: int
    block_height: int


class PerformanceSample(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """How many slots passed in a time, as the node counted them."""

    num_slots: int
    sample_period_secs: int


class UiAmount(msgspec.Struct, frozen=True, gc=False):
    """A token amount in base units, as a decimal string."""

    amount: str


class TokenBalance(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The balance of a token account of the transaction."""

    account_index: int
    mint: str
    ui_token_amount: UiAmount
    owner: str = ""

    @property
    def units(self) -> int:
        """The amount in base units."""
        return int(self.ui_token_amount.amount)


def held(balances: Sequence[TokenBalance] | None, keys: Sequence[str]) -> dict[str, int]:
    """Amounts by token account, in base units. `keys` are the addresses of the transaction."""
    return {
        keys[balance.account_index]: balance.units
        for balance in balances or ()
        if 0 <= balance.account_index < len(keys)
    }


class Simulation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The result of a simulation."""

    err: Any = None
    units_consumed: int | None = None
    logs: list[str] | None = None
    loaded_accounts_data_size: int | None = None
    """Bytes of account data that it loads; None from nodes before Agave 2."""
    pre_token_balances: list[TokenBalance] | None = None
    """The balances of its token accounts; None from nodes before Agave 3."""


class Meta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The effect of a landed transaction on balances."""

    fee: int
    pre_balances: list[int]
    post_balances: list[int]
    err: Any = None
    pre_token_balances: list[TokenBalance] | None = None
    post_token_balances: list[TokenBalance] | None = None
    log_messages: list[str] | None = None


class Details(msgspec.Struct, frozen=True, gc=False):
    """A landed transaction."""

    slot: int
    meta: Meta | None = None
    transaction: tuple[str, str] | None = None
    """Its bytes, and that they are base64."""


class SignatureInfo(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A line of an address's history."""

    signature: str
    slot: int
    err: Any = None
    memo: str | None = None
    """All memos: `[length] text`, with `; ` between them."""
    block_time: int | None = None


class HistoryPage(NamedTuple):
    """A page of an address's history, and how far back the same node sees."""

    first_slot: int
    """The oldest slot that it still has; 0: it has them all."""
    epoch: EpochInfo
    lines: list[SignatureInfo]
    slot_time_s: int | None
    """Unix time of the requested slot; None: unknown, or not requested."""


class KeyedAccount(msgspec.Struct, frozen=True, gc=False):
    """An account with its address."""

    pubkey: str
    account: AccountInfo


class TokenAccount(msgspec.Struct, frozen=True, gc=False):
    """A token account of an owner."""

    address: str
    mint: str
    amount: int
