"""The five swap programs on the local chain: bytes, balances, thresholds, accounts, atomicity."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engine.localnet.execute import Outcome
from engine.localnet.genesis.market import POOLS, PoolPlan
from engine.localnet.node import Node
from engine.localnet.programs.shapes import SHAPES
from engine.localnet.state import transaction
from engine.localnet.state.accounts import amount_of
from engine.localnet.state.pools import Families
from engine.localnet.traders import TRADER
from stages.pools.contract import AccountUse, Instruction, Pool, Swap
from stages.pools.families import FAMILIES
from stages.pools.raydium.clmm.pool import ClmmPool
from stages.venues.solana.outcomes.errors import reason_of
from tests.support.chain.localchain import (
    FAMILY_NAMES,
    OWNER,
    account_of,
    budget,
    close,
    create_ata,
    family_of,
    memo,
    opened,
    plan_of,
    sell_sol,
    signed,
    swap,
    token_transfer,
    wrap,
)

SOL = 10**9


@pytest.fixture
def node(tmp_path: Path) -> Any:
    opened_node = opened(tmp_path)
    yield opened_node
    opened_node.store.close()


def run(node: Node, *instructions: Instruction) -> Outcome:
    raw = bytes(signed(node.bank.blocks.tip.blockhash, [*budget(800_000), *instructions]))
    tx, _ = transaction.read(raw)
    outcome, view = node.bank.run(tx)
    node.bank.take(tx, outcome, view)
    return outcome


def pool_of(node: Node, plan: PoolPlan) -> Pool:
    pooled = node.bank.state.pool(plan.address)
    assert pooled is not None
    return pooled.pool


def quoted(node: Node, plan: PoolPlan, lamports: int) -> Swap:
    pool = pool_of(node, plan)
    return pool.exact_in(lamports, plan.token_a.symbol == "SOL", node.bank.clock)


def held(node: Node, address: str) -> int:
    return amount_of(node.bank.account(address))


def custom(outcome: Outcome) -> Any:
    return outcome.err["InstructionError"][1]


def reasons(outcome: Outcome, instructions: list[Instruction]) -> set[tuple[str, bool]]:
    """What the error means, with its logs and without."""
    sent = [*budget(800_000), *instructions]
    reasons = [reason_of(outcome.err, logs, sent, FAMILIES) for logs in (outcome.logs, [])]
    return {(reason.code, reason.retryable) for reason in reasons}


@pytest.mark.parametrize("plan", POOLS, ids=lambda plan: plan.name)
def test_a_pool_of_the_first_block_decodes_at_its_price_and_its_vaults_cover_it(
    plan: PoolPlan, node: Node
) -> None:
    pool = pool_of(node, plan)
    out, into = pool.spot(a_to_b=True)
    assert abs(Fraction(out, into) / plan.price - 1) < Fraction(3, 1000)
    data = node.bank.state.accounts[plan.address].data
    vault_a, vault_b = SHAPES[plan.family].vaults(data, a_to_b=True)
    assert 0 < pool.reserve_a <= held(node, vault_a)
    assert 0 < pool.reserve_b <= held(node, vault_b)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_swap_moves_the_quoted_amounts_and_writes_the_next_state(name: str, node: Node) -> None:
    plan = plan_of(name)
    data = node.bank.state.accounts[plan.address].data
    vault_in, vault_out = SHAPES[name].vaults(data, plan.token_a.symbol == "SOL")
    before = [held(node, each) for each in (vault_in, vault_out, account_of("USDC"))]
    for lamports in (SOL, 700 * SOL, 12_345):
        expected = quoted(node, plan, lamports)
        outcome = run(node, *sell_sol(node, plan, lamports)[2:])
        assert outcome.err is None, outcome.logs
        assert outcome.swaps[0][3:] == (expected.amount_in, expected.amount_out)
        after = [held(node, each) for each in (vault_in, vault_out, account_of("USDC"))]
        assert after[0] - before[0] == expected.amount_in
        assert before[1] - after[1] == after[2] - before[2] == expected.amount_out
        before = after
        node.bank.flush()
        read = Families(FAMILIES).decode(plan.address, node.bank.account)
        assert read is not None
        assert read.pool.spot(a_to_b=True) == expected.after.spot(a_to_b=True)
        assert read.pool.exact_in(SOL, True, node.bank.clock).amount_out == (
            expected.after.exact_in(SOL, True, node.bank.clock).amount_out
        )


def test_a_swap_fills_the_limit_order_that_it_passes_and_raises_the_dynamic_fee(node: Node) -> None:
    plan = plan_of("raydium-clmm", "SOL/USDT")
    before = pool_of(node, plan)
    assert isinstance(before, ClmmPool)
    assert len(before.orders) == 2
    sells_sol = plan.token_a.symbol == "SOL"
    fee = before.fee_ppb(sells_sol, node.bank.clock)
    expected = quoted(node, plan, 1_000 * SOL)
    outcome = run(node, *sell_sol(node, plan, 1_000 * SOL)[2:])
    assert outcome.err is None, outcome.logs
    assert outcome.swaps[0][3:] == (expected.amount_in, expected.amount_out)
    node.bank.flush()
    read = Families(FAMILIES).decode(plan.address, node.bank.account)
    assert read is not None
    after = read.pool
    assert isinstance(after, ClmmPool)
    assert len(after.orders) == 1
    assert len(after.depth.ticks) == len(before.depth.ticks) - 1
    assert after.fee_ppb(sells_sol, node.bank.clock) > fee
    assert outcome.units > SHAPES[plan.family].units_step * expected.steps > 0


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_the_threshold_may_be_met_exactly_and_not_be_missed_by_one(name: str, node: Node) -> None:
    plan, family = plan_of(name), family_of(name)
    out = quoted(node, plan, SOL).amount_out
    missed = run(node, *wrap(SOL), swap(node, plan, "SOL", SOL, out + 1))
    assert custom(missed) == {"Custom": family.errors[family.too_little_out].code}
    assert run(node, *wrap(SOL), swap(node, plan, "SOL", SOL, out)).err is None


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_an_exact_output_is_paid_to_the_unit_and_never_with_more_than_allowed(
    name: str, node: Node
) -> None:
    plan, family = plan_of(name), family_of(name)
    expected = 100_000_000
    needed = (
        pool_of(node, plan)
        .exact_out(expected, plan.token_a.symbol == "SOL", node.bank.clock)
        .amount_in
    )
    over = swap(node, plan, "SOL", expected, needed - 1, exact_out=True)
    missed = run(node, *wrap(SOL), over)
    assert custom(missed) == {"Custom": family.errors[family.too_much_in].code}
    before = held(node, account_of("USDC"))
    exact = swap(node, plan, "SOL", expected, needed, exact_out=True)
    assert run(node, *wrap(SOL), exact).err is None
    assert held(node, account_of("USDC")) - before == expected


TAKEN_FIRST = {"raydium-amm-v4": 40, "raydium-clmm": 1}
"""Programs that take the input before they look at the threshold, and what they then answer."""


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_an_output_that_costs_more_than_was_brought_is_slippage_in_every_family(
    name: str, node: Node
) -> None:
    plan, family, amount = plan_of(name), family_of(name), 100_000_000
    pool = pool_of(node, plan)
    most = pool.exact_out(amount, plan.token_a.symbol == "SOL", node.bank.clock).amount_in - 1
    exact = swap(node, plan, "SOL", amount, most, exact_out=True)
    instructions = [*wrap(most), exact, close(account_of("SOL"))]
    outcome = run(node, *instructions)
    code = TAKEN_FIRST.get(name, family.errors[family.too_much_in].code)
    assert custom(outcome) == {"Custom": code}
    assert reasons(outcome, instructions) == {("slippage-exceeded", True)}


@pytest.mark.parametrize("exact_out", [False, True])
@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_too_little_of_a_token_is_insufficient_funds_in_every_pool_family(
    name: str, exact_out: bool, node: Node
) -> None:
    plan = plan_of(name)
    amount = SOL if exact_out else 10**6
    terms = (10**12,) if exact_out else ()
    away = token_transfer(
        account_of("USDC"), account_of("USDC", TRADER), held(node, account_of("USDC")) - 10
    )
    instructions = [
        *wrap(0), away, swap(node, plan, "USDC", amount, *terms, exact_out=exact_out),
        close(account_of("SOL")),
    ]  # fmt: skip
    outcome = run(node, *instructions)
    assert custom(outcome) == {"Custom": SHAPES[name].funds_code or 1}
    assert reasons(outcome, instructions) == {("insufficient-funds", False)}


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_wallet_with_too_little_fails_and_nothing_moves(name: str, node: Node) -> None:
    plan = plan_of(name)
    before = pool_of(node, plan)
    outcome = run(node, *wrap(SOL - 1), swap(node, plan, "SOL", SOL))
    assert custom(outcome) == {"Custom": SHAPES[name].funds_code or 1}
    assert pool_of(node, plan) == before
    assert node.bank.account(account_of("SOL")) is None


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_swap_that_stands_before_a_failure_is_undone(name: str, node: Node) -> None:
    plan = plan_of(name)
    before = dict(node.bank.state.accounts)
    lamports = before[OWNER].lamports
    outcome = run(node, *wrap(SOL), swap(node, plan, "SOL", SOL), close(account_of("USDC")))
    assert custom(outcome) == {"Custom": 11}
    node.bank.flush()
    changed = {a for a, was in before.items() if node.bank.state.accounts.get(a) != was}
    assert changed == {OWNER}
    assert node.bank.state.accounts[OWNER].lamports == lamports - outcome.fee == lamports - 5_000


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_two_swaps_of_one_transaction_see_each_other(name: str, node: Node) -> None:
    plan = plan_of(name)
    first = quoted(node, plan, SOL)
    second = first.after.exact_in(SOL, plan.token_a.symbol == "SOL", node.bank.clock)
    instruction = swap(node, plan, "SOL", SOL)
    outcome = run(node, *wrap(2 * SOL), instruction, instruction, memo("twice"))
    assert outcome.err is None
    assert [each.amount_out for each in outcome.swaps] == [first.amount_out, second.amount_out]


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_an_account_in_a_wrong_place_is_refused(name: str, node: Node) -> None:
    plan = plan_of(name)
    good = swap(node, plan, "SOL", SOL)
    parsed = family_of(name).parse(good)
    assert parsed is not None
    own = {parsed.pool, parsed.accounts.owner, parsed.accounts.token_in, parsed.accounts.token_out}
    for at, use in enumerate(good.accounts[: SHAPES[name].fixed]):
        if use.address in own:
            continue
        wrong = AccountUse(plan_of("raydium-cpmm", "RAY/USDC").address, use.signer, use.writable)
        accounts = (*good.accounts[:at], wrong, *good.accounts[at + 1 :])
        outcome = run(node, *wrap(SOL), good._replace(accounts=accounts))
        assert outcome.err is not None, f"account {at} of {name}"


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_pool_and_vaults_have_to_be_writable(name: str, node: Node) -> None:
    plan = plan_of(name)
    good = swap(node, plan, "SOL", SOL)
    data = node.bank.state.accounts[plan.address].data
    for written in (plan.address, *SHAPES[name].vaults(data, a_to_b=True)):
        accounts = tuple(
            AccountUse(use.address) if use.address == written else use for use in good.accounts
        )
        outcome = run(node, *wrap(SOL), good._replace(accounts=accounts))
        assert outcome.err is not None, written


@pytest.mark.parametrize("name", ["raydium-clmm", "meteora-dlmm"])
def test_a_swap_without_the_arrays_it_crosses_fails(name: str, node: Node) -> None:
    plan = plan_of(name)
    whole = swap(node, plan, "SOL", 20_000 * SOL)
    short = whole._replace(accounts=whole.accounts[: SHAPES[name].fixed + 1])
    assert len(short.accounts) < len(whole.accounts)
    assert run(node, *wrap(20_000 * SOL), short).err is not None
    assert run(node, *wrap(20_000 * SOL), whole).err is None


@pytest.mark.parametrize("name", ["raydium-clmm", "meteora-dlmm"])
def test_the_arrays_and_the_extension_of_their_bitmap_have_to_be_writable(
    name: str, node: Node
) -> None:
    plan = plan_of(name)
    good = swap(node, plan, "SOL", SOL)
    for at, use in enumerate(good.accounts[SHAPES[name].fixed :], SHAPES[name].fixed):
        accounts = (*good.accounts[:at], AccountUse(use.address), *good.accounts[at + 1 :])
        outcome = run(node, *wrap(SOL), good._replace(accounts=accounts))
        assert custom(outcome) == {"Custom": 2000}, use.address
    assert run(node, *wrap(SOL), good).err is None


def test_an_account_that_does_not_exist_ends_the_arrays_of_a_clmm_swap(node: Node) -> None:
    name, missing = (
        "raydium-clmm",
        AccountUse("1nc1nerator11111111111111111111111111111111", False, True),
    )
    good = swap(node, plan_of(name), "SOL", SOL)
    fixed = SHAPES[name].fixed
    first = good._replace(accounts=(*good.accounts[:fixed], missing, *good.accounts[fixed:]))
    assert run(node, *wrap(SOL), first).err is not None
    last = good._replace(accounts=(*good.accounts, missing))
    assert run(node, *wrap(SOL), last).err is None


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_only_the_owner_sells(name: str, node: Node) -> None:
    plan = plan_of(name)
    good = swap(node, plan, "USDC", 10_000)
    theirs = account_of("USDC", TRADER)
    accounts = tuple(
        AccountUse(theirs, writable=True) if use.address == account_of("USDC") else use
        for use in good.accounts
    )
    outcome = run(node, create_ata("SOL"), good._replace(accounts=accounts))
    assert custom(outcome) == {"Custom": 4}


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_compute_limit_below_the_need_fails_and_costs_the_fee(name: str, node: Node) -> None:
    plan = plan_of(name)
    # The second time, when all token accounts are there.
    used = [run(node, *wrap(SOL), swap(node, plan, "SOL", SOL)).units for _ in range(2)][1]
    tx = signed(
        node.bank.blocks.tip.blockhash,
        [*budget(used - 8_000, 1_000_000), *wrap(SOL), swap(node, plan, "SOL", SOL)],
    )
    outcome, _ = node.bank.run(transaction.read(bytes(tx))[0])
    assert custom(outcome) == "ProgramFailedToComplete"
    assert outcome.fee == 5_000 + used - 8_000


def test_tokens_sent_to_a_vault_count_at_once(node: Node) -> None:
    plan = plan_of("raydium-cpmm")
    before = quoted(node, plan, SOL).amount_out
    run(node, *wrap(SOL), swap(node, plan, "SOL", SOL))
    data = node.bank.state.accounts[plan.address].data
    _, vault = SHAPES[plan.family].vaults(data, plan.token_a.symbol == "SOL")
    run(node, token_transfer(account_of("USDC"), vault, 10**12))
    assert quoted(node, plan, SOL).amount_out > before
