"""What a DLMM pool refuses, writes back, and says in an instruction."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import msgspec
import pytest

from stages.pools.contract import (
    AccountUse,
    Clock,
    Instruction,
    RawAccount,
    Rejected,
    SwapAccounts,
    SwapTerms,
    Unsupported,
)
from stages.pools.meteora.dlmm import FAMILY, layout
from stages.pools.meteora.dlmm.addresses import array_address, extension_address
from stages.pools.meteora.dlmm.bins import BINS_PER_ARRAY, layers_of, sold_by
from stages.pools.meteora.dlmm.bitmap import arrays_from, extension_bits, next_array, own_bits
from stages.pools.meteora.dlmm.maths import price_at
from tests.support.pools.dlmm import (
    PROGRAM,
    accounts_of,
    after,
    changed,
    decoded,
    pool_of,
    quoted,
    read,
)

PLAIN, FAR, GAPS, ORDERS = "dlmm-pool-01", "dlmm-pool-18", "dlmm-pool-12", "dlmm-pool-27"
CLOCK = Clock(1_000, 1_760_000_000)
USE = SwapAccounts(owner="wallet", token_in="from", token_out="to")


@dataclass(frozen=True)
class Patch:
    """A byte of the pair, set."""

    at: int
    value: int


def patched(name: str, *patches: Patch) -> tuple[str, dict[str, RawAccount]]:
    address, accounts = read("dlmm.json")["pools"][name]["address"], accounts_of(name)
    data = bytearray(accounts[address].data)
    for patch in patches:
        data[patch.at] = patch.value
    return address, accounts | {address: RawAccount(PROGRAM, bytes(data))}


def test_the_family_knows_its_pools_by_owner_size_and_mark() -> None:
    address, accounts = patched(PLAIN)
    account = accounts[address]
    assert FAMILY.is_pool(account)
    assert not FAMILY.is_pool(account._replace(owner=address))
    assert not FAMILY.is_pool(account._replace(data=account.data + b"\0"))
    assert not FAMILY.is_pool(account._replace(data=b"\0" + account.data[1:]))


@pytest.mark.parametrize("name", [PLAIN, FAR, GAPS])
def test_the_accounts_that_a_pool_needs_are_requested_step_by_step(name: str) -> None:
    address, chain = patched(name)
    text = read("dlmm.json")["pools"][name]
    known: dict[str, RawAccount] = {}
    asked: set[str] = set()
    while set(FAMILY.needs(address, known)) - asked:
        asked |= set(FAMILY.needs(address, known))
        known = {key: chain[key] for key in asked & set(chain)}
    arrays = {array["address"] for array in text["bin_arrays"]}
    keys = ("address", "reserve_x", "reserve_y", "mint_x", "mint_y")
    assert asked == arrays | {text[key] for key in keys} | {extension_address(PROGRAM, address)}


def test_a_swap_beyond_the_bin_arrays_that_were_read_is_rejected_by_name() -> None:
    address, accounts = patched(PLAIN)
    pool = decoded(address, accounts)
    del accounts[array_address(PROGRAM, address, -2)]
    shallow = decoded(address, accounts)
    assert sorted(shallow.arrays) == [-1, 0, 1, 2]
    missed = 0
    for amount in (10**9, 10**14, 3 * 10**14, 4 * 10**14, 7 * 10**14):
        swap = pool.exact_out(amount, True, CLOCK)
        if after(swap).active_id >= -70:
            assert shallow.exact_out(amount, True, CLOCK).amount_in == swap.amount_in
        else:
            missed += 1
            with pytest.raises(Rejected, match="AccountNotEnoughKeys: bin array -2"):
                shallow.exact_out(amount, True, CLOCK)
    assert 0 < missed < 5


def test_a_swap_through_more_bins_than_a_transaction_can_pay_for_is_rejected() -> None:
    pool = pool_of(PLAIN)
    high = msgspec.structs.replace(pool, active_id=150)
    sell = [place._replace(x=0, y=1_000) for bins in pool.arrays.values() for place in bins]
    arrays = {
        index: tuple(sell[at * BINS_PER_ARRAY : (at + 1) * BINS_PER_ARRAY])
        for at, index in enumerate(sorted(pool.arrays))
    }
    high = msgspec.structs.replace(high, arrays=arrays)
    assert high.exact_out(200 * 1_000, True, CLOCK).amount_out == 200_000
    with pytest.raises(Rejected, match="ProgramFailedToComplete"):
        high.exact_out(200 * 1_000 + 1, True, CLOCK)


@pytest.mark.parametrize(
    ("sold", "amount", "missing", "error"),
    [
        (1_000, 999, 1, "InsufficientInAmount"),  # of a bin that is not emptied
        (1_000, 1_000, 1, "NotExactAmountOut"),  # of one that is
        (1_000, 1_001, 500, "NotExactAmountOut"),  # of the first bin
        (1, 1, 1, "InsufficientOutAmount"),  # nothing at all would come out
        (2, 3, 3, "NotExactAmountOut"),  # nothing is left for the second bin, which costs 3
    ],
)
def test_an_exact_output_for_too_little_is_refused_by_the_program_s_name(
    sold: int, amount: int, missing: int, error: str
) -> None:
    pool = pool_of(PLAIN)
    # Bin 10 is priced above 1: an output costs more than its own number of units.
    bins = tuple(place._replace(x=sold, y=0) for place in pool.arrays[0])
    pool = msgspec.structs.replace(pool, active_id=10, arrays={**pool.arrays, 0: bins})
    cost = pool.exact_out(amount, False, CLOCK).amount_in
    assert pool.exact_out_within(amount, cost, False, CLOCK).amount_in == cost
    with pytest.raises(Rejected) as caught:
        pool.exact_out_within(amount, cost - missing, False, CLOCK)
    assert caught.value.error == error


def test_a_disabled_pool_rejects_swaps() -> None:
    pool = decoded(*patched(PLAIN, Patch(82, 1)))
    with pytest.raises(Rejected) as caught:
        pool.exact_in(1_000, True, CLOCK)
    assert caught.value.error == "PoolDisabled"
    assert FAMILY.errors["PoolDisabled"].reason == "pool-disabled"


@pytest.mark.parametrize(
    ("by_time", "opens", "early", "due"),
    [(0, 77, Clock(76, 10**9), Clock(77, 0)), (1, 77, Clock(10**9, 76), Clock(0, 77))],
)
def test_a_pool_opens_at_its_slot_or_time(
    by_time: int, opens: int, early: Clock, due: Clock
) -> None:
    custom = (Patch(75, 2), Patch(86, by_time), Patch(layout.OPENS_AT, opens))
    pool = decoded(*patched(PLAIN, *custom))
    with pytest.raises(Rejected, match="PoolDisabled"):
        pool.exact_in(1_000_000, True, early)
    assert pool.exact_in(1_000_000, True, due).amount_out


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (Patch(35, 3), "unknown-function-type"),
        (Patch(36, 2), "unknown-collect-fee-mode"),
        (Patch(75, 4), "unknown-pair-type"),
        (Patch(82, 2), "unknown-pair-status"),
        (Patch(86, 2), "unknown-activation-type"),
        (Patch(880, 2), "unknown-token-program"),
    ],
)
def test_a_pair_with_unknown_values_is_refused_by_name(patch: Patch, reason: str) -> None:
    with pytest.raises(Unsupported) as caught:
        decoded(*patched(PLAIN, patch))
    assert caught.value.reason == reason


def test_limit_orders_count_only_where_the_pair_takes_them() -> None:
    """A pair with rewards, or made for them, has none; one that chose neither may have."""
    assert decoded(*patched(ORDERS)).pair.takes_orders
    assert decoded(*patched(ORDERS, Patch(35, 0))).pair.takes_orders
    mining = decoded(*patched(ORDERS, Patch(35, 1)))
    assert not mining.pair.takes_orders
    assert not decoded(*patched(ORDERS, Patch(35, 0), Patch(264, 9))).pair.takes_orders
    assert mining.reserve_a < pool_of(ORDERS).reserve_a
    assert mining.reserve_b < pool_of(ORDERS).reserve_b


def test_bytes_of_another_account_are_refused_as_a_bin_array() -> None:
    address, accounts = patched(PLAIN)
    key = array_address(PROGRAM, address, 0)
    other = array_address(PROGRAM, address, 1)
    with pytest.raises(ValueError, match="no bin array 0"):
        decoded(address, accounts | {key: accounts[other]})
    with pytest.raises(ValueError, match="is not a DLMM pair"):
        decoded(key, accounts)


def test_a_vault_that_holds_too_little_rejects_the_swap() -> None:
    pool = msgspec.structs.replace(pool_of(PLAIN), vault_x=0, vault_y=999)
    assert after(pool.exact_out(999, True, CLOCK)).vault_y == 0
    with pytest.raises(Rejected, match="insufficient funds"):
        pool.exact_out(1_000, True, CLOCK)


@pytest.mark.parametrize("name", [PLAIN, ORDERS])
def test_the_state_after_a_swap_written_into_bytes_decodes_to_the_same_pool(name: str) -> None:
    address, accounts = patched(name)
    for vector in read("dlmm.json")["vectors"]:
        if vector["pool"] != name or not vector["expected"]["ok"]:
            continue
        now = after(quoted(pool_of(name), vector))
        data = {key: bytearray(account.data) for key, account in accounts.items()}
        FAMILY.write(now, data)
        again = {key: RawAccount(PROGRAM, bytes(data[key])) for key in data}
        assert decoded(address, again) == now


def test_bytes_are_written_only_where_a_swap_changes_them() -> None:
    _, accounts = patched(ORDERS)
    data = {key: bytearray(account.data) for key, account in accounts.items()}
    FAMILY.write(pool_of(ORDERS), data)
    assert data == {key: account.data for key, account in accounts.items()}


@pytest.mark.parametrize("exact_out", [False, True])
def test_an_instruction_reads_back_as_it_was_written(exact_out: bool) -> None:
    terms = SwapTerms(exact_out, 1_000_000, 777)
    instruction = FAMILY.instruction(pool_of(PLAIN), True, terms, USE)
    parsed = FAMILY.parse(instruction)
    assert parsed == (pool_of(PLAIN).address, terms, USE)
    amounts = (777, 1_000_000) if exact_out else (1_000_000, 777)
    mark = "2bd7f784893cf351" if exact_out else "414b3f4ceb5b5b88"
    assert instruction.data[:8].hex() == mark
    assert instruction.data[8:] == b"".join(n.to_bytes(8, "little") for n in amounts) + bytes(4)
    assert FAMILY.parse(instruction._replace(data=bytes(8) + instruction.data[8:])) is None
    assert FAMILY.parse(instruction._replace(program=USE.owner)) is None
    assert FAMILY.parse(Instruction(PROGRAM, (), instruction.data)) is None


def test_an_instruction_names_the_accounts_in_the_program_s_order() -> None:
    pool = pool_of(FAR)
    pair = pool.pair
    accounts = FAMILY.instruction(pool, True, SwapTerms(False, 1_000, 1), USE).accounts
    assert [use.address for use in accounts[:13]] == [
        pair.address,
        pair.extension,
        pair.reserve_x,
        pair.reserve_y,
        "from",
        "to",
        pair.mint_x,
        pair.mint_y,
        pair.oracle,
        PROGRAM,
        "wallet",
        pair.token_program_x,
        pair.token_program_y,
    ]
    assert [at for at, use in enumerate(accounts) if use.signer] == [10]
    assert [at for at, use in enumerate(accounts) if use.writable][:7] == [0, 1, 2, 3, 4, 5, 8]
    assert accounts[16] == AccountUse(array_address(PROGRAM, pair.address, 571), writable=True)
    without = FAMILY.instruction(pool_of(PLAIN), True, SwapTerms(False, 1_000, 1), USE).accounts
    assert without[1] == AccountUse(PROGRAM)


def test_an_instruction_has_every_bin_array_that_its_swap_crosses_and_one_to_spare() -> None:
    crossed = 0
    for vector in read("dlmm.json")["vectors"]:
        if not vector["expected"]["ok"]:
            continue
        pool, way = pool_of(vector["pool"]), vector["swap_for_y"]
        terms = SwapTerms(vector["kind"] == "exact_out", vector["amount"], 1)
        accounts = FAMILY.instruction(pool, way, terms, USE).accounts[16:]
        touched = {
            number // BINS_PER_ARRAY for number in changed(pool, after(quoted(pool, vector)))
        }
        addresses = [array_address(PROGRAM, pool.address, index) for index in touched]
        names = [use.address for use in accounts]
        assert set(addresses) <= set(names)
        assert len(names) <= len(touched) + 2
        crossed = max(crossed, len(touched))
    assert crossed > 1


def test_the_price_and_fee_of_a_small_swap_are_those_of_the_pool() -> None:
    for name in read("dlmm.json")["pools"]:
        pool = pool_of(name)
        price = price_at(pool.active_id, pool.pair.bin_step)
        assert pool.spot(True) == (price, 1 << 64)
        assert pool.spot(False) == (1 << 64, price)
        for way in (True, False):
            rate = pool.fee_ppb(way, CLOCK)
            swap = pool.exact_in(100_000, way, CLOCK)
            base = swap.amount_out + swap.fee if swap.fee_on_output else swap.amount_in
            assert swap.fee == -(-base * rate // 10**9)


def test_the_bitmap_finds_arrays_of_the_pair_and_of_its_extension_either_way() -> None:
    own = bytearray(128)
    own[0] = own[127] = 0b10000001
    above, below = bytearray(768), bytearray(768)
    above[0], below[0], below[767] = 0b10, 0b1, 0b10000000
    bits = own_bits(bytes(own)) | extension_bits(bytes(above), bytes(below))
    results = [-6_656, -513, -512, -505, 504, 511, 513]
    assert list(arrays_from(bits, -9_999, down=False)) == results
    assert list(arrays_from(bits, 9_999, down=True)) == results[::-1]
    assert next_array(bits, -513, down=True) == next_array(bits, -513, down=False) == -513
    assert next_array(bits, 514, down=False) is None
    assert next_array(bits, -6_657, down=True) is None
    assert next_array(0, 0, down=True) is None


def test_a_bin_array_sells_the_sum_of_its_bins() -> None:
    sold = 0
    for name, orders, for_y in product(read("dlmm.json")["pools"], (False, True), (False, True)):
        for bins in pool_of(name).arrays.values():
            each = sum(sum(layers_of(place, for_y, orders)) for place in bins)
            assert sold_by(bins, for_y, orders) == each
            sold += each
    assert sold
