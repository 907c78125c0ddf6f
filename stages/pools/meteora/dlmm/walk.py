"""Meteora DLMM: a swap from bin to bin, until its amount is used up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from stages.pools.contract import Clock, Rejected
from stages.pools.meteora.dlmm.bins import BINS_PER_ARRAY, Bin, Bins, layers_of, traded
from stages.pools.meteora.dlmm.bitmap import arrays_from
from stages.pools.meteora.dlmm.errors import (
    ARRAYS_MISSING,
    NO_OUTPUT,
    NOT_EXACT_OUT,
    OUT_OF_COMPUTE,
    TOO_MUCH_IN,
)
from stages.pools.meteora.dlmm.fill import Terms, empties, fill
from stages.pools.meteora.dlmm.maths import fee_rate, price_at, protocol_fee
from stages.pools.meteora.dlmm.pair import Pair
from stages.pools.meteora.dlmm.volatility import Volatility, accumulated, referred

MAX_BINS = 200
"""A transaction's compute units are used up at about 218 bins."""
_U64_MAX = (1 << 64) - 1


class Start(NamedTuple):
    """Where a swap begins."""

    arrays: Mapping[int, Bins]
    active_id: int
    volatility: Volatility


class End(NamedTuple):
    """The end of the walk, and the amounts moved in base units."""

    paid: int
    got: int
    fee: int
    protocol: int
    """The protocol's part of the fee, with the rounding of an exact output."""
    fee_on_output: bool
    active_id: int
    volatility: Volatility
    arrays: Mapping[int, Bins]
    bins: int
    """How many bins it traded with."""


def walk(
    pair: Pair,
    start: Start,
    amount: int,
    for_y: bool,
    exact_out: bool,
    clock: Clock,
    most_in: int | None = None,
) -> End:
    """Swaps `amount`: of output if exact_out, for at most `most_in`. Raises Rejected."""
    _check(pair, amount, clock)
    terms = Terms(exact_out, for_y, pair.fee_on_y and for_y)
    volatility = referred(start.volatility, pair, start.active_id, clock.time_s)
    changed: dict[int, list[Bin]] = {}
    left, paid, got, fees, protocol, accumulator, bin_id, count = amount, 0, 0, 0, 0, 0, 0, 0
    offered = offers(pair, start.arrays, start.active_id, for_y)
    for count, (bin_id, place, layers) in enumerate(offered):
        if count == MAX_BINS:
            raise Rejected(OUT_OF_COMPUTE, f"crosses more than {MAX_BINS} bins")
        accumulator = accumulated(volatility, pair, bin_id)
        rate = fee_rate(pair.base_rate, pair.variable_fee_control, accumulator, pair.bin_step)
        price = place.price or price_at(bin_id, pair.bin_step)
        spent, bought, fee, spare, ins, outs = fill(left, layers, price, rate, terms)
        if most_in is not None and paid + spent > most_in:
            raise _unaffordable(most_in - paid, got, left, layers, price, rate, terms)
        makers = ins[0]
        protocol += spare + protocol_fee(fee, makers, sum(ins) - makers, pair.protocol_share_bps)
        paid += spent
        got += bought
        fees += fee
        index, slot = divmod(bin_id, BINS_PER_ARRAY)
        if index not in changed:
            changed[index] = list(start.arrays[index])
        changed[index][slot] = traded(place, for_y, ins, outs)
        left -= bought if exact_out else spent
        if not left:
            break
    _check_amounts(paid, got)
    moved_s = volatility.updated_s if bin_id == start.active_id else clock.time_s
    return End(
        paid,
        got,
        fees,
        protocol,
        terms.fee_on_output,
        bin_id,
        Volatility(accumulator, volatility.reference, volatility.index_reference, moved_s),
        {**start.arrays, **{index: tuple(bins) for index, bins in changed.items()}},
        count + 1,
    )


def offers(
    pair: Pair, arrays: Mapping[int, Bins], active_id: int, for_y: bool
) -> Iterator[tuple[int, Bin, tuple[int, ...]]]:
    """The bins that sell something with what they sell, from the active one on.

    Raises Rejected where the pair has no more of them, or where the next array was not read.
    """
    takes_orders, step = pair.takes_orders, -1 if for_y else 1
    bin_id = active_id
    for index in arrays_from(pair.bitmap, active_id // BINS_PER_ARRAY, for_y):
        bins = arrays.get(index)
        if bins is None:
            raise Rejected(ARRAYS_MISSING, f"bin array {index} was not read")
        first = index * BINS_PER_ARRAY
        slot = bin_id - first
        if not 0 <= slot < BINS_PER_ARRAY:
            slot = BINS_PER_ARRAY - 1 if for_y else 0
        while 0 <= slot < BINS_PER_ARRAY:
            layers = layers_of(bins[slot], for_y, takes_orders)
            if any(layers):
                yield first + slot, bins[slot], layers
            slot += step
        bin_id = first + slot
        if not pair.min_bin_id <= bin_id <= pair.max_bin_id:
            raise Rejected("PairInsufficientLiquidity", "the last bin of the pair is empty")
    raise Rejected(
        "CannotFindNonZeroLiquidityBinArrayId"
        if pair.extension
        else "BitmapExtensionAccountIsNotProvided",
        "no more liquidity that way",
    )


def first_bin(pair: Pair, arrays: Mapping[int, Bins], active_id: int, for_y: bool) -> int | None:
    """The first bin that sells something; None if none that was read does."""
    try:
        return next(offers(pair, arrays, active_id, for_y))[0]
    except Rejected:
        return None


def _unaffordable(
    rest: int, got: int, left: int, layers: Sequence[int], price: int, rate: int, terms: Terms
) -> Rejected:
    """How the program refuses an exact output in a bin for which the `rest` of the input is too
    little.

    A bin that would be emptied sells for the rest, and then the output is not exact. In another bin
    the input is refused before it sells (vectors of dlmm_orders).
    """
    if rest and not empties(left, layers, rate, terms):
        return Rejected(TOO_MUCH_IN)
    if rest:
        got += fill(rest, layers, price, rate, terms._replace(exact_out=False)).got
    return Rejected(NOT_EXACT_OUT if got else NO_OUTPUT)


def _check(pair: Pair, amount: int, clock: Clock) -> None:
    if not pair.is_open(clock):
        raise Rejected("PoolDisabled")
    if not 0 < amount <= _U64_MAX:
        raise Rejected("InvalidInput", f"the amount {amount}")


def _check_amounts(paid: int, got: int) -> None:
    if paid > _U64_MAX:
        raise Rejected("MathOverflow", "costs more than 64 bits can say")
    if not got:
        raise Rejected(NO_OUTPUT, "too little to buy one base unit")
