"""The arithmetic of a pool of x·y = k without a fee: input rounds up, output down."""

from __future__ import annotations

import msgspec

from stages.pools.contract import Clock, Rejected, Swap

U64_MAX = 2**64 - 1


class ConstantPool(msgspec.Struct, frozen=True, gc=False):
    """The state of a pool; addresses are base58, reserves in base units."""

    address: str
    program: str
    mint_a: str
    mint_b: str
    vault_a: str
    vault_b: str
    reserve_a: int
    reserve_b: int

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:  # noqa: ARG002 - no fee follows the clock
        """Swap exactly `amount` base units in. Raises Rejected."""
        into, out_of = self._reserves(a_to_b)
        out = amount * out_of // (into + amount) if amount > 0 else 0
        if not out:
            raise Rejected("ZeroAmount")
        return self._swap(amount, out, a_to_b)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:  # noqa: ARG002 - no fee follows the clock
        """Swap so that exactly `amount` base units come out. Raises Rejected."""
        into, out_of = self._reserves(a_to_b)
        if amount >= out_of:
            raise Rejected("Empty")
        paid = -(-into * amount // (out_of - amount))
        if not paid:
            raise Rejected("ZeroAmount")
        return self._swap(paid, amount, a_to_b)

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """The spot price: base units out per base unit in, as a fraction."""
        into, out_of = self._reserves(a_to_b)
        return out_of, into

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:  # noqa: ARG002 - there is no fee
        """The fee rate per 1e9."""
        return 0

    def _reserves(self, a_to_b: bool) -> tuple[int, int]:
        return (self.reserve_a, self.reserve_b) if a_to_b else (self.reserve_b, self.reserve_a)

    def _swap(self, paid: int, out: int, a_to_b: bool) -> Swap:
        change_a, change_b = (paid, -out) if a_to_b else (-out, paid)
        if max(self.reserve_a + change_a, self.reserve_b + change_b) > U64_MAX:
            raise Rejected("Empty")
        after = msgspec.structs.replace(
            self, reserve_a=self.reserve_a + change_a, reserve_b=self.reserve_b + change_b
        )
        return Swap(paid, out, 0, False, after)
