"""What the CLMM reads, what it refuses, and the instruction that it builds."""

from pathlib import Path

import msgspec
import pytest

from stages.pools.contract import Clock, RawAccount, Rejected, SwapAccounts, SwapTerms
from stages.pools.raydium.clmm import FAMILY
from stages.pools.raydium.clmm.addresses import array_address
from stages.pools.raydium.clmm.bitmap import joint, number_of, place
from stages.pools.raydium.clmm.pool import ClmmPool
from stages.pools.raydium.clmm.ticks import sqrt_price_at
from tests.support.pools.clmm_chain import (
    BALANCE,
    CLOCK,
    MAINNET,
    chain_of,
    decoded,
    described,
    pool_of,
    pools,
    read,
)

NAME = "clmm-pool-18"
USE = SwapAccounts("owner", "paying", "paid")
POOL_AT = {"status": 389, "fee_on": 390, "open_time": 1080}


def changed(address: str, at: int, value: int = 1) -> dict[str, RawAccount]:
    """The chain with one byte of one account changed."""
    chain = chain_of(NAME)
    data = bytearray(chain[address].data)
    data[at] = value
    chain[address] = RawAccount(MAINNET, bytes(data))
    return chain


@pytest.mark.parametrize(
    ("folder", "name"), [pytest.param(*each, id=f"{each[0].name}/{each[1]}") for each in pools()]
)
def test_a_pool_is_decoded_from_the_accounts_that_it_needs(folder: Path, name: str) -> None:
    """All of it, or of a pool with many tick arrays the next three either way."""
    whole, chain = pool_of(name, folder), chain_of(name, folder)
    pool = read(whole.address, chain)
    here = number_of(whole.tick, whole.spacing)
    below = [number for number in whole.arrays if number <= here][-4:]
    above = [number for number in whole.arrays if number >= here][:4]
    assert pool.arrays == tuple(sorted({*below, *above}))
    assert pool.depth.more_below == (below[0] > whole.arrays[0])
    assert pool.depth.more_above == (above[-1] < whole.arrays[-1])
    if pool.arrays == whole.arrays:
        assert pool == whole
    assert {pool.mint_a, pool.mint_b} <= set(FAMILY.needs(pool.address, chain))


def test_a_pool_is_known_by_owner_size_and_discriminator() -> None:
    chain, address = chain_of(NAME), pool_of(NAME).address
    account = chain[address]
    assert FAMILY.is_pool(account)
    assert not FAMILY.is_pool(RawAccount("11111111111111111111111111111111", account.data))
    assert not FAMILY.is_pool(RawAccount(MAINNET, account.data[:-1]))
    assert not FAMILY.is_pool(RawAccount(MAINNET, b"\x00" + account.data[1:]))


def test_a_fee_side_that_the_program_does_not_know_is_the_input() -> None:
    address = pool_of(NAME).address
    assert FAMILY.decode(address, changed(address, POOL_AT["fee_on"], 3)) == pool_of(NAME)


def test_a_pool_whose_swaps_are_off_or_that_is_not_open_rejects() -> None:
    address = pool_of(NAME).address
    off = FAMILY.decode(address, changed(address, POOL_AT["status"], 1 << 4))
    with pytest.raises(Rejected, match="NotApproved"):
        off.exact_in(10**6, True, CLOCK)
    soon = FAMILY.decode(address, changed(address, POOL_AT["open_time"], 9))
    with pytest.raises(Rejected, match="RequireGtViolated"):
        soon.exact_in(10**6, True, Clock(slot=1, time_s=9))
    soon.exact_in(10**6, True, Clock(slot=1, time_s=10))


def test_malformed_pools_and_missing_accounts_raise_value_errors() -> None:
    pool = pool_of(NAME)
    with pytest.raises(ValueError, match="not a pool"):
        FAMILY.decode(pool.address, changed(pool.address, 0))
    without = chain_of(NAME)
    del without[pool.config]
    with pytest.raises(ValueError, match="was not read"):
        FAMILY.decode(pool.address, without)


@pytest.mark.parametrize("a_to_b", [True, False])
def test_a_swap_beyond_the_tick_arrays_that_were_read_is_rejected_never_misquoted(
    a_to_b: bool,
) -> None:
    """As soon as the first tick that was not read could matter; before that, nothing changes."""
    whole, chain = pool_of(NAME), chain_of(NAME)
    far = whole.arrays[0] if a_to_b else whole.arrays[-1]
    del chain[array_address(MAINNET, whole.address, far, whole.spacing)]
    part = FAMILY.decode(whole.address, chain)
    answered = 0
    for amount in (10**power for power in range(4, 19)):
        try:
            want = whole.exact_in(amount, a_to_b, CLOCK)
        except Rejected:
            continue
        try:
            got = part.exact_in(amount, a_to_b, CLOCK)
        except Rejected as refused:
            assert refused.error == "NotEnoughTickArrayAccount"
        else:
            assert (got.amount_in, got.amount_out) == (want.amount_in, want.amount_out)
            answered += 1
    assert answered
    with pytest.raises(Rejected, match="NotEnoughTickArrayAccount"):
        part.exact_in(BALANCE, a_to_b, CLOCK)


@pytest.mark.parametrize("unread", [None, bytes(10_240)])
def test_without_the_array_of_its_price_no_swap_is_quoted_either_way(unread: bytes | None) -> None:
    """The ticks next to the price lie in it: an array that is missing, or that is none."""
    pool, chain = pool_of(NAME), chain_of(NAME)
    here = number_of(pool.tick, pool.spacing)
    assert pool.arrays[0] < here < pool.arrays[-1]
    address = array_address(MAINNET, pool.address, here, pool.spacing)
    del chain[address]
    if unread:
        chain[address] = RawAccount(MAINNET, unread)
    part = decoded(pool.address, chain)
    for a_to_b in (True, False):
        with pytest.raises(Rejected, match="NotEnoughTickArrayAccount"):
            part.exact_in(10**6, a_to_b, CLOCK)


@pytest.mark.parametrize("a_to_b", [True, False])
@pytest.mark.parametrize("exact_out", [True, False])
def test_the_instruction_reads_back_and_names_accounts_in_order(
    a_to_b: bool, exact_out: bool
) -> None:
    pool = pool_of(NAME)
    result = described(NAME)
    terms = SwapTerms(exact_out, 10**6, 5)
    built = FAMILY.instruction(pool, a_to_b, terms, USE)
    parsed = FAMILY.parse(built)
    assert parsed is not None
    assert (parsed.pool, parsed.terms, parsed.accounts) == (pool.address, terms, USE)
    assert built.data.hex() == (
        "2b04ed0b1ac91e62" + "40420f0000000000" + "0500000000000000" + "00" * 16
    ) + ("00" if exact_out else "01")
    way = ["0", "1"] if a_to_b else ["1", "0"]
    names = [account.address for account in built.accounts]
    assert names[:3] == ["owner", result["amm_config"], result["address"]]
    assert names[5:8] == [*(result[f"vault_{token}"] for token in way), result["observation"]]
    assert names[11:14] == [*(result[f"mint_{token}"] for token in way), result["bitmap_extension"]]
    start = {array["address"]: array["start"] for array in result["tick_arrays"]}
    assert [start[name] for name in names[14:]] == ([0, -600, -5400] if a_to_b else [0, 4800, 6000])
    assert [a.signer for a in built.accounts] == [True] + [False] * (len(names) - 1)
    assert [n for n, a in enumerate(built.accounts) if a.writable] == [
        *range(2, 8),
        *range(13, len(names)),
    ]


def test_an_extension_that_does_not_exist_is_not_named() -> None:
    """It would end the list of the accounts that the program sees."""
    pool, chain = pool_of(NAME), chain_of(NAME)
    extension = described(NAME)["bitmap_extension"]
    built = FAMILY.instruction(pool, True, SwapTerms(False, 10**6, 5), USE)
    del chain[extension]
    without = decoded(pool.address, chain)
    again = FAMILY.instruction(without, True, SwapTerms(False, 10**6, 5), USE)
    assert again.accounts == tuple(use for use in built.accounts if use.address != extension)


@pytest.mark.parametrize("number", [-7680, -7168, -1025, -513, -512, 0, 511, 512, 1023, 7679])
def test_a_bitmap_bit_is_read_from_the_place_where_it_is_set(number: int) -> None:
    bitmaps = {"own": bytearray(128), "up": bytearray(896), "down": bytearray(896)}
    name, byte, mask = place(number)
    bitmaps[name][byte] |= mask
    bits = joint(bytes(bitmaps["own"]), bytes(bitmaps["up"]), bytes(bitmaps["down"]))
    assert bits == 1 << number + 7680


def test_a_swap_over_many_arrays_names_them_all_up_to_that_of_the_first_tick_not_crossed() -> None:
    pool = pool_of(NAME)
    high = pool.exact_in(BALANCE // 4, False, CLOCK, sqrt_price_at(5500)).after
    assert isinstance(high, ClmmPool)
    low = high.exact_in(BALANCE // 4, True, CLOCK, sqrt_price_at(-4900))
    assert starts(high, SwapTerms(False, low.amount_in, 0)) == [4800, 0, -600, -5400]
    assert starts(high, SwapTerms(True, low.amount_out, 0)) == [4800, 0, -600, -5400]
    assert starts(high, SwapTerms(False, low.amount_in * 2, 0)) == [4800, 0, -600, -5400, -6000]


def starts(pool: ClmmPool, terms: SwapTerms) -> list[int]:
    """The first ticks of the arrays that a swap of mint_a names."""
    start = {a["address"]: a["start"] for a in described(NAME)["tick_arrays"]}
    return [start[use.address] for use in FAMILY.instruction(pool, True, terms, USE).accounts[14:]]


def test_another_instruction_and_one_with_a_price_limit_are_not_read() -> None:
    built = FAMILY.instruction(pool_of(NAME), True, SwapTerms(False, 7, 1), USE)
    assert FAMILY.parse(built._replace(data=b"\x00" + built.data[1:])) is None
    assert FAMILY.parse(built._replace(program="elsewhere")) is None
    limited = built.data[:24] + (5).to_bytes(16, "little") + built.data[40:]
    assert FAMILY.parse(built._replace(data=limited)) is None


def test_a_small_swap_pays_the_fee_rate_and_the_spot_price() -> None:
    pool, amount = pool_of("clmm-pool-18"), 10**6
    out, per_in = pool.spot(True)
    net = amount - -(-amount * pool.fee_ppb(True, CLOCK) // 10**9)
    at_spot = net * out // per_in
    assert at_spot - at_spot // 10_000 <= pool.exact_in(amount, True, CLOCK).amount_out <= at_spot
    assert pool.spot(False) == (per_in, out)


@pytest.mark.parametrize("amount", [-1, 1 << 64])
def test_an_amount_outside_u64_is_rejected(amount: int) -> None:
    with pytest.raises(Rejected, match="MaxTokenOverflow"):
        pool_of(NAME).exact_in(amount, True, CLOCK)


def test_ticks_and_pool_of_different_moments_are_rejected_not_quoted() -> None:
    """More liquidity leaves at a tick than there is: such a state was never on the chain."""
    pool = msgspec.structs.replace(pool_of(NAME), liquidity=1)
    with pytest.raises(Rejected, match="LiquiditySubValueErr"):
        pool.exact_in(BALANCE, True, CLOCK)
