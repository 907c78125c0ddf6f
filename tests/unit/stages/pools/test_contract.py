"""What every pool family keeps, on the pools that the local chain begins with."""

from __future__ import annotations

import random

import pytest

from engine.localnet.genesis import accounts as genesis
from engine.localnet.genesis.market import POOLS, PoolPlan
from events.types import U64_MAX
from stages.pools.contract import (
    Clock,
    Family,
    Pool,
    RawAccount,
    Rejected,
    SwapAccounts,
    SwapTerms,
    Unsupported,
)
from stages.pools.families import FAMILIES
from tests.support.chain.localchain import FAMILY_NAMES, OWNER, account_of, family_of, plan_of
from tests.support.pools import token_2022
from tests.support.processes.engine_up import dice

CLOCK = Clock(2_000, 1_800_000_000)
CHAIN = {
    address: RawAccount(account.owner, account.data)
    for address, account in genesis(FAMILY_NAMES).items()
}
ROUNDS_MAX = 6
PRICED_BY_VAULTS = {"raydium-cpmm", "raydium-amm-v4"}
"""Their price is what their vaults hold, which no family writes."""
each_pool = pytest.mark.parametrize("plan", POOLS, ids=lambda plan: plan.name)


def needed(family: Family, address: str) -> dict[str, RawAccount]:
    """The accounts that decoding reads, asked for round by round."""
    raw_account: dict[str, RawAccount] = {}
    asked: set[str] = set()
    for _ in range(ROUNDS_MAX):
        expected = set(family.needs(address, raw_account)) - asked
        if not expected:
            return raw_account
        asked |= expected
        raw_account |= {each: CHAIN[each] for each in expected if each in CHAIN}
    raise AssertionError(f"{family.name} wants ever more accounts")


def pool_of(plan: PoolPlan) -> tuple[Family, Pool]:
    family = family_of(plan.family)
    return family, family.decode(plan.address, needed(family, plan.address))


def test_every_family_is_in_the_first_block() -> None:
    assert {plan.family for plan in POOLS} == {family.name for family in FAMILIES}


@each_pool
def test_the_accounts_that_a_family_needs_are_finite_and_sufficient(plan: PoolPlan) -> None:
    family = family_of(plan.family)
    accounts = needed(family, plan.address)
    assert family.is_pool(accounts[plan.address])
    pool = family.decode(plan.address, accounts)
    assert (pool.address, pool.program) == (plan.address, plan.program)
    assert {pool.mint_a, pool.mint_b} == {plan.token_a.mint, plan.token_b.mint}
    # What is read besides changes nothing, and each pool is of one family alone.
    assert family.decode(plan.address, {**CHAIN, **accounts}).spot(True) == pool.spot(True)
    assert [item.name for item in FAMILIES if item.is_pool(accounts[plan.address])] == [family.name]


@each_pool
def test_an_exact_output_costs_no_more_than_the_input_that_yields_it(plan: PoolPlan) -> None:
    chance, (_, pool) = dice(), pool_of(plan)
    for _ in range(20):
        a_to_b = chance.random() < 0.5
        reserve = pool.reserve_a if a_to_b else pool.reserve_b
        amount = chance.randrange(1, max(2, int(reserve * 10 ** -(chance.random() * 9 + 1))))
        try:
            there = pool.exact_in(amount, a_to_b, CLOCK)
        except Rejected:
            continue
        if not there.amount_out:
            continue
        assert there.amount_in <= amount
        back = pool.exact_out(there.amount_out, a_to_b, CLOCK)
        assert back.amount_out == there.amount_out
        assert back.amount_in <= there.amount_in, (amount, a_to_b)


@each_pool
@pytest.mark.parametrize("a_to_b", [True, False])
def test_no_amount_is_answered_with_more_than_a_u64(plan: PoolPlan, a_to_b: bool) -> None:
    _, pool = pool_of(plan)
    held = pool.reserve_b if a_to_b else pool.reserve_a
    for quote, amount in (
        (pool.exact_in, U64_MAX),
        (pool.exact_in, U64_MAX // 2),
        (pool.exact_out, held - 1),
        (pool.exact_out, held),
        (pool.exact_out, U64_MAX),
        (pool.exact_in, 0),
        (pool.exact_out, 0),
    ):
        try:
            swap = quote(amount, a_to_b, CLOCK)
        except Rejected as error:
            assert error.error
        else:
            assert 0 < swap.amount_in <= U64_MAX, (quote, amount)
            assert 0 <= swap.amount_out <= held, (quote, amount)


@each_pool
@pytest.mark.parametrize("exact_out", [True, False])
@pytest.mark.parametrize("a_to_b", [True, False])
def test_an_instruction_parses_back_to_its_terms_and_accounts(
    plan: PoolPlan, a_to_b: bool, exact_out: bool
) -> None:
    family, pool = pool_of(plan)
    symbols = (plan.token_a.symbol, plan.token_b.symbol)
    mint_in = pool.mint_a if a_to_b else pool.mint_b
    symbol_in, symbol_out = symbols if plan.token_a.mint == mint_in else reversed(symbols)
    use = SwapAccounts(OWNER, account_of(symbol_in), account_of(symbol_out))
    terms = SwapTerms(exact_out, 123_456, 7 if not exact_out else U64_MAX)
    instruction = family.instruction(pool, a_to_b, terms, use)
    parsed = family.parse(instruction)
    assert parsed is not None
    assert (parsed.pool, parsed.terms, parsed.accounts) == (plan.address, terms, use)
    assert [account_use.address for account_use in instruction.accounts if account_use.signer] == (
        [OWNER] if any(account_use.signer for account_use in instruction.accounts) else []
    )
    assert family.parse(instruction._replace(data=bytes(8) + instruction.data[8:])) is None
    assert all(item.parse(instruction) is None for item in FAMILIES if item is not family)


@each_pool
def test_a_written_pool_reads_back_unchanged(plan: PoolPlan) -> None:
    family, pool = pool_of(plan)
    accounts = needed(family, plan.address)
    buffers = {address: bytearray(account.data) for address, account in accounts.items()}
    family.write(pool, buffers)
    assert {a: bytes(b) for a, b in buffers.items()} == {a: x.data for a, x in accounts.items()}
    chance = random.Random(plan.name)
    a_to_b = chance.random() < 0.5
    reserve = pool.reserve_a if a_to_b else pool.reserve_b
    after = pool.exact_in(reserve // 5_000, a_to_b, CLOCK).after
    family.write(after, buffers)
    moved = {
        address: account._replace(data=bytes(buffers[address]))
        for address, account in accounts.items()
    }
    read = family.decode(plan.address, moved)
    if plan.family not in PRICED_BY_VAULTS:
        assert read.spot(True) == after.spot(True)
    again = {address: bytearray(account.data) for address, account in moved.items()}
    family.write(read, again)
    assert {a: bytes(b) for a, b in again.items()} == {a: x.data for a, x in moved.items()}


# AMM v4's program knows no such mints, so that its decoder reads none; the account cache reads the
# mints of all families (tests/integration/test_venue_contract.py).
@pytest.mark.parametrize("name", [name for name in FAMILY_NAMES if name != "raydium-amm-v4"])
@pytest.mark.parametrize("side", ["mint_a", "mint_b"])
def test_a_mint_that_runs_a_hook_or_is_paused_is_refused_by_name(name: str, side: str) -> None:
    plan = plan_of(name)
    family, pool = pool_of(plan)
    for extension, reason in (
        (token_2022.hook(token_2022.KEY), "transfer-hook-mint"),
        (token_2022.pausable(True), "token-paused"),
    ):
        accounts = {**CHAIN, getattr(pool, side): token_2022.mint(extension)}
        with pytest.raises(Unsupported) as refused:
            family.decode(plan.address, accounts)
        assert refused.value.reason == reason
