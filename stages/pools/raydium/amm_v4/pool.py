"""A Raydium AMM v4 pool and its arithmetic: x·y = k after a fee on the input.

Formulas: tests/vectors/README.md (ammv4.json), and the vectors themselves.
The reserves are what the vaults hold but for the profit that waits to be taken. The whole fee stays
in the reserves. Fees and input round up, output down.
"""

from __future__ import annotations

import msgspec

from stages.pools.contract import PPB, Clock, Rejected, Swap
from stages.pools.keyed import Keyed

U64_MAX = 2**64 - 1
SWAP_ONLY, WAITING_TRADE = 6, 7
NOTHING = "Error: InvalidInput"


class AmmV4Keys(msgspec.Struct, frozen=True, gc=False):
    """The addresses of a pool, base58."""

    address: str
    program: str
    vault_a: str
    vault_b: str
    mint_a: str
    mint_b: str


class AmmV4Terms(msgspec.Struct, frozen=True, gc=False):
    """The terms that no swap changes."""

    fee_numerator: int
    fee_denominator: int
    open_time_s: int
    profit_a: int
    """The part of vault a that is not the traders', in base units; `profit_b`, of vault b."""
    profit_b: int


class AmmV4Pool(msgspec.Struct, Keyed, frozen=True, gc=False):
    """The state of a pool. a is the coin, b the pc."""

    keys: AmmV4Keys
    terms: AmmV4Terms
    status: int
    reserve_a: int
    reserve_b: int

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps exactly `amount` base units in. Raises Rejected."""
        terms, of_in, of_out = self.terms, self.reserve_a, self.reserve_b
        if not a_to_b:
            of_in, of_out = of_out, of_in
        if self.status != SWAP_ONLY or of_in < 0 or of_out < 0:
            self._check(clock)
        fee = -(-amount * terms.fee_numerator // terms.fee_denominator)
        net = amount - fee
        if (total := of_in + net) <= 0:
            raise Rejected("panic", "nothing to divide by")
        if (out := net * of_out // total) <= 0:
            raise Rejected(NOTHING, "nothing out")
        if out >= of_out:
            raise Rejected("Error: insufficient funds", "more than the pool has")
        return self._swap(amount, out, fee, a_to_b)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps so that exactly `amount` base units come out. Raises Rejected."""
        terms, of_in, of_out = self.terms, self.reserve_a, self.reserve_b
        if not a_to_b:
            of_in, of_out = of_out, of_in
        if self.status != SWAP_ONLY or of_in < 0 or of_out < 0:
            self._check(clock)
        if amount >= of_out:
            raise Rejected("panic", "more than the pool has")
        raw = -(-of_in * amount // (of_out - amount))
        rest = terms.fee_denominator - terms.fee_numerator
        if (paid := -(-raw * terms.fee_denominator // rest)) <= 0:
            raise Rejected(NOTHING, "nothing in")
        if paid > U64_MAX:
            raise Rejected("panic", "costs more than there can be")
        return self._swap(paid, amount, paid - raw, a_to_b)

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """Base units out per base unit in, before fees, as a fraction."""
        return (self.reserve_b, self.reserve_a) if a_to_b else (self.reserve_a, self.reserve_b)

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:  # noqa: ARG002 - always the same
        """The fee rate per 1e9, rounded up."""
        return -(-PPB * self.terms.fee_numerator // self.terms.fee_denominator)

    def _swap(self, paid: int, out: int, fee: int, a_to_b: bool) -> Swap:
        terms, a, b = self.terms, self.reserve_a, self.reserve_b
        if a_to_b:
            a, b = a + paid, b - out
            full = a + terms.profit_a > U64_MAX
        else:
            a, b = a - out, b + paid
            full = b + terms.profit_b > U64_MAX
        if full:
            raise Rejected("Error: Operation overflowed", "more than a vault can hold")
        return Swap(paid, out, fee, False, AmmV4Pool(self.keys, terms, SWAP_ONLY, a, b))

    def _check(self, clock: Clock) -> None:
        """Raises Rejected unless it trades now; the first swap opens a pool that waits."""
        opens = self.status == WAITING_TRADE and clock.time_s >= self.terms.open_time_s
        if self.status != SWAP_ONLY and not opens:
            raise Rejected("Error: InvalidStatus")
        if self.reserve_a < 0 or self.reserve_b < 0:
            raise Rejected("Error: Checked_Sub Overflow", "less than the profit to be taken")
