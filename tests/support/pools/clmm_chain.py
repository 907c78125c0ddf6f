"""The CLMM's part of the vectors as the chain holds it, and the checks that are the executor's.

Vectors are those of `vector_sets`. A pool that has no accounts in its own folder is looked for in
the others, and in the committed vectors.
"""

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from struct import Struct
from typing import Any

import msgspec

from stages.pools.contract import Clock, RawAccount, Rejected, Swap
from stages.pools.raydium.clmm import FAMILY
from stages.pools.raydium.clmm.layout import config_rates
from stages.pools.raydium.clmm.pool import ClmmPool
from tests.support.pools import vector_sets
from tests.support.pools.vector_sets import COMMITTED

FILE = "clmm.json"
MAINNET = FAMILY.programs["mainnet"]
TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
CLOCK = Clock(slot=300_000_000, time_s=1_800_000_000)
BALANCE = 1 << 63
# Of a tick in its array: fee growths outside of both tokens; order phase, open and part-filled
# orders, unfilled ratio. Rewards lie between.
TICK_FIELDS = Struct("<36x16s16s48xQQQ16s12x")
TICKS_AT, TICKS, BITMAP_AT = 44, 60, 904
ORDER_STATE = ("changed_ticks", "dynamic_after")
COUNTS = ("initialized_tick_counts", "tick_array_bitmap_after")
"""What swaps change of ticks, and of their counts: only the sets of 2026 have it."""


def recorded_swaps() -> list[Path]:
    """Files of recorded mainnet swaps."""
    globs = [each.glob("mainnet_clmm_swaps/swap_*.json") for each in vector_sets.folders()]
    return sorted(path for each in globs for path in each)


def vector_files() -> list[Path]:
    """The files of vectors of the sets."""
    return [folder / FILE for folder in vector_sets.with_file(FILE)]


def sequences() -> list[tuple[Path, Any]]:
    """The sequences of the sets, swaps in a row on one moving pool, and the folder of each."""
    return [
        (folder, sequence)
        for folder in vector_sets.with_file("sequences.json")
        for sequence in vector_sets.sequences(folder, FAMILY.name)
    ]


def pools() -> list[tuple[Path, str]]:
    """The pools of the sets whose accounts they have, and the folder of each."""
    return [
        (folder, name)
        for folder in vector_sets.with_file(FILE)
        for name in sorted(vector_sets.read(folder / FILE)["pools"])
        if where(name, folder) == folder
    ]


@cache
def where(name: str, first: Path = COMMITTED) -> Path | None:
    """The folder with a pool and its accounts: this, of the sets, or of the committed vectors."""
    return vector_sets.with_pool(name, FILE, "clmm_accounts.json", first)


def described(name: str, first: Path = COMMITTED) -> Any:
    """What the set says of a pool."""
    folder = where(name, first)
    assert folder is not None, f"no set has the pool {name}"
    return vector_sets.read(folder / FILE)["pools"][name]


def vault(amount: int) -> RawAccount:
    return RawAccount(TOKEN, bytes(64) + amount.to_bytes(8, "little") + bytes(93))


def chain_of(name: str, first: Path = COMMITTED) -> dict[str, RawAccount]:
    """All accounts of a pool of the set."""
    pool, folder = described(name, first), where(name, first)
    assert folder is not None
    accounts = {
        address: RawAccount(MAINNET, base64.b64decode(data))
        for address, data in vector_sets.read(folder / "clmm_accounts.json")[name].items()
    }
    for token in "01":
        accounts[pool[f"vault_{token}"]] = vault(pool[f"vault_{token}_amount"])
    return accounts


def read(address: str, chain: Mapping[str, RawAccount]) -> ClmmPool:
    """The pool as an engine would read it: asking for what it needs until nothing is new."""
    known: dict[str, RawAccount] = {}
    asked: set[str] = set()
    while new := set(FAMILY.needs(address, known)) - asked:
        asked |= new
        known |= {name: chain[name] for name in new if name in chain}
    return decoded(address, known)


def decoded(address: str, chain: Mapping[str, RawAccount]) -> ClmmPool:
    pool = FAMILY.decode(address, chain)
    assert isinstance(pool, ClmmPool)
    return pool


@cache
def pool_of(name: str, first: Path = COMMITTED) -> ClmmPool:
    """A pool of the set, with every tick array that the set has."""
    return decoded(described(name, first)["address"], chain_of(name, first))


def written(after: ClmmPool, chain: Mapping[str, RawAccount]) -> dict[str, RawAccount]:
    """The chain after a swap: the state in the pool's own accounts, the money in its vaults."""
    ours = {address: bytearray(account.data) for address, account in chain.items()}
    FAMILY.write(after, ours)
    raw_account = {a: RawAccount(chain[a].owner, bytes(data)) for a, data in ours.items()}
    raw_account[after.vault_a], raw_account[after.vault_b] = (
        vault(after.balance_a),
        vault(after.balance_b),
    )
    return raw_account


def as_read(pool: ClmmPool) -> ClmmPool:
    """The pool without what it remembers of swaps since it was read."""
    return msgspec.structs.replace(pool, crossed=frozenset(), filled={})


@cache
def recorded_chain(file: Path) -> tuple[str, dict[str, RawAccount], dict[str, Any]]:
    """A mainnet pool right before a swap that was recorded: address, accounts, and that swap."""
    text = vector_sets.read(file)
    address = text["pool_address"]
    chain = {address: RawAccount(MAINNET, base64.b64decode(text["pool_b64"]))}
    for array in text["tick_arrays"]:
        chain[array["address"]] = RawAccount(MAINNET, base64.b64decode(array["data_b64"]))
    # The record has no config and no vaults: the config of another pool, at this pool's rate.
    config, _mint_a, _mint_b, vault_a, vault_b = FAMILY.needs(address, chain)[1:6]
    chain[config] = RawAccount(MAINNET, _config_at(400))
    chain[vault_a] = chain[vault_b] = vault(1 << 62)
    return address, chain, text["swap"]


@cache
def recorded(file: Path) -> tuple[ClmmPool, dict[str, Any]]:
    """A mainnet pool right before a swap that was recorded, and that swap."""
    address, chain, swap = recorded_chain(file)
    return read(address, chain), swap


def _config_at(fee_ppm: int) -> bytes:
    name = "clmm-pool-18"
    data = bytearray(chain_of(name)[described(name)["amm_config"]].data)
    data[47:51] = fee_ppm.to_bytes(4, "little")
    assert config_rates(bytes(data))[0] == fee_ppm
    return bytes(data)


def execute(pool: ClmmPool, order: dict[str, Any]) -> Swap:
    """Swap as an executor does: quote, then pay, then look at the threshold."""
    exact_in = order["is_base_input"]
    swap = pool.exact_in if exact_in else pool.exact_out
    limit = int(order["sqrt_price_limit_x64"])
    clock = CLOCK._replace(time_s=order.get("timestamp", CLOCK.time_s))
    done = swap(order["amount"], order["zero_for_one"], clock, limit)
    if done.amount_in > order.get("user_balance_in", BALANCE):
        raise Rejected("InsufficientFunds")
    if exact_in and done.amount_out < order["other_amount_threshold"]:
        raise Rejected(FAMILY.too_little_out)
    if not exact_in and done.amount_in > order["other_amount_threshold"]:
        raise Rejected(FAMILY.too_much_in)
    return done


class Answer(msgspec.Struct):
    """Our answer to an order, with the fields of the sets, and the pool afterwards."""

    fields: dict[str, Any]
    after: ClmmPool
    chain: dict[str, RawAccount]


def answer(
    pool: ClmmPool, order: dict[str, Any], chain: dict[str, RawAccount] | None = None
) -> Answer:
    """Swap, and write the state into the accounts, if there are any."""
    try:
        done = execute(pool, order)
    except Rejected as refused:
        return Answer({"ok": False, "error": refused.error}, pool, chain or {})
    after = done.after
    assert isinstance(after, ClmmPool)
    fields = {
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
    }
    if chain is None:
        return Answer(fields, after, {})
    later = written(after, chain)
    fields |= changes(after, chain, later)
    return Answer(fields, after, later)


def changes(
    after: ClmmPool, before: Mapping[str, RawAccount], later: Mapping[str, RawAccount]
) -> dict[str, Any]:
    """What the bytes show of a swap besides its amounts, in the fields of the sets of 2026."""
    fields: dict[str, Any] = {"changed_ticks": {}}
    counts = {}
    for address, account in later.items():
        data, old = account.data, before[address].data
        if data == old or account.owner != MAINNET or address == after.address:
            continue
        start = int.from_bytes(data[40:44], "little", signed=True)
        for number in range(TICKS):
            at = TICKS_AT + number * TICK_FIELDS.size
            if data[at : at + TICK_FIELDS.size] != old[at : at + TICK_FIELDS.size]:
                tick = str(start + number * after.spacing)
                fields["changed_ticks"][tick] = _tick(data[at : at + TICK_FIELDS.size])
        count_at = TICKS_AT + TICKS * TICK_FIELDS.size
        if data[count_at] != old[count_at]:
            counts[str(start)] = data[count_at]
    if counts:
        fields["initialized_tick_counts"] = counts
    own = slice(BITMAP_AT, BITMAP_AT + 128)
    bitmap, old = later[after.address].data[own], before[after.address].data[own]
    if bitmap != old:
        words = [int.from_bytes(bitmap[at : at + 8], "little") for at in range(0, 128, 8)]
        fields["tick_array_bitmap_after"] = words
    raw = later[after.address].data[1096:1176]
    if any(raw):
        fields["dynamic_after"] = dict(zip(_DYNAMIC, _DYNAMIC_FIELDS.unpack_from(raw), strict=True))
    return fields


_DYNAMIC = (
    "tick_spacing_index_reference",
    "volatility_reference",
    "volatility_accumulator",
    "last_update_timestamp",
)
_DYNAMIC_FIELDS = Struct("<14xiIIQ")


def _tick(data: bytes) -> dict[str, int]:
    growth_a, growth_b, phase, opened, part, ratio = TICK_FIELDS.unpack(data)
    return {
        "fee_growth_outside_0": int.from_bytes(growth_a, "little"),
        "fee_growth_outside_1": int.from_bytes(growth_b, "little"),
        "order_phase": phase,
        "orders_amount": opened,
        "part_filled_orders_remaining": part,
        "unfilled_ratio_x64": int.from_bytes(ratio, "little"),
    }


def expected(order: dict[str, Any]) -> dict[str, Any]:
    """What the chain answered, as far as a quote can say it."""
    return {k: v for k, v in order["expected"].items() if k not in ("compute_units", "steps")}
