"""Meteora DLMM: a pair's parameters from its bytes, and which pairs are refused."""

from __future__ import annotations

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
_PERMISSION, _CUSTOM = 1, 2
# What the program knows of each; a number beyond may mean arithmetic that ours is not.
_KNOWN: dict[ReasonCode, int] = {
    "unknown-pair-type": 4,
    "unknown-pair-status": 2,
    "unknown-activation-type": 2,
    "unknown-function-type": 3,
    "unknown-collect-fee-mode": 2,
    "unknown-token-program": 2,
}


def read_pair(address: str, program: str, data: bytes, extension: str | None, bitmap: int) -> Pair:
    """A pair from its 904 bytes. Raises Unsupported where a field says what we do not know."""
    fields = layout.STATIC.unpack_from(data, layout.STATIC_AT)
    factor, filter_s, decay_s, reduction_bps, control, max_volatility = fields[:6]
    min_bin_id, max_bin_id, share_bps, power, function, fee_mode = fields[6:]
    _, bin_step, status, activation = layout.ACTIVE.unpack_from(data, layout.ACTIVE_AT)
    kind = data[layout.PAIR_TYPE_AT]
    token_x, token_y = (data[at] for at in layout.TOKEN_PROGRAMS_AT)
    _check("unknown-pair-type", kind)
    _check("unknown-pair-status", status)
    _check("unknown-activation-type", activation)
    _check("unknown-function-type", function)
    _check("unknown-collect-fee-mode", fee_mode)
    _check("unknown-token-program", max(token_x, token_y))
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
        min_bin_id=min_bin_id,
        max_bin_id=max_bin_id,
        # https://docs.meteora.ag/core-products/dlmm/formulas: factor * step * 10 * 10 ** power.
        base_rate=min(MAX_FEE_RATE, factor * bin_step * 10 * 10**power),
        variable_fee_control=control,
        filter_s=filter_s,
        decay_s=decay_s,
        reduction_bps=reduction_bps,
        max_volatility=max_volatility,
        protocol_share_bps=share_bps,
        fee_on_y=fee_mode == 1,
        takes_orders=_takes_orders(function, data),
        enabled=status == 0,
        opens_by_slot=activation == 0,
        opens_at=_opens_at(kind, data),
    )


def _check(field: ReasonCode, value: int) -> None:
    if value >= _KNOWN[field]:
        raise Unsupported(field, str(value))


def _takes_orders(function: int, data: bytes) -> bool:
    """Limit orders and rewards exclude each other: a pair that chose neither has no reward yet."""
    rewards = any(any(data[at : at + 32]) for at in layout.REWARD_MINTS_AT)
    return function == _LIMIT_ORDERS or (function == _UNDETERMINED and not rewards)


def _opens_at(kind: int, data: bytes) -> int:
    """Only these kinds of pairs open at a time that was set."""
    if kind not in (_PERMISSION, _CUSTOM):
        return 0
    return int.from_bytes(data[layout.OPENS_AT : layout.OPENS_AT + 8], "little")
