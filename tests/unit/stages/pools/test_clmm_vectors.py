"""The CLMM answers as the program did: every vector, sequence and recorded mainnet swap."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stages.pools.raydium.clmm import FAMILY
from tests.support.pools import vector_sets
from tests.support.pools.clmm_chain import (
    COUNTS,
    ORDER_STATE,
    Answer,
    answer,
    as_read,
    chain_of,
    decoded,
    described,
    expected,
    pool_of,
    pools,
    recorded,
    recorded_swaps,
    sequences,
    vector_files,
    where,
)
from tests.support.pools.vector_sets import COMMITTED

RECORDED = recorded_swaps()
FILES = vector_files()


@pytest.mark.parametrize(
    ("folder", "name"), [pytest.param(*each, id=f"{each[0].name}/{each[1]}") for each in pools()]
)
def test_the_account_bytes_decode_to_the_values_of_the_set(folder: Path, name: str) -> None:
    result, pool = described(name, folder), pool_of(name, folder)
    initialised = result["initialized_ticks"]
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
    }.items() <= result.items()
    assert pool.fee_on == result.get("fee_on", 0)
    assert (pool.dynamic and list(pool.dynamic)) == (
        result.get("dynamic_fee") and list(result["dynamic_fee"].values())
    )
    assert pool.extended == (result["bitmap_extension"] is not None)
    assert list(pool.depth.ticks) == [tick["tick"] for tick in initialised]
    assert list(pool.depth.nets) == [tick["liquidity_net"] for tick in initialised]
    bare = {tick["tick"] for tick in initialised if not tick["liquidity_gross"]}
    assert {
        tick: (*orders[:4], "alone" if orders.alone else "") for tick, orders in pool.orders.items()
    } == {
        order["tick"]: (
            order["order_phase"],
            order["orders_amount"],
            order["part_filled_orders_remaining"],
            order["unfilled_ratio_x64"],
            "alone" if order["tick"] in bare else "",
        )
        for order in result.get("limit_orders", [])
    }
    assert [n * 60 * pool.spacing for n in pool.arrays] == [
        a["start"] for a in result["tick_arrays"]
    ]
    assert not pool.depth.more_below
    assert not pool.depth.more_above


def differs(got: Answer, order: dict[str, Any], optional: Sequence[str]) -> dict[str, Any]:
    """Ours and theirs, by field that differs; a set may lack the optional ones."""
    want = expected(order)
    ours = {k: v for k, v in got.fields.items() if k in want or k not in optional}
    return {k: (ours.get(k), want.get(k)) for k in ours | want if ours.get(k) != want.get(k)}


def optional_fields(name: str, folder: Path) -> Sequence[str]:
    """What a set may leave out: before 2026, all that came with limit orders."""
    return () if "fee_on" in described(name, folder) else (*ORDER_STATE, *COUNTS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_vector_agrees_in_amounts_state_and_reason(file: Path) -> None:
    """State: also what is written into the accounts, and what they are read as again."""
    wrong, refused, unread, tags = {}, 0, 0, Counter[str]()
    folder, vectors = file.parent, vector_sets.read(file)["vectors"]
    for vector in vectors:
        name = vector["pool"]
        if where(name, folder) is None:
            unread += 1
            continue
        pool = pool_of(name, folder)
        got = answer(pool, vector, chain_of(name, folder))
        if different := differs(got, vector, optional_fields(name, folder)):
            wrong[vector["id"]] = different
        elif got.fields["ok"]:
            assert decoded(pool.address, got.chain) == as_read(got.after), vector["id"]
            tags["filled an order"] += bool(got.after.filled)
            tags["crossed a tick"] += bool(got.after.crossed)
        refused += not vector["expected"]["ok"]
    total, label = len(vectors), vector_sets.label(folder, file.name)
    print(f"{label}: {total} vectors, {refused} refused, {dict(tags)}, {len(wrong)} differ")
    if unread:
        print(f"{label}: {unread} vectors of pools without accounts were not compared")
    assert not wrong
    assert unread < total


@pytest.mark.parametrize(
    ("folder", "sequence"), [pytest.param(*each, id=each[1]["id"]) for each in sequences()]
)
def test_every_step_of_a_sequence_agrees_on_the_moving_state(
    folder: Path, sequence: dict[str, Any]
) -> None:
    """Each step is also written into the account bytes, and the next reads them again."""
    name = sequence["initial"]["pool_ref"]
    if where(name, folder) is None:
        pytest.skip(f"no set has the accounts of {name}")
    print(f"{sequence['id']}: {len(sequence['steps'])} steps")
    chain, pool = chain_of(name, folder), pool_of(name, folder)
    for number, step in enumerate(sequence["steps"]):
        got = answer(pool, step, chain)
        # Sequences have no counts and no bitmap, and those of before 2026 no fee.
        assert not differs(got, step, (*optional_fields(name, folder), *COUNTS, "fee_total")), (
            number
        )
        chain, pool = got.chain, decoded(pool.address, got.chain)
        assert pool == as_read(got.after), number


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_mainnet_swap_reproduces(file: Path) -> None:
    pool, order = recorded(file)
    fields = answer(pool, order).fields
    print(f"{file.stem}: in {order['observed_amount_in']}, out {order['observed_amount_out']}")
    assert fields["ok"], fields
    assert fields["amount_in"] == order["observed_amount_in"]
    assert fields["amount_out"] == order["observed_amount_out"]


def test_the_committed_vectors_are_all_there() -> None:
    if vector_sets.GIVEN:
        pytest.skip("another set, which may have less")
    counts = {str(f.relative_to(COMMITTED)): len(vector_sets.read(f)["vectors"]) for f in FILES}
    assert counts == {"clmm.json": 574, "clmm_2026/clmm.json": 2362}
    steps = sum(len(sequence["steps"]) for _folder, sequence in sequences())
    assert (len(RECORDED), len(sequences()), steps) == (17, 11, 340)


def test_every_error_of_the_vectors_has_a_reason() -> None:
    orders = [order for file in FILES for order in vector_sets.read(file)["vectors"]]
    orders += [step for _folder, sequence in sequences() for step in sequence["steps"]]
    seen = {order["expected"].get("error") for order in orders} - {None}
    assert seen <= FAMILY.errors.keys()
