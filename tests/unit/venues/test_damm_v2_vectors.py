"""DAMM v2 answers what the real program answered: tests/vectors, or the folder in VECTORS."""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stages.venues.meteora.damm_v2 import FAMILY
from stages.venues.meteora.damm_v2.pool import DammPool
from stages.venues.pool import Clock, RawAccount, Rejected, Swap

FOLDER = Path(os.environ.get("VECTORS") or Path(__file__).parents[2] / "vectors")
PROGRAM = FAMILY.programs["mainnet"]
MINT = RawAccount("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", bytes(82))

Json = dict[str, Any]


def read(name: str) -> Json:
    """A file of the folder, empty if it is not there."""
    path = FOLDER / name
    return json.loads(path.read_bytes()) if path.exists() else {}


FILE = read("dammv2.json") or {"pools": {}, "vectors": []}
BYTES = {name: base64.b64decode(data) for name, data in read("dammv2_accounts.json").items()}
MAINNET = read("mainnet_damm_accounts/vectors.json") or {"meta": {}, "vectors": []}
SEQUENCES = [
    sequence
    for sequence in read("sequences.json").get("sequences", [])
    if sequence["family"] == FAMILY.name
]


def decoded(address: str, data: bytes) -> DammPool:
    """The pool in these bytes, found as the engine finds it: ask what is needed, then decode."""
    accounts = {address: RawAccount(PROGRAM, data)}
    assert FAMILY.is_pool(accounts[address])
    for mint in FAMILY.needs(address, accounts)[1:]:
        accounts[mint] = MINT
    assert set(FAMILY.needs(address, accounts)) == set(accounts)
    pool = FAMILY.decode(address, accounts)
    assert isinstance(pool, DammPool)
    return pool


def written(pool: DammPool, data: bytes) -> bytes:
    """The bytes with the state of this pool."""
    accounts = {pool.address: bytearray(data)}
    FAMILY.write(pool, accounts)
    return bytes(accounts[pool.address])


def executed(pool: DammPool, vector: Json) -> Swap:
    """The swap as an executor does it: the quote, then threshold and balance. Raises Rejected."""
    quote = {
        "exact_in": pool.exact_in,
        "exact_out": pool.exact_out,
        "partial_fill": pool.partial_fill,
    }[vector["kind"]]
    clock = Clock(vector["slot"], vector["timestamp"])
    swap = quote(vector["amount"], vector["a_to_b"], clock)
    if vector["kind"] == "exact_out":
        if swap.amount_in > vector.get("other_amount_threshold", 2**64):
            raise Rejected(FAMILY.too_much_in)
    elif swap.amount_out < vector.get("other_amount_threshold", 0):
        raise Rejected(FAMILY.too_little_out)
    if swap.amount_in > vector.get("user_balance_in", 2**63):
        raise Rejected("Error: insufficient funds")
    return swap


def outcome(pool: DammPool, swap: Swap) -> Json:
    """What the vectors say of a swap that landed."""
    after = swap.after
    assert isinstance(after, DammPool)
    a, was_a, b, was_b = after.collected_a, pool.collected_a, after.collected_b, pool.collected_b
    moved_at, reference, accumulator, decayed = after.volatility or (0, 0, 0, 0)
    return {
        "ok": True,
        "amount_in": swap.amount_in,
        "amount_out": swap.amount_out,
        "sqrt_price_after": after.sqrt_price,
        "liquidity_after": after.liquidity,
        "protocol_a_fee": a.protocol - was_a.protocol,
        "protocol_b_fee": b.protocol - was_b.protocol,
        "lp_a_fee": a.providers_ever - was_a.providers_ever,
        "lp_b_fee": b.providers_ever - was_b.providers_ever,
        "token_a_amount_after": after.reserve_a,
        "token_b_amount_after": after.reserve_b,
        "dynamic_last_update_after": moved_at,
        "sqrt_price_reference_after": reference,
        "volatility_accumulator_after": accumulator,
        "volatility_reference_after": decayed,
    }


def answer(pool: DammPool, vector: Json, start: DammPool | None = None) -> tuple[Json, DammPool]:
    """What became of it, with the fees collected since the start, and the pool after it."""
    try:
        swap = executed(pool, vector)
    except Rejected as rejected:
        return {"ok": False, "error": rejected.error}, pool
    assert isinstance(swap.after, DammPool)
    return outcome(start or pool, swap), swap.after


def differences(found: Json, expected: Mapping[str, Any]) -> Json:
    """By name: what was found and what was expected, where the two differ."""
    costs = ("compute_units",)
    return {
        name: (found.get(name), value)
        for name, value in expected.items()
        if name not in costs and found.get(name) != value
    }


def told(name: str, refused: list[bool], wrong: Json) -> None:
    print(f"{name}: {len(refused)} vectors, {sum(refused)} refused, {len(wrong)} differ")
    assert not wrong


def test_there_are_vectors() -> None:
    assert FILE["vectors"]
    assert len(BYTES) == len(FILE["pools"])


@pytest.mark.parametrize("name", sorted(FILE["pools"]))
def test_account_bytes_decode_to_what_the_vectors_say_of_the_pool(name: str) -> None:
    said, pool = FILE["pools"][name], decoded(FILE["pools"][name]["address"], BYTES[name])
    assert (pool.address, pool.program) == (said["address"], PROGRAM)
    assert (pool.mint_a, pool.mint_b) == (said["token_a_mint"], said["token_b_mint"])
    assert (pool.keys.vault_a, pool.keys.vault_b) == (said["token_a_vault"], said["token_b_vault"])
    assert (pool.reserve_a, pool.reserve_b) == (said["reserve_a"], said["reserve_b"])
    assert (pool.liquidity, pool.sqrt_price) == (said["liquidity"], said["sqrt_price"])
    terms = pool.terms
    assert (terms.sqrt_min, terms.sqrt_max) == (said["sqrt_min_price"], said["sqrt_max_price"])
    assert (terms.activation, int(terms.by_time)) == (
        said["activation_point"],
        said["activation_type"],
    )
    assert terms.enabled == (said["pool_status"] == 0)
    assert terms.protocol_percent == said["protocol_fee_percent"]
    assert terms.compounding_bps == said["compounding_fee_bps"]
    dynamic = said["dynamic"]
    assert (terms.volatility is None) == (dynamic is None)
    if dynamic and terms.volatility and pool.volatility:
        assert terms.volatility.bin_step_q64 == dynamic["bin_step_u128"]
        assert terms.volatility.control == dynamic["variable_fee_control"]
        assert pool.volatility == (
            dynamic["last_update_timestamp"],
            dynamic["sqrt_price_reference"],
            dynamic["volatility_accumulator"],
            dynamic["volatility_reference"],
        )


def test_every_swap_of_the_program_is_reproduced_with_the_state_after_it() -> None:
    pools = {name: decoded(said["address"], BYTES[name]) for name, said in FILE["pools"].items()}
    wrong = {}
    for vector in FILE["vectors"]:
        found, _ = answer(pools[vector["pool"]], vector)
        if differs := differences(found, vector["expected"]):
            wrong[vector["id"]] = differs
    told("dammv2.json", [not vector["expected"]["ok"] for vector in FILE["vectors"]], wrong)


def test_every_fee_is_shared_out_as_the_program_shares_it() -> None:
    pools = {name: decoded(said["address"], BYTES[name]) for name, said in FILE["pools"].items()}
    for vector in FILE["vectors"]:
        if not (split := vector.get("fee_split")):
            continue
        pool = pools[vector["pool"]]
        swap = executed(pool, vector)
        assert swap.fee == sum(split.values()), vector["id"]


@pytest.mark.parametrize("sequence", SEQUENCES, ids=[s["id"] for s in SEQUENCES])
def test_many_swaps_in_a_row_move_one_pool_as_the_program_does(sequence: Json) -> None:
    name = sequence["initial"]["pool_ref"]
    print(f"{sequence['id']}: {len(sequence['steps'])} steps")
    address, data = FILE["pools"][name]["address"], BYTES[name]
    pool = start = decoded(address, data)
    for number, step in enumerate(sequence["steps"]):
        found, pool = answer(pool, step, start)
        assert not differences(found, step["expected"]), f"step {number}"
        # What is written and read again is the same pool.
        data = written(pool, data)
        assert decoded(address, data) == pool


def test_pools_of_mainnet_decode_and_their_swaps_are_reproduced() -> None:
    wrong, pools = {}, {}
    for name, said in MAINNET["meta"].items():
        pool = decoded(name, (FOLDER / "mainnet_damm_accounts" / f"{name}.bin").read_bytes())
        assert (pool.liquidity, pool.sqrt_price) == (said["liquidity"], said["sqrt_price"])
        assert (pool.mint_a, pool.mint_b) == (said["token_a_mint"], said["token_b_mint"])
        pools[f"{name}.bin"] = pool
    for vector in MAINNET["vectors"]:
        found, _ = answer(pools[vector["account_file"]], vector)
        if differs := differences(found, vector["onchain"]):
            wrong[vector["id"]] = differs
    refused = [not vector["onchain"]["ok"] for vector in MAINNET["vectors"]]
    told("mainnet_damm_accounts/vectors.json", refused, wrong)


def test_writing_a_pool_that_nobody_swapped_with_changes_no_byte() -> None:
    for name, data in BYTES.items():
        assert written(decoded(FILE["pools"][name]["address"], data), data) == data
    for name in MAINNET["meta"]:
        data = (FOLDER / "mainnet_damm_accounts" / f"{name}.bin").read_bytes()
        assert written(decoded(name, data), data) == data
