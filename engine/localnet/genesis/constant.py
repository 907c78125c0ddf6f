"""A pool of the toy DEX."""

from __future__ import annotations

from engine.localnet.genesis.market import CONSTANT, PoolPlan
from engine.localnet.genesis.templates import account, put_key
from engine.localnet.state.accounts import Account, token_account
from stages.pools.toy.constant.layout import SIZE, TAG


def create_pool_accounts(plan: PoolPlan) -> dict[str, Account]:
    """The accounts of the pool."""
    a, b = plan.token_a, plan.token_b
    vault_a, vault_b = plan.part("vault_a"), plan.part("vault_b")
    data = bytearray(SIZE)
    data[: len(TAG)] = TAG
    for at, key in ((8, a.mint), (40, b.mint), (72, vault_a), (104, vault_b)):
        put_key(data, at, key)
    return {
        plan.address: account(CONSTANT, data),
        vault_a: token_account(a.mint, plan.address, plan.amount(a)),
        vault_b: token_account(b.mint, plan.address, plan.amount(b)),
    }
