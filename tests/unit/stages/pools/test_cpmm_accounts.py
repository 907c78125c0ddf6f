"""Raydium CPMM: which accounts a pool is made of, which are refused, and its swap instruction."""

from typing import Any

import pytest

from stages.pools.contract import (
    AccountUse,
    Clock,
    Instruction,
    Parsed,
    RawAccount,
    Rejected,
    SwapAccounts,
    SwapTerms,
    Unsupported,
    impact_ppm,
)
from stages.pools.raydium.cpmm import FAMILY
from tests.support.pools import raydium_bytes as raw

NOW = Clock(1, 1_760_000_000)
CONFIG = {"trade_fee_rate": 2_500, "protocol_fee_rate": 120_000, "fund_fee_rate": 40_000}
RESERVES = {"vault_0_amount": 10**12, "vault_1_amount": 10**11}
USE = SwapAccounts(raw.address("owner"), raw.address("pays"), raw.address("is-paid"))


def accounts(config: dict[str, Any] | None = None, **pool: Any) -> dict[str, RawAccount]:
    return raw.cpmm(RESERVES | pool, CONFIG | (config or {}))


def test_a_pool_names_its_config_vaults_and_mints_once_it_is_known() -> None:
    raw_account = accounts()
    assert FAMILY.needs(raw.POOL, {}) == (raw.POOL,)
    assert set(FAMILY.needs(raw.POOL, {raw.POOL: raw_account[raw.POOL]})) == set(raw_account)
    assert set(FAMILY.needs(raw.POOL, raw_account)) == set(raw_account)


def test_a_pool_is_known_by_owner_size_and_discriminator() -> None:
    data = accounts()[raw.POOL].data
    assert FAMILY.is_pool(RawAccount(raw.CPMM, data))
    assert FAMILY.is_pool(RawAccount(FAMILY.programs["devnet"], data))
    assert not FAMILY.is_pool(RawAccount(raw.AMM_V4, data))
    assert not FAMILY.is_pool(RawAccount(raw.CPMM, data + b"\0"))
    assert not FAMILY.is_pool(RawAccount(raw.CPMM, b"\0" + data[1:]))


@pytest.mark.parametrize("missing", sorted(accounts()))
def test_a_pool_with_a_missing_account_is_an_error(missing: str) -> None:
    raw_account = accounts()
    del raw_account[missing]
    with pytest.raises(ValueError, match=missing):
        FAMILY.decode(raw.POOL, raw_account)


def test_a_decoded_pool_has_the_values_of_its_bytes() -> None:
    raw_account = accounts(
        protocol_fees_token_0=1, fund_fees_token_0=2, creator_fees_token_0=4, fund_fees_token_1=8
    )
    pool = FAMILY.decode(raw.POOL, raw_account)
    assert (pool.address, pool.program) == (raw.POOL, raw.CPMM)
    assert (pool.mint_a, pool.mint_b) == (raw.MINT_A, raw.MINT_B)
    assert (pool.reserve_a, pool.reserve_b) == (10**12 - 7, 10**11 - 8)
    assert pool.spot(a_to_b=True) == (10**11 - 8, 10**12 - 7)
    assert pool.fee_ppb(True, NOW) == 2_500_000


def test_a_pool_of_a_non_transferable_mint_is_refused_by_name() -> None:
    fixed = bytes(165) + b"\x01" + b"\x09\x00" + b"\x00\x00"
    for mint in (raw.MINT_A, raw.MINT_B):
        with pytest.raises(Unsupported) as refused:
            FAMILY.decode(raw.POOL, accounts() | {mint: RawAccount(raw.TOKEN_2022, fixed)})
        assert refused.value.reason == "non-transferable-mint"


@pytest.mark.parametrize(
    ("config", "pool", "reason"),
    [
        ({}, {"creator_fee_on": 3}, "creator-fee-mode"),
        ({"trade_fee_rate": 0, "creator_fee_rate": 500}, {}, "zero-fee-pool"),
    ],
)
def test_a_pool_that_the_program_cannot_swap_is_refused_by_name(
    config: dict[str, Any], pool: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unsupported) as refused:
        FAMILY.decode(raw.POOL, accounts(config, **pool))
    assert refused.value.reason == reason


def test_a_pool_trades_from_its_open_time_on_while_swaps_are_enabled() -> None:
    waiting = FAMILY.decode(raw.POOL, accounts(open_time=NOW.time_s + 1))
    disabled = FAMILY.decode(raw.POOL, accounts(status=4))
    for pool in (waiting, disabled):
        for quote in (pool.exact_in, pool.exact_out):
            with pytest.raises(Rejected) as refused:
                quote(1_000, True, NOW)
            assert refused.value.error == "NotApproved"
    assert waiting.exact_in(1_000, True, Clock(2, NOW.time_s + 1)).amount_out > 0
    closed_for_deposits = FAMILY.decode(raw.POOL, accounts(status=3))
    assert closed_for_deposits.exact_in(1_000, True, NOW).amount_out > 0


@pytest.mark.parametrize(
    ("mode", "a_to_b", "on_output"),
    [
        (0, True, False),
        (0, False, False),
        (1, True, False),
        (1, False, True),
        (2, True, True),
        (2, False, False),
    ],
)
def test_a_creator_fee_is_taken_in_the_token_that_its_mode_names(
    mode: int, a_to_b: bool, on_output: bool
) -> None:
    raw_account = accounts(
        {"creator_fee_rate": 10_000}, creator_fee_on=mode, enable_creator_fee=True
    )
    pool = FAMILY.decode(raw.POOL, raw_account)
    swap = pool.exact_in(1_000_000, a_to_b, NOW)
    assert swap.fee == (2_500 if on_output else 12_500)
    assert bool(swap.other_fee) == on_output
    assert pool.fee_ppb(a_to_b, NOW) == (12_475_000 if on_output else 12_500_000)
    assert impact_ppm(swap, pool.spot(a_to_b)) <= 20


def test_a_pool_without_any_fee_swaps_as_the_program_before_creator_fees_did() -> None:
    pool = FAMILY.decode(raw.POOL, accounts({"trade_fee_rate": 0}))
    swap = pool.exact_in(1_000_000, True, NOW)
    assert (swap.amount_out, swap.fee) == (10**6 * 10**11 // (10**12 + 10**6), 0)


def test_dust_is_sold_by_the_release_with_creator_fees_only() -> None:
    older = FAMILY.decode(raw.POOL, accounts())
    newer = FAMILY.decode(raw.POOL, accounts({"creator_fee_rate": 500}))
    with pytest.raises(Rejected) as refused:
        older.exact_out(4, False, NOW)  # worth 0.4
    assert refused.value.error == "RequireGtViolated"
    assert older.exact_out(6, False, NOW).amount_in == 2
    assert newer.exact_out(4, False, NOW).amount_in == 2


@pytest.mark.parametrize("a_to_b", [True, False])
@pytest.mark.parametrize("terms", [SwapTerms(False, 1_000, 990), SwapTerms(True, 1_000, 2**64 - 1)])
def test_a_swap_instruction_reads_back_as_it_was_written(a_to_b: bool, terms: SwapTerms) -> None:
    pool = FAMILY.decode(raw.POOL, accounts())
    instruction = FAMILY.instruction(pool, a_to_b, terms, USE)
    assert FAMILY.parse(instruction) == Parsed(raw.POOL, terms, USE)
    assert FAMILY.parse(instruction._replace(data=instruction.data[:-1])) is None
    assert FAMILY.parse(instruction._replace(accounts=instruction.accounts[:-1])) is None
    assert FAMILY.parse(instruction._replace(data=bytes(8) + instruction.data[8:])) is None


def test_a_swap_instruction_has_the_programs_bytes_and_accounts() -> None:
    pool = FAMILY.decode(raw.POOL, accounts())
    written = FAMILY.instruction(pool, False, SwapTerms(True, 5, 7), USE)
    reads = (raw.TOKEN, raw.TOKEN, raw.MINT_B, raw.MINT_A)
    assert written == Instruction(
        raw.CPMM,
        (
            AccountUse(USE.owner, signer=True),
            AccountUse("GpMZbSM2GgvTKHJirzeGfMFoaZ8UR2X7F4v8vHTvxFbL"),
            AccountUse(raw.CONFIG),
            *(
                AccountUse(each, writable=True)
                for each in (raw.POOL, USE.token_in, USE.token_out, raw.VAULT_B, raw.VAULT_A)
            ),
            *(AccountUse(each) for each in reads),
            AccountUse(raw.OBSERVATION, writable=True),
        ),
        bytes.fromhex("37d96256a34ab4ad 0700000000000000 0500000000000000"),
    )


def test_every_error_that_a_quote_may_name_has_a_code() -> None:
    assert FAMILY.errors[FAMILY.too_little_out].code == 6005
    assert FAMILY.errors[FAMILY.too_much_in].retryable
    for name in ("NotApproved", "RequireGtViolated", "InsufficientVault", "panic"):
        assert name in FAMILY.errors
