"""Transactions: they parse back, fit, and a real VM does with SOL what was promised."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.account import Account
from solders.hash import Hash
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import ID as SYSTEM_ID
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import TransactionMetadata

from stages.pools.contract import AccountUse, Instruction, SwapAccounts, SwapTerms
from stages.runtime.stage import VenueRefusal
from stages.venues.solana.outcomes.landed import Sent, fill_of, read_sent
from stages.venues.solana.rpc.answers import Meta, TokenBalance, UiAmount
from stages.venues.solana.transaction import signing as t
from stages.venues.solana.transaction.keypair import Wallet
from stages.venues.solana.transaction.messages import instructions_of
from stages.venues.solana.transaction.programs import (
    ASSOCIATED_TOKEN,
    COMPUTE_BUDGET,
    MEMO,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
    WSOL,
    associated_account,
    key,
)
from stages.venues.solana.transaction.versions import V0, V1, VERSIONS, Budget, Message
from stages.venues.solana.transaction.wrapping import TOKEN_ACCOUNT_BYTES, rent_at_most
from tests.support.chain.toy_family import ToyFamily, ToyPool, mint_bytes, token_account_bytes

RENT = rent_at_most(TOKEN_ACCOUNT_BYTES)

SOL = 10**9
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
RAY = "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R"
PROGRAMS = {WSOL: TOKEN, USDC: TOKEN, RAY: TOKEN_2022}
ORDER_ID = "0190a000-0000-7000-8000-000000000001"
TOY = ToyFamily()


def address(number: int) -> str:
    return str(Pubkey(number.to_bytes(32, "big")))


def pool(mint_a: str = WSOL, mint_b: str = USDC, at: int = 1000) -> ToyPool:
    return ToyPool(
        address(at), address(7), mint_a, mint_b, address(at + 1), address(at + 2), 10**12, 10**12
    )


def leg(of: ToyPool, a_to_b: bool = True, amount: int = 2 * SOL) -> t.Leg:
    return t.Leg(TOY, of, a_to_b, SwapTerms(False, amount, 1))


def build(
    wallet: Wallet,
    *legs: t.Leg,
    cu_price: int = 5,
    memo: str = ORDER_ID,
    wrapping: t.Wrapping = t.Wrapping.TEMPORARY,
    version: int = V0,
) -> Message:
    plan = t.Plan(wallet.pubkey, legs, PROGRAMS, memo, wrapping)
    budget = Budget(200_000, cu_price)
    return t.message(t.drafted(plan), budget, str(Hash.default()), version)


def programs_of(message: Message) -> list[str]:
    return [instruction.program for instruction in instructions_of(message)]


@pytest.fixture(scope="module")
def wallet() -> Wallet:
    return Wallet(Keypair())


def test_a_signed_transaction_parses_back_to_its_plan(wallet: Wallet) -> None:
    signature, raw = t.signed(build(wallet, leg(pool())), wallet)
    parsed = VersionedTransaction.from_bytes(raw)
    assert [str(item) for item in parsed.signatures] == [signature]
    assert parsed.verify_with_results() == [True]
    assert isinstance(parsed.message, MessageV0)
    assert parsed.message.account_keys[0] == wallet.pubkey
    assert programs_of(parsed.message) == [
        COMPUTE_BUDGET, COMPUTE_BUDGET, MEMO, ASSOCIATED_TOKEN, SYSTEM, TOKEN, TOKEN, TOKEN,
    ]  # fmt: skip
    memo = instructions_of(parsed.message)[2].data.decode()
    assert t.order_id_of(memo) == ORDER_ID


def test_a_swap_without_sol_wraps_and_unwraps_nothing(wallet: Wallet) -> None:
    programs = programs_of(build(wallet, leg(pool(USDC, RAY)), cu_price=0))
    assert programs == [COMPUTE_BUDGET, MEMO, ASSOCIATED_TOKEN, TOKEN]


def test_the_token_account_is_that_of_the_mints_own_token_program(wallet: Wallet) -> None:
    message = build(wallet, leg(pool(USDC, RAY)))
    create = next(i for i in instructions_of(message) if i.program == ASSOCIATED_TOKEN)
    assert create.accounts[1].address == str(associated_account(wallet.pubkey, RAY, TOKEN_2022))
    assert create.accounts[5].address == TOKEN_2022


def test_a_transaction_of_the_greatest_size_is_built_and_a_larger_one_refused(
    wallet: Wallet,
) -> None:
    fits = [leg(pool(USDC, RAY, 1000 + 10 * n)) for n in range(3)]
    size = len(t.unsigned(build(wallet, *fits, memo="")))
    longest = "m" * (VERSIONS[V0].bytes_max - size - 1)  # its length takes a second byte
    assert len(t.unsigned(build(wallet, *fits, memo=longest))) == VERSIONS[V0].bytes_max
    with pytest.raises(VenueRefusal) as refused:
        build(wallet, *fits, memo=longest + "m")
    # Another route may fit.
    assert (refused.value.code, refused.value.retryable) == ("transaction-too-large", True)


def test_accounts_beyond_what_a_message_can_name_are_refused_too(wallet: Wallet) -> None:
    with pytest.raises(VenueRefusal, match="transaction-too-large"):
        build(wallet, *(leg(pool(USDC, RAY, 1000 + 10 * n)) for n in range(300)))


def test_a_simulated_transaction_is_unsigned(wallet: Wallet) -> None:
    raw = t.unsigned(build(wallet, leg(pool())))
    assert VersionedTransaction.from_bytes(raw).signatures == [Signature.default()]


def test_a_replacement_has_a_memo_and_a_signature_of_its_own(wallet: Wallet) -> None:
    memos = [t.memo_of(ORDER_ID, attempt) for attempt in (1, 2, 3)]
    assert memos[0] == ORDER_ID
    assert [t.order_id_of(memo) for memo in memos] == [ORDER_ID] * 3
    signatures = {t.signed(build(wallet, leg(pool(USDC, RAY)), memo=m), wallet)[0] for m in memos}
    assert len(signatures) == 3


# -- version 1 -------------------------------------------------------------------------------------


def test_version_1_carries_its_budget_in_the_message_and_signs_at_the_end(wallet: Wallet) -> None:
    plan = t.Plan(wallet.pubkey, [leg(pool())], PROGRAMS, ORDER_ID)
    budget = Budget(200_000, 10_001, 3_000_000)
    message = t.message(t.drafted(plan), budget, str(Hash.default()), V1)
    signature, raw = t.signed(message, wallet)
    assert raw[0] == 0x81
    assert str(Signature.from_bytes(raw[-64:])) == signature
    parsed = VersionedTransaction.from_bytes(raw)
    assert parsed.verify_with_results() == [True]
    assert isinstance(parsed.message, MessageV1)
    config = parsed.message.config
    assert config.compute_unit_limit == 200_000
    assert config.loaded_accounts_data_size_limit == 3_000_000
    assert config.priority_fee == 2_001  # 200,000 x 10,001 / 1e6, rounded up, in lamports
    assert programs_of(parsed.message) == [
        MEMO, ASSOCIATED_TOKEN, SYSTEM, TOKEN, TOKEN, TOKEN,
    ]  # fmt: skip


@given(
    cu_limit=st.integers(1, 2_000_000), cu_price=st.integers(0, 10**9), size=st.integers(1, 2**40)
)
def test_both_versions_cost_the_same(cu_limit: int, cu_price: int, size: int) -> None:
    wallet = Wallet(Keypair.from_seed(bytes(32)))
    draft = t.drafted(t.Plan(wallet.pubkey, [leg(pool())], PROGRAMS, ORDER_ID))
    budget = Budget(cu_limit, cu_price, size)
    v0, v1 = (t.message(draft, budget, str(Hash.default()), version) for version in (V0, V1))
    assert isinstance(v1, MessageV1)
    priced = [
        instruction.data
        for instruction in instructions_of(v0)
        if instruction.program == COMPUTE_BUDGET
    ]
    units = int.from_bytes(priced[0][1:], "little")
    price = int.from_bytes(priced[1][1:], "little") if len(priced) > 1 else 0
    assert units == v1.config.compute_unit_limit == min(cu_limit, 1_400_000)
    assert (v1.config.priority_fee or 0) == -(-units * price // 1_000_000)
    assert v1.config.loaded_accounts_data_size_limit == min(size, 64 * 2**20)


def test_version_1_takes_4096_bytes_and_not_one_more(wallet: Wallet) -> None:
    size = len(t.unsigned(build(wallet, leg(pool()), memo="", version=V1)))
    longest = "m" * (4_096 - size)
    assert len(t.unsigned(build(wallet, leg(pool()), memo=longest, version=V1))) == 4_096
    with pytest.raises(VenueRefusal, match="4097 bytes, at most 4096") as refused:
        build(wallet, leg(pool()), memo=longest + "m", version=V1)
    assert (refused.value.code, refused.value.retryable) == ("transaction-too-large", True)


def test_version_1_takes_64_addresses_and_not_one_more(wallet: Wallet) -> None:
    def of(pools: int) -> list[t.Leg]:
        return [leg(pool(USDC, RAY, 1000 + 10 * n)) for n in range(pools)]

    def addresses(pools: int) -> int:
        plan = t.Plan(wallet.pubkey, of(pools), PROGRAMS, "")
        return len(VERSIONS[V1].compiled(
            wallet.pubkey, t.drafted(plan).instructions, Budget(1, 1), Hash.default()
        ).account_keys)  # fmt: skip

    most = next(n for n in range(1, 200) if addresses(n + 1) > 64)
    assert len(build(wallet, *of(most), memo="", version=V1).account_keys) <= 64
    with pytest.raises(VenueRefusal, match="addresses, at most 64") as refused:
        build(wallet, *of(most + 1), memo="", version=V1)
    assert (refused.value.code, refused.value.retryable) == ("transaction-too-large", True)


def test_the_simulated_bytes_of_version_1_are_unsigned(wallet: Wallet) -> None:
    raw = t.unsigned(build(wallet, leg(pool()), version=V1))
    assert VersionedTransaction.from_bytes(raw).signatures == [Signature.default()]


# -- what is brought -------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=3))
def test_split_legs_wrap_the_sum_of_their_inputs(amounts: list[int]) -> None:
    split = [leg(pool(), amount=amount) for amount in amounts]
    assert t.brought(split) == {WSOL: sum(amounts)}


def test_a_token_in_the_middle_of_a_route_is_not_brought_by_the_wallet() -> None:
    first = leg(pool(), a_to_b=False)
    assert t.brought([first, leg(pool(WSOL, RAY, 2000))]) == {USDC: first.terms.amount}


# -- in a VM ---------------------------------------------------------------------------------------


class World(NamedTuple):
    svm: LiteSVM
    wallet: Wallet
    pool: ToyPool
    own_wsol: Pubkey

    def lamports(self, address: Pubkey) -> int:
        return self.svm.get_balance(address) or 0

    def tokens(self, address: Pubkey) -> int:
        account = self.svm.get_account(address)
        return int.from_bytes(account.data[64:72], "little") if account else 0

    def run(self, message: Message) -> tuple[Sent, Meta]:
        """Executes it; what it made of balances, as a node would say it."""
        signature, raw = t.signed(message, self.wallet)
        sent = read_sent(raw, [TOY])
        before = [self.lamports(key(item)) for item in sent.keys]
        held = self._balances(sent)
        told = self.svm.send_transaction(VersionedTransaction.from_bytes(raw))
        assert isinstance(told, TransactionMetadata), told
        assert str(told.signature()) == signature
        after = [self.lamports(key(item)) for item in sent.keys]
        # The lamports that left and reached no account are the fee.
        meta = Meta(sum(before) - sum(after), before, after, None, held, self._balances(sent))
        return sent, meta

    def _balances(self, sent: Sent) -> list[TokenBalance]:
        result = []
        for index, name in enumerate(sent.keys):
            account = self.svm.get_account(key(name))
            if account is not None and str(account.owner) == TOKEN and len(account.data) == 165:
                mint, owner = (str(Pubkey(account.data[at : at + 32])) for at in (0, 32))
                if name in (self.pool.vault_a, self.pool.vault_b):
                    owner = "the pool"  # in truth the wallet, which has to sign for it here
                amount = UiAmount(str(self.tokens(key(name))))
                result.append(TokenBalance(index, mint, amount, owner))
        return result


@pytest.fixture
def world(wallet: Wallet) -> World:
    svm = LiteSVM().with_blockhash_check(False)
    of = pool()
    own_wsol = associated_account(wallet.pubkey, WSOL, TOKEN)

    def put(where: str | Pubkey, data: bytes, lamports: int = 10**9) -> None:
        address = key(where) if isinstance(where, str) else where
        svm.set_account(address, Account(lamports, data, key(TOKEN)))

    put(WSOL, mint_bytes(9))
    put(USDC, mint_bytes(6))
    rent = RENT
    me = wallet.address
    put(of.vault_a, token_account_bytes(WSOL, me, 500 * SOL, native=True), 500 * SOL + rent)
    put(of.vault_b, token_account_bytes(USDC, me, 10**12), rent)
    put(own_wsol, token_account_bytes(WSOL, me, SOL, native=True), SOL + rent)
    svm.set_account(wallet.pubkey, Account(10 * SOL, b"", SYSTEM_ID))
    return World(svm, wallet, of, own_wsol)


@pytest.mark.parametrize("version", VERSIONS)
def test_sol_that_is_sold_is_wrapped_to_the_lamport_and_nothing_stays_behind(
    world: World, version: int
) -> None:
    sold = leg(world.pool, amount=3 * SOL + 1)
    sent, meta = world.run(build(world.wallet, sold, version=version))
    assert world.tokens(key(world.pool.vault_a)) == 503 * SOL + 1
    created_ata = RENT
    assert world.lamports(world.wallet.pubkey) == 7 * SOL - 1 - meta.fee - created_ata
    temporary = key(sent.swaps[0].accounts.token_in)
    assert world.lamports(temporary) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_wrapped_sol_that_the_user_keeps_is_never_touched(world: World, version: int) -> None:
    world.run(build(world.wallet, leg(world.pool), version=version))
    assert world.tokens(world.own_wsol) == SOL
    assert world.lamports(world.own_wsol) == SOL + RENT


def test_two_orders_of_one_wallet_wrap_beside_each_other(world: World) -> None:
    for order in ("a", "b"):
        world.run(build(world.wallet, leg(world.pool, amount=SOL), memo=order))
    assert world.tokens(key(world.pool.vault_a)) == 502 * SOL


def test_the_smaller_form_wraps_to_the_lamport_too_and_is_smaller(world: World) -> None:
    world.svm.set_account(world.own_wsol, Account(0, b"", SYSTEM_ID))
    small = build(world.wallet, leg(world.pool, amount=3 * SOL + 1), wrapping=t.Wrapping.ASSOCIATED)
    assert len(t.unsigned(build(world.wallet, leg(world.pool)))) - len(t.unsigned(small)) == 111
    _, meta = world.run(small)
    assert world.tokens(key(world.pool.vault_a)) == 503 * SOL + 1
    assert world.lamports(world.own_wsol) == 0
    left = 7 * SOL - 1 - meta.fee - RENT
    assert world.lamports(world.wallet.pubkey) == left


def usdc_held(world: World, amount: int = 10**9) -> Pubkey:
    """The wallet's account, with something in it."""
    account = associated_account(world.wallet.pubkey, USDC, TOKEN)
    held = token_account_bytes(USDC, world.wallet.address, amount)
    world.svm.set_account(account, Account(RENT, held, key(TOKEN)))
    return account


def other_way(world: World) -> ToyPool:
    return ToyPool(
        world.pool.address, world.pool.program, USDC, WSOL, world.pool.vault_b, world.pool.vault_a,
        1, 1,
    )  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_sol_in_the_middle_passes_through_an_account_that_the_user_keeps(
    world: World, version: int
) -> None:
    """It holds what it held, and is not closed."""
    usdc_held(world)
    legs = (
        t.Leg(HalfOut(), other_way(world), True, SwapTerms(False, 2 * SOL, 1)),
        leg(world.pool, amount=2 * SOL),
    )
    keeps = build(world.wallet, *legs, version=version, wrapping=t.Wrapping.KEPT)
    before = world.lamports(world.wallet.pubkey)
    _, meta = world.run(keeps)
    assert world.tokens(world.own_wsol) == SOL
    assert world.lamports(world.own_wsol) == SOL + RENT
    assert world.lamports(world.wallet.pubkey) == before - meta.fee


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("parts", [(SOL, 2 * SOL), (SOL, 1, 2 * SOL - 1)])
def test_the_amounts_of_a_split_are_read_as_one(
    world: World, version: int, parts: tuple[int, ...]
) -> None:
    out = (100_000_000, 50_000_000, 7)[: len(parts)]
    sells = [leg(world.pool, amount=part) for part in parts]
    gets = [t.Leg(HalfOut(), world.pool, True, SwapTerms(False, part, 1)) for part in out]
    sent, meta = world.run(build(world.wallet, *sells, *gets, version=version))
    assert len(sent.swaps) == 2 * len(parts)
    fill = fill_of(sent, meta)
    assert (fill.amount_in, fill.amount_out) == (3 * SOL, sum(out))


def test_the_amount_that_went_in_is_read_from_balances_without_fee_and_rent(world: World) -> None:
    sent, meta = world.run(
        build(
            world.wallet,
            leg(world.pool, amount=3 * SOL),
            t.Leg(HalfOut(), world.pool, True, SwapTerms(False, 450_000_000, 1)),
        )
    )
    fill = fill_of(sent, meta)
    assert (fill.amount_in, fill.amount_out) == (3 * SOL, 450_000_000)
    assert fill.fee == meta.fee > 0


def test_the_sol_that_came_out_is_read_from_balances_without_fee_and_rent(world: World) -> None:
    swapped = other_way(world)
    usdc_held(world)
    sent, meta = world.run(
        build(
            world.wallet,
            leg(swapped, amount=150_000_000),
            t.Leg(HalfOut(), swapped, True, SwapTerms(False, SOL + 7, 1)),
        )
    )
    fill = fill_of(sent, meta)
    assert (fill.amount_in, fill.amount_out) == (150_000_000, SOL + 7)
    assert world.tokens(world.own_wsol) == SOL


def test_balances_without_the_amounts_of_the_swap_raise_a_value_error(world: World) -> None:
    sent, meta = world.run(build(world.wallet, leg(world.pool)))  # nothing came out
    with pytest.raises(ValueError, match="balances"):
        fill_of(sent, meta)
    with pytest.raises(ValueError, match="another transaction"):
        fill_of(sent._replace(keys=sent.keys[1:]), meta)


class HalfOut(ToyFamily):
    """The other half: moves the output from the vault to the user."""

    def instruction(
        self, pool: Any, a_to_b: bool, terms: SwapTerms, use: SwapAccounts
    ) -> Instruction:
        instruction = super().instruction(pool, a_to_b, terms, use)
        vault, user = (AccountUse(item, False, True) for item in (pool.vault_b, use.token_out))
        return instruction._replace(accounts=(vault, user, *instruction.accounts[2:]))
