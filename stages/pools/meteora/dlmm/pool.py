"""Meteora DLMM: a pair as a frozen struct that answers quotes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stages.pools.contract import Clock, Rejected, Swap
from stages.pools.meteora.dlmm.bins import BINS_PER_ARRAY, Bins, sold_by
from stages.pools.meteora.dlmm.errors import VAULT_EMPTY
from stages.pools.meteora.dlmm.maths import Q64, fee_rate, price_at
from stages.pools.meteora.dlmm.pair import Pair
from stages.pools.meteora.dlmm.volatility import Volatility, accumulated, referred
from stages.pools.meteora.dlmm.walk import Start, first_bin, walk


class DlmmPool(msgspec.Struct, frozen=True, gc=False):
    """A pair at one moment. a is token x, b is token y."""

    pair: Pair
    active_id: int
    volatility: Volatility
    protocol_fee_x: int
    protocol_fee_y: int
    vault_x: int | None
    """The balance of the vault; None if it was not read."""
    vault_y: int | None
    arrays: Mapping[int, Bins]
    """The bin arrays that were read, by index."""

    @property
    def address(self) -> str:
        """Base58."""
        return self.pair.address

    @property
    def program(self) -> str:
        """The program that owns the pair, base58."""
        return self.pair.program

    @property
    def mint_a(self) -> str:
        """Token x, base58."""
        return self.pair.mint_x

    @property
    def mint_b(self) -> str:
        """Token y, base58."""
        return self.pair.mint_y

    @property
    def reserve_a(self) -> int:
        """The amount of x that the bins read so far offer, in base units."""
        return self._offered(for_y=False)

    @property
    def reserve_b(self) -> int:
        """The amount of y that the bins read so far offer, in base units."""
        return self._offered(for_y=True)

    def exact_in(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps exactly `amount` base units in. Raises Rejected."""
        return self._swap(amount, a_to_b, False, clock)

    def exact_out(self, amount: int, a_to_b: bool, clock: Clock) -> Swap:
        """Swaps so that exactly `amount` base units come out. Raises Rejected."""
        return self._swap(amount, a_to_b, True, clock)

    def exact_out_within(self, amount: int, most_in: int, a_to_b: bool, clock: Clock) -> Swap:
        """As `exact_out`, for at most `most_in`: refused by the name that the program gives."""
        return self._swap(amount, a_to_b, True, clock, most_in)

    def spot(self, a_to_b: bool) -> tuple[int, int]:
        """The price of the active bin: base units out per base unit in, as a fraction."""
        bins = self.arrays.get(self.active_id // BINS_PER_ARRAY)
        price = bins[self.active_id % BINS_PER_ARRAY].price if bins else 0
        price = price or price_at(self.active_id, self.pair.bin_step)
        return (price, 1 << Q64) if a_to_b else (1 << Q64, price)

    def fee_ppb(self, a_to_b: bool, clock: Clock) -> int:
        """The fee rate, per 1e9, of the first bin that a swap would trade with now."""
        pair = self.pair
        volatility = referred(self.volatility, pair, self.active_id, clock.time_s)
        bin_id = first_bin(pair, self.arrays, self.active_id, a_to_b)
        here = accumulated(volatility, pair, self.active_id if bin_id is None else bin_id)
        return fee_rate(pair.base_rate, pair.variable_fee_control, here, pair.bin_step)

    def _swap(
        self, amount: int, for_y: bool, exact_out: bool, clock: Clock, most_in: int | None = None
    ) -> Swap:
        pair = self.pair
        start = Start(self.arrays, self.active_id, self.volatility)
        end = walk(pair, start, amount, for_y, exact_out, clock, most_in)
        x, y = (end.paid, -end.got) if for_y else (-end.got, end.paid)
        fee_is_y = for_y == end.fee_on_output
        after = DlmmPool(
            pair,
            end.active_id,
            end.volatility,
            self.protocol_fee_x + (0 if fee_is_y else end.protocol),
            self.protocol_fee_y + (end.protocol if fee_is_y else 0),
            _moved(self.vault_x, x),
            _moved(self.vault_y, y),
            end.arrays,
        )
        return Swap(end.paid, end.got, end.fee, end.fee_on_output, after, steps=end.bins)

    def _offered(self, for_y: bool) -> int:
        orders = self.pair.takes_orders
        return sum(sold_by(bins, for_y, orders) for bins in self.arrays.values())


def _moved(vault: int | None, change: int) -> int | None:
    if vault is None:
        return None
    if vault + change < 0:
        raise Rejected(VAULT_EMPTY, f"the vault holds {vault}")
    return vault + change
