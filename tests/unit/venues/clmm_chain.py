"""The CLMM's part of the vectors as the chain holds it, and the checks that are the executor's."""

import base64
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from stages.venues.pool import Clock, RawAccount, Rejected, Swap
from stages.venues.raydium.clmm import FAMILY
from stages.venues.raydium.clmm.layout import config_rates
from stages.venues.raydium.clmm.pool import ClmmPool

VECTORS = Path(os.environ.get("VECTORS") or Path(__file__).resolve().parents[2] / "vectors")
MAINNET = FAMILY.programs["mainnet"]
TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
CLOCK = Clock(slot=300_000_000, time_s=1_800_000_000)
BALANCE = 1 << 63


@cache
def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def sequences() -> list[Any]:
    if not (VECTORS / "sequences.json").exists():
        return []
    return [s for s in load("sequences.json")["sequences"] if s["family"] == "raydium-clmm"]


def vault(amount: int) -> RawAccount:
    return RawAccount(TOKEN, bytes(64) + amount.to_bytes(8, "little") + bytes(93))


def chain_of(name: str) -> dict[str, RawAccount]:
    """All accounts of a pool of the set."""
    described = load("clmm.json")["pools"][name]
    accounts = {
        address: RawAccount(MAINNET, base64.b64decode(data))
        for address, data in load("clmm_accounts.json")[name].items()
    }
    for token in "01":
        accounts[described[f"vault_{token}"]] = vault(described[f"vault_{token}_amount"])
    return accounts


def read(address: str, chain: dict[str, RawAccount]) -> ClmmPool:
    """The pool as an engine would read it: asking for what it needs until nothing is new."""
    known: dict[str, RawAccount] = {}
    asked: set[str] = set()
    while new := set(FAMILY.needs(address, known)) - asked:
        asked |= new
        known |= {name: chain[name] for name in new if name in chain}
    pool = FAMILY.decode(address, known)
    assert isinstance(pool, ClmmPool)
    return pool


@cache
def pool_of(name: str) -> ClmmPool:
    """A pool of the set, with every tick array that the set has."""
    pool = FAMILY.decode(load("clmm.json")["pools"][name]["address"], chain_of(name))
    assert isinstance(pool, ClmmPool)
    return pool


@cache
def recorded(name: str) -> tuple[ClmmPool, dict[str, Any]]:
    """A mainnet pool right before a swap that was recorded, and that swap."""
    found = load(f"mainnet_clmm_swaps/{name}")
    address = found["pool_address"]
    chain = {address: RawAccount(MAINNET, base64.b64decode(found["pool_b64"]))}
    for array in found["tick_arrays"]:
        chain[array["address"]] = RawAccount(MAINNET, base64.b64decode(array["data_b64"]))
    # The record has no config and no vaults: the config of another pool, at this pool's rate.
    config, _mint_a, _mint_b, vault_a, vault_b = FAMILY.needs(address, chain)[1:6]
    chain[config] = RawAccount(MAINNET, _config_at(400))
    chain[vault_a] = chain[vault_b] = vault(1 << 62)
    return read(address, chain), found["swap"]


def _config_at(fee_ppm: int) -> bytes:
    pools, accounts = load("clmm.json")["pools"], load("clmm_accounts.json")
    name = min(pools)
    data = bytearray(base64.b64decode(accounts[name][pools[name]["amm_config"]]))
    data[47:51] = fee_ppm.to_bytes(4, "little")
    assert config_rates(bytes(data))[0] == fee_ppm
    return bytes(data)


def execute(pool: ClmmPool, order: dict[str, Any]) -> Swap:
    """Swap as an executor does: quote, then pay, then look at the threshold."""
    exact_in = order["is_base_input"]
    swap = pool.exact_in if exact_in else pool.exact_out
    limit = int(order["sqrt_price_limit_x64"])
    done = swap(order["amount"], order["zero_for_one"], CLOCK, limit)
    if done.amount_in > order.get("user_balance_in", BALANCE):
        raise Rejected("InsufficientFunds")
    if exact_in and done.amount_out < order["other_amount_threshold"]:
        raise Rejected(FAMILY.too_little_out)
    if not exact_in and done.amount_in > order["other_amount_threshold"]:
        raise Rejected(FAMILY.too_much_in)
    return done


def answer(pool: ClmmPool, order: dict[str, Any]) -> tuple[dict[str, Any], ClmmPool]:
    """What the set expects of an order, from our swap; and the pool after it."""
    try:
        done = execute(pool, order)
    except Rejected as refused:
        return {"ok": False, "error": refused.error}, pool
    after = done.after
    assert isinstance(after, ClmmPool)
    return {
        "ok": True,
        "amount_in": done.amount_in,
        "amount_out": done.amount_out,
        "fee_total": done.fee,
        "sqrt_price_x64_after": after.sqrt_price,
        "tick_after": after.tick,
        "liquidity_after": after.liquidity,
        "fee_growth_global_0_x64_after": after.growth_a,
        "fee_growth_global_1_x64_after": after.growth_b,
        "protocol_fee_0": after.protocol_fees_a,
        "protocol_fee_1": after.protocol_fees_b,
        "fund_fee_0": after.fund_fees_a,
        "fund_fee_1": after.fund_fees_b,
    }, after


def expected(order: dict[str, Any]) -> dict[str, Any]:
    """What the chain answered, as far as a quote can say it."""
    return {k: v for k, v in order["expected"].items() if k not in ("compute_units", "steps")}
