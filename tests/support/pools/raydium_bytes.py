"""Accounts of Raydium pools as bytes, laid out from the public offsets by hand."""

from typing import Any

from solders.pubkey import Pubkey

from stages.pools.contract import RawAccount

TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
CPMM = "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C"
AMM_V4 = "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8"


def address(name: str) -> str:
    return str(Pubkey(name.encode().ljust(32, b".")))


POOL, CONFIG, VAULT_A, VAULT_B, MINT_A, MINT_B, OBSERVATION = map(
    address, ("pool", "config", "vault-a", "vault-b", "mint-a", "mint-b", "observation")
)


def put(data: bytearray, at: int, value: int | str, size: int = 8) -> None:
    if isinstance(value, str):
        data[at : at + 32] = bytes(Pubkey.from_string(value))
    else:
        data[at : at + size] = value.to_bytes(size, "little")


def mint(owner: str = TOKEN) -> RawAccount:
    return RawAccount(owner, bytes(82))


def vault(token: str, amount: int) -> RawAccount:
    data = bytearray(165)
    put(data, 0, token)
    put(data, 64, amount)
    return RawAccount(TOKEN, bytes(data))


def cpmm(pool: dict[str, Any], config: dict[str, Any]) -> dict[str, RawAccount]:
    """All accounts of a pool that is described as in cpmm.json."""
    data = bytearray(637)
    data[:8] = bytes.fromhex("f7ede3f5d7c3de46")
    keys = (CONFIG, address("creator"), VAULT_A, VAULT_B, address("lp"), MINT_A, MINT_B)
    for i, each in enumerate((*keys, TOKEN, TOKEN, OBSERVATION)):
        put(data, 8 + 32 * i, each)
    put(data, 329, pool.get("status", 0), 1)
    for at, name in (
        (341, "protocol_fees_token_0"),
        (349, "protocol_fees_token_1"),
        (357, "fund_fees_token_0"),
        (365, "fund_fees_token_1"),
        (373, "open_time"),
        (397, "creator_fees_token_0"),
        (405, "creator_fees_token_1"),
    ):
        put(data, at, pool.get(name, 0))
    put(data, 389, pool.get("creator_fee_on", 0), 1)
    put(data, 390, int(pool.get("enable_creator_fee", False)), 1)
    return {
        POOL: RawAccount(CPMM, bytes(data)),
        CONFIG: RawAccount(CPMM, _cpmm_config(config)),
        VAULT_A: vault(MINT_A, pool["vault_0_amount"]),
        VAULT_B: vault(MINT_B, pool["vault_1_amount"]),
        MINT_A: mint(),
        MINT_B: mint(),
    }


def _cpmm_config(config: dict[str, Any]) -> bytes:
    data = bytearray(236)
    data[:8] = bytes.fromhex("daf42168cbcb2b6f")
    put(data, 12, config["trade_fee_rate"])
    put(data, 20, config["protocol_fee_rate"])
    put(data, 28, config["fund_fee_rate"])
    put(data, 108, config.get("creator_fee_rate", 0))
    return bytes(data)


def amm_v4(pool: dict[str, Any]) -> dict[str, RawAccount]:
    """All accounts of a pool that is described as in ammv4.json."""
    data = bytearray(752)
    for at, name in (
        (0, "status"),
        (32, "coin_decimals"),
        (40, "pc_decimals"),
        (176, "swap_fee_numerator"),
        (184, "swap_fee_denominator"),
        (192, "need_take_pnl_coin"),
        (200, "need_take_pnl_pc"),
        (224, "pool_open_time"),
    ):
        put(data, at, pool[name])
    put(data, 8, 254)
    for at, each in ((336, VAULT_A), (368, VAULT_B), (400, MINT_A), (432, MINT_B)):
        put(data, at, each)
    return {
        POOL: RawAccount(AMM_V4, bytes(data)),
        VAULT_A: vault(MINT_A, pool["coin_vault_amount"]),
        VAULT_B: vault(MINT_B, pool["pc_vault_amount"]),
    }
