"""The first accounts of a chain: mints, pools of every family around one price, and a faucet.

The accounts of CLMM, DLMM and DAMM v2 pools are those of the test vectors (`templates.json`, real
bytes) with new addresses, prices and liquidity; CPMM and AMM v4 are laid out by hand.

Imports programs and state, and no bank. Public: what is exported here, and `market`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from engine.localnet.genesis import amm_v4, clmm, cpmm, damm, dlmm
from engine.localnet.genesis.market import POOLS, TOKENS, Launch, PoolPlan, launches
from engine.localnet.programs.shapes import SHAPES
from engine.localnet.state import addresses
from engine.localnet.state.accounts import Account, mint_account

FAUCET = addresses.named("faucet")
SUPPLY = 10**17
Layout = Callable[[PoolPlan], dict[str, Account]]

LAYOUTS: Mapping[str, Layout] = {
    "raydium-cpmm": cpmm.create_pool_accounts,
    "raydium-amm-v4": amm_v4.create_pool_accounts,
    "raydium-clmm": clmm.create_pool_accounts,
    "meteora-dlmm": dlmm.create_pool_accounts,
    "meteora-damm-v2": damm.create_pool_accounts,
}
assert LAYOUTS.keys() == SHAPES.keys()


def accounts(families: Iterable[str]) -> dict[str, Account]:
    """Mints and pools of the first block, without pools of other families."""
    names = set(families)
    account = {token.mint: mint_account(token.decimals, SUPPLY, FAUCET) for token in TOKENS}
    account[addresses.WSOL] = mint_account(9, 0, None)  # it has no mint authority
    for plan in POOLS:
        if plan.family in names:
            account |= LAYOUTS[plan.family](plan)
    return account


def pools_file() -> dict[str, object]:
    """The content of the POOLS setting for this chain: tokens, and pools by pair."""
    pools: dict[str, list[str]] = {}
    for plan in (*POOLS, *(launch.plan for launch in launches())):
        pools.setdefault(plan.pair, []).append(plan.address)
    tokens = [{"symbol": t.symbol, "mint": t.mint, "decimals": t.decimals} for t in TOKENS]
    return {"cluster": "local", "tokens": tokens, "pools": pools}


__all__ = ["FAUCET", "LAYOUTS", "Launch", "accounts", "launches", "pools_file"]
