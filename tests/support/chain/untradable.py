"""Pools of each family that take no swap: what makes them so, written into their account bytes.

Offsets are those of the programs' public layouts. Each change takes the accounts of a pool of
`engine.localnet.genesis` and gives them back changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.localnet.genesis.market import PoolPlan
from engine.localnet.state.accounts import Account, with_amount
from stages.pools.raydium.clmm.ticks import sqrt_price_at

Laid = dict[str, Account]
Change = Callable[[PoolPlan, Laid], Laid]
OPENS_BY_TIME = {
    "raydium-cpmm": ((373, 8),),
    "raydium-amm-v4": ((224, 8),),
    "raydium-clmm": ((1080, 8),),
    "meteora-dlmm": ((816, 8),),
    "meteora-damm-v2": ((472, 8),),
}
OPENS_BY_SLOT = ("meteora-dlmm", "meteora-damm-v2")
_STATUS: Mapping[str, tuple[int, int, int]] = {
    "raydium-cpmm": (329, 1, 4),
    "raydium-amm-v4": (0, 8, 5),
    "raydium-clmm": (389, 1, 1 << 4),
    "meteora-dlmm": (82, 1, 1),
    "meteora-damm-v2": (481, 1, 1),
}
"""Offset and size of the status, and one that switches swaps off."""


def written(laid: Laid, address: str, *values: tuple[int, int, int]) -> Laid:
    """The accounts with (offset, size, value) written into one of them."""
    data = bytearray(laid[address].data)
    for at, size, value in values:
        data[at : at + size] = value.to_bytes(size, "little")
    return laid | {address: laid[address]._replace(data=bytes(data))}


def disabled(plan: PoolPlan, laid: Laid) -> Laid:
    """Swaps are switched off."""
    at, size, value = _STATUS[plan.family]
    return written(laid, plan.address, (at, size, value))


def opening(plan: PoolPlan, laid: Laid, point: int, *, by_slot: bool = False) -> Laid:
    """The pool opens at a Unix time in seconds, or at a slot."""
    [(at, size)] = OPENS_BY_TIME[plan.family]
    values = [(at, size, point)]
    match plan.family:
        case "raydium-amm-v4":
            values.append((0, 8, 7))  # waits for its first trade
        case "meteora-dlmm":
            values += [(75, 1, 2), (86, 1, 0 if by_slot else 1)]  # of a creator's own terms
        case "meteora-damm-v2":
            values.append((480, 1, 0 if by_slot else 1))
    return written(laid, plan.address, *values)


def without(plan: PoolPlan, laid: Laid, side: str) -> Laid:
    """Nothing is left of token `a` or `b`: swaps the other way still work."""
    match plan.family:
        case "raydium-clmm":
            return _beyond_all_ticks(plan, laid, side)
        case "meteora-dlmm":
            return _without_bins(plan, laid, side)
        case "meteora-damm-v2":  # the price stands at the end of its range
            price = int.from_bytes(laid[plan.address].data[456:472], "little")
            return written(laid, plan.address, (440 if side == "a" else 424, 16, price))
    vault = plan.part(f"vault_{side}")
    return laid | {vault: with_amount(laid[vault], 0)}


def empty(plan: PoolPlan, laid: Laid) -> Laid:
    """No liquidity was added yet."""
    vaults = [plan.part("vault_a"), plan.part("vault_b")]
    laid = laid | {vault: with_amount(laid[vault], 0) for vault in vaults}
    match plan.family:
        case "raydium-clmm":
            return written(laid, plan.address, (237, 16, 0), (904, 128, 0))
        case "meteora-dlmm":
            return _without_bins(plan, _without_bins(plan, laid, "a"), "b")
        case "meteora-damm-v2":
            return written(laid, plan.address, (360, 16, 0), (680, 8, 0), (688, 8, 0))
    return laid


def _beyond_all_ticks(plan: PoolPlan, laid: Laid, side: str) -> Laid:
    """Token a is what the program gives for a price that rises: none is left far above."""
    tick = int.from_bytes(laid[plan.address].data[269:273], "little", signed=True)
    tick += 7_000 if side == "a" else -7_000
    price = sqrt_price_at(tick)
    moved = written(laid, plan.address, (237, 16, 0), (253, 16, price))
    data = bytearray(moved[plan.address].data)
    data[269:273] = tick.to_bytes(4, "little", signed=True)
    return moved | {plan.address: moved[plan.address]._replace(data=bytes(data))}


def _without_bins(plan: PoolPlan, laid: Laid, side: str) -> Laid:
    changed = dict(laid)
    for address, account in laid.items():
        if account.owner != plan.program or len(account.data) != 10_136:
            continue
        data = bytearray(account.data)
        for at in range(56 + (0 if side == "a" else 8), len(data), 144):
            data[at : at + 8] = bytes(8)
        changed[address] = account._replace(data=bytes(data))
    return changed
