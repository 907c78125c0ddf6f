"""The CLMM answers as the program did: every vector, sequence and recorded mainnet swap."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stages.venues.pool import RawAccount
from stages.venues.raydium.clmm import FAMILY
from tests.unit.venues.clmm_chain import (
    VECTORS,
    answer,
    chain_of,
    expected,
    load,
    pool_of,
    read,
    recorded,
    sequences,
    vault,
)

RECORDED = sorted((VECTORS / "mainnet_clmm_swaps").glob("swap_*.json"))


@pytest.mark.parametrize("name", sorted(load("clmm.json")["pools"]))
def test_the_account_bytes_decode_to_what_the_set_says(name: str) -> None:
    said, pool = load("clmm.json")["pools"][name], pool_of(name)
    initialised = said["initialized_ticks"]
    assert {
        "address": pool.address,
        "amm_config": pool.config,
        "mint_0": pool.mint_a,
        "mint_1": pool.mint_b,
        "vault_0": pool.vault_a,
        "vault_1": pool.vault_b,
        "observation": pool.observation,
        "tick_spacing": pool.spacing,
        "trade_fee_rate": pool.rates.fee,
        "protocol_fee_rate": pool.rates.protocol,
        "fund_fee_rate": pool.rates.fund,
        "sqrt_price_x64": pool.sqrt_price,
        "tick_current": pool.tick,
        "liquidity": pool.liquidity,
        "vault_0_amount": pool.balance_a,
        "vault_1_amount": pool.balance_b,
    }.items() <= said.items()
    assert list(pool.depth.ticks) == [tick["tick"] for tick in initialised]
    assert list(pool.depth.nets) == [tick["liquidity_net"] for tick in initialised]
    assert [n * 60 * pool.spacing for n in pool.arrays] == [a["start"] for a in said["tick_arrays"]]
    assert not pool.depth.more_below
    assert not pool.depth.more_above


def test_every_vector_agrees_in_amounts_state_and_reason() -> None:
    vectors = load("clmm.json")["vectors"]
    wrong = {
        vector["id"]: (got, expected(vector))
        for vector in vectors
        if (got := answer(pool_of(vector["pool"]), vector)[0]) != expected(vector)
    }
    refused = sum(not vector["expected"]["ok"] for vector in vectors)
    print(f"clmm.json: {len(vectors)} vectors, {refused} refused, {len(wrong)} differ")
    assert not wrong
    assert vectors


@pytest.mark.parametrize("sequence", sequences(), ids=lambda sequence: str(sequence["id"]))
def test_every_step_of_a_sequence_agrees_on_the_moving_state(sequence: dict[str, Any]) -> None:
    """Each step is also written into the account bytes, and the next reads them again."""
    name = sequence["initial"]["pool_ref"]
    print(f"{sequence['id']}: {len(sequence['steps'])} steps")
    chain, pool = chain_of(name), pool_of(name)
    for number, step in enumerate(sequence["steps"]):
        got, after = answer(pool, step)
        assert expected(step).items() <= got.items(), number
        ours = {address: bytearray(account.data) for address, account in chain.items()}
        FAMILY.write(after, ours)
        chain = {a: RawAccount(chain[a].owner, bytes(data)) for a, data in ours.items()}
        chain[pool.vault_a] = vault(after.balance_a)
        chain[pool.vault_b] = vault(after.balance_b)
        pool = read(pool.address, chain)
        assert pool == msgspec.structs.replace(after, crossed=frozenset()), number


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_mainnet_swap_reproduces(file: Path) -> None:
    pool, order = recorded(file.name)
    got, _after = answer(pool, order)
    print(f"{file.stem}: in {order['observed_amount_in']}, out {order['observed_amount_out']}")
    assert got["ok"], got
    assert got["amount_in"] == order["observed_amount_in"]
    assert got["amount_out"] == order["observed_amount_out"]


def test_the_recorded_swaps_and_sequences_are_all_there() -> None:
    another_set = "VECTORS" in os.environ  # which may have none
    assert another_set or (len(RECORDED), len(sequences())) == (17, 1)


def test_every_error_of_the_vectors_has_a_code_and_a_reason_of_ours() -> None:
    orders = [*load("clmm.json")["vectors"], *(s for q in sequences() for s in q["steps"])]
    seen = {order["expected"].get("error") for order in orders} - {None}
    assert seen <= FAMILY.errors.keys()
    assert FAMILY.errors[FAMILY.too_little_out].code == 6022
    assert FAMILY.errors[FAMILY.too_much_in].code == 6023
    assert FAMILY.errors["TooSmallInputOrOutputAmount"].code == 6026
