"""Raydium CPMM against what the program answered, from account bytes to account bytes."""

from typing import Any

from stages.pools.contract import Clock, RawAccount, Swap
from stages.pools.raydium.cpmm import FAMILY
from stages.pools.raydium.cpmm.pool import CpmmPool
from tests.support.pools import raydium_bytes as raw
from tests.support.pools.vectors import NOW_S, asked, different, outcome, sequences, vectors_of

CLOCK = Clock(0, NOW_S)


def decoded(accounts: dict[str, RawAccount]) -> CpmmPool:
    pool = FAMILY.decode(raw.POOL, accounts)
    assert isinstance(pool, CpmmPool)
    return pool


def vaults(pool: CpmmPool) -> tuple[int, int]:
    a, b = pool.owed_a, pool.owed_b
    return (
        pool.reserve_a + a.protocol + a.fund + a.creator,
        pool.reserve_b + b.protocol + b.fund + b.creator,
    )


def figures(before: CpmmPool, swap: Swap, *, a_to_b: bool) -> dict[str, int]:
    """Everything that a vector may expect of a swap, by its names."""
    after = swap.after
    assert isinstance(after, CpmmPool)
    a, b, old_a, old_b = after.owed_a, after.owed_b, before.owed_a, before.owed_b
    creator = (a.creator - old_a.creator, b.creator - old_b.creator)
    return {
        "amount_in": swap.amount_in,
        "amount_out": swap.amount_out,
        "trade_fee": swap.fee - creator[not a_to_b],
        "protocol_fee": a.protocol + b.protocol - old_a.protocol - old_b.protocol,
        "fund_fee": a.fund + b.fund - old_a.fund - old_b.fund,
        "creator_fee": sum(creator),
        "vault_0_after": vaults(after)[0],
        "vault_1_after": vaults(after)[1],
        "protocol_fees_token_0_after": a.protocol,
        "protocol_fees_token_1_after": b.protocol,
        "fund_fees_token_0_after": a.fund,
        "fund_fees_token_1_after": b.fund,
    }


def wrong(before: CpmmPool, vector: Any) -> Any:
    """What differs from what the program answered; nothing if all is the same."""
    a_to_b = vector["direction"] == "0to1"
    expected = vector["expected"]
    result = outcome(FAMILY, before, asked(vector, a_to_b=a_to_b), CLOCK)
    if isinstance(result, str) or not expected["ok"]:
        return None if result == expected.get("error") else (result, expected)
    return different(figures(before, result, a_to_b=a_to_b), expected) or None


def test_every_vector_has_the_amounts_fees_and_state_that_the_program_left() -> None:
    vectors = vectors_of("cpmm.json")
    differ = {
        vector["id"]: result
        for vector in vectors
        if (result := wrong(decoded(raw.cpmm(vector["pool"], vector["config"])), vector))
    }
    refused = sum(not vector["expected"]["ok"] for vector in vectors)
    print(f"cpmm.json: {len(vectors)} vectors, {refused} refused, {len(differ)} differ")
    assert vectors
    assert not differ


def test_every_sequence_stays_with_the_program_step_for_step() -> None:
    for sequence in sequences("raydium-cpmm"):
        pool = decoded(raw.cpmm(sequence["initial"]["pool"], sequence["initial"]["config"]))
        for number, step in enumerate(sequence["steps"]):
            assert not wrong(pool, step), f"{sequence['id']} step {number}"
            swapped = outcome(FAMILY, pool, asked(step, a_to_b=step["direction"] == "0to1"), CLOCK)
            if isinstance(swapped, Swap):
                assert isinstance(swapped.after, CpmmPool)
                pool = swapped.after
        print(f"{sequence['id']}: {len(sequence['steps'])} steps")


def test_the_state_after_each_vector_survives_the_bytes_of_the_accounts() -> None:
    written = 0
    for vector in vectors_of("cpmm.json"):
        accounts = raw.cpmm(vector["pool"], vector["config"])
        swap = asked(vector, a_to_b=vector["direction"] == "0to1")
        result = outcome(FAMILY, decoded(accounts), swap, CLOCK)
        if isinstance(result, str):
            continue
        assert isinstance(result.after, CpmmPool)
        data = bytearray(accounts[raw.POOL].data)
        FAMILY.write(result.after, {raw.POOL: data})
        amount_a, amount_b = vaults(result.after)
        accounts[raw.POOL] = RawAccount(raw.CPMM, bytes(data))
        accounts[raw.VAULT_A] = raw.vault(raw.MINT_A, amount_a)
        accounts[raw.VAULT_B] = raw.vault(raw.MINT_B, amount_b)
        assert decoded(accounts) == result.after, vector["id"]
        written += 1
    assert written
