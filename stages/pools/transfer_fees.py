"""Transfer fees of Token-2022 mints, and pools that trade such mints. Pure, in integers.

The token program withholds a fee from what a transfer delivers:

    fee(gross) = min(ceil(gross * basis points / 10,000), maximum)

Source: https://docs.rs/spl-token-2022-interface, module `extension::transfer_fee`. A pool program
swaps what arrives in its vault, and a wallet receives what its own transfer delivers. CPMM, CLMM
(`swap_v2`), DLMM (`swap2`) and DAMM v2 (`swap2`) agree on three rules: an exact input pays the fee
out of the input; an exact output is grossed up to the least transfer that delivers it, and so is
the input; thresholds are compared with what leaves and what reaches the wallet. For DLMM the
recorded pair `B5Eia…` shows it in `mainnet_dlmm_accounts`, for CPMM and CLMM the public source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from stages.pools.contract import PPB, Clock, Pool, Rejected, Swap, SwapTerms

BPS = 10_000
U64_MAX = 2**64 - 1
TOO_MUCH = "TransferFeeOverflow"
"""The transfer that would deliver the amount does not fit a u64."""


class TransferFee(NamedTuple):
    """One of the two fees that a mint keeps."""

    epoch: int
    """The first epoch in which it is charged."""
    maximum: int
    """The most that one transfer pays, in base units."""
    basis_points: int

    @property
    def charges(self) -> bool:
        """Whether any transfer pays anything."""
        return bool(self.basis_points and self.maximum)

    def fee(self, gross: int) -> int:
        """The fee that a transfer of `gross` base units withholds."""
        return min(-(-gross * self.basis_points // BPS), self.maximum)

    def net(self, gross: int) -> int:
        """The amount that a transfer of `gross` base units delivers."""
        return gross - self.fee(gross)

    def gross(self, net: int) -> int:
        """The least transfer that delivers `net` base units. Raises Rejected beyond a u64."""
        most = net + self.maximum
        if self.basis_points < BPS and net:
            most = min(most, -(-net * BPS // (BPS - self.basis_points)))
        gross = most if net and self.charges else net
        if gross > U64_MAX:
            raise Rejected(TOO_MUCH, f"{gross}")
        return gross


NO_FEE = TransferFee(0, 0, 0)


class TransferFees(NamedTuple):
    """The fees of a mint: the older one until the epoch of the newer one."""

    older: TransferFee = NO_FEE
    newer: TransferFee = NO_FEE

    @property
    def charges(self) -> bool:
        """Whether any transfer, now or in a later epoch, pays anything."""
        return self.older.charges or self.newer.charges

    def at(self, epoch: int) -> TransferFee:
        """The fee that is charged in an epoch."""
        return self.newer if epoch >= self.newer.epoch else self.older

    def most_gross(self, net: int) -> int:
        """The larger of the two transfers that deliver `net` base units."""
        return max(self.older.gross(net), self.newer.gross(net))


class FeeMintPool(msgspec.Struct, frozen=True, gc=False):
    """A pool of which at least one mint charges transfer fees; see `stages.pools.contract.Pool`."""

    inner: Pool
    """The pool as its program computes it: without the transfer fees."""
    fees_a: TransferFees
    fees_b: TransferFees

    @property
    def address(self) -> str:
        """Base58."""
        return self.inner.address

    @property
    def program(self) -> str:
        """The program that owns the pool account, base58."""
        return self.inner.program

    @property
    def mint_a(self) -> str:
        """The program's first token, base58."""
        return self.inner.mint_a

    @property
    def mint_b(self) -> str:
        """The program's second token, base58."""
        return self.inner.mint_b

    @property
    def reserve_a(self) -> int:
        """The balance of mint_a that belongs to traders, in base units."""
        return self.inner.reserve_a

    @property
    def reserve_b(self) -> int:
        """The balance of mint_b that belongs to traders, in base units."""
        return self.inner.reserve_b

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps exactly `amount` base units in, transfer fee included. Raises Rejected."""
        fee_in, fee_out = self._fees(a_to_b, clock)
        arriving = fee_in.net(amount)
        swap = self.inner.exact_in(arriving, a_to_b, clock)
        paid = amount if swap.amount_in == arriving else fee_in.gross(swap.amount_in)
        return self._outside(swap, paid, fee_out.net(swap.amount_out))

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps so that exactly `amount` base units reach the wallet. Raises Rejected."""
        fee_in, fee_out = self._fees(a_to_b, clock)
        swap = self.inner.exact_out(fee_out.gross(amount), a_to_b, clock)
        return self._outside(swap, fee_in.gross(swap.amount_in), fee_out.net(swap.amount_out))

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """The spot price before fees: base units out per base unit in, as a fraction."""
        return self.inner.spot(a_to_b)

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:
        """The rate of all fees that a very small swap would pay now, per 1e9, rounded up."""
        left = PPB - self.inner.fee_ppb(a_to_b, clock)
        for fee in self._fees(a_to_b, clock):
            left = left * (BPS - fee.basis_points * fee.charges) // BPS
        return PPB - left

    def inner_terms(self, a_to_b: bool, terms: SwapTerms) -> SwapTerms:
        """The terms of a swap as the pool sees them, in whichever of the epochs it runs."""
        if not terms.exact_out:
            return terms
        _, fees_out = self._sides(a_to_b)
        return terms._replace(amount=fees_out.most_gross(terms.amount))

    def _fees(self, a_to_b: bool, clock: Clock) -> tuple[TransferFee, TransferFee]:
        fees_in, fees_out = self._sides(a_to_b)
        return fees_in.at(clock.epoch), fees_out.at(clock.epoch)

    def _sides(self, a_to_b: bool) -> tuple[TransferFees, TransferFees]:
        return (self.fees_a, self.fees_b) if a_to_b else (self.fees_b, self.fees_a)

    def _outside(self, swap: Swap, paid: int, received: int) -> Swap:
        """The swap as the wallet sees it."""
        return msgspec.structs.replace(
            swap,
            amount_in=paid,
            amount_out=received,
            after=FeeMintPool(swap.after, self.fees_a, self.fees_b),
            transfer_fee_in=paid - swap.amount_in,
            transfer_fee_out=swap.amount_out - received,
        )


def with_fees(pool: Pool, fees: Mapping[str, TransferFees]) -> Pool:
    """The pool with the transfer fees of its mints; the very same where they charge none."""
    fees_a = fees.get(pool.mint_a, TransferFees())
    fees_b = fees.get(pool.mint_b, TransferFees())
    if not (fees_a.charges or fees_b.charges):
        return pool
    return FeeMintPool(pool, fees_a, fees_b)


def without_fees(pool: Pool) -> Pool:
    """The pool as its program computes it."""
    return pool.inner if isinstance(pool, FeeMintPool) else pool
