"""A Raydium CPMM pool and its arithmetic: x·y = k after fees.

Formulas: tests/vectors/README.md (cpmm.json), and the vectors themselves.
Fees round up, their shares down, output down, input up. Of the fee on the input the creator's part
is floor(total · creator / (trade + creator)), the trade fee is the rest, and protocol and fund take
their shares of it; the remainder of it stays in the reserves.

Two releases are on record, and they differ for dust. The compiled one that made most vectors knows
no creator fee; there an exact-out swap that is worth less than half a unit of input costs 0 and is
refused, and a trade fee of 0 works. The release with creator fees asks one unit, and cannot divide
a fee of 0. Its mark is a config with a creator fee rate, which the older one cannot have; both are
followed as they answered. Towards the newer one this refuses dust that it would sell, no more.
"""

from __future__ import annotations

from typing import NoReturn

import msgspec

from stages.pools.contract import PPM, Clock, Rejected, Swap
from stages.pools.keyed import Keyed

U64_MAX = 2**64 - 1
NOT_POSITIVE = "RequireGtViolated"
_SWAP_DISABLED = 4


class CpmmKeys(msgspec.Struct, frozen=True, gc=False):
    """The addresses of a pool, base58."""

    address: str
    program: str
    config: str
    vault_a: str
    vault_b: str
    mint_a: str
    mint_b: str
    token_program_a: str
    token_program_b: str
    observation: str


class Way(msgspec.Struct, frozen=True, gc=False):
    """The fee rates of a swap in one direction, in millionths."""

    rate_in: int
    """Of the input: trade fee, and the creator's if it is taken there."""
    creator_in: int
    creator_out: int


class CpmmTerms(msgspec.Struct, frozen=True, gc=False):
    """The terms that no swap changes."""

    a_to_b: Way
    b_to_a: Way
    protocol_rate: int
    """Of the trade fee, in millionths; so is the next."""
    fund_rate: int
    status: int
    open_time_s: int
    sells_dust: bool
    """Whether this is the release with creator fees."""


class Owed(msgspec.Struct, frozen=True, gc=False):
    """The part of a vault that is not the traders', in base units."""

    protocol: int
    fund: int
    creator: int


class CpmmPool(msgspec.Struct, Keyed, frozen=True, gc=False):
    """The state of a pool. A vault holds the reserve and the fees owed."""

    keys: CpmmKeys
    terms: CpmmTerms
    reserve_a: int
    reserve_b: int
    owed_a: Owed
    owed_b: Owed

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps exactly `amount` base units in. Raises Rejected."""
        terms = self.terms
        if terms.status & _SWAP_DISABLED or clock.time_s < terms.open_time_s:
            raise Rejected("NotApproved")
        if amount <= 0:
            raise Rejected(NOT_POSITIVE, "nothing in")
        if a_to_b:
            way, of_in, of_out = terms.a_to_b, self.reserve_a, self.reserve_b
        else:
            way, of_in, of_out = terms.b_to_a, self.reserve_b, self.reserve_a
        if of_in <= 0 or of_out <= 0:
            self._empty()
        total = -(-amount * way.rate_in // PPM)
        net = amount - total
        gross = net * of_out // (of_in + net)
        if gross <= (creator := -(-gross * way.creator_out // PPM)):
            raise Rejected(NOT_POSITIVE, "nothing out")
        return self._swap(amount, gross, total, creator, a_to_b)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps so that exactly `amount` base units come out. Raises Rejected."""
        terms = self.terms
        if terms.status & _SWAP_DISABLED or clock.time_s < terms.open_time_s:
            raise Rejected("NotApproved")
        if a_to_b:
            way, of_in, of_out = terms.a_to_b, self.reserve_a, self.reserve_b
        else:
            way, of_in, of_out = terms.b_to_a, self.reserve_b, self.reserve_a
        if of_in <= 0 or of_out <= 0:
            self._empty()
        gross = -(-amount * PPM // (PPM - way.creator_out))
        if (left := of_out - gross) <= 0:
            raise Rejected("panic", "more than the pool has")
        worth = of_in * gross
        if worth * 2 < left and not terms.sells_dust:
            raise Rejected(NOT_POSITIVE, "worth less than half a unit")
        raw = -(-worth // left)
        if (paid := -(-raw * PPM // (PPM - way.rate_in))) <= 0:
            raise Rejected(NOT_POSITIVE, "nothing in")
        if paid > U64_MAX:
            raise Rejected("panic", "costs more than there can be")
        return self._swap(paid, gross, paid - raw, gross - amount, a_to_b)

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """Base units out per base unit in, before fees, as a fraction."""
        return (self.reserve_b, self.reserve_a) if a_to_b else (self.reserve_a, self.reserve_b)

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:  # noqa: ARG002 - it never changes
        """The share of a swap that goes into fees, at input and output together, per 1e9, rounded
        up.
        """
        way = self.terms.a_to_b if a_to_b else self.terms.b_to_a
        return 1000 * PPM - (PPM - way.rate_in) * (PPM - way.creator_out) // 1000

    def _swap(self, paid: int, gross: int, total: int, creator_out: int, a_to_b: bool) -> Swap:
        """The swap with its fees shared out: `gross` leaves the reserve, `total` is fee of paid."""
        terms = self.terms
        if a_to_b:
            way, owed_in, owed_out = terms.a_to_b, self.owed_a, self.owed_b
        else:
            way, owed_in, owed_out = terms.b_to_a, self.owed_b, self.owed_a
        creator = total * way.creator_in // way.rate_in if way.creator_in else 0
        trade = total - creator
        protocol = trade * terms.protocol_rate // PPM
        fund = trade * terms.fund_rate // PPM
        gained = paid - protocol - fund - creator
        owed_in = Owed(owed_in.protocol + protocol, owed_in.fund + fund, owed_in.creator + creator)
        if creator_out:
            owed_out = Owed(owed_out.protocol, owed_out.fund, owed_out.creator + creator_out)
        if a_to_b:
            reserve = self.reserve_a + gained
            after = CpmmPool(self.keys, terms, reserve, self.reserve_b - gross, owed_in, owed_out)
        else:
            reserve = self.reserve_b + gained
            after = CpmmPool(self.keys, terms, self.reserve_a - gross, reserve, owed_out, owed_in)
        if reserve + owed_in.protocol + owed_in.fund + owed_in.creator > U64_MAX:
            raise Rejected("Error: Operation overflowed", "more than a vault can hold")
        return Swap(paid, gross - creator_out, total, False, after, creator_out)

    def _empty(self) -> NoReturn:
        owes = self.reserve_a < 0 or self.reserve_b < 0
        raise Rejected("InsufficientVault" if owes and self.terms.sells_dust else "panic", "empty")
