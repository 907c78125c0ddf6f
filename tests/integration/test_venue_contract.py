"""What every option of VENUES keeps: the market that quotes and the chain that carries."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.localnet.genesis.market import PoolPlan
from engine.settings import Settings
from engine.venues import Trading, open_trading
from events import best_quote, money
from events.ids import new_order_id
from events.order import Order, Transaction, evolve
from events.types import U64_MAX, Event, OrderRearmed, OrderRouted, Quote, Status
from stages import router
from stages.runtime.stage import VenueRefusal
from stages.venues import Outcome, Pair
from stages.venues.simulated.venue import TOKENS
from tests.support.chain.chain_crew import local_chain, settings_of
from tests.support.chain.localchain import FAMILY_NAMES, mint_of, plan_of
from tests.support.pools import token_2022 as t22
from tests.support.waits import HANG_S, until

SOL, USDC = 10**9, 10**6
PAIR = Pair("SOL", "USDC", 9, 6)
CHAINS = ("raydium,meteora", "raydium", "meteora")


@contextlib.asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[Trading]:
    settings = Settings(
        venues=("simulated",), data_dir=folder, slot_ms=5, blockhash_slots=4000, venue_latency_ms=0
    )
    yield open_trading(settings, signs=True)


@contextlib.asynccontextmanager
async def on_chain(folder: Path, venues: str) -> AsyncIterator[Trading]:
    async with local_chain(folder / "chain") as local:
        trading = open_trading(
            settings_of(folder, local, venues=tuple(venues.split(","))), signs=True
        )
        async with trading.live(True):
            await trading.ready()
            yield trading


@pytest.fixture(params=["simulated", *CHAINS])
async def trading(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Trading]:
    """Each option in turn."""
    name = request.param
    async with simulated(tmp_path) if name == "simulated" else on_chain(tmp_path, name) as trading:
        yield trading


def order(**fields: Any) -> Order:
    given: dict[str, Any] = {
        "token_in": "SOL", "token_out": "USDC", "decimals_in": 9, "decimals_out": 6,
        "amount_in": SOL, "slippage_bps": 100, "status": Status.ROUTING,
    }  # fmt: skip
    return Order(new_order_id(), **(given | fields))


async def quoted(trading: Trading, of: Order) -> tuple[Quote, ...]:
    return await trading.market.ask(of)


def assert_can_be_recorded(quotes: Sequence[Quote]) -> None:
    for quote in quotes:
        msgspec.msgpack.encode(quote)
        amounts = [quote.amount_in, quote.amount_out, quote.fee, quote.cost]
        amounts += [n for leg in quote.legs for n in (leg.amount_in, leg.amount_out, leg.fee)]
        assert all(0 <= amount <= U64_MAX for amount in amounts), quote


async def test_an_exact_input_is_quoted_with_all_that_a_decision_needs(trading: Trading) -> None:
    quotes = await quoted(trading, order())
    chosen = best_quote.best(quotes, exact_out=False)
    assert chosen is not None
    best = quotes[chosen]
    assert best.amount_in <= SOL
    assert best.amount_out > 100 * USDC
    assert best.fee > 0
    assert abs(best.slot - trading.market.slot()) < 200
    assert best.dex
    assert best.pool
    assert_can_be_recorded(quotes)


async def test_the_best_exact_output_quote_has_the_least_input(trading: Trading) -> None:
    quotes = await quoted(trading, order(amount_in=0, exact_amount_out=100 * USDC))
    chosen = best_quote.best(quotes, exact_out=True)
    assert chosen is not None
    assert quotes[chosen].amount_out == 100 * USDC
    assert SOL // 2 < quotes[chosen].amount_in < SOL
    back = await quoted(trading, order(amount_in=quotes[chosen].amount_in))
    assert max(quote.amount_out for quote in back) >= 95 * USDC
    assert_can_be_recorded(quotes)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount_in": 1},
        {"amount_in": U64_MAX},
        {"amount_in": 0, "exact_amount_out": 1},
        {"amount_in": 0, "exact_amount_out": U64_MAX},
        {"amount_in": 0, "exact_amount_out": 10**13},
        {"token_out": "BONK", "decimals_out": 5, "amount_in": U64_MAX},
        {"token_in": "USDC", "decimals_in": 6, "token_out": "BONK", "decimals_out": 5,
         "amount_in": U64_MAX},
        {"token_in": "JUP", "decimals_in": 6, "token_out": "RAY", "decimals_out": 6},
    ],
)  # fmt: skip
async def test_amounts_beyond_a_pool_are_quoted_or_refused_with_a_code(
    trading: Trading, fields: dict[str, Any]
) -> None:
    asked = order(**fields)
    quotes = await quoted(trading, asked)
    assert quotes
    assert_can_be_recorded(quotes)
    for quote in quotes:
        assert quote.error or quote.amount_out, quote
        assert quote.error == quote.error.lower().replace("_", "-").replace(" ", "-")
    try:
        [routed] = router.decide(asked, quotes)
    except VenueRefusal as refused:
        assert refused.code
    else:
        msgspec.msgpack.decode(msgspec.msgpack.encode(routed), type=OrderRouted)


async def test_slots_advance_and_have_ticks(trading: Trading) -> None:
    market = trading.market
    first = market.slot()
    last = await asyncio.wait_for(market.next_slot(first), HANG_S)
    assert last > first
    last = await asyncio.wait_for(market.next_slot(last), HANG_S)
    ticks = market.ticks(PAIR, first, last)
    assert ticks
    slots = [tick.slot for tick in ticks]
    assert slots == sorted(set(slots))
    assert all(first <= slot <= last for slot in slots)
    quotes = await quoted(trading, order(amount_in=SOL // 100))
    best = max(quote.amount_out for quote in quotes)
    for tick in ticks:
        # A tick is what small amounts get at least.
        assert money.amount_at(SOL // 100, 9, money.price_units(tick.price), 6) <= best * 1.01
        assert tick.dex
        assert tick.pool
    events = market.pools(PAIR, first, last)
    assert all(first <= event.slot <= last and event.liquidity > 0 for event in events)
    assert market.slot_at(0) <= first


def routed(of: Order, fact: OrderRouted) -> Order:
    return evolve(of, Event(of.id, of.version + 1, 1, Status.BUILDING, "main", "test", fact))


async def settled(answer: Any) -> Any:
    return await answer if isinstance(answer, Awaitable) else answer


async def reached(trading: Trading, sent: Transaction, done: Callable[[Outcome], bool]) -> Outcome:
    outcome = Outcome("absent")

    async def answered() -> bool:
        nonlocal outcome
        [answer] = trading.chain.outcomes([sent])
        outcome = await settled(answer)
        return done(outcome)

    await until(answered)
    return outcome


@pytest.mark.parametrize("exact_out", [False, True])
async def test_an_order_is_built_sent_and_its_outcome_reported(
    trading: Trading, exact_out: bool
) -> None:
    fields = {"amount_in": 0, "exact_amount_out": 100 * USDC} if exact_out else {}
    asked = order(**fields)
    [fact] = router.decide(asked, await quoted(trading, asked))
    assert isinstance(fact, OrderRouted)
    asked = routed(asked, fact)
    built = await settled(trading.chain.build(asked))
    sent = Transaction(1, built.signature, built.last_valid_height, built.raw)
    await reached(trading, sent, lambda outcome: outcome.state == "absent")
    await trading.chain.send([sent.raw])
    await trading.chain.send([sent.raw])  # the same bytes are taken once
    outcome = await reached(trading, sent, lambda outcome: outcome.state == "landed")
    assert fact.min_amount_out <= outcome.amount_out
    assert outcome.slot
    if exact_out:
        assert outcome.amount_out == 100 * USDC
        assert outcome.amount_in <= fact.max_amount_in
    unknown = Transaction(1, "1" * 64, sent.last_valid_height, sent.raw)
    [answer] = trading.chain.outcomes([unknown])
    assert (await settled(answer)).state in ("absent", "unknown")


async def test_no_token_of_the_simulation_is_missing_on_the_chain(tmp_path: Path) -> None:
    async with on_chain(tmp_path, "raydium,meteora") as trading:
        common = set(TOKENS) & set(trading.tokens)
        assert common >= {"SOL", "USDC", "USDT", "RAY", "JUP", "BONK", "NEW"}
        for symbol in common - {"NEW"}:
            assert TOKENS[symbol].decimals == trading.tokens[symbol].decimals


@contextlib.asynccontextmanager
async def with_usdc(
    folder: Path, plan: PoolPlan, *extensions: t22.Extension
) -> AsyncIterator[tuple[Trading, Callable[..., None]]]:
    """A market of one pool whose USDC is a Token-2022 mint; what is yielded changes the mint."""
    async with local_chain(folder / "chain") as local:
        address = mint_of("USDC")

        def issue(*extensions: t22.Extension) -> None:
            there, raw_account = local.node.bank.state.accounts[address], t22.mint(*extensions)
            data = there.data[:82] + raw_account.data[82:]
            local.node.fund({address: there._replace(owner=raw_account.owner, data=data)})

        issue(*extensions)
        settings = settings_of(folder, local, pools={plan.pair: [plan.address]})
        trading = open_trading(settings, signs=True)
        async with trading.live(True):
            await trading.ready()
            yield trading, issue


async def until_quoted(trading: Trading, error: str, *, but: int = -1) -> Quote:
    """The quote of the one pool, once it says this, and another amount than `but`."""
    quotes: list[Quote] = []

    async def quoted_so() -> bool:
        quotes[:] = await quoted(trading, order())
        return quotes[0].error == error and quotes[0].amount_out != but

    await until(quoted_so)
    return quotes[0]


@pytest.mark.parametrize("family", FAMILY_NAMES)
async def test_a_mint_that_runs_a_hook_is_refused_whatever_the_pool(
    family: str, tmp_path: Path
) -> None:
    async with with_usdc(tmp_path, plan_of(family), t22.hook(t22.KEY)) as (trading, _):
        [quote] = await quoted(trading, order())
        assert (quote.error, quote.amount_out) == ("transfer-hook-mint", 0)


@pytest.mark.parametrize("family", FAMILY_NAMES)
async def test_a_mint_is_read_with_its_pools(family: str, tmp_path: Path) -> None:
    """A pause, a fee and a hook count from the next reading on, and so does their end."""
    inert = (t22.hook(t22.NONE), t22.transfer_fee(0), t22.pausable(False))
    async with with_usdc(tmp_path, plan_of(family), *inert) as (trading, issue):
        [plain] = await quoted(trading, order())
        assert plain.amount_out
        for extension, error in (
            (t22.pausable(True), "token-paused"),
            (t22.hook(t22.KEY), "transfer-hook-mint"),
            (t22.UNKNOWN, "unknown-mint-extension"),
        ):
            issue(extension)
            assert not (await until_quoted(trading, error)).amount_out
            issue(*inert)
            assert (await until_quoted(trading, "")).amount_out == plain.amount_out
        issue(t22.transfer_fee(50, 5_000))
        if family == "raydium-amm-v4":
            assert not (await until_quoted(trading, "transfer-fee-mint")).amount_out
            return
        quote = await until_quoted(trading, "", but=plain.amount_out)
        assert quote.amount_out == plain.amount_out - 5_000


async def test_a_market_order_of_a_paused_token_fails_at_once_and_others_wait(
    tmp_path: Path,
) -> None:
    plan = plan_of("raydium-cpmm")
    async with with_usdc(tmp_path, plan, t22.pausable(True)) as (trading, _):
        quotes = await quoted(trading, order())
        with pytest.raises(VenueRefusal) as refused:
            router.decide(order(), quotes)
        assert (refused.value.code, refused.value.retryable) == ("token-paused", False)
        for kind in ("limit", "sniper"):
            [fact] = router.decide(order(type=kind, target_price="1"), quotes)
            assert isinstance(fact, OrderRearmed)
            assert fact.reason == "token-paused"
