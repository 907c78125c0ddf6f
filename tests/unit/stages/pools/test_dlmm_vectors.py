"""DLMM quotes against what the real program did: the sets of `vector_sets`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from stages.pools.contract import Clock, RawAccount, Rejected
from stages.pools.meteora.dlmm import FAMILY
from stages.pools.meteora.dlmm.bins import Bin
from stages.pools.meteora.dlmm.pool import DlmmPool
from tests.support.pools import vector_sets
from tests.support.pools.dlmm import (
    Json,
    after,
    bin_of,
    changed,
    decoded,
    executed,
    outcome,
    pool_of,
    quoted,
    raw,
    read,
    real_accounts,
)

FILE, ACCOUNTS = "dlmm.json", "dlmm_accounts.json"
SETS = vector_sets.with_file(FILE)
each_set = pytest.mark.parametrize("folder", SETS, ids=[folder.name for folder in SETS])


def each_with(name: str) -> pytest.MarkDecorator:
    """The folders that hold this file."""
    return pytest.mark.parametrize("folder", vector_sets.with_file(name), ids=lambda f: f.name)


@cache
def home_of(name: str, folder: Path) -> Path | None:
    """The folder with a pool and its accounts: this, another of the sets, or the committed."""
    return vector_sets.with_pool(name, FILE, ACCOUNTS, folder)


FIRST_LIVE = (431_954_063, 1_783_663_127)
"""A slot of the recorded swaps and its Unix time, between those that the pair's bytes tell."""


def differences(expected: Json, value: dict[str, int]) -> list[str]:
    return [
        f"{name} {value[name]} not {expected[name]}"
        for name in value
        if name in expected and value[name] != expected[name]
    ]


def bins_differ(expected: dict[str, list[int]], pool: DlmmPool, touched: Iterable[int]) -> bool:
    """Whether a bin is not as expected, or one was touched that is not expected to be."""
    return not set(touched) <= set(map(int, expected)) or any(
        amounts != list(_amounts(bin_of(pool, int(bin_id)), len(amounts)))
        for bin_id, amounts in expected.items()
    )


def _amounts(place: Bin, count: int) -> tuple[int, ...]:
    orders = (place.open_orders, place.processing, place.remaining)
    return (place.x, place.y, *orders)[:count]


def disagreement(pool: DlmmPool, vector: Json) -> tuple[str, DlmmPool]:
    """What is wrong with our answer to a vector, and the pool that it leaves."""
    expected = vector["expected"]
    try:
        swap = executed(pool, vector)
    except Rejected as rejected:
        known = not expected["ok"] and expected["error"] == rejected.error
        return "" if known else f"rejected with {rejected}, expected {expected}", pool
    if not expected["ok"]:
        return f"quoted, expected {expected['error']}", pool
    wrong = differences(expected, outcome(swap))
    now = after(swap)
    if bins_differ(expected["changed_bins"], now, changed(pool, now)):
        wrong.append("bins")
    return ", ".join(wrong), now


AGREES = "agrees"


def report(name: str, counts: Counter[str], wrong: list[str]) -> None:
    total, refused = counts.total() + len(wrong), counts.total() - counts[AGREES]
    print(f"{name}: {total} vectors, {refused} refused, {len(wrong)} differ")
    assert not wrong, wrong[:5]
    assert counts


@pytest.mark.skipif(bool(vector_sets.GIVEN), reason="a given folder holds what it holds")
def test_there_are_vectors() -> None:
    assert [len(read(FILE, folder)["vectors"]) for folder in SETS] == [875, 1_410]


@each_set
def test_every_vector_agrees_in_amounts_and_state_and_each_rejection_in_its_name(
    folder: Path,
) -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for vector in read(FILE, folder)["vectors"]:
        home = home_of(vector["pool"], folder)
        if home is None:
            continue
        text, _ = disagreement(pool_of(vector["pool"], home), vector)
        counts[AGREES if vector["expected"]["ok"] else "rejects alike"] += not text
        wrong += [f"{vector['id']}: {text}"] * bool(text)
    report(f"{folder.name}/dlmm.json", counts, wrong)


@each_set
def test_every_error_of_the_vectors_has_a_reason(folder: Path) -> None:
    errors = {vector["expected"].get("error") for vector in read(FILE, folder)["vectors"]}
    assert errors - {None} <= set(FAMILY.errors)


@each_with("sequences.json")
def test_many_swaps_in_a_row_leave_the_pool_that_the_program_left(folder: Path) -> None:
    for sequence in vector_sets.sequences(folder, FAMILY.name):
        counts: Counter[str] = Counter()
        wrong = []
        name = sequence["initial"]["pool_ref"]
        home = home_of(name, folder)
        if home is None:
            print(f"{sequence['id']}: no set has the accounts of {name}")
            continue
        pool = pool_of(name, home)
        for number, step in enumerate(sequence["steps"]):
            text, pool = disagreement(pool, step)
            counts[AGREES if step["expected"]["ok"] else "rejects alike"] += not text
            wrong += [f"{sequence['id']} {number}: {text}"] * bool(text)
        report(f"{folder.name}/sequences.json, {sequence['id']}", counts, wrong)


REAL = "mainnet_dlmm_accounts/vectors.json"
TAXED = "B5Eia4cE71tKuEDaqPHucJLG2fxySKyKzLMewd2nUvoc"
LATE = "9t3EyC9FweyL7PBWvKz3mrXg8B9fwFc9SK3QxM4ENqhd"


@each_with(REAL)
def test_real_pairs_swap_as_their_bytes_did_in_the_program(folder: Path) -> None:
    """All but the pair whose mint takes transfer fees: see `test_transfer_fees`."""
    counts: Counter[str] = Counter()
    wrong = []
    for vector in read(REAL, folder)["vectors"]:
        if vector["pair"] == TAXED:
            continue
        accounts = real_accounts(vector["pair"], folder)
        pool, onchain = decoded(vector["pair"], accounts), vector["onchain"]
        try:
            swap = quoted(pool, vector)
        except Rejected as rejected:
            results = [] if rejected.error == onchain.get("error") else [str(rejected)]
        else:
            now = outcome(swap)
            now["protocol_fee_x_delta"] = after(swap).protocol_fee_x - pool.protocol_fee_x
            now["protocol_fee_y_delta"] = after(swap).protocol_fee_y - pool.protocol_fee_y
            results = differences(onchain, now) if onchain["ok"] else ["quoted"]
        counts[onchain.get("error", AGREES)] += not results
        wrong += [f"{vector['id']}: {results}"] * bool(results)
    report(REAL, counts, wrong)


@each_with(REAL)
def test_real_pairs_agree_with_the_independent_model_where_the_program_ran_something_else(
    folder: Path,
) -> None:
    """Limit orders with fees on output after activation; transfers of a taxed mint as untaxed."""
    counts: Counter[str] = Counter()
    wrong = []
    for vector in read(REAL, folder)["vectors"]:
        model = vector["model"]
        if vector["pair"] not in (TAXED, LATE) or not model.get("amount_out"):
            continue
        pool = decoded(vector["pair"], real_accounts(vector["pair"], folder))
        swap = quoted(pool, vector, slot=1_000_000_000)
        protocol = after(swap).protocol_fee_x + after(swap).protocol_fee_y
        results = differences(model, outcome(swap) | {"protocol_fee": protocol})
        counts[AGREES] += not results
        wrong += [f"{vector['id']}: {results}"] * bool(results)
    report(f"{REAL}, models", counts, wrong)


SOL_USDC = "mainnet_dlmm_solusdc/"


def sol_usdc(folder: Path, pair: str, arrays: list[Json]) -> DlmmPool:
    address = read(SOL_USDC + "reference.json", folder)["pool"]
    accounts: dict[str, RawAccount] = {address: raw(pair)}
    accounts.update({array["pubkey"]: raw(array["data"]) for array in arrays})
    return decoded(address, accounts)


@each_with(SOL_USDC + "vectors.json")
def test_the_real_sol_usdc_pair_swaps_as_in_the_program(folder: Path) -> None:
    reference = read(SOL_USDC + "reference.json", folder)
    pool = sol_usdc(folder, reference["lbPairB64"], reference["binArraysB64"])
    counts: Counter[str] = Counter()
    wrong = []
    for vector in read(SOL_USDC + "vectors.json", folder)["vectors"]:
        onchain, model = vector["onchain"], vector["model"]
        try:
            swap = quoted(pool, vector)
        except Rejected as rejected:
            results = [] if rejected.error in onchain.get("error", "") else [str(rejected)]
        else:
            now = outcome(swap)
            now["protocol_fee"] = sum(
                now[f"protocol_fee_{token}_after"] - getattr(pool, f"protocol_fee_{token}")
                for token in "xy"
            )
            results = differences(model, now) + (
                differences(onchain, now) if onchain["ok"] else ["quoted"]
            )
        counts[onchain.get("error", AGREES)] += not results
        wrong += [f"{vector['id']}: {results}"] * bool(results)
    report("mainnet_dlmm_solusdc/vectors.json", counts, wrong)


@each_with(SOL_USDC + "reference.json")
def test_quotes_match_those_of_another_client_for_the_real_pair(folder: Path) -> None:
    reference = read(SOL_USDC + "reference.json", folder)
    pool = sol_usdc(folder, reference["lbPairB64"], reference["binArraysB64"])
    clock = Clock(0, int(reference["clockTs"]))
    whole = [result for result in reference["results"] if int(result["inAmount"]) < 10**12]
    assert len(whole) == 3  # the fourth is a partial fill, which the program does not do
    for result in whole:
        swap = pool.exact_in(int(result["inAmount"]), True, clock)
        assert swap.amount_out == int(result["outAmount"])


@each_with(SOL_USDC + "live_events.jsonl")
def test_the_ten_recorded_swaps_of_mainnet_reproduce(folder: Path) -> None:
    slot, at_s = FIRST_LIVE
    lines = (folder / SOL_USDC / "live_events.jsonl").read_text().splitlines()
    assert len(lines) == 10
    for event in map(json.loads, lines):
        pool = sol_usdc(folder, event["lbPairB64"], event["preBinArraysB64"])
        clock = Clock(event["slot"], at_s + (event["slot"] - slot) * 2 // 5)
        swap = pool.exact_in(int(event["amountIn"]), event["swapForY"], clock)
        assert swap.amount_out == int(event["amountOut"])


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        pytest.param(folder, name, id=name)
        for folder in SETS
        for name in sorted(vector_sets.read(folder / ACCOUNTS) or {})
    ],
)
def test_account_bytes_decode_to_the_values_of_the_vectors(folder: Path, name: str) -> None:
    text, pool = read(FILE, folder)["pools"][name], pool_of(name, folder)
    pair, volatility = pool.pair, pool.volatility
    assert (pool.address, pool.mint_a, pool.mint_b) == (
        text["address"],
        text["mint_x"],
        text["mint_y"],
    )
    assert (pair.reserve_x, pair.reserve_y, pair.oracle, pair.extension) == (
        text["reserve_x"],
        text["reserve_y"],
        text["oracle"],
        text["bitmap_extension"],
    )
    rate = text["base_factor"] * text["bin_step"] * 10 * 10 ** text["base_fee_power_factor"]
    assert pair.base_rate == min(100_000_000, rate)
    assert (pair.bin_step, pair.variable_fee_control, pair.max_volatility) == (
        text["bin_step"],
        text["variable_fee_control"],
        text["max_volatility_accumulator"],
    )
    assert (pair.filter_s, pair.decay_s, pair.reduction_bps, pair.protocol_share_bps) == (
        text["filter_period"],
        text["decay_period"],
        text["reduction_factor"],
        text["protocol_share"],
    )
    assert tuple(volatility) == (
        text["volatility_accumulator"],
        text["volatility_reference"],
        text["index_reference"],
        text["last_update_timestamp"],
    )
    assert (pool.active_id, pair.enabled, pair.fee_on_y) == (
        text["active_id"],
        text["status"] == 0,
        text["collect_fee_mode"] == 1,
    )
    assert sorted(pool.arrays) == sorted(array["index"] for array in text["bin_arrays"])
    for place in text["bins"]:
        result = bin_of(pool, place["id"])
        assert result[:4] == (
            place["amount_x"],
            place["amount_y"],
            place["price_x64"],
            place["open_order_amount"],
        )
        assert (result.remaining, result.ask) == (
            place["processed_order_remaining_amount"],
            place["limit_order_ask_side"],
        )
