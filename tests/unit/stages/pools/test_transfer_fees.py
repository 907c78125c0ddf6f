"""Transfer fees: the token program's arithmetic, and pools whose mints charge them."""

import random
from collections import Counter

import msgspec
import pytest

from stages.pools.contract import (
    Clock,
    Pool,
    RawAccount,
    Rejected,
    SwapAccounts,
    SwapTerms,
    Unsupported,
    impact_ppm,
)
from stages.pools.families import FAMILIES
from stages.pools.meteora.dlmm import FAMILY as DLMM
from stages.pools.transfer_fees import (
    NO_FEE,
    TOO_MUCH,
    U64_MAX,
    FeeMintPool,
    TransferFee,
    TransferFees,
    with_fees,
    without_fees,
)
from tests.support.chain.localchain import plan_of
from tests.support.pools import token_2022 as t22
from tests.support.pools.dlmm import VECTORS, read, real_accounts
from tests.unit.stages.pools.test_contract import CHAIN, CLOCK, pool_of

TAXED = "B5Eia4cE71tKuEDaqPHucJLG2fxySKyKzLMewd2nUvoc"
TAKERS = [family.name for family in FAMILIES if family.name != "raydium-amm-v4"]
RATES = [0, 1, 50, 137, 999, 5_000, 9_999, 10_000]
CAPS = [0, 1, 9, 5_000, 10**9, U64_MAX]


@pytest.mark.parametrize("basis_points", RATES)
@pytest.mark.parametrize("maximum", CAPS)
def test_gross_is_the_least_transfer_that_delivers_the_amount(
    basis_points: int, maximum: int
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    fee = TransferFee(0, maximum, basis_points)
    near_cap = [maximum, maximum - 1, maximum + 1, maximum * 10_000 // max(1, basis_points)]
    amounts = [0, 1, 2, *near_cap, *(chance.randrange(1 << bits) for bits in range(1, 64))]
    for net in amounts:
        try:
            gross = fee.gross(max(0, net))
        except Rejected as rejected:
            assert rejected.error == TOO_MUCH
            assert fee.net(U64_MAX) < max(0, net)
            continue
        assert fee.net(gross) == max(0, net)
        assert gross == 0 or fee.net(gross - 1) < net or fee.net(gross - 1) == gross - 1 < net
        assert 0 <= fee.fee(gross) <= min(gross, maximum)


def test_the_fee_rounds_up_to_its_cap() -> None:
    fee = TransferFee(0, 5_000, 50)
    assert [fee.fee(gross) for gross in (0, 1, 200, 201, 999_999, 1_000_000, U64_MAX)] == [
        0, 1, 1, 2, 5_000, 5_000, 5_000,
    ]  # fmt: skip


def test_the_newer_fee_counts_from_its_epoch_on() -> None:
    older, newer = TransferFee(0, 9, 100), TransferFee(7, 99, 200)
    fees = TransferFees(older, newer)
    assert [fees.at(epoch) for epoch in (0, 6, 7, 8)] == [older, older, newer, newer]
    assert TransferFees(NO_FEE, newer).charges
    assert not TransferFees(TransferFee(0, 0, 100), TransferFee(1, 9, 0)).charges


# -- pools -----------------------------------------------------------------------------------------


def taxed(pool: Pool, in_a: int, in_b: int, maximum: int = U64_MAX) -> Pool:
    fees = [TransferFees(NO_FEE, TransferFee(0, maximum, rate)) for rate in (in_a, in_b)]
    return with_fees(pool, dict(zip((pool.mint_a, pool.mint_b), fees, strict=True)))


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("a_to_b", [True, False])
@pytest.mark.parametrize(("in_a", "in_b"), [(50, 0), (0, 137), (50, 9_000)])
def test_a_swap_of_taxed_mints_is_the_pools_own_swap_between_two_transfers(
    name: str, a_to_b: bool, in_a: int, in_b: int
) -> None:
    _, plain = pool_of(plan_of(name))
    pool = taxed(plain, in_a, in_b, 12_345)
    rates = (in_a, in_b) if a_to_b else (in_b, in_a)
    fee_in, fee_out = (TransferFee(0, 12_345, rate) for rate in rates)
    reserve = plain.reserve_a if a_to_b else plain.reserve_b
    for amount in (reserve // 10**6, reserve // 5_000):
        swap, inner = pool.exact_in(amount, a_to_b, CLOCK), None
        inner = plain.exact_in(fee_in.net(amount), a_to_b, CLOCK)
        assert (swap.amount_in, swap.amount_out) == (amount, fee_out.net(inner.amount_out))
        assert swap.amount_in - swap.transfer_fee_in == inner.amount_in
        assert swap.amount_out + swap.transfer_fee_out == inner.amount_out
        assert without_fees(swap.after) == inner.after
        assert isinstance(swap.after, FeeMintPool)
        assert impact_ppm(swap, pool.spot(a_to_b)) == impact_ppm(inner, plain.spot(a_to_b))
        back = pool.exact_out(swap.amount_out, a_to_b, CLOCK)
        assert back.amount_out == swap.amount_out
        assert back.amount_in <= amount
        assert fee_in.net(back.amount_in) == back.amount_in - back.transfer_fee_in


@pytest.mark.parametrize("name", TAKERS)
def test_the_rate_of_a_very_small_swap_holds_all_fees(name: str) -> None:
    _, plain = pool_of(plan_of(name))
    for a_to_b in (True, False):
        rate = plain.fee_ppb(a_to_b, CLOCK)
        left = (10**9 - rate) * 9_950 * 9_000
        assert 0 <= taxed(plain, 50, 1_000).fee_ppb(a_to_b, CLOCK) - (10**9 - left / 10**8) < 2
        assert taxed(plain, 50, 1_000, maximum=0) is plain


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("side", ["mint_a", "mint_b"])
def test_families_decode_pools_with_the_fees_of_their_mints(name: str, side: str) -> None:
    plan = plan_of(name)
    family, plain = pool_of(plan)
    fee = t22.transfer_fee(50, 5_000, epoch=9, older=(75, 99))
    pool = family.decode(plan.address, {**CHAIN, getattr(plain, side): t22.mint(fee)})
    assert isinstance(pool, FeeMintPool)
    assert pool.inner == plain
    assert getattr(pool, side.replace("mint", "fees")).at(8) == TransferFee(0, 99, 75)
    assert getattr(pool, side.replace("mint", "fees")).at(9) == TransferFee(9, 5_000, 50)
    buffers = {address: bytearray(account.data) for address, account in CHAIN.items()}
    family.write(pool, buffers)
    assert all(bytes(buffers[address]) == CHAIN[address].data for address in buffers)


def test_a_program_that_knows_no_such_mints_is_refused_by_name() -> None:
    plan = plan_of("raydium-amm-v4")
    family, plain = pool_of(plan)
    taxing = t22.mint(t22.transfer_fee(50))
    with pytest.raises(Unsupported) as refused:
        family.decode(plan.address, {**CHAIN, plain.mint_a: taxing})
    assert refused.value.reason == "transfer-fee-mint"
    inert = t22.mint(t22.transfer_fee(0))
    assert family.decode(plan.address, {**CHAIN, plain.mint_a: inert}) == plain


@pytest.mark.parametrize("name", TAKERS)
def test_an_instruction_has_the_amounts_of_the_wallet_and_the_accounts_of_the_pool(
    name: str,
) -> None:
    plan = plan_of(name)
    family, plain = pool_of(plan)
    pool = taxed(plain, 0, 9_000)
    use = SwapAccounts(plain.address, plain.mint_a, plain.mint_b)
    amount = plain.reserve_b // 20
    terms = SwapTerms(True, amount, U64_MAX)
    instruction = family.instruction(pool, True, terms, use)
    inner = family.instruction(plain, True, terms._replace(amount=amount * 10), use)
    assert instruction.accounts == inner.accounts
    parsed = family.parse(instruction)
    assert parsed is not None
    assert parsed.terms == terms


def test_the_recorded_pair_of_a_taxed_mint_swaps_as_in_the_program() -> None:
    """The proof for DLMM: swaps of the compiled program, both ways, exact in and exact out."""
    vectors = [
        vector
        for vector in read("mainnet_dlmm_accounts/vectors.json")["vectors"]
        if vector["pair"] == TAXED and vector["onchain"]["ok"]
    ]
    if not vectors:
        pytest.skip("no vectors of this pair")
    accounts = real_accounts(TAXED)
    pair = DLMM.decode(TAXED, accounts)
    mint = (VECTORS / "mainnet_dlmm_accounts" / TAXED / "token_x_mint.bin").read_bytes()
    pool = DLMM.decode(TAXED, accounts | {pair.mint_a: RawAccount(t22.mint().owner, mint)})
    assert isinstance(pool, FeeMintPool)
    counts: Counter[str] = Counter()
    wrong = []
    for vector in vectors:
        quote = pool.exact_out if vector["kind"] == "exact_out" else pool.exact_in
        clock = Clock(0, vector["timestamp"], epoch=10**6)
        swap = quote(vector["amount"], vector["swap_for_y"], clock)
        result = (swap.amount_in, swap.amount_out)
        onchain = vector["onchain"]
        if result != (onchain["amount_in"], onchain["amount_out"]):
            wrong.append(f"{vector['id']}: {result} {onchain}")
        counts[vector["kind"]] += 1
    print(f"\n  pair {TAXED[:5]} with a transfer fee: {dict(counts)} agree")
    assert not wrong


def test_swaps_of_plain_mints_carry_no_transfer_fee() -> None:
    _, plain = pool_of(plan_of("raydium-cpmm"))
    swap = plain.exact_in(10**6, True, CLOCK)
    assert msgspec.structs.asdict(swap)["transfer_fee_in"] == swap.transfer_fee_out == 0
