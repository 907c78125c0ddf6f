"""DLMM pools and vectors for the tests: those of tests/vectors, or of another folder."""

from __future__ import annotations

import base64
from functools import lru_cache
from pathlib import Path
from typing import Any

from stages.pools.contract import Clock, RawAccount, Rejected, Swap
from stages.pools.meteora.dlmm import FAMILY
from stages.pools.meteora.dlmm.addresses import array_address
from stages.pools.meteora.dlmm.bins import BINS_PER_ARRAY, Bin
from stages.pools.meteora.dlmm.pool import DlmmPool
from tests.support.pools import vector_sets

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
PROGRAM = FAMILY.programs["mainnet"]
TOKENS = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
Json = dict[str, Any]


def read(name: str, folder: Path = VECTORS) -> Json:
    """A file of a folder."""
    text: Json = vector_sets.read(folder / name)
    return text


def raw(data: str | bytes, owner: str = PROGRAM) -> RawAccount:
    """An account from base64 or bytes."""
    return RawAccount(owner, base64.b64decode(data) if isinstance(data, str) else data)


def accounts_of(name: str, folder: Path = VECTORS) -> dict[str, RawAccount]:
    """The accounts of a pool of dlmm.json."""
    text = read("dlmm_accounts.json", folder)[name]
    return {address: raw(data) for address, data in text.items()}


@lru_cache(maxsize=64)
def pool_of(name: str, folder: Path = VECTORS) -> DlmmPool:
    """A pool of dlmm.json, decoded from its bytes."""
    return decoded(read("dlmm.json", folder)["pools"][name]["address"], accounts_of(name, folder))


def decoded(address: str, accounts: dict[str, RawAccount]) -> DlmmPool:
    """The pool behind the protocol."""
    pool = FAMILY.decode(address, accounts)
    assert isinstance(pool, DlmmPool)
    return pool


def real_accounts(pair: str, vectors: Path = VECTORS) -> dict[str, RawAccount]:
    """The accounts of a pair of mainnet_dlmm_accounts."""
    folder = vectors / "mainnet_dlmm_accounts" / pair
    accounts = {pair: raw((folder / "lb_pair.bin").read_bytes())}
    for file in sorted(folder.glob("bin_array_*.bin")):
        data = file.read_bytes()
        index = int.from_bytes(data[8:16], "little", signed=True)
        accounts[array_address(PROGRAM, pair, index)] = raw(data)
    result = decoded(pair, accounts).pair
    for address, name in ((result.reserve_x, "reserve_x"), (result.reserve_y, "reserve_y")):
        accounts[address] = raw((folder / f"{name}.bin").read_bytes(), TOKENS)
    return accounts


def quoted(pool: DlmmPool, vector: Json, slot: int = 0) -> Swap:
    """The quote of a vector, whatever its threshold."""
    quote = pool.exact_out if vector["kind"] == "exact_out" else pool.exact_in
    return quote(vector["amount"], vector["swap_for_y"], Clock(slot, vector["timestamp"]))


def executed(pool: DlmmPool, vector: Json) -> Swap:
    """What an executor adds to the quote: the threshold and the wallet's balance."""
    threshold = vector["other_amount_threshold"]
    if vector["kind"] == "exact_out":
        clock = Clock(0, vector["timestamp"])
        swap = pool.exact_out_within(vector["amount"], threshold, vector["swap_for_y"], clock)
    else:
        swap = quoted(pool, vector)
        if swap.amount_out < threshold:
            raise Rejected(FAMILY.too_little_out)
    if swap.amount_in > vector.get("user_balance_in", 1 << 63):
        raise Rejected("Error: insufficient funds")
    return swap


def after(swap: Swap) -> DlmmPool:
    """The pool after a swap."""
    assert isinstance(swap.after, DlmmPool)
    return swap.after


def bin_of(pool: DlmmPool, bin_id: int) -> Bin:
    """A bin of a pool."""
    return pool.arrays[bin_id // BINS_PER_ARRAY][bin_id % BINS_PER_ARRAY]


def changed(before: DlmmPool, now: DlmmPool) -> dict[int, Bin]:
    """The bins that differ."""
    return {
        index * BINS_PER_ARRAY + slot: place
        for index, bins in now.arrays.items()
        for slot, place in enumerate(bins)
        if place != before.arrays[index][slot]
    }


def state(pool: DlmmPool) -> dict[str, int]:
    """What a vector says about the pair afterwards."""
    return {
        "active_id_after": pool.active_id,
        "volatility_accumulator_after": pool.volatility.accumulator,
        "volatility_reference_after": pool.volatility.reference,
        "index_reference_after": pool.volatility.index_reference,
        "last_update_timestamp_after": pool.volatility.updated_s,
        "protocol_fee_x_after": pool.protocol_fee_x,
        "protocol_fee_y_after": pool.protocol_fee_y,
    }


def outcome(swap: Swap) -> dict[str, int]:
    """All that a vector says of a swap but its bins."""
    amounts = {"amount_in": swap.amount_in, "amount_out": swap.amount_out, "fee": swap.fee}
    return amounts | state(after(swap))
