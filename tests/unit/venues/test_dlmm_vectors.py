"""DLMM quotes against what the real program did (tests/vectors/README.md)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

import pytest

from stages.venues.meteora.dlmm import FAMILY
from stages.venues.meteora.dlmm.bins import Bin
from stages.venues.meteora.dlmm.pool import DlmmPool
from stages.venues.pool import Clock, RawAccount, Rejected
from tests.unit.venues.dlmm import (
    VECTORS,
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

FIRST_LIVE = (431_954_063, 1_783_663_127)
"""A slot of the recorded swaps and its Unix time, between those that the pair's bytes tell."""


def differences(expected: Json, found: dict[str, int]) -> list[str]:
    return [
        f"{name} {found[name]} not {expected[name]}"
        for name in found
        if name in expected and found[name] != expected[name]
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


def test_every_vector_agrees_in_amounts_and_state_and_each_rejection_in_its_name() -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for vector in read("dlmm.json")["vectors"]:
        found, _ = disagreement(pool_of(vector["pool"]), vector)
        counts[AGREES if vector["expected"]["ok"] else "rejects alike"] += not found
        wrong += [f"{vector['id']}: {found}"] * bool(found)
    report("dlmm.json", counts, wrong)


def test_every_error_of_the_vectors_has_a_reason() -> None:
    errors = {vector["expected"].get("error") for vector in read("dlmm.json")["vectors"]}
    assert errors - {None} <= set(FAMILY.errors)


def test_many_swaps_in_a_row_leave_the_pool_that_the_program_left() -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for sequence in read("sequences.json")["sequences"]:
        if sequence["family"] != "meteora-dlmm":
            continue
        pool = pool_of(sequence["initial"]["pool_ref"])
        for number, step in enumerate(sequence["steps"]):
            found, pool = disagreement(pool, step)
            counts[AGREES] += not found
            wrong += [f"{sequence['id']} {number}: {found}"] * bool(found)
    report("sequences.json, dlmm", counts, wrong)


REAL = "mainnet_dlmm_accounts/vectors.json"
TAXED = "B5Eia4cE71tKuEDaqPHucJLG2fxySKyKzLMewd2nUvoc"
LATE = "9t3EyC9FweyL7PBWvKz3mrXg8B9fwFc9SK3QxM4ENqhd"


def test_real_pairs_swap_as_their_bytes_did_in_the_program() -> None:
    """All but the pair whose mint takes transfer fees: see `test_transfer_fees`."""
    counts: Counter[str] = Counter()
    wrong = []
    for vector in read(REAL)["vectors"]:
        if vector["pair"] == TAXED:
            continue
        pool, onchain = decoded(vector["pair"], real_accounts(vector["pair"])), vector["onchain"]
        try:
            swap = quoted(pool, vector)
        except Rejected as rejected:
            found = [] if rejected.error == onchain.get("error") else [str(rejected)]
        else:
            now = outcome(swap)
            now["protocol_fee_x_delta"] = after(swap).protocol_fee_x - pool.protocol_fee_x
            now["protocol_fee_y_delta"] = after(swap).protocol_fee_y - pool.protocol_fee_y
            found = differences(onchain, now) if onchain["ok"] else ["quoted"]
        counts[onchain.get("error", AGREES)] += not found
        wrong += [f"{vector['id']}: {found}"] * bool(found)
    report(REAL, counts, wrong)


def test_real_pairs_agree_with_the_independent_model_where_the_program_ran_something_else() -> None:
    """Limit orders with fees on output after activation; transfers of a taxed mint as untaxed."""
    counts: Counter[str] = Counter()
    wrong = []
    for vector in read(REAL)["vectors"]:
        model = vector["model"]
        if vector["pair"] not in (TAXED, LATE) or not model.get("amount_out"):
            continue
        pool = decoded(vector["pair"], real_accounts(vector["pair"]))
        swap = quoted(pool, vector, slot=1_000_000_000)
        protocol = after(swap).protocol_fee_x + after(swap).protocol_fee_y
        found = differences(model, outcome(swap) | {"protocol_fee": protocol})
        counts[AGREES] += not found
        wrong += [f"{vector['id']}: {found}"] * bool(found)
    report(f"{REAL}, models", counts, wrong)


SOL_USDC = "mainnet_dlmm_solusdc/"


def sol_usdc(pair: str, arrays: list[Json]) -> DlmmPool:
    address = read(SOL_USDC + "reference.json")["pool"]
    accounts: dict[str, RawAccount] = {address: raw(pair)}
    accounts.update({array["pubkey"]: raw(array["data"]) for array in arrays})
    return decoded(address, accounts)


def test_the_real_sol_usdc_pair_swaps_as_in_the_program() -> None:
    reference = read(SOL_USDC + "reference.json")
    pool = sol_usdc(reference["lbPairB64"], reference["binArraysB64"])
    counts: Counter[str] = Counter()
    wrong = []
    for vector in read(SOL_USDC + "vectors.json")["vectors"]:
        onchain, model = vector["onchain"], vector["model"]
        try:
            swap = quoted(pool, vector)
        except Rejected as rejected:
            found = [] if rejected.error in onchain.get("error", "") else [str(rejected)]
        else:
            now = outcome(swap)
            now["protocol_fee"] = sum(
                now[f"protocol_fee_{token}_after"] - getattr(pool, f"protocol_fee_{token}")
                for token in "xy"
            )
            found = differences(model, now) + (
                differences(onchain, now) if onchain["ok"] else ["quoted"]
            )
        counts[onchain.get("error", AGREES)] += not found
        wrong += [f"{vector['id']}: {found}"] * bool(found)
    report("mainnet_dlmm_solusdc/vectors.json", counts, wrong)


def test_quotes_of_another_client_for_the_real_pair_are_ours() -> None:
    reference = read(SOL_USDC + "reference.json")
    pool = sol_usdc(reference["lbPairB64"], reference["binArraysB64"])
    clock = Clock(0, int(reference["clockTs"]))
    whole = [result for result in reference["results"] if int(result["inAmount"]) < 10**12]
    assert len(whole) == 3  # the fourth is a partial fill, which the program does not do
    for result in whole:
        swap = pool.exact_in(int(result["inAmount"]), True, clock)
        assert swap.amount_out == int(result["outAmount"])


def test_the_ten_recorded_swaps_of_mainnet_reproduce() -> None:
    slot, at_s = FIRST_LIVE
    lines = (VECTORS / SOL_USDC / "live_events.jsonl").read_text().splitlines()
    assert len(lines) == 10
    for event in map(json.loads, lines):
        pool = sol_usdc(event["lbPairB64"], event["preBinArraysB64"])
        clock = Clock(event["slot"], at_s + (event["slot"] - slot) * 2 // 5)
        swap = pool.exact_in(int(event["amountIn"]), event["swapForY"], clock)
        assert swap.amount_out == int(event["amountOut"])


@pytest.mark.parametrize("name", sorted(read("dlmm.json")["pools"]))
def test_account_bytes_decode_to_what_the_vectors_say(name: str) -> None:
    said, pool = read("dlmm.json")["pools"][name], pool_of(name)
    pair, volatility = pool.pair, pool.volatility
    assert (pool.address, pool.mint_a, pool.mint_b) == (
        said["address"],
        said["mint_x"],
        said["mint_y"],
    )
    assert (pair.reserve_x, pair.reserve_y, pair.oracle, pair.extension) == (
        said["reserve_x"],
        said["reserve_y"],
        said["oracle"],
        said["bitmap_extension"],
    )
    rate = said["base_factor"] * said["bin_step"] * 10 * 10 ** said["base_fee_power_factor"]
    assert pair.base_rate == min(100_000_000, rate)
    assert (pair.bin_step, pair.variable_fee_control, pair.max_volatility) == (
        said["bin_step"],
        said["variable_fee_control"],
        said["max_volatility_accumulator"],
    )
    assert (pair.filter_s, pair.decay_s, pair.reduction_bps, pair.protocol_share_bps) == (
        said["filter_period"],
        said["decay_period"],
        said["reduction_factor"],
        said["protocol_share"],
    )
    assert tuple(volatility) == (
        said["volatility_accumulator"],
        said["volatility_reference"],
        said["index_reference"],
        said["last_update_timestamp"],
    )
    assert (pool.active_id, pair.enabled, pair.fee_on_y) == (
        said["active_id"],
        said["status"] == 0,
        said["collect_fee_mode"] == 1,
    )
    assert sorted(pool.arrays) == sorted(array["index"] for array in said["bin_arrays"])
    for place in said["bins"]:
        found = bin_of(pool, place["id"])
        assert found[:4] == (
            place["amount_x"],
            place["amount_y"],
            place["price_x64"],
            place["open_order_amount"],
        )
        assert (found.remaining, found.ask) == (
            place["processed_order_remaining_amount"],
            place["limit_order_ask_side"],
        )
