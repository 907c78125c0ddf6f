"""The chain as the stages see it, against a node that says what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from events.ids import new_order_id
from events.money import Token, by_name
from events.order import Order, Transaction
from events.secret import SecretBytes, SecretUrl
from events.types import Leg
from stages.pools.contract import RawAccount
from stages.routing.costs import Costs
from stages.runtime.stage import VenueRefusal
from stages.venues import Built, LegOutcome, Outcome, Pair
from stages.venues.solana.accounts.cache import AccountCache
from stages.venues.solana.accounts.pools_file import PoolsFile, TokenEntry
from stages.venues.solana.accounts.wallet import WalletAccounts
from stages.venues.solana.budget.consumption import Consumption
from stages.venues.solana.chain import SolanaChain
from stages.venues.solana.cluster.commitments import Commitments, Setting
from stages.venues.solana.cluster.features import Features
from stages.venues.solana.cluster.slot_time import SlotTime
from stages.venues.solana.outcomes.outcomes import Outcomes
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.link import RpcLink
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.rpc.options import CacheOptions, ChainOptions, RpcOptions
from stages.venues.solana.transaction.keypair import Wallet
from stages.venues.solana.transaction.messages import instructions_of
from stages.venues.solana.transaction.programs import CLOCK, TOKEN, WSOL, associated_account
from stages.venues.solana.venue import SolanaVenue, hop_slack_bps
from tests.support.chain.rpc_node import PATIENT, HttpError, JsonError, Node, at, rpc_node
from tests.support.chain.toy_family import (
    OWNER,
    ToyFamily,
    mint_bytes,
    pool_bytes,
    token_account_bytes,
)
from tests.support.waits import HANG_S, until

USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
POOL, VAULT_A, VAULT_B = (str(Pubkey(bytes([n]) * 32)) for n in (50, 51, 52))
POOLS = PoolsFile(
    "local",
    (TokenEntry("SOL", WSOL, 9), TokenEntry("USDC", USDC, 6)),
    {"SOL/USDC": (POOL,)},
)
NEVER_MS = 3_600_000
"""Longer than any stall of the machine."""
ORDER_ID = "0190a000-0000-7000-8000-000000000001"


def order(**fields: Any) -> Order:
    given: dict[str, Any] = {
        "token_in": "SOL", "token_out": "USDC", "decimals_in": 9, "decimals_out": 6,
        "amount_in": 10**9, "min_amount_out": 149_000_000, "dex": "raydium", "pool": POOL,
    }  # fmt: skip
    results = given | fields
    leg = Leg(
        "raydium", "toy", results["pool"], results["token_in"], results["token_out"], 9, 6,
        results["amount_in"], results["min_amount_out"] or 1, 0, False, 0, False,
    )  # fmt: skip
    return Order(ORDER_ID, legs=(leg,), **results)


class World:
    """A node with one pool, and what it says of transactions."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.slot = 1000
        self.finalized = (968, 900)
        self.first_slot = 0
        self.accounts: dict[str, RawAccount] = {
            WSOL: RawAccount(TOKEN, mint_bytes(9)),
            USDC: RawAccount(TOKEN, mint_bytes(6)),
            POOL: RawAccount(OWNER, pool_bytes(WSOL, USDC, VAULT_A, VAULT_B)),
        }
        self.lamports: dict[str, int] = {}
        self.reserves(10**12, 150 * 10**9)
        self.simulation: dict[str, Any] = {"err": None, "unitsConsumed": 50_000}
        self.statuses: dict[str, Any] = {}
        self.details: dict[str, Any] = {}
        self.sent: list[bytes] = []
        node.answers |= {
            "getMultipleAccounts": self._accounts,
            "getLatestBlockhash": lambda _: at(
                self.slot, {"blockhash": str(Pubkey(bytes([9]) * 32)), "lastValidBlockHeight": 1050}
            ),
            "simulateTransaction": lambda _: at(self.slot, self.simulation),
            "sendTransaction": self._send,
            "getSignatureStatuses": lambda p: at(
                self.slot, [self.statuses.get(item) for item in p[0]]
            ),
            "getEpochInfo": lambda _: {
                "absoluteSlot": self.finalized[0], "blockHeight": self.finalized[1],
            },
            "getTransaction": lambda p: self.details.get(p[0]),
            "getFirstAvailableBlock": lambda _: self.first_slot,
            "getMinimumBalanceForRentExemption": lambda p: (128 + p[0]) * 6_960,
        }  # fmt: skip
        rpc = RpcOptions((SecretUrl(node.url),), **PATIENT)
        self.family = ToyFamily()
        self.rpc = Rpc(RpcLink(rpc, ClusterGuard("local")))
        self.features = Features(self.rpc, "auto")
        self.wallet = Wallet(Keypair.from_seed(bytes(32)))
        self.cache = AccountCache(
            self.rpc, [self.family], POOLS, CacheOptions(slot_ms=10, stale_ms=NEVER_MS)
        )
        self.consumption = Consumption()
        self.wallet_accounts = WalletAccounts(self.rpc, self.wallet.pubkey, POOLS.tokens)
        self.options = ChainOptions(
            details_tries=2, cu_price=5, cu_margin_percent=120, stalled_ms=NEVER_MS
        )
        self.chain = self.make_chain(self.options)

    def make_chain(self, options: ChainOptions, setting: Setting = "confirmed") -> SolanaChain:
        return SolanaChain(
            self.rpc,
            self.wallet,
            self.cache,
            [self.family],
            POOLS.by_name(),
            options,
            self.features,
            commitments=Commitments(self.rpc, setting),
            consumption=self.consumption,
            wallet_accounts=self.wallet_accounts,
        )

    def reserves(self, a: int, b: int) -> None:
        for vault, mint, amount in ((VAULT_A, WSOL, a), (VAULT_B, USDC, b)):
            self.accounts[vault] = RawAccount(TOKEN, token_account_bytes(mint, OWNER, amount))

    def _accounts(self, params: Any) -> Any:
        if self.slot < params[1].get("minContextSlot", 0):
            raise JsonError(-32016, "Minimum context slot has not been reached")
        clock = self.slot.to_bytes(8, "little") + bytes(24) + (1_700_000_000).to_bytes(8, "little")
        known = self.accounts | {CLOCK: RawAccount("Sysvar", clock)}
        return at(
            self.slot,
            [
                {
                    "owner": known[name].owner,
                    "data": [b64encode(known[name].data).decode(), "base64"],
                    "lamports": self.lamports.get(name, 1),
                    "executable": False,
                }
                if name in known
                else None
                for name in params[0]
            ],
        )

    def _send(self, params: Any) -> str:
        self.sent.append(b64decode(params[0]))
        return str(VersionedTransaction.from_bytes(self.sent[-1]).signatures[0])

    def stale_after(self, stale_ms: int) -> None:
        """Data is not quoted from any more once it is so old."""
        options = msgspec.structs.replace(self.cache._options, stale_ms=stale_ms)
        self.cache._options = options

    async def stands_still(self) -> None:
        """Reads, and waits until what was read is too old to be quoted from."""
        self.stale_after(50)
        self.cache.start()
        await until(self.cache.stale)

    async def built(self, of: Order | None = None) -> Transaction:
        built = await self.chain.build_asking(of or order())
        return Transaction(
            1, built.signature, built.last_valid_height, built.raw, least_slot=built.least_slot
        )

    async def outcomes(self, *sent: Transaction) -> list[Outcome]:
        return list(await asyncio.gather(*self.chain.outcomes(sent)))

    async def outcome_with_height(self, sent: Transaction) -> Outcome:
        """The second question: the first has made the finalized height known."""
        await self.outcomes(sent)
        await self.height_known()
        return (await self.outcomes(sent))[0]

    async def height_known(self) -> None:
        await until(lambda: self.chain._outcomes._height.newest)

    def status(self, sent: Transaction, status: str, err: Any = None, slot: int = 1001) -> None:
        self.statuses[sent.signature] = {
            "slot": slot, "confirmations": 1, "err": err, "confirmationStatus": status,
        }  # fmt: skip

    def detail(self, sent: Transaction, amount_out: int, err: Any = None) -> None:
        """What the node says of a swap of 1 SOL that paid `amount_out`."""
        message = VersionedTransaction.from_bytes(sent.raw.reveal()).message
        keys = [str(pubkey) for pubkey in message.account_keys]
        parsed = next(
            swap
            for instruction in instructions_of(_v0(message))
            if (swap := self.family.parse(instruction)) is not None
        )
        pre, post = [5 * 10**9] + [0] * (len(keys) - 1), [4 * 10**9 - 5_010] + [0] * (len(keys) - 1)
        index = keys.index(parsed.accounts.token_out)
        balance = {
            "accountIndex": index, "mint": USDC, "owner": self.wallet.address,
            "uiTokenAmount": {"amount": str(7 + amount_out), "decimals": 6, "uiAmount": 1.0},
        }  # fmt: skip
        before = balance | {"uiTokenAmount": {"amount": "7"}}
        self.details[sent.signature] = {
            "slot": 1002,
            "meta": {
                "err": err, "fee": 5_010, "preBalances": pre, "postBalances": post,
                "preTokenBalances": [before], "postTokenBalances": [balance],
            },
        }  # fmt: skip


def _v0(message: Any) -> MessageV0:
    assert isinstance(message, MessageV0)
    return message


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with rpc_node() as node:
        world = World(node)
        await world.cache.refresh()
        yield world
        await world.chain.close()
        await world.cache.close()
        await world.rpc.close()


def venue_of(world: World) -> SolanaVenue:
    tokens = by_name(Token(entry.symbol, entry.decimals, entry.mint) for entry in POOLS.tokens)
    programs = {entry.mint: entry.program_id for entry in POOLS.tokens}
    return SolanaVenue(
        world.cache, tokens, programs, [world.family.dex], Costs(0, WSOL, ()),
        max_price_impact_bps=1000,
    )  # fmt: skip


# -- a slot that another process has seen ----------------------------------------------------------


async def test_quotes_and_builds_wait_for_a_pool_that_only_the_watcher_has_seen(
    world: World,
) -> None:
    world.slot, pool = 1001, world.accounts.pop(POOL)
    await world.cache.refresh()
    triggered = order(type="sniper", triggered=True, watch_slot=1002)
    quoting = asyncio.ensure_future(_answer(venue_of(world).quotes(triggered)))
    building = asyncio.ensure_future(world.chain.build_asking(triggered))
    done, _ = await asyncio.wait([quoting, building], timeout=0.05)
    assert not done
    world.accounts[POOL] = pool
    world.slot = 1002
    [quote] = await asyncio.wait_for(quoting, HANG_S)
    assert (quote.pool, quote.slot, quote.error) == (POOL, 1002, "")
    await asyncio.wait_for(building, HANG_S)


async def test_an_order_of_a_slot_that_never_arrives_is_refused_as_stale(world: World) -> None:
    world.stale_after(50)
    triggered = order(type="sniper", triggered=True, watch_slot=1001)
    for asked in (_answer(venue_of(world).quotes(triggered)), world.chain.build_asking(triggered)):
        with pytest.raises(VenueRefusal) as refused:
            await asked
        assert (refused.value.code, refused.value.retryable) == ("quotes-stale", True)


async def _answer(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


# -- the account cache -----------------------------------------------------------------------------


async def test_a_pool_is_read_whole_from_one_answer_with_the_clock_of_its_slot(
    world: World,
) -> None:
    quotable = world.cache.quotable(POOL)
    assert (quotable.pool.reserve_a, quotable.pool.reserve_b) == (10**12, 150 * 10**9)
    assert (quotable.clock.slot, quotable.clock.time_s) == (1000, 1_700_000_000)
    assert [name for name, _ in world.node.params[-2:]] == ["getMultipleAccounts"] * 2
    mints = sorted(POOLS.mints_of_pools()[POOL])
    assert world.node.params[-1][1][0] == [POOL, *mints, VAULT_A, VAULT_B, CLOCK]


async def test_one_read_per_slot_serves_all_and_decodes_only_changed_accounts(world: World) -> None:
    decoded = world.family.decoded
    asked = world.node.asked["getMultipleAccounts"]
    for _ in range(5):
        world.slot += 1
        await world.cache.refresh()
        for _ in range(10):
            world.cache.quotable(POOL)
    assert world.node.asked["getMultipleAccounts"] == asked + 5
    assert world.family.decoded == decoded
    world.reserves(2 * 10**12, 300 * 10**9)
    world.slot += 1
    await world.cache.refresh()
    assert world.family.decoded == decoded + 1
    assert world.cache.quotable(POOL).pool.reserve_a == 2 * 10**12
    assert world.cache.quotable(POOL).clock.slot == 1006


async def test_next_slot_waits_for_the_next_slot(world: World) -> None:
    waiting = asyncio.ensure_future(world.cache.next_slot(1000))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    world.slot = 1003
    assert await asyncio.wait_for(waiting, HANG_S) == 1003


async def test_data_of_a_stalled_chain_is_not_quoted(world: World) -> None:
    await world.stands_still()
    with pytest.raises(VenueRefusal) as refused:
        world.cache.quotable(POOL)
    assert (refused.value.code, refused.value.retryable) == ("pool-data-stale", True)

    def quotable() -> bool:
        world.slot += 1
        with contextlib.suppress(VenueRefusal):
            return world.cache.quotable(POOL).clock.slot > 1000
        return False

    await until(quotable, "quotes, once the chain continues")


async def test_the_cache_outlives_its_nodes(world: World) -> None:
    world.node.fault = "500"
    await world.stands_still()
    with pytest.raises(VenueRefusal, match="pool-data-stale"):
        world.cache.quotable(POOL)
    world.node.fault = ""
    world.slot += 1
    assert await asyncio.wait_for(world.cache.next_slot(1000), HANG_S) == 1001


async def test_a_lagging_node_does_not_move_the_slot_back(world: World) -> None:
    world.slot = 990
    with pytest.raises(VenueRefusal):
        await world.cache.refresh()
    assert world.cache.slot() == 1000


@pytest.mark.parametrize(
    ("name", "account", "code"),
    [
        (POOL, None, "pool-not-found"),
        (POOL, RawAccount("Stranger", b"TOYPOOL!"), "pool-of-no-known-program"),
        (POOL, RawAccount(OWNER, b"TOYPOOL!"), "pool-unreadable"),
        (
            POOL,
            RawAccount(OWNER, pool_bytes(USDC, CLOCK, VAULT_A, VAULT_B)),
            "pool-of-other-tokens",
        ),
        (VAULT_A, None, "pool-unreadable"),
    ],
)
async def test_an_account_that_is_not_a_pool_is_refused_until_it_becomes_one(
    world: World, name: str, account: RawAccount | None, code: str
) -> None:
    good = world.accounts.pop(name)
    if account is not None:
        world.accounts[name] = account
    await world.cache.refresh()
    with pytest.raises(VenueRefusal) as refused:
        world.cache.quotable(POOL)
    assert refused.value.code == code
    world.accounts[name] = good
    await world.cache.refresh()
    assert world.cache.quotable(POOL).pool.reserve_a == 10**12


async def test_a_mint_with_other_decimals_than_the_pools_file_disables_its_pools() -> None:
    async with rpc_node() as node:
        world = World(node)
        world.accounts[USDC] = RawAccount(TOKEN, mint_bytes(9))
        await world.cache.refresh()
        with pytest.raises(VenueRefusal, match="token-decimals-mismatch"):
            world.cache.quotable(POOL)
        await world.rpc.close()


# -- building --------------------------------------------------------------------------------------


async def test_a_transaction_is_built_with_the_limit_that_its_simulation_gives(
    world: World,
) -> None:
    built = await world.chain.build_asking(order())
    assert isinstance(built, Built)
    parsed = VersionedTransaction.from_bytes(built.raw.reveal())
    assert parsed.verify_with_results() == [True]
    assert (built.signature, built.last_valid_height) == (str(parsed.signatures[0]), 1050)
    instructions = instructions_of(_v0(parsed.message))
    assert instructions[0].data == b"\x02" + (60_000).to_bytes(4, "little")
    assert instructions[1].data == b"\x03" + (5).to_bytes(8, "little")
    assert instructions[2].data.decode() == ORDER_ID


@pytest.mark.parametrize(("simulates", "limit"), [(True, 80_000), (False, 120_000)])
async def test_a_swap_that_crosses_ticks_may_cross_one_more(
    world: World, simulates: bool, limit: int
) -> None:
    world.family.cu_step = 20_000
    if not simulates:
        world.simulation = {"err": None}
    built = await world.chain.build_asking(order())
    first = instructions_of(_v0(VersionedTransaction.from_bytes(built.raw.reveal()).message))[0]
    assert int.from_bytes(first.data[1:], "little") == limit


async def test_a_simulated_transaction_is_not_signed(world: World) -> None:
    await world.chain.build_asking(order())
    (raw,) = [p[0] for name, p in world.node.params if name == "simulateTransaction"]
    parsed = VersionedTransaction.from_bytes(b64decode(raw))
    assert parsed.signatures == [Signature.default()]


async def test_a_refusal_of_the_simulation_is_a_named_reason_and_nothing_is_signed(
    world: World,
) -> None:
    world.simulation = {"err": {"InstructionError": [6, {"Custom": 6005}]}}
    with pytest.raises(VenueRefusal) as refused:
        await world.chain.build_asking(order())
    assert (refused.value.code, refused.value.retryable) == ("slippage-exceeded", True)


@pytest.mark.parametrize(
    ("err", "code", "retryable"),
    [
        ({"InstructionError": [6, {"Custom": 6000}]}, "pool-disabled", True),
        ("MaxLoadedAccountsDataSizeExceeded", "transaction-too-large", True),
        ({"InstructionError": [4, {"Custom": 1}]}, "insufficient-funds", False),
        ({"InstructionError": [6, {"Custom": 1}]}, "insufficient-liquidity", True),
        ("InsufficientFundsForFee", "insufficient-funds", False),
    ],
)
async def test_a_failed_simulation_is_retryable_unless_the_wallet_is_the_cause(
    world: World, err: Any, code: str, retryable: bool
) -> None:
    world.simulation = {"err": err}
    with pytest.raises(VenueRefusal) as refused:
        await world.chain.build_asking(order())
    assert (refused.value.code, refused.value.retryable) == (code, retryable)


@pytest.mark.parametrize(("held", "retryable"), [(10**6, True), (10**6 - 1, False)])
async def test_a_wallet_that_holds_the_amount_is_not_short(
    world: World, held: int, retryable: bool
) -> None:
    paid = order(token_in="USDC", token_out="SOL", decimals_in=6, decimals_out=9, amount_in=10**6)
    await world.chain.build_asking(paid)
    (raw,) = [p[0] for name, p in world.node.params if name == "simulateTransaction"]
    keys = [
        str(pubkey)
        for pubkey in VersionedTransaction.from_bytes(b64decode(raw)).message.account_keys
    ]
    account = str(associated_account(world.wallet.pubkey, USDC, TOKEN))
    balance = {
        "accountIndex": keys.index(account), "mint": USDC, "uiTokenAmount": {"amount": str(held)},
    }  # fmt: skip
    world.simulation = {
        "err": {"InstructionError": [5, {"Custom": 1}]}, "preTokenBalances": [balance],
    }  # fmt: skip
    with pytest.raises(VenueRefusal) as refused:
        await world.chain.build_asking(paid)
    assert refused.value.retryable is retryable


async def test_a_pool_that_can_be_quoted_no_more_sends_the_order_to_another_route(
    world: World,
) -> None:
    del world.accounts[POOL]
    await world.cache.refresh()
    with pytest.raises(VenueRefusal) as refused:
        await world.chain.build_asking(order())
    assert (refused.value.code, refused.value.retryable) == ("pool-not-found", True)


async def test_a_token_without_pools_affects_only_its_own_orders(world: World) -> None:
    tokens = by_name(
        Token(token_entry.symbol, token_entry.decimals, token_entry.mint)
        for token_entry in POOLS.tokens
    )
    programs = {token_entry.mint: token_entry.program_id for token_entry in POOLS.tokens}
    costs = Costs(0, WSOL, (WSOL,))
    venue = SolanaVenue(world.cache, tokens, programs, ["toy"], costs, max_price_impact_bps=1_000)
    gone = Pair("SOL", "GONE", 9, 6)
    assert (venue.ticks(gone, 0, 9_999), venue.pools(gone, 0, 9_999)) == ([], [])
    with pytest.raises(VenueRefusal, match="no-route: GONE"):
        venue.quotes(order(token_out="GONE"))


def test_a_large_slippage_leaves_little_of_the_amount_unswapped() -> None:
    assert [hop_slack_bps(bps) for bps in (0, 50, 200, 5_000)] == [10, 25, 100, 100]


async def test_a_node_that_does_not_simulate_costs_a_higher_limit_only(world: World) -> None:
    def refuse(_: Any) -> Any:
        raise JsonError(-32601, "Method not found")

    world.node.answers["simulateTransaction"] = refuse
    built = await world.chain.build_asking(order())
    limit = instructions_of(_v0(VersionedTransaction.from_bytes(built.raw.reveal()).message))[
        0
    ].data[1:]
    assert int.from_bytes(limit, "little") == 100_000


@pytest.mark.parametrize("held", [False, True])
async def test_the_smaller_form_is_used_where_the_user_keeps_no_wrapped_sol(
    world: World, held: bool
) -> None:
    own = associated_account(world.wallet.pubkey, WSOL, TOKEN)
    if held:
        kept = token_account_bytes(WSOL, world.wallet.address, 1, native=True)
        world.accounts[str(own)] = RawAccount(TOKEN, kept)
    long = order()
    long.id = "x" * 660  # as much as a second leg takes
    if held:
        with pytest.raises(VenueRefusal, match="transaction-too-large"):
            await world.chain.build_asking(long)
        return
    raw = (await world.chain.build_asking(long)).raw.reveal()
    assert own in VersionedTransaction.from_bytes(raw).message.account_keys
    assert (
        own
        not in VersionedTransaction.from_bytes(
            (await world.chain.build_asking(order())).raw.reveal()
        ).message.account_keys
    )


async def test_orders_built_together_share_only_a_blockhash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "stages.venues.solana.cluster.blockhashes.blockhash_shared_s", lambda _: HANG_S
    )
    orders = [order() for _ in range(20)]
    for number, item in enumerate(orders):
        item.id = f"order-{number}"
    built = await asyncio.gather(*(world.chain.build_asking(order) for order in orders))
    assert len({each.signature for each in built}) == 20
    assert world.node.asked["getLatestBlockhash"] == 1


@pytest.mark.parametrize(
    ("before", "fresh"), [({}, False), ({"attempts": 1}, True), ({"signature": "s"}, True)]
)
async def test_a_later_transaction_has_a_blockhash_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, before: dict[str, Any], fresh: bool
) -> None:
    """It lives as long as it can, from when it was built."""
    asked: list[bool] = []
    recent = world.chain._blockhashes.recent

    async def counted(*, fresh: bool) -> Any:
        asked.append(fresh)
        return await recent(fresh=fresh)

    monkeypatch.setattr(world.chain._blockhashes, "recent", counted)
    await world.built(order(**before))
    assert asked == [fresh]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"min_amount_out": None}, "no-minimum"),
        ({"pool": VAULT_A}, "no-route"),
        ({"token_in": "RAY"}, "no-route"),
        ({"token_out": "SOL"}, "no-route"),
    ],
)
async def test_a_route_that_cannot_be_swapped_is_not_built(
    world: World, fields: dict[str, Any], code: str
) -> None:
    with pytest.raises(VenueRefusal) as refused:
        await world.chain.build_asking(order(**fields))
    assert refused.value.code == code


# -- sending ---------------------------------------------------------------------------------------


async def test_a_transaction_that_cannot_be_sent_does_not_delay_the_others(world: World) -> None:
    raws = [(await world.built(order(amount_in=n + 1))).raw for n in range(5)]
    send = world.node.answers["sendTransaction"]

    def picky(params: Any) -> Any:
        if b64decode(params[0]) == raws[1].reveal():
            raise JsonError(-32602, "no")
        return send(params)

    world.node.answers["sendTransaction"] = picky
    with pytest.raises(VenueRefusal):
        await world.chain.send(raws)
    assert sorted(world.sent) == sorted(raw.reveal() for raw in (raws[0], *raws[2:]))


# -- outcomes --------------------------------------------------------------------------------------


async def test_status_queries_of_one_loop_turn_share_requests_of_up_to_256(world: World) -> None:
    transaction = await world.built()
    sent = [
        msgspec.structs.replace(transaction, signature=str(Signature(n.to_bytes(64, "big"))))
        for n in range(300)
    ]
    halves = [world.outcomes(*sent[:150]), world.outcomes(*sent[150:])]
    told = [outcome for half in await asyncio.gather(*halves) for outcome in half]
    assert [outcome.state for outcome in told] == ["absent"] * 300
    asked = [len(p[0]) for name, p in world.node.params if name == "getSignatureStatuses"]
    assert asked == [256, 44]


async def test_a_landed_swap_is_reported_with_the_amount_received(world: World) -> None:
    sent = await world.built()
    world.status(sent, "confirmed")
    world.detail(sent, 149_850_000)
    took = Outcome(
        "landed", 149_850_000, 1002, amount_in=10**9, fee_lamports=5_010, legs=(LegOutcome(0, 0),)
    )
    assert await world.outcomes(sent) == [took]


async def test_amounts_that_are_not_available_yet_are_reported_later(world: World) -> None:
    sent = await world.built()
    world.status(sent, "confirmed")
    assert await world.outcomes(sent) == [Outcome("unknown", reason="details-not-available")]
    world.details[sent.signature] = {"slot": 1002, "meta": None}
    assert (await world.outcomes(sent))[0].state == "unknown"
    old = replace(sent, submitted_at_us=1)  # by now waiting will not help
    landed = "it landed in slot 1001, and no node shows its balances"
    assert await world.outcomes(old) == [
        Outcome("unknown", reason="details-not-available", detail=landed)
    ]
    world.detail(sent, 0)
    [unclear] = await world.outcomes(sent)
    assert (unclear.state, unclear.reason) == ("unknown", "details-unclear")
    assert unclear.detail.startswith("it landed in slot 1002: the balances say")
    world.detail(sent, 149_850_000)
    assert (await world.outcomes(sent))[0].state == "landed"


async def test_a_transaction_that_is_only_processed_has_no_outcome(world: World) -> None:
    sent = await world.built()
    for err in (None, "AccountInUse"):
        world.status(sent, "processed", err)
        assert await world.outcomes(sent) == [Outcome("absent")]


async def test_a_fill_waits_for_the_commitment_that_was_asked_for(world: World) -> None:
    sent = await world.built()
    world.detail(sent, 149_850_000)
    world.status(sent, "confirmed")
    strict = world.make_chain(ChainOptions(), "finalized")
    assert await asyncio.gather(*strict.outcomes([sent])) == [Outcome("absent")]
    world.status(sent, "finalized")
    assert (await asyncio.gather(*strict.outcomes([sent])))[0].state == "landed"
    await strict.close()


async def test_a_failure_is_reported_once_it_is_finalized(world: World) -> None:
    sent = await world.built()
    err = {"InstructionError": [6, {"Custom": 6005}]}
    world.status(sent, "confirmed", err)
    assert await world.outcomes(sent) == [Outcome("absent")]
    world.status(sent, "finalized", err)
    assert await world.outcomes(sent) == [Outcome("unknown", reason="details-not-available")]
    world.detail(sent, 0, err)
    lost = Outcome("failed", slot=1002, reason="slippage-exceeded", fee_lamports=5_010)
    assert await world.outcomes(sent) == [lost]


async def test_a_programs_own_name_of_its_error_counts_more_than_its_number(world: World) -> None:
    sent = await world.built()
    err = {"InstructionError": [6, {"Custom": 6001}]}
    world.status(sent, "finalized", err)
    world.detail(sent, 0, err)
    name = world.family.too_little_out
    log = f"Program log: AnchorError occurred. Error Code: {name}. Error Number: 6001."
    world.details[sent.signature]["meta"]["logMessages"] = [log]
    assert [outcome.reason for outcome in await world.outcomes(sent)] == ["slippage-exceeded"]


async def test_a_fork_between_two_answers_leaves_the_transaction_absent(world: World) -> None:
    sent = await world.built()
    world.status(sent, "confirmed")
    world.detail(sent, 1, err={"InstructionError": [6, {"Custom": 6005}]})
    assert await world.outcomes(sent) == [Outcome("absent")]
    world.statuses.clear()  # the fork dropped it: nothing is sure, and nothing is lost
    world.finalized = (968, 900)
    assert (await world.outcome_with_height(sent)).finalized_height < sent.last_valid_height


async def test_death_is_proved_by_a_height_that_was_read_before_the_status(world: World) -> None:
    sent = await world.built()
    world.slot, world.finalized = 1200, (1150, 1051)
    prompt = world.node.answers["getSignatureStatuses"]

    async def slow(params: Any) -> Any:
        """Answers when the height, which was asked for at the same time, is long known."""
        await world.height_known()
        return prompt(params)

    world.node.answers["getSignatureStatuses"] = slow
    (first,) = await world.outcomes(sent)
    assert first == Outcome("absent")  # no height was known when the question was asked
    world.node.answers["getSignatureStatuses"] = prompt
    proof = await world.outcome_with_height(sent)
    assert proof == Outcome("absent", finalized_height=1051)


def others(sent: Transaction, number: int) -> list[Transaction]:
    """As many transactions that differ in their signatures alone."""
    return [
        msgspec.structs.replace(sent, signature=str(Signature.new_unique())) for _ in range(number)
    ]


@pytest.mark.parametrize("number", [3, 600])
@pytest.mark.parametrize("landed_at", [0, 1, -1])
async def test_of_many_that_may_be_dead_each_is_judged_by_its_own_status(
    world: World, number: int, landed_at: int
) -> None:
    """One of them lands between the question that finds it absent and the proof."""
    sent = others(await world.built(), number)
    world.slot, world.finalized = 1200, (1150, 1051)
    await world.outcome_with_height(sent[0])
    landed = sent[landed_at]
    asked: set[str] = set()

    def status(params: Any) -> Any:
        again = asked.issuperset(params[0])
        asked.update(params[0])
        there = {"slot": 990, "confirmations": None, "err": None,
                 "confirmationStatus": "finalized"}  # fmt: skip
        results = [there if again and param == landed.signature else None for param in params[0]]
        return at(1200, results)

    world.node.answers["getSignatureStatuses"] = status
    outcomes = await world.outcomes(*sent)
    dead = Outcome("absent", finalized_height=1051)
    alive = [n for n, outcome in enumerate(outcomes) if outcome != dead]
    assert alive == [landed_at % number]
    assert outcomes[landed_at] == Outcome("absent")


async def test_of_many_asked_at_once_each_has_its_own_outcome(world: World) -> None:
    """Landed, failed, under way, absent and dead in one question, in any order."""
    sent = others(await world.built(), 300)
    world.slot, world.finalized = 1200, (1150, 1051)
    await world.outcome_with_height(sent[0])
    err = {"InstructionError": [6, {"Custom": 6005}]}
    for n, transaction in enumerate(sent):
        match n % 4:
            case 0:
                world.status(transaction, "finalized")
                world.detail(transaction, 1_000 + n)
            case 1:
                world.status(transaction, "finalized", err)
                world.detail(transaction, 0, err)
            case 2:
                world.status(transaction, "processed")
    shuffled = list(sent)
    random.Random(7).shuffle(shuffled)
    results = dict(
        zip((item.signature for item in shuffled), await world.outcomes(*shuffled), strict=True)
    )
    for n, transaction in enumerate(sent):
        outcome = results[transaction.signature]
        match n % 4:
            case 0:
                assert (outcome.state, outcome.amount_out) == ("landed", 1_000 + n)
            case 1:
                assert (outcome.state, outcome.reason) == ("failed", "slippage-exceeded")
            case 2:
                assert outcome == Outcome("absent")
            case 3:
                assert outcome == Outcome("absent", finalized_height=1051)


async def test_a_node_that_lags_behind_the_finalized_slot_proves_nothing(world: World) -> None:
    sent = await world.built()
    world.finalized, world.slot = (1150, 1051), 1149
    assert (await world.outcome_with_height(sent)).finalized_height == 0
    world.slot = 1150
    assert (await world.outcomes(sent))[0].finalized_height == 1051


@pytest.mark.parametrize(
    ("least_slot", "first_slot", "height"),
    [
        (1000, 0, 1051), (1000, 968, 1051), (1000, 969, 0), (1000, 1149, 0),
        (0, 848, 1051), (0, 849, 0), (0, 1149, 0),
    ],
)  # fmt: skip
async def test_a_node_that_was_restored_since_the_transaction_was_made_proves_nothing(
    world: World, least_slot: int, first_slot: int, height: int
) -> None:
    """It would say the same of one that landed before its snapshot."""
    sent = replace(await world.built(), least_slot=least_slot)
    world.slot, world.finalized, world.first_slot = 1200, (1150, 1051), first_slot
    outcome = await world.outcome_with_height(sent)
    assert outcome.finalized_height == height
    if not height:  # no waiting brings back those blocks: an operator is told
        assert (outcome.state, outcome.reason) == ("unknown", "history-too-short")
        assert f"blocks begin at slot {first_slot}" in outcome.detail


async def test_skipped_slots_do_not_make_a_restored_node_a_witness(world: World) -> None:
    """A cluster that stood still passes thousands of slots in which no height is reached."""
    sent = await world.built()
    assert sent.least_slot == 1000
    world.slot, world.finalized = 901_200, (901_150, 1051)
    world.first_slot = 900_000  # restored when the cluster resumed: it lacks the block of slot 1002
    assert (await world.outcome_with_height(sent)).finalized_height == 0
    world.first_slot = 900
    assert (await world.outcomes(sent))[0].finalized_height == 1051


async def test_a_status_query_is_repeated_after_429_and_503(world: World) -> None:
    """Were it not, every busy moment of a node would be a doubt."""
    world.node.faults = ["429", "503", "429"]
    [(first_slot, statuses)] = await world.rpc.get_statuses_and_memory(["a"])
    assert (first_slot, statuses.value) == (0, [None])


async def test_both_of_two_nodes_have_to_report_a_transaction_as_missing(world: World) -> None:
    """One may have a gap in its ledger, and knows nothing of that."""
    sent = await world.built()
    world.slot, world.finalized = 1200, (1150, 1051)
    async with rpc_node() as other:
        other.answers |= world.node.answers
        urls = RpcOptions((SecretUrl(world.node.url), SecretUrl(other.url)), **PATIENT)
        rpc = Rpc(RpcLink(urls, ClusterGuard("local")))
        outcomes = Outcomes(
            rpc, [world.family], ChainOptions(stalled_ms=NEVER_MS), SlotTime(10),
            Commitments(rpc, "confirmed"),
        )  # fmt: skip

        async def told() -> Outcome:
            [outcome] = await asyncio.gather(*outcomes.ask([sent]))
            return outcome

        assert await told() == Outcome("absent"), "no height was known when it was asked"
        await until(lambda: outcomes._height.newest)
        assert await told() == Outcome("absent", finalized_height=1051)
        landed = {"slot": 990, "confirmations": None, "err": None,
                  "confirmationStatus": "finalized"}  # fmt: skip
        other.answers["getSignatureStatuses"] = lambda p: at(1200, [landed] * len(p[0]))
        assert await told() == Outcome("absent"), "nothing is proved"
        other.fault = "503"  # one witness is not enough where there are two: people are told so
        assert await told() == Outcome("unknown", reason="too-few-witnesses")
        other.fault = ""

        def lacks(_: Any) -> Any:
            raise JsonError(-32601, "Method not found")

        for method in ("getFirstAvailableBlock", "getBlocks", "minimumLedgerSlot"):
            other.answers[method] = lacks
        while not (outcome := await told()).detail:
            assert outcome.finalized_height == 0, "one witness is not enough"
        assert outcome.reason == "too-few-witnesses"
        assert "getFirstAvailableBlock: 127.0.0.1: -32601" in outcome.detail
        await outcomes.close()
        await rpc.close()


async def test_a_witness_that_lost_its_history_is_named(world: World) -> None:
    """It was restored since: no waiting makes it a witness, so an operator has to know."""
    sent = await world.built()
    world.slot, world.finalized = 1200, (1150, 1051)
    async with rpc_node() as other:
        other.answers |= world.node.answers
        other.answers["getFirstAvailableBlock"] = lambda _: 1149
        urls = RpcOptions((SecretUrl(world.node.url), SecretUrl(other.url)), **PATIENT)
        rpc = Rpc(RpcLink(urls, ClusterGuard("local")))
        outcomes = Outcomes(
            rpc, [world.family], ChainOptions(), SlotTime(10), Commitments(rpc, "confirmed")
        )
        outcome = Outcome("absent")

        async def height_is_read() -> bool:
            nonlocal outcome
            [outcome] = await asyncio.gather(*outcomes.ask([sent]))
            return outcome.state != "absent"

        await until(height_is_read)
        await outcomes.close()
        await rpc.close()
    assert (outcome.state, outcome.reason) == ("unknown", "too-few-witnesses")
    assert "blocks begin at slot 1149, slot 968 is needed" in outcome.detail


@pytest.mark.parametrize("sent_at_us", [1, 2**52], ids=["long ago", "by a clock ahead"])
async def test_unreadable_finality_puts_old_transactions_in_doubt(
    world: World, sent_at_us: int
) -> None:
    """Statuses are answered, the height is not: nothing tells whether an absent one is dead."""

    def down(_: Any) -> Any:
        raise HttpError(503)

    for method in ("getEpochInfo", "getSlot", "getBlockHeight"):
        world.node.answers[method] = down
    young = await world.built()
    old = replace(young, submitted_at_us=sent_at_us)

    async def doubted() -> bool:
        world.slot += 1
        return (await world.outcomes(old))[0] != Outcome("absent")

    await until(doubted)
    world.slot += 1
    assert await world.outcomes(old, young) == [
        Outcome("unknown", reason="venue-unavailable"), Outcome("absent"),
    ]  # fmt: skip


async def test_a_chain_that_finalizes_nothing_is_in_doubt_though_its_slots_advance(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = await world.built()
    old = replace(young, submitted_at_us=1)
    assert await world.outcome_with_height(old) == Outcome("absent"), "it resumed a moment ago"
    monkeypatch.setattr("stages.venues.solana.outcomes.finalized.DOUBT_AFTER_S", 0.0)
    told = []
    for _ in range(2):
        world.slot += 1
        told.append(await world.outcomes(old, young))
    assert told[-1] == [Outcome("unknown", reason="chain-stalled"), Outcome("absent")]


async def test_a_node_whose_genesis_hash_changed_proves_nothing(world: World) -> None:
    """The node was accepted earlier. Another chain does not know the transaction."""
    sent = await world.built()
    world.slot, world.finalized = 1200, (1150, 1051)
    ours = world.node.answers["getGenesisHash"]
    world.node.answers["getGenesisHash"] = lambda _: str(Pubkey(bytes([7]) * 32))
    outcome = await world.outcome_with_height(sent)
    assert (outcome.state, outcome.finalized_height) == ("unknown", 0)
    world.node.answers["getGenesisHash"] = ours

    async def proven() -> bool:
        return bool((await world.outcomes(sent))[0].finalized_height)

    await until(proven)


async def test_a_node_is_asked_for_blocks_as_old_as_the_oldest_of_a_call_needs(
    world: World,
) -> None:
    """One that only tells which blocks of a span it has is asked for one span."""
    built = [await world.built(replace(order(), id=new_order_id())) for _ in range(2)]
    sent = [replace(built[0], least_slot=500_000), replace(built[1], least_slot=1000)]
    world.slot, world.finalized = 901_200, (901_150, 1051)

    def lacks(_: Any) -> Any:
        raise JsonError(-32601, "Method not found")

    world.node.answers["getFirstAvailableBlock"] = lacks
    world.node.answers["getBlocks"] = lambda p: [*range(p[0], p[1] + 1)]
    await world.outcomes(*sent)
    await world.height_known()
    assert [outcome.finalized_height for outcome in await world.outcomes(*sent)] == [1051, 1051]


async def test_a_node_that_knows_a_transaction_outweighs_all_that_do_not(world: World) -> None:
    sent = await world.built()
    world.slot, world.finalized = 1200, (1150, 1051)
    landed = {"slot": 990, "confirmations": None, "err": None, "confirmationStatus": "finalized"}
    async with rpc_node() as second, rpc_node() as third:
        second.answers |= world.node.answers
        third.answers |= world.node.answers | {
            "getSignatureStatuses": lambda p: at(1200, [landed] * len(p[0]))
        }
        nodes = (world.node, second, third)
        urls = RpcOptions(tuple(SecretUrl(node.url) for node in nodes), **PATIENT)
        rpc = Rpc(RpcLink(urls, ClusterGuard("local")))
        outcomes = Outcomes(
            rpc, [world.family], ChainOptions(stalled_ms=NEVER_MS), SlotTime(10),
            Commitments(rpc, "confirmed"),
        )  # fmt: skip
        await asyncio.gather(*outcomes.ask([sent]))
        await until(lambda: outcomes._height.newest)
        [outcome] = await asyncio.gather(*outcomes.ask([sent]))
        assert outcome == Outcome("absent"), "nothing is proved"
        await outcomes.close()
        await rpc.close()


@pytest.mark.parametrize("young", [0, 1])
async def test_each_doubtful_transaction_of_a_call_needs_its_own_blocks(
    world: World, young: int
) -> None:
    built = [await world.built(replace(order(), id=new_order_id())) for _ in range(2)]
    sent = [replace(transaction, least_slot=500) for transaction in built]
    sent[young] = replace(sent[young], least_slot=1000)
    world.slot, world.finalized, world.first_slot = 1200, (1150, 1051), 800
    await world.outcomes(*sent)
    await world.height_known()
    outcomes = await world.outcomes(*sent)
    assert outcomes[young].finalized_height == 1051
    assert (outcomes[1 - young].state, outcomes[1 - young].finalized_height) == ("unknown", 0)


async def test_a_node_without_history_proves_nothing(world: World) -> None:
    sent = await world.built()
    world.slot, world.finalized = 1200, (1150, 1051)
    await world.outcome_with_height(sent)

    def refuse(_: Any) -> Any:
        raise JsonError(-32011, "Transaction history is not available from this node")

    world.node.answers["getSignatureStatuses"] = refuse
    [outcome] = await world.outcomes(sent)
    assert (outcome.state, outcome.reason) == ("unknown", "method-not-served")
    assert "getSignatureStatuses: 127.0.0.1: -32011 Transaction history" in outcome.detail


@pytest.mark.parametrize("fault", ["hang", "500", "429 30", "garbage", "drop"])
async def test_nodes_that_do_not_answer_leave_an_outcome_unknown_in_time(
    world: World, fault: str
) -> None:
    """By the deadline of a call where nothing else would end it."""
    sent = await world.built()
    world.node.fault = fault
    if fault == "hang":
        link = world.rpc._link
        link._options = msgspec.structs.replace(link._options, deadline_s=0.3)
    async with asyncio.timeout(HANG_S):
        assert await world.outcomes(sent) == [Outcome("unknown", reason="venue-unavailable")]


async def test_a_malformed_transaction_does_not_affect_the_answers_of_others(
    world: World,
) -> None:
    sent = await world.built()
    other = Transaction(1, "not base58 0OIl", 1, SecretBytes(b"simulated"))
    told = await world.outcomes(other, sent)
    assert [outcome.state for outcome in told] == ["unknown", "absent"]


async def test_a_cancelled_wait_for_a_shared_request_cancels_no_other(world: World) -> None:
    sent: Sequence[Transaction] = [await world.built() for _ in range(2)]
    first, second = world.chain.outcomes(sent)
    first.cancel()
    assert (await second).state == "absent"
