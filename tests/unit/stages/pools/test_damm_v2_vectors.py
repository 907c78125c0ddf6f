"""DAMM v2 answers what the real program answered: the sets of `vector_sets`."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stages.pools.contract import Clock, RawAccount, Rejected, Swap
from stages.pools.meteora.damm_v2 import FAMILY
from stages.pools.meteora.damm_v2.pool import DammPool
from tests.support.pools import vector_sets

PROGRAM = FAMILY.programs["mainnet"]
MINT = RawAccount("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", bytes(82))
FILE, ACCOUNTS = "dammv2.json", "dammv2_accounts.json"
MAINNET = "mainnet_damm_accounts/vectors.json"

Json = dict[str, Any]


class Set(NamedTuple):
    """One folder's pools, by name, with their bytes; and its vectors."""

    name: str
    pools: Json
    bytes: dict[str, bytes]
    vectors: list[Json]
    sequences: list[Json]


def load(folder: Path) -> Set:
    """The set of a folder. Its pools may be those of another set; one whose bytes are nowhere is
    left out with its vectors.
    """
    vectors = (vector_sets.read(folder / FILE) or {"vectors": []})["vectors"]
    sequences = vector_sets.sequences(folder, FAMILY.name)
    names = set((vector_sets.read(folder / FILE) or {"pools": {}})["pools"])
    names |= {vector["pool"] for vector in vectors}
    names |= {sequence["initial"]["pool_ref"] for sequence in sequences}
    held = {
        name: home
        for name in sorted(names)
        if (home := vector_sets.with_pool(name, FILE, ACCOUNTS, folder))
    }
    return Set(
        name=f"{folder.name}/{FILE}",
        pools={name: vector_sets.read(home / FILE)["pools"][name] for name, home in held.items()},
        bytes={
            name: base64.b64decode(vector_sets.read(home / ACCOUNTS)[name])
            for name, home in held.items()
        },
        vectors=[vector for vector in vectors if vector["pool"] in held],
        sequences=[each for each in sequences if each["initial"]["pool_ref"] in held],
    )


FOLDERS = dict.fromkeys(
    [*vector_sets.with_file(FILE), *vector_sets.with_file("sequences.json")],
)
SETS = [each for each in map(load, FOLDERS) if each.pools]
POOLS = [pytest.param(each, name, id=name) for each in SETS for name in sorted(each.pools)]
WITH_VECTORS = [each for each in SETS if each.vectors]
each_set = pytest.mark.parametrize("vectors", WITH_VECTORS, ids=lambda each: each.name)


def decoded(address: str, data: bytes) -> DammPool:
    """The pool in these bytes, read as the engine reads it: ask what is needed, then decode."""
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
        "fee_a_per_liquidity_after": a.per_liquidity,
        "fee_b_per_liquidity_after": b.per_liquidity,
        "layout_version_after": int(after.keeps_reserves),
    }


def answer(pool: DammPool, vector: Json, start: DammPool | None = None) -> tuple[Json, DammPool]:
    """What became of it, with the fees collected since the start, and the pool after it."""
    try:
        swap = executed(pool, vector)
    except Rejected as rejected:
        return {"ok": False, "error": rejected.error}, pool
    assert isinstance(swap.after, DammPool)
    return outcome(start or pool, swap), swap.after


def differences(actual: Json, expected: Mapping[str, Any]) -> Json:
    """By name: the actual and the expected value, where the two differ."""
    costs = ("compute_units",)
    return {
        name: (actual.get(name), value)
        for name, value in expected.items()
        if name not in costs and actual.get(name) != value
    }


def told(name: str, refused: list[bool], wrong: Json) -> None:
    print(f"{name}: {len(refused)} vectors, {sum(refused)} refused, {len(wrong)} differ")
    assert not wrong


@pytest.mark.skipif(bool(vector_sets.GIVEN), reason="a given folder holds what it holds")
def test_there_are_vectors() -> None:
    assert [len(each.vectors) for each in SETS] == [848, 610]
    assert sum(len(sequence["steps"]) for each in SETS for sequence in each.sequences) == 220


@pytest.mark.parametrize(("vectors", "name"), POOLS)
def test_account_bytes_decode_to_the_pools_of_the_vectors(vectors: Set, name: str) -> None:
    result = vectors.pools[name]
    pool = decoded(result["address"], vectors.bytes[name])
    assert (pool.address, pool.program) == (result["address"], PROGRAM)
    assert (pool.mint_a, pool.mint_b) == (result["token_a_mint"], result["token_b_mint"])
    assert (pool.keys.vault_a, pool.keys.vault_b) == (
        result["token_a_vault"],
        result["token_b_vault"],
    )
    assert (pool.reserve_a, pool.reserve_b) == (result["reserve_a"], result["reserve_b"])
    assert (pool.liquidity, pool.sqrt_price) == (result["liquidity"], result["sqrt_price"])
    assert int(pool.keeps_reserves) == result.get("layout_version", 1)
    terms = pool.terms
    assert (terms.sqrt_min, terms.sqrt_max) == (result["sqrt_min_price"], result["sqrt_max_price"])
    assert (terms.activation, int(terms.by_time)) == (
        result["activation_point"],
        result["activation_type"],
    )
    assert terms.enabled == (result["pool_status"] == 0)
    assert terms.protocol_percent == result["protocol_fee_percent"]
    assert terms.compounding_bps == result["compounding_fee_bps"]
    dynamic = result["dynamic"]
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


@each_set
def test_every_swap_of_the_program_is_reproduced_with_the_state_after_it(vectors: Set) -> None:
    wrong = {}
    for vector in vectors.vectors:
        result, data = vectors.pools[vector["pool"]], vectors.bytes[vector["pool"]]
        pool = decoded(result["address"], data)
        results, after = answer(pool, vector)
        if differs := differences(results, vector["expected"]):
            wrong[vector["id"]] = differs
        elif results["ok"]:
            assert decoded(result["address"], written(after, data)) == after
    told(vectors.name, [not vector["expected"]["ok"] for vector in vectors.vectors], wrong)


@each_set
def test_every_fee_is_shared_out_as_the_program_shares_it(vectors: Set) -> None:
    for vector in vectors.vectors:
        if not (split := vector.get("fee_split")):
            continue
        name = vector["pool"]
        pool = decoded(vectors.pools[name]["address"], vectors.bytes[name])
        assert executed(pool, vector).fee == sum(split.values()), vector["id"]


@pytest.mark.parametrize(
    ("vectors", "sequence"),
    [
        pytest.param(each, sequence, id=sequence["id"])
        for each in SETS
        for sequence in each.sequences
    ],
)
def test_many_swaps_in_a_row_move_one_pool_as_the_program_does(
    vectors: Set, sequence: Json
) -> None:
    name = sequence["initial"]["pool_ref"]
    address, data = vectors.pools[name]["address"], vectors.bytes[name]
    pool = start = decoded(address, data)
    for number, step in enumerate(sequence["steps"]):
        results, pool = answer(pool, step, start)
        assert not differences(results, step["expected"]), f"step {number}"
        # What is written and read again is the same pool.
        data = written(pool, data)
        assert decoded(address, data) == pool
    print(f"{sequence['id']}: {len(sequence['steps'])} steps, 0 differ")


@pytest.mark.parametrize("folder", vector_sets.with_file(MAINNET), ids=str)
def test_pools_of_mainnet_decode_and_their_swaps_are_reproduced(folder: Path) -> None:
    wrong, pools = {}, {}
    mainnet = vector_sets.read(folder / MAINNET)
    for name, item in mainnet["meta"].items():
        data = (folder / "mainnet_damm_accounts" / f"{name}.bin").read_bytes()
        pool = decoded(name, data)
        assert written(pool, data) == data
        assert (pool.liquidity, pool.sqrt_price) == (item["liquidity"], item["sqrt_price"])
        assert (pool.mint_a, pool.mint_b) == (item["token_a_mint"], item["token_b_mint"])
        pools[f"{name}.bin"] = pool
    for vector in mainnet["vectors"]:
        results, _ = answer(pools[vector["account_file"]], vector)
        if differs := differences(results, vector["onchain"]):
            wrong[vector["id"]] = differs
    refused = [not vector["onchain"]["ok"] for vector in mainnet["vectors"]]
    told(MAINNET, refused, wrong)


@each_set
def test_writing_a_pool_that_was_not_swapped_with_changes_no_byte(vectors: Set) -> None:
    for name, data in vectors.bytes.items():
        assert written(decoded(vectors.pools[name]["address"], data), data) == data
