"""Meteora DLMM: a pair's parameters from its bytes, and which pairs are refused.

Fields and enums: `LbPair` and `StaticParameters` of the program's published interface,
https://github.com/MeteoraAg/dlmm-sdk (idls/dlmm.json).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from events.reason_codes import ReasonCode
from stages.pools.contract import Unsupported
from stages.pools.meteora.dlmm import layout
from stages.pools.meteora.dlmm.maths import MAX_FEE_RATE
from stages.pools.meteora.dlmm.pair import Pair

_TOKEN_PROGRAMS = (
    "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
)
_UNDETERMINED, _LIMIT_ORDERS = 0, 2
"""Function types."""
_PERMISSION, _CUSTOM = 1, 2
"""Pair types."""
_KNOWN: Mapping[ReasonCode, int] = {
    "unknown-pair-type": 4,
    "unknown-pair-status": 2,
    "unknown-activation-type": 2,
    "unknown-function-type": 3,
    "unknown-collect-fee-mode": 2,
    "unknown-token-program": len(_TOKEN_PROGRAMS),
}
"""How many values of each field the program defines. A further value may change the arithmetic."""


class _Parameters(NamedTuple):
    """The fields of `layout.STATIC`, in order."""

    base_factor: int
    filter_s: int
    decay_s: int
    reduction_bps: int
    variable_fee_control: int
    max_volatility: int
    min_bin_id: int
    max_bin_id: int
    protocol_share_bps: int
    base_fee_power: int
    function: int
    fee_mode: int

    def base_rate(self, bin_step: int) -> int:
        """The base fee per 1e9: https://docs.meteora.ag/core-products/dlmm/formulas."""
        rate: int = self.base_factor * bin_step * 10 * 10**self.base_fee_power
        return min(MAX_FEE_RATE, rate)


def read_pair(address: str, program: str, data: bytes, extension: str | None, bitmap: int) -> Pair:
    """The pair of 904 bytes. Raises Unsupported where a field has an unknown value."""
    parameters = _Parameters(*layout.STATIC.unpack_from(data, layout.STATIC_AT))
    _, bin_step, status, activation = layout.ACTIVE.unpack_from(data, layout.ACTIVE_AT)
    kind = data[layout.PAIR_TYPE_AT]
    token_x, token_y = (data[at] for at in layout.TOKEN_PROGRAMS_AT)
    _check(
        {
            "unknown-pair-type": kind,
            "unknown-pair-status": status,
            "unknown-activation-type": activation,
            "unknown-function-type": parameters.function,
            "unknown-collect-fee-mode": parameters.fee_mode,
            "unknown-token-program": max(token_x, token_y),
        }
    )
    return Pair(
        address=address,
        program=program,
        mint_x=layout.key(data, layout.MINT_X_AT),
        mint_y=layout.key(data, layout.MINT_Y_AT),
        reserve_x=layout.key(data, layout.RESERVE_X_AT),
        reserve_y=layout.key(data, layout.RESERVE_Y_AT),
        oracle=layout.key(data, layout.ORACLE_AT),
        token_program_x=_TOKEN_PROGRAMS[token_x],
        token_program_y=_TOKEN_PROGRAMS[token_y],
        extension=extension,
        bitmap=bitmap,
        bin_step=bin_step,
        min_bin_id=parameters.min_bin_id,
        max_bin_id=parameters.max_bin_id,
        base_rate=parameters.base_rate(bin_step),
        variable_fee_control=parameters.variable_fee_control,
        filter_s=parameters.filter_s,
        decay_s=parameters.decay_s,
        reduction_bps=parameters.reduction_bps,
        max_volatility=parameters.max_volatility,
        protocol_share_bps=parameters.protocol_share_bps,
        fee_on_y=parameters.fee_mode == 1,
        takes_orders=_takes_orders(parameters.function, data),
        enabled=status == 0,
        opens_by_slot=activation == 0,
        opens_at=_opens_at(kind, data),
    )


def _check(values: Mapping[ReasonCode, int]) -> None:
    for reason, known in _KNOWN.items():
        if (value := values[reason]) >= known:
            raise Unsupported(reason, str(value))


def _takes_orders(function: int, data: bytes) -> bool:
    """Limit orders and rewards exclude each other: a pair that chose neither has no reward yet."""
    rewards = any(any(data[at : at + 32]) for at in layout.REWARD_MINTS_AT)
    return function == _LIMIT_ORDERS or (function == _UNDETERMINED and not rewards)


def _opens_at(kind: int, data: bytes) -> int:
    """Only these kinds of pairs open at a time that was set."""
    if kind not in (_PERMISSION, _CUSTOM):
        return 0
    return int.from_bytes(data[layout.OPENS_AT : layout.OPENS_AT + 8], "little")
