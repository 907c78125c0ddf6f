"""What every pool family answers: quotes exact to the last unit, pure, in integers.

A pool is the frozen state of one pool of one program, decoded from account bytes; a swap gives what
leaves and what reaches the wallet, and the pool as it is afterwards. No clock, network or float
here: the chain's clock is an argument. `stages.pools.families` is the table of the families.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from events.reason_codes import ReasonCode

PPM = 1_000_000
PPB = 1_000_000_000


class Clock(NamedTuple):
    """The chain's clock: a slot, that slot's Unix time in seconds, and its epoch."""

    slot: int
    time_s: int
    epoch: int = 0


class Rejected(Exception):
    """The program would refuse this swap. `error` is the program's own name for why."""

    def __init__(self, error: str, detail: str = "") -> None:
        super().__init__(f"{error}: {detail}" if detail else error)
        self.error = error


class Unsupported(Exception):
    """A pool that is never quoted, by name: what it does is not what our arithmetic does.

    `reason` is a stable code such as `rate-limiter`, `token-paused`, `transfer-hook-mint`.
    """

    def __init__(self, reason: ReasonCode, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class RawAccount(NamedTuple):
    """An account as the chain stores it."""

    owner: str
    """The program that owns it, base58."""
    data: bytes


Accounts = Mapping[str, RawAccount]
"""Accounts by base58 address. One that the chain does not have is not in it."""


class Swap(msgspec.Struct, frozen=True, gc=False):
    """One swap, as the program would execute it."""

    amount_in: int
    """Leaves the wallet, fees included; base units."""
    amount_out: int
    """Reaches the wallet, fees deducted; base units."""
    fee: int
    """The fees, in base units of the token they are taken from."""
    fee_on_output: bool
    after: Pool
    """The pool after it."""
    other_fee: int = 0
    """What is taken from the other token besides, where a program charges both sides at once."""
    transfer_fee_in: int = 0
    """What the input's mint withholds from what leaves the wallet; no part of `fee`."""
    transfer_fee_out: int = 0
    """What the output's mint withholds from what leaves the pool; no part of `fee`."""
    steps: int = 0
    """How many ticks and edges of its fee's groups it comes to, or bins it trades with, where the
    family counts them."""


class Pool(Protocol):
    """One pool. `a_to_b` says the way: True swaps mint_a for mint_b."""

    @property
    def address(self) -> str:
        """Base58."""
        ...

    @property
    def program(self) -> str:
        """The program that owns the pool account, base58: differs between clusters."""
        ...

    @property
    def mint_a(self) -> str:
        """The program's first token (token 0, coin, x, a), base58."""
        ...

    @property
    def mint_b(self) -> str:
        """The program's second token (token 1, pc, y, b), base58."""
        ...

    @property
    def reserve_a(self) -> int:
        """What the pool holds of mint_a for traders, in base units."""
        ...

    @property
    def reserve_b(self) -> int:
        """What the pool holds of mint_b for traders, in base units."""
        ...

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swap exactly `amount` base units in. Raises Rejected."""
        ...

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swap so that exactly `amount` base units come out. Raises Rejected."""
        ...

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """The spot price before fees: base units out per base unit in, as a fraction."""
        ...

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:
        """The fee rate that a very small swap would pay now, per 1e9, rounded up."""
        ...


class AccountUse(NamedTuple):
    """An account of an instruction."""

    address: str
    signer: bool = False
    writable: bool = False


class Instruction(NamedTuple):
    """One instruction of a transaction."""

    program: str
    accounts: tuple[AccountUse, ...]
    data: bytes


class SwapTerms(NamedTuple):
    """What a swap instruction says."""

    exact_out: bool
    amount: int
    """In base units of the input, or of the output if `exact_out`."""
    threshold: int
    """Least amount out, or most amount in if `exact_out`."""


class SwapAccounts(NamedTuple):
    """Whose swap it is. The way follows from the mint of `token_in`."""

    owner: str
    token_in: str
    """The token account that pays."""
    token_out: str
    """The token account that is paid."""


class Parsed(NamedTuple):
    """A swap instruction read back."""

    pool: str
    terms: SwapTerms
    accounts: SwapAccounts


class Family(Protocol):
    """One pool program: how its pools are read, quoted, swapped with, and written back."""

    @property
    def name(self) -> str:
        """Such as `raydium-cpmm`."""
        ...

    @property
    def dex(self) -> str:
        """The DEX of the program, such as `raydium`: a value of the setting VENUES."""
        ...

    @property
    def programs(self) -> Mapping[str, str]:
        """Program id by cluster: `mainnet`, `devnet`."""
        ...

    @property
    def errors(self) -> Mapping[str, ErrorCode]:
        """By the program's own name of the error."""
        ...

    @property
    def too_little_out(self) -> str:
        """The error where less would come out than the threshold of an exact-in swap."""
        ...

    @property
    def too_much_in(self) -> str:
        """The error where more would go in than the threshold of an exact-out swap."""
        ...

    @property
    def cu_limit(self) -> int:
        """Compute units that a plain swap takes at most, for want of a simulation."""
        ...

    @property
    def cu_step(self) -> int:
        """Compute units of one more tick or bin; 0 where a swap crosses none."""
        ...

    def is_pool(self, account: RawAccount) -> bool:
        """Whether this account is a pool of this family, by owner, size and discriminator."""
        ...

    def needs(self, address: str, accounts: Accounts) -> Sequence[str]:
        """The addresses that `decode` reads, as far as the accounts known so far tell.

        Called again with what was found, until it names nothing new: pool, then what the pool
        names (config, vaults), then what its price makes near (tick or bin arrays, either way).
        """
        ...

    def decode(self, address: str, accounts: Accounts) -> Pool:
        """The pool. Raises Unsupported by name, ValueError for bytes that are no such pool."""
        ...

    def write(self, after: Pool, accounts: MutableMapping[str, bytearray]) -> None:
        """Write a pool's state back into the bytes of its own accounts (not the vaults')."""
        ...

    def instruction(
        self, pool: Pool, a_to_b: bool, terms: SwapTerms, use: SwapAccounts
    ) -> Instruction:
        """The swap as the program takes it, with the arrays that it crosses."""
        ...

    def parse(self, instruction: Instruction) -> Parsed | None:
        """Read a swap instruction; None if it is another of the program's instructions."""
        ...


class ErrorCode(NamedTuple):
    """What an error of a program is called, everywhere."""

    code: int
    """The custom error code in the chain's answer; -1 where the program panics."""
    reason: ReasonCode
    """Our stable name, such as `slippage-exceeded`. On chain, `insufficient-funds` and
    `token-account-missing` are the wallet's only where the swap pays from an account of the
    wallet."""
    retryable: bool = False
    """Whether a new quote may well succeed, of the same pool or of another."""
    slips: bool = False
    """Whether a swap on chain for an exact output meets it where the price moved, since its quote
    was filled: that is `slippage-exceeded`."""


def fees_of(swap: Swap) -> tuple[int, int]:
    """All fees of pool and mints: what is taken of the input and of the output, in base units."""
    fee_in, fee_out = swap.fee, swap.other_fee
    if swap.fee_on_output:
        fee_in, fee_out = fee_out, fee_in
    return fee_in + swap.transfer_fee_in, fee_out + swap.transfer_fee_out


def before_fees(swap: Swap) -> tuple[int, int]:
    """What was swapped for what, all fees apart: base units in and out."""
    fee_in, fee_out = fees_of(swap)
    return swap.amount_in - fee_in, swap.amount_out + fee_out


def impact_ppm(swap: Swap, spot: tuple[int, int]) -> int:
    """How far below the spot price a swap was, fees apart, in millionths, rounded up; at least 0.

    spot is out/in before the swap: 1 - (out / in) / spot, with in and out before fees.
    """
    amount_in, amount_out = before_fees(swap)
    at_spot = amount_in * spot[0]
    if at_spot <= 0:
        return 0
    return max(0, PPM - amount_out * spot[1] * PPM // at_spot)
