"""The versions of a built transaction: the limits of each, and how a message is compiled.

v0: compute limit and price are instructions. v1 (SIMD-0385): compute limit, total priority fee in
lamports and the limit of loaded account data are fields of the message; no lookup tables. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import MessageV0, MessageV1, TransactionConfig
from solders.pubkey import Pubkey

from stages.venues.solana.transaction.messages import NEWEST_VERSION

V0, V1 = 0, 1
CU_MAX = 1_400_000
DATA_SIZE_MAX = 64 * 1024 * 1024
"""Bytes of account data that a transaction may load at most."""
MICRO = 1_000_000

Message = MessageV0 | MessageV1


class Budget(NamedTuple):
    """The compute and data limits of the transaction, and its priority fee."""

    cu_limit: int
    cu_price: int
    """Micro-lamports a unit."""
    data_size: int = DATA_SIZE_MAX
    """Bytes of account data. Of v1 only: v0 may load as much as there is."""

    @property
    def units(self) -> int:
        """The limit that is set."""
        return min(self.cu_limit, CU_MAX)

    @property
    def priority_lamports(self) -> int:
        """The whole priority fee: what the cluster charges for that limit and price in v0."""
        return -(-self.units * self.cu_price // MICRO)


Compile = Callable[[Pubkey, Sequence[Instruction], Budget, Hash], Message]


class Version(NamedTuple):
    """The limits of a version, and how a message is compiled. `compiled` raises solders' errors."""

    bytes_max: int
    addresses_max: int
    compiled: Compile


def _v0(
    owner: Pubkey, instructions: Sequence[Instruction], budget: Budget, blockhash: Hash
) -> Message:
    head = [set_compute_unit_limit(budget.units)]
    if budget.cu_price:
        head.append(set_compute_unit_price(budget.cu_price))
    return MessageV0.try_compile(owner, [*head, *instructions], [], blockhash)


def _v1(
    owner: Pubkey, instructions: Sequence[Instruction], budget: Budget, blockhash: Hash
) -> Message:
    config = TransactionConfig(
        # Lamports in all; the docstring of solders 0.29 says micro-lamports and is wrong.
        priority_fee=budget.priority_lamports or None,
        compute_unit_limit=budget.units,
        # Absent means 0 bytes: the load would fail, and the fee be charged.
        loaded_accounts_data_size_limit=min(budget.data_size, DATA_SIZE_MAX),
    )
    return MessageV1.try_compile(owner, instructions, blockhash, config)


VERSIONS: Mapping[int, Version] = {
    V0: Version(1_232, 256, _v0),
    V1: Version(4_096, 64, _v1),
}
assert max(VERSIONS) == NEWEST_VERSION, "each version that is built can be decoded"
