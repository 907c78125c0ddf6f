"""The DAMM v2 family beside its quotes: instructions, errors, what is refused by name."""

import base64
import json
from pathlib import Path

import pytest

from stages.pools.contract import (
    AccountUse,
    Clock,
    RawAccount,
    Rejected,
    SwapAccounts,
    SwapTerms,
    Unsupported,
)
from stages.pools.meteora.damm_v2 import FAMILY
from stages.pools.meteora.damm_v2.pool import DammPool

VECTORS = Path(__file__).parents[3] / "vectors"
PROGRAM = FAMILY.programs["mainnet"]
ADDRESS = "8Pm2kZpnxD3hoMmt4bjStX2Pw2Z9abpbHzZxMPqxPmie"
MINT = RawAccount("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", bytes(82))
USE = SwapAccounts("owner", "pays", "is paid")
NOW = Clock(400_000_000, 1_760_000_000)


def account(**changes: tuple[int, bytes]) -> bytes:
    """A layout-1 pool of the vectors at price 1, with bytes changed: name=(offset, bytes)."""
    body = json.loads((VECTORS / "dammv2_accounts.json").read_bytes())["damm-pool-01"]
    data = bytearray(base64.b64decode(body))
    for at, value in changes.values():
        data[at : at + len(value)] = value
    return bytes(data)


def decoded(data: bytes) -> DammPool:
    accounts = {ADDRESS: RawAccount(PROGRAM, data)}
    accounts |= dict.fromkeys(FAMILY.needs(ADDRESS, accounts)[1:], MINT)
    pool = FAMILY.decode(ADDRESS, accounts)
    assert isinstance(pool, DammPool)
    return pool


def limited(increment_bps: int = 100, duration: int = 3_600, reference: int = 10**9) -> DammPool:
    """A pool that limits purchases, from 1 % on, up to 50 %, activated at NOW."""
    fields = (2).to_bytes(6, "little") + increment_bps.to_bytes(2, "little")
    fields += duration.to_bytes(4, "little") + (5_000).to_bytes(4, "little")
    return decoded(
        account(
            cliff=(8, (10_000_000).to_bytes(8, "little")),
            limiter=(16, fields + reference.to_bytes(8, "little")),
            activation=(472, NOW.time_s.to_bytes(8, "little")),
        )
    )


def compounding(bps: int = 5_000) -> DammPool:
    """A pool that puts half of the providers' fee back."""
    return decoded(account(mode=(484, b"\2"), share=(54, bps.to_bytes(2, "little"))))


def test_a_swap_instruction_has_the_bytes_that_the_program_reads() -> None:
    pool = decoded(account())
    swap = FAMILY.instruction(pool, True, SwapTerms(False, 1_000, 990), USE)
    assert swap.program == PROGRAM
    assert swap.data.hex() == "414b3f4ceb5b5b88e803000000000000de0300000000000000"
    keys = pool.keys
    assert swap.accounts == (
        AccountUse("HLnpSz9h2S4hiLQ43rnSD9XkcUThA7B8hQMKmDaiTLcC"),
        AccountUse(ADDRESS, writable=True),
        AccountUse("pays", writable=True),
        AccountUse("is paid", writable=True),
        AccountUse(keys.vault_a, writable=True),
        AccountUse(keys.vault_b, writable=True),
        AccountUse(pool.mint_a),
        AccountUse(pool.mint_b),
        AccountUse("owner", signer=True),
        AccountUse(keys.token_program_a),
        AccountUse(keys.token_program_b),
        AccountUse(PROGRAM),
        AccountUse("3rmHSu74h1ZcmAisVcWerTCiRDQbUrBKmcwptYGjHfet"),
        AccountUse(PROGRAM),
    )


@pytest.mark.parametrize("exact_out", [False, True])
def test_a_swap_is_read_back_as_it_was_written(exact_out: bool) -> None:
    terms = SwapTerms(exact_out, 12_345, 67)
    swap = FAMILY.instruction(decoded(account()), False, terms, USE)
    parsed = FAMILY.parse(swap)
    assert parsed == (ADDRESS, terms, USE)


def test_no_swap_is_sent_that_may_pay_nothing() -> None:
    swap = FAMILY.instruction(decoded(account()), True, SwapTerms(False, 1, 0), USE)
    parsed = FAMILY.parse(swap)
    assert parsed is not None
    assert parsed.terms.threshold == 1


def test_other_instructions_are_not_swaps() -> None:
    swap = FAMILY.instruction(decoded(account()), True, SwapTerms(False, 1, 1), USE)
    partial = swap._replace(data=swap.data[:-1] + b"\1")
    other = swap._replace(data=b"\0" * 8 + swap.data[8:])
    short = swap._replace(accounts=swap.accounts[:5])
    assert [FAMILY.parse(each) for each in (partial, other, short)] == [None, None, None]


def test_a_pool_that_limits_purchases_gets_the_instructions_sysvar() -> None:
    swap = FAMILY.instruction(limited(), False, SwapTerms(False, 1, 1), USE)
    assert swap.accounts[14:] == (AccountUse("Sysvar1nstructions1111111111111111111111111"),)


def test_purchases_are_limited_by_size_while_the_limiter_lasts() -> None:
    pool, late = limited(), Clock(NOW.slot, NOW.time_s + 3_601)
    small, large = 10**9, 10**10
    assert pool.exact_in(small, False, NOW).fee == small // 100
    # Ten brackets at 1 %, 2 % … 10 %.
    assert pool.exact_in(large, False, NOW).fee == large * 55 // 1_000
    assert pool.exact_in(large, False, late).fee == large // 100
    sold = pool.exact_in(large, True, NOW)
    assert sold.fee == -(-(sold.amount_out + sold.fee) // 100)


def test_an_exact_output_of_a_limited_pool_costs_its_exact_input() -> None:
    pool = limited()
    for amount in (10**6, 10**9, 3 * 10**9, 10**11):
        paid = pool.exact_in(amount, False, NOW).amount_out
        cost = pool.exact_out(paid, False, NOW).amount_in
        assert amount - 2 - amount // 10**9 <= cost <= amount


def test_a_compounding_pool_grows_by_its_share_of_the_fee() -> None:
    pool = compounding()
    bought = pool.exact_in(10**9, False, NOW)
    then = bought.after
    assert isinstance(then, DammPool)
    assert bought.fee == 2_500_000  # 0.25 % of the input: 500,000 protocol, the rest halved
    assert then.collected_b.protocol == 500_000
    assert then.collected_b.providers_ever == 2_000_000  # what was put back included
    assert then.collected_b.per_liquidity == (1_000_000 << 128) // pool.liquidity
    assert then.reserve_b == pool.reserve_b + 10**9 - 1_500_000
    assert then.reserve_a == pool.reserve_a - bought.amount_out


def test_the_first_swap_of_layout_0_writes_the_reserves_and_makes_the_layout_1() -> None:
    data = account(layout=(696, b"\0"), reserves=(680, bytes(16)))
    pool = decoded(data)
    assert (pool.reserve_a, pool.reserve_b) == (10**12 - 232, 10**12 - 232)
    buffers = {ADDRESS: bytearray(data)}
    FAMILY.write(pool, buffers)
    assert buffers[ADDRESS] == data
    after = pool.exact_in(10**9, True, NOW).after
    FAMILY.write(after, buffers)
    assert buffers[ADDRESS][696] == 1
    assert decoded(bytes(buffers[ADDRESS])) == after


def test_a_pool_opens_at_its_slot_or_second() -> None:
    by_slot = account(kind=(480, b"\0"), point=(472, (NOW.slot + 1).to_bytes(8, "little")))
    for data, opens in (
        (by_slot, Clock(NOW.slot + 1, 0)),
        (account(point=(472, (50).to_bytes(8, "little"))), Clock(0, 50)),
    ):
        pool = decoded(data)
        assert pool.exact_in(1_000, True, opens).amount_out
        with pytest.raises(Rejected, match="PoolDisabled"):
            pool.exact_in(1_000, True, Clock(opens.slot - 1, opens.time_s - 1))


def test_a_disabled_pool_and_an_amount_of_nothing_are_refused_as_the_program_does() -> None:
    with pytest.raises(Rejected, match="PoolDisabled"):
        decoded(account(status=(481, b"\1"))).exact_in(0, True, NOW)
    with pytest.raises(Rejected, match="AmountIsZero"):
        decoded(account()).exact_out(0, True, NOW)


def test_a_pool_without_liquidity_is_refused_not_divided_by() -> None:
    pool = decoded(account(liquidity=(360, bytes(16))))
    for a_to_b in (True, False):
        with pytest.raises(Rejected, match="MathOverflow"):
            pool.exact_in(1_000, a_to_b, NOW)
        with pytest.raises(Rejected, match="MathOverflow"):
            pool.exact_out(1_000, a_to_b, NOW)


@pytest.mark.parametrize(
    ("reason", "at", "value"),
    [
        ("base-fee-mode", 16, 5),
        ("activation-type", 480, 2),
        ("token-program", 482, 2),
        ("collect-fee-mode", 484, 3),
        ("fee-version", 486, 2),
        ("pool-layout", 696, 2),
    ],
)
def test_an_unknown_value_is_refused_by_name(reason: str, at: int, value: int) -> None:
    with pytest.raises(Unsupported) as refused:
        decoded(account(unknown=(at, bytes([value]))))
    assert refused.value.reason == reason


def test_bytes_of_another_account_are_refused_as_a_pool() -> None:
    data = account()
    assert not FAMILY.is_pool(RawAccount("another program", data))
    assert not FAMILY.is_pool(RawAccount(PROGRAM, data[:-1]))
    assert not FAMILY.is_pool(RawAccount(PROGRAM, bytes(8) + data[8:]))
    assert FAMILY.needs(ADDRESS, {}) == (ADDRESS,)
    with pytest.raises(ValueError, match="is not a DAMM v2 pool"):
        FAMILY.decode(ADDRESS, {})


def test_every_error_that_a_quote_gives_has_a_code() -> None:
    for name in ("PoolDisabled", "AmountIsZero", "MathOverflow", "PriceRangeViolation"):
        assert FAMILY.errors[name].code >= 6000
    assert FAMILY.errors[FAMILY.too_little_out].code == 6002
    assert FAMILY.errors[FAMILY.too_little_out].retryable
