"""A Raydium AMM v4 pool, built from the public offsets."""

from __future__ import annotations

from engine.localnet.genesis.market import AMM_V4, PoolPlan
from engine.localnet.genesis.templates import account, put, put_key
from engine.localnet.state.accounts import Account, token_account

AUTHORITY = "5Q544fKrFoe6tsEbD7S8EmxGTJYAKtTVhAW5Q5pge4j1"
SWAP_ONLY = 6
_FEES = (5, 10_000, 25, 10_000, 12, 100, 25, 10_000)
"""Least separation, trade fee, profit share, swap fee: numerator and denominator each."""


def create_pool_accounts(plan: PoolPlan) -> dict[str, Account]:
    """The accounts of the pool."""
    vault_a, vault_b = plan.part("vault_a"), plan.part("vault_b")
    a, b = plan.token_a, plan.token_b
    data = bytearray(752)
    put(data, 0, SWAP_ONLY, 8)
    put(data, 8, 254, 8)
    put(data, 32, a.decimals, 8)
    put(data, 40, b.decimals, 8)
    for number, value in enumerate(_FEES):
        put(data, 128 + 8 * number, value, 8)
    for at, key in ((336, vault_a), (368, vault_b), (400, a.mint), (432, b.mint)):
        put_key(data, at, key)
    return {
        plan.address: account(AMM_V4, data),
        vault_a: token_account(a.mint, AUTHORITY, plan.amount(a)),
        vault_b: token_account(b.mint, AUTHORITY, plan.amount(b)),
    }
