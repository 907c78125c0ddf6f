"""Raydium AMM v4 against what the program answered, from account bytes to account bytes."""

from typing import Any

from stages.pools.contract import Clock, RawAccount, Swap
from stages.pools.raydium.amm_v4 import FAMILY
from stages.pools.raydium.amm_v4.pool import AmmV4Pool
from tests.support.pools import raydium_bytes as raw
from tests.support.pools.vectors import NOW_S as NOW
from tests.support.pools.vectors import Asked, asked, different, outcome, sequences, vectors_of

CLOCK = Clock(0, NOW)


def decoded(accounts: dict[str, RawAccount]) -> AmmV4Pool:
    pool = FAMILY.decode(raw.POOL, accounts)
    assert isinstance(pool, AmmV4Pool)
    return pool


def vaults(pool: AmmV4Pool) -> tuple[int, int]:
    return pool.reserve_a + pool.terms.profit_a, pool.reserve_b + pool.terms.profit_b


def expected(vector: Any) -> Asked:
    return asked(vector, a_to_b=vector["direction"] == "coin_to_pc")


def result(pool: AmmV4Pool, vector: Any) -> Swap | str:
    return outcome(FAMILY, pool, expected(vector), CLOCK, balance_first=True)


def wrong(before: AmmV4Pool, vector: Any) -> Any:
    """What differs from what the program answered; nothing if all is the same."""
    expected, outcome = vector["expected"], result(before, vector)
    if isinstance(outcome, str) or not expected["ok"]:
        return None if outcome == expected.get("error") else (outcome, expected)
    after = outcome.after
    assert isinstance(after, AmmV4Pool)
    figures = {
        "amount_in": outcome.amount_in,
        "amount_out": outcome.amount_out,
        "coin_vault_after": vaults(after)[0],
        "pc_vault_after": vaults(after)[1],
        "status_after": after.status,
    }
    return different(figures, expected) or None


def test_every_vector_has_the_amounts_and_state_that_the_program_left() -> None:
    vectors = vectors_of("ammv4.json")
    differ = {
        vector["id"]: result
        for vector in vectors
        if (result := wrong(decoded(raw.amm_v4(vector["pool"])), vector))
    }
    refused = sum(not vector["expected"]["ok"] for vector in vectors)
    print(f"ammv4.json: {len(vectors)} vectors, {refused} refused, {len(differ)} differ")
    assert vectors
    assert not differ


def test_every_sequence_stays_with_the_program_step_for_step() -> None:
    for sequence in sequences("raydium-amm-v4"):
        pool = decoded(raw.amm_v4(sequence["initial"]["pool"]))
        for number, step in enumerate(sequence["steps"]):
            assert not wrong(pool, step), f"{sequence['id']} step {number}"
            swapped = result(pool, step)
            if isinstance(swapped, Swap):
                assert isinstance(swapped.after, AmmV4Pool)
                pool = swapped.after
        print(f"{sequence['id']}: {len(sequence['steps'])} steps")


def test_the_state_after_each_vector_survives_the_bytes_of_the_accounts() -> None:
    written = 0
    for vector in vectors_of("ammv4.json"):
        accounts = raw.amm_v4(vector["pool"])
        outcome = result(decoded(accounts), vector)
        if isinstance(outcome, str):
            continue
        assert isinstance(outcome.after, AmmV4Pool)
        data = bytearray(accounts[raw.POOL].data)
        FAMILY.write(outcome.after, {raw.POOL: data})
        amount_a, amount_b = vaults(outcome.after)
        accounts[raw.POOL] = RawAccount(raw.AMM_V4, bytes(data))
        accounts[raw.VAULT_A] = raw.vault(raw.MINT_A, amount_a)
        accounts[raw.VAULT_B] = raw.vault(raw.MINT_B, amount_b)
        assert decoded(accounts) == outcome.after, vector["id"]
        written += 1
    assert written


def test_a_waiting_pool_opens_with_its_first_swap_and_not_before_its_time() -> None:
    vector = next(each for each in vectors_of("ammv4.json") if each["expected"]["ok"])
    late = decoded(raw.amm_v4(vector["pool"] | {"status": 7, "pool_open_time": NOW + 1}))
    assert result(late, vector) == "Error: InvalidStatus"
    due = decoded(raw.amm_v4(vector["pool"] | {"status": 7, "pool_open_time": NOW}))
    swapped = result(due, vector)
    assert isinstance(swapped, Swap)
    assert isinstance(swapped.after, AmmV4Pool)
    assert swapped.after.status == 6
