"""Which fees a DAMM v2 pool charges: read from the fee part of its account.

32 bytes at 8 hold the base fee: cliff fee u64, mode u8, then by mode (published IDL, PodAligned…)
0 and 1, time: steps u16, period u64, reduction u64 · 2, rate limiter: increment bps u16, duration
u32, highest fee bps u32, reference amount u64 · 3 and 4, market cap: steps u16, √P step bps u32,
duration u32, reduction u64. At 56 lies the dynamic fee, at 152 the √P that the pool began with.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from stages.pools.contract import PPB, Unsupported
from stages.pools.meteora.damm_v2.limiter import Limiter
from stages.pools.meteora.damm_v2.schedule import (
    Decay,
    FlatFee,
    MarketCapSchedule,
    Schedule,
    TimeSchedule,
)
from stages.pools.meteora.damm_v2.volatility import VolatilityTerms

_CLIFF_AND_MODE = struct.Struct("<QB")
_TIME = struct.Struct("<HQQ")
_SIZED = struct.Struct("<HIIQ")
"""The rate limiter's and the market cap schedulers' fields."""
_AT, _FIELDS_AT = 8, 22
_DYNAMIC = struct.Struct("<IIHHHH8xQQ")
_DYNAMIC_AT = 64
_SQRT_START = slice(152, 168)
_PER_BPS = PPB // 10_000

BaseFee = tuple[Schedule, Limiter | None]


def base_fee(data: bytes, activation: int) -> BaseFee:
    """The base fee, and the rate limiter if there is one. Raises Unsupported, ValueError."""
    cliff, mode = _CLIFF_AND_MODE.unpack_from(data, _AT)
    if mode not in _MODES:
        raise Unsupported("base-fee-mode", f"{mode}")
    return _MODES[mode](data, cliff, activation)


def volatility_terms(data: bytes) -> VolatilityTerms:
    """The dynamic fee's fixed part."""
    highest, control, bin_step, filter_s, decay_s, reduction_bps, low, high = _DYNAMIC.unpack_from(
        data, _DYNAMIC_AT
    )
    if not low | high:
        raise ValueError("a dynamic fee without a bin step")
    return VolatilityTerms(
        max_accumulator=highest,
        control=control,
        bin_step=bin_step,
        filter_s=filter_s,
        decay_s=decay_s,
        reduction_bps=reduction_bps,
        bin_step_q64=low | high << 64,
    )


def _decay(cliff: int, reduction: int, steps: int, exponential: bool) -> Decay:
    if reduction > 10_000 if exponential else reduction * steps > cliff:
        raise ValueError("a base fee that falls below 0")
    return Decay(cliff, reduction, steps, exponential)


def _by_time(exponential: bool) -> Callable[[bytes, int, int], BaseFee]:
    def read(data: bytes, cliff: int, activation: int) -> BaseFee:
        steps, period, reduction = _TIME.unpack_from(data, _FIELDS_AT)
        if not period:
            return FlatFee(cliff), None
        return TimeSchedule(_decay(cliff, reduction, steps, exponential), activation, period), None

    return read


def _by_market_cap(exponential: bool) -> Callable[[bytes, int, int], BaseFee]:
    def read(data: bytes, cliff: int, activation: int) -> BaseFee:
        steps, step_bps, duration, reduction = _SIZED.unpack_from(data, _FIELDS_AT)
        sqrt_start = int.from_bytes(data[_SQRT_START], "little")
        if not step_bps or not sqrt_start:
            raise ValueError("a market cap schedule without a beginning or a step")
        decay = _decay(cliff, reduction, steps, exponential)
        return MarketCapSchedule(decay, sqrt_start, step_bps, activation + duration), None

    return read


def _by_size(data: bytes, cliff: int, activation: int) -> BaseFee:
    increment_bps, duration, highest_bps, reference = _SIZED.unpack_from(data, _FIELDS_AT)
    if not reference or not increment_bps:
        return FlatFee(cliff), None
    increment, highest = increment_bps * _PER_BPS, highest_bps * _PER_BPS
    if not cliff <= highest < PPB:
        raise ValueError("a rate limiter whose highest fee is below its first, or everything")
    brackets = (highest - cliff) // increment
    end = activation + duration
    return FlatFee(cliff), Limiter(cliff, increment, brackets, highest, reference, activation, end)


_MODES: dict[int, Callable[[bytes, int, int], BaseFee]] = {
    0: _by_time(exponential=False),
    1: _by_time(exponential=True),
    2: _by_size,
    3: _by_market_cap(exponential=False),
    4: _by_market_cap(exponential=True),
}
