"""A pool family for tests of what lies around families: half a constant-product pool.

Its instruction is a real one of the token program, which moves the input to the vault, or the
output from it, and ignores the accounts that it names beside. So it runs in a real VM.
"""

# ruff: noqa: ARG002 - a protocol names more than a toy needs

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import msgspec
from solders.pubkey import Pubkey

from stages.pools.contract import (
    Accounts,
    AccountUse,
    Clock,
    ErrorCode,
    Instruction,
    Parsed,
    Pool,
    RawAccount,
    Rejected,
    Swap,
    SwapAccounts,
    SwapTerms,
)
from stages.venues.solana.transaction.programs import TOKEN

OWNER = str(Pubkey(bytes([7]) * 32))
MAGIC = b"TOYPOOL!"


class ToyPool(msgspec.Struct, frozen=True, gc=False):
    address: str
    program: str
    mint_a: str
    mint_b: str
    vault_a: str
    vault_b: str
    reserve_a: int
    reserve_b: int

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        into, out_of = self.spot(not a_to_b)
        out = amount * out_of // (into + amount)
        if not out:
            raise Rejected("ZeroOutput")
        return Swap(amount, out, 0, False, self)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        raise Rejected("NotMade")

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        pair = (self.reserve_b, self.reserve_a)
        return pair if a_to_b else pair[::-1]

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:
        return 2_500_000


class ToyFamily:
    name = "toy"
    dex = "raydium"
    errors: Mapping[str, ErrorCode] = {
        "TooLittle": ErrorCode(6005, "slippage-exceeded", True),
        "Disabled": ErrorCode(6000, "pool-disabled"),
        "panic": ErrorCode(-1, "pool-arithmetic", False),
    }
    too_little_out = "TooLittle"
    too_much_in = "TooLittle"
    cu_limit = 40_000
    cu_step = 0

    def __init__(self, program: str = TOKEN) -> None:
        self.programs: Mapping[str, str] = {"mainnet": program, "devnet": program}
        self.decoded = 0

    def is_pool(self, account: RawAccount) -> bool:
        return account.owner == OWNER and account.data[:8] == MAGIC

    def needs(self, address: str, accounts: Accounts) -> Sequence[str]:
        if address not in accounts:
            return [address]
        data = accounts[address].data
        return [address, *(str(Pubkey(data[at : at + 32])) for at in (72, 104))]

    def decode(self, address: str, accounts: Accounts) -> Pool:
        self.decoded += 1
        data = accounts[address].data
        keys = [str(Pubkey(data[at : at + 32])) for at in (8, 40, 72, 104)]
        reserves = [
            int.from_bytes(accounts[vault].data[64:72], "little")
            for vault in keys[2:]
            if vault in accounts
        ]
        if len(reserves) != 2:
            raise ValueError("no vaults")
        return ToyPool(address, OWNER, *keys, *reserves)  # type: ignore[arg-type]  # 4 and 2

    def write(self, after: Pool, accounts: MutableMapping[str, bytearray]) -> None:
        raise AssertionError("swaps of toys are never executed")

    def instruction(
        self, pool: Any, a_to_b: bool, terms: SwapTerms, use: SwapAccounts
    ) -> Instruction:
        vault = pool.vault_a if a_to_b else pool.vault_b
        moved = (use.token_in, vault) if a_to_b else (vault, use.token_out)
        data = bytes([3]) + terms.amount.to_bytes(8, "little")
        return Instruction(
            self.programs["mainnet"],
            (
                AccountUse(moved[0], False, True),
                AccountUse(moved[1], False, True),
                AccountUse(use.owner, True, False),
                AccountUse(use.token_in, False, True),
                AccountUse(use.token_out, False, True),
            ),
            data,
        )

    def parse(self, instruction: Instruction) -> Parsed | None:
        if instruction.data[:1] != bytes([3]) or len(instruction.accounts) < 5:
            return None
        names = [account_use.address for account_use in instruction.accounts]
        terms = SwapTerms(False, int.from_bytes(instruction.data[1:9], "little"), 1)
        return Parsed("", terms, SwapAccounts(names[2], names[3], names[4]))


def pool_bytes(*keys: str) -> bytes:
    """mint_a, mint_b, vault_a, vault_b."""
    return MAGIC + b"".join(bytes(Pubkey.from_string(key)) for key in keys)


def token_account_bytes(mint: str, owner: str, amount: int, *, native: bool = False) -> bytes:
    head = bytes(Pubkey.from_string(mint)) + bytes(Pubkey.from_string(owner))
    rent = (1).to_bytes(4, "little") + (2_039_280).to_bytes(8, "little") if native else bytes(12)
    return head + amount.to_bytes(8, "little") + bytes(36) + b"\x01" + rent + bytes(44)


def mint_bytes(decimals: int) -> bytes:
    return bytes(36) + bytes(8) + bytes([decimals, 1]) + bytes(36)
