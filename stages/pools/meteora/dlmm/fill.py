"""Meteora DLMM: a swap inside one bin, where the price is one number.

A bin sells in layers: the makers' liquidity, then limit orders that are part filled, then open
ones. Each layer rounds by itself. What a swap pays is rounded up and what it gets down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stages.pools.contract import Rejected
from stages.pools.meteora.dlmm.errors import LAYERS_SHORT
from stages.pools.meteora.dlmm.maths import Q64, fee_upon, fee_within

_U64_MAX = (1 << 64) - 1


class Fill(NamedTuple):
    """The swap in one bin, in base units; `ins` and `outs` by layer, without the fee."""

    paid: int
    got: int
    fee: int
    spare: int
    """Fell out of an exact-out swap by rounding; the protocol keeps it if fees are on output."""
    ins: Sequence[int]
    outs: Sequence[int]


class Terms(NamedTuple):
    """The terms that are the same in every bin."""

    exact_out: bool
    for_y: bool
    """Whether x is sold for y."""
    fee_on_output: bool


def fill(left: int, layers: Sequence[int], price: int, rate: int, terms: Terms) -> Fill:
    """Swaps as much as the bin has of the amount `left`: input, or output if exact_out."""
    needs = [amount_in(layer, price, terms.for_y) for layer in layers]
    if needs[0] > _U64_MAX or sum(needs) > _U64_MAX:
        raise Rejected("TypeCastFailed", "a bin is worth more than 64 bits can say")
    if terms.fee_on_output:
        return _fee_on_output(left, layers, needs, price, rate, terms)
    return _fee_on_input(left, layers, needs, price, rate, terms)


def empties(left: int, layers: Sequence[int], rate: int, terms: Terms) -> bool:
    """Whether an exact output of which `left` is missing takes all that the bin has."""
    total = sum(layers)
    return left >= (total - fee_within(total, rate) if terms.fee_on_output else total)


def amount_in(amount_out: int, price: int, for_y: bool) -> int:
    """The input for this output, fees apart."""
    return -(-(amount_out << Q64) // price) if for_y else -(-amount_out * price >> Q64)


def amount_out(amount_in: int, price: int, for_y: bool) -> int:
    """The output for this input, fees apart."""
    return amount_in * price >> Q64 if for_y else (amount_in << Q64) // price


def _fee_on_input(
    left: int, layers: Sequence[int], needs: Sequence[int], price: int, rate: int, terms: Terms
) -> Fill:
    need, total = sum(needs), sum(layers)
    fee = fee_upon(need, rate)
    if left >= (total if terms.exact_out else need + fee):
        return Fill(need + fee, total, fee, 0, needs, layers)
    if not terms.exact_out:
        fee = fee_within(left, rate)
        ins, outs = _pour(left - fee, layers, needs, price, terms.for_y)
        return Fill(left, sum(outs), fee, 0, ins, outs)
    amount = amount_in(left, price, terms.for_y)
    fee = fee_upon(amount, rate)
    ins, outs = _pour(amount, layers, needs, price, terms.for_y)
    _check_exact(sum(outs), left)
    # What was rounded off stays in the vault: the vectors' protocol fees do not have it.
    return Fill(amount + fee, left, fee, 0, ins, outs)


def _fee_on_output(
    left: int, layers: Sequence[int], needs: Sequence[int], price: int, rate: int, terms: Terms
) -> Fill:
    need, total = sum(needs), sum(layers)
    fee = fee_within(total, rate)
    if left >= (total - fee if terms.exact_out else need):
        return Fill(need, total - fee, fee, 0, needs, layers)
    if not terms.exact_out:
        ins, outs = _pour(left, layers, needs, price, terms.for_y)
        fee = fee_within(sum(outs), rate)
        return Fill(left, sum(outs) - fee, fee, 0, ins, outs)
    amount = amount_in(left + fee_upon(left, rate), price, terms.for_y)
    ins, outs = _pour(amount, layers, needs, price, terms.for_y)
    fee = fee_within(sum(outs), rate)
    _check_exact(sum(outs) - fee, left)
    return Fill(amount, left, fee, sum(outs) - fee - left, ins, outs)


def _pour(
    amount: int, layers: Sequence[int], needs: Sequence[int], price: int, for_y: bool
) -> tuple[Sequence[int], Sequence[int]]:
    """Spends an amount on the layers one after another."""
    if len(layers) == 1:
        bought = layers[0] if amount >= needs[0] else amount_out(amount, price, for_y)
        return (amount,), (bought,)
    ins, outs = [], []
    for layer, need in zip(layers, needs, strict=True):
        whole = amount >= need
        ins.append(need if whole else amount)
        outs.append(layer if whole else amount_out(amount, price, for_y))
        amount -= ins[-1]
    return ins, outs


def _check_exact(bought: int, expected: int) -> None:
    # The input is computed for the bin as a whole but spent by layers, so it may be one short.
    if bought < expected:
        raise Rejected(LAYERS_SHORT, "the layers of this bin do not add up to that amount")
