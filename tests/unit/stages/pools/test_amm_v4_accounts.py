"""Raydium AMM v4: which accounts a pool is made of, and its swap instruction."""

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
)
from stages.pools.raydium.amm_v4 import FAMILY
from tests.support.pools import raydium_bytes as raw

NOW = Clock(1, 1_760_000_000)
DESCRIBED = {
    "status": 6,
    "coin_decimals": 9,
    "pc_decimals": 6,
    "swap_fee_numerator": 25,
    "swap_fee_denominator": 10_000,
    "need_take_pnl_coin": 3,
    "need_take_pnl_pc": 5,
    "pool_open_time": 0,
    "coin_vault_amount": 10**12,
    "pc_vault_amount": 10**11,
}
USE = SwapAccounts(raw.address("owner"), raw.address("pays"), raw.address("is-paid"))


def accounts(**pool: int) -> dict[str, RawAccount]:
    return raw.amm_v4(DESCRIBED | pool)


def test_a_pool_names_its_vaults_once_it_is_known() -> None:
    raw_account = accounts()
    assert FAMILY.needs(raw.POOL, {}) == (raw.POOL,)
    assert set(FAMILY.needs(raw.POOL, {raw.POOL: raw_account[raw.POOL]})) == set(raw_account)


def test_a_pool_is_known_by_owner_and_size() -> None:
    data = accounts()[raw.POOL].data
    assert FAMILY.is_pool(RawAccount(raw.AMM_V4, data))
    assert FAMILY.is_pool(RawAccount(FAMILY.programs["devnet"], data))
    assert not FAMILY.is_pool(RawAccount(raw.CPMM, data))
    assert not FAMILY.is_pool(RawAccount(raw.AMM_V4, data[1:]))


@pytest.mark.parametrize("missing", sorted(accounts()))
def test_a_pool_with_a_missing_account_is_an_error(missing: str) -> None:
    raw_account = accounts()
    del raw_account[missing]
    with pytest.raises(ValueError, match=missing):
        FAMILY.decode(raw.POOL, raw_account)


def test_a_decoded_pool_has_the_values_of_its_bytes() -> None:
    pool = FAMILY.decode(raw.POOL, accounts())
    assert (pool.address, pool.program) == (raw.POOL, raw.AMM_V4)
    assert (pool.mint_a, pool.mint_b) == (raw.MINT_A, raw.MINT_B)
    assert (pool.reserve_a, pool.reserve_b) == (10**12 - 3, 10**11 - 5)
    assert pool.spot(a_to_b=False) == (10**12 - 3, 10**11 - 5)
    assert pool.fee_ppb(True, NOW) == 2_500_000


def test_vaults_with_less_than_the_profit_to_be_taken_are_refused() -> None:
    pool = FAMILY.decode(raw.POOL, accounts(coin_vault_amount=2))
    with pytest.raises(Rejected) as refused:
        pool.exact_in(1_000, True, NOW)
    assert refused.value.error == "Error: Checked_Sub Overflow"


@pytest.mark.parametrize("terms", [SwapTerms(False, 1_000, 990), SwapTerms(True, 1_000, 2_000)])
def test_a_swap_instruction_reads_back_as_it_was_written(terms: SwapTerms) -> None:
    pool = FAMILY.decode(raw.POOL, accounts())
    instruction = FAMILY.instruction(pool, True, terms, USE)
    assert FAMILY.parse(instruction) == Parsed(raw.POOL, terms, USE)
    assert FAMILY.parse(instruction._replace(data=instruction.data[:-1])) is None
    assert FAMILY.parse(instruction._replace(accounts=instruction.accounts[:-1])) is None
    assert FAMILY.parse(instruction._replace(data=b"\x09" + instruction.data[1:])) is None


def test_a_swap_instruction_has_the_programs_bytes_and_accounts() -> None:
    pool = FAMILY.decode(raw.POOL, accounts())
    writable = (raw.VAULT_A, raw.VAULT_B, USE.token_in, USE.token_out)
    assert FAMILY.instruction(pool, False, SwapTerms(True, 5, 7), USE) == Instruction(
        raw.AMM_V4,
        (
            AccountUse(raw.TOKEN),
            AccountUse(raw.POOL, writable=True),
            AccountUse("5Q544fKrFoe6tsEbD7S8EmxGTJYAKtTVhAW5Q5pge4j1"),
            *(AccountUse(each, writable=True) for each in writable),
            AccountUse(USE.owner, signer=True),
        ),
        bytes.fromhex("11 0700000000000000 0500000000000000"),
    )


def test_every_error_that_a_quote_may_name_has_the_programs_code() -> None:
    codes = {name: error.code for name, error in FAMILY.errors.items()}
    assert codes["Error: InvalidStatus"] == 22
    assert codes["Error: InvalidInput"] == 29
    assert codes[FAMILY.too_little_out] == codes[FAMILY.too_much_in] == 30
    assert codes["Error: insufficient funds"] == 40
    assert "panic" in codes
