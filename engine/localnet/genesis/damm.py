"""A Meteora DAMM v2 pool over the whole price range: bytes of the test vectors, repriced."""

from __future__ import annotations

from engine.localnet.genesis.market import DAMM_V2, PoolPlan
from engine.localnet.genesis.templates import (
    account,
    amount_a,
    amount_b,
    liquidity_of_b,
    put,
    put_key,
    template,
)
from engine.localnet.state.accounts import Account, token_account

AUTHORITY = "HLnpSz9h2S4hiLQ43rnSD9XkcUThA7B8hQMKmDaiTLcC"
SQRT_MIN, SQRT_MAX = 4_295_048_016, 79_226_673_521_066_979_257_578_248_091


def create_pool_accounts(plan: PoolPlan) -> dict[str, Account]:
    """The accounts of the pool."""
    liquidity = liquidity_of_b(plan.amount(plan.token_b), SQRT_MIN, plan.sqrt_price)
    return with_liquidity(plan, template("damm_plain"), plan.sqrt_price, liquidity)


def with_liquidity(
    plan: PoolPlan, data: bytearray, sqrt_price: int, liquidity: int
) -> dict[str, Account]:
    """The pool at a price with this liquidity, and vaults that cover it."""
    # Amounts are per million of the cliff fee's 1e9.
    put(data, 8, plan.fee * 1_000, 8)
    vault_a, vault_b = plan.part("vault_a"), plan.part("vault_b")
    keys = ((168, plan.token_a.mint), (200, plan.token_b.mint), (232, vault_a), (264, vault_b))
    for at, key in keys:
        put_key(data, at, key)
    held_a = amount_a(liquidity, sqrt_price, SQRT_MAX)
    held_b = amount_b(liquidity, SQRT_MIN, sqrt_price)
    put(data, 360, liquidity << 64, 16)
    put(data, 456, sqrt_price, 16)
    put(data, 680, held_a, 8)
    put(data, 688, held_b, 8)
    return {
        plan.address: account(DAMM_V2, data),
        vault_a: token_account(plan.token_a.mint, AUTHORITY, held_a),
        vault_b: token_account(plan.token_b.mint, AUTHORITY, held_b),
    }
