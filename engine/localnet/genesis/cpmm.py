"""A Raydium CPMM pool, built from the public offsets."""

from __future__ import annotations

from engine.localnet.genesis.market import CPMM, PoolPlan
from engine.localnet.genesis.templates import account, put, put_key
from engine.localnet.state import addresses
from engine.localnet.state.accounts import Account, token_account

AUTHORITY = "GpMZbSM2GgvTKHJirzeGfMFoaZ8UR2X7F4v8vHTvxFbL"
_POOL = bytes.fromhex("f7ede3f5d7c3de46")
_CONFIG = bytes.fromhex("daf42168cbcb2b6f")


def create_pool_accounts(plan: PoolPlan) -> dict[str, Account]:
    """The accounts of the pool."""
    config, observation = plan.part("config"), plan.part("observation")
    vault_a, vault_b, lp_mint = plan.part("vault_a"), plan.part("vault_b"), plan.part("lp")
    a, b = plan.token_a, plan.token_b
    data = bytearray(637)
    data[:8] = _POOL
    keys = (config, plan.part("creator"), vault_a, vault_b, lp_mint, a.mint, b.mint,
            addresses.TOKEN, addresses.TOKEN, observation)  # fmt: skip
    for number, key in enumerate(keys):
        put_key(data, 8 + 32 * number, key)
    data[328:333] = bytes((253, 0, 9, a.decimals, b.decimals))
    put(data, 333, plan.amount(a), 8)
    return {
        plan.address: account(CPMM, data),
        config: account(CPMM, _config(plan.fee)),
        observation: account(CPMM, bytes(4_075)),
        vault_a: token_account(a.mint, AUTHORITY, plan.amount(a)),
        vault_b: token_account(b.mint, AUTHORITY, plan.amount(b)),
    }


def _config(fee: int) -> bytearray:
    data = bytearray(236)
    data[:8] = _CONFIG
    put(data, 12, fee, 8)
    put(data, 20, 120_000, 8)  # the protocol's part of the fee
    put(data, 28, 40_000, 8)  # the fund's
    put(data, 36, 150_000_000, 8)  # lamports for a new pool
    return data
