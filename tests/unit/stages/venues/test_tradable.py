"""What may trigger an order is tradable at that moment: every family, from its account bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest

from engine.localnet.genesis import LAYOUTS
from engine.localnet.genesis.market import BY_SYMBOL
from engine.localnet.state.accounts import Account
from engine.localnet.state.addresses import raw
from stages.pools.contract import Clock, RawAccount, impact_ppm
from stages.pools.families import FAMILIES
from stages.pools.mints import TOKEN_2022_PROGRAM
from stages.pools.probe import PROBE_UNITS, ROUNDED_UNITS, first_rate
from stages.venues import Pair, PoolEvent, Tick
from stages.venues.solana.accounts.history import PairFilter, PoolHistory, SlotSnapshot
from stages.venues.solana.accounts.pools_file import TokenEntry
from stages.venues.solana.accounts.watched import WatchedPool
from tests.support.chain.localchain import FAMILY_NAMES, opened, plan_of
from tests.support.chain.untradable import (
    OPENS_BY_SLOT,
    Laid,
    disabled,
    empty,
    opening,
    without,
    written,
)
from tests.support.pools import token_2022 as t22

SLOT, TIME_S = 1_000, 1_700_000_000


@pytest.fixture(scope="module")
def mints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, RawAccount]]:
    node = opened(Path(tmp_path_factory.mktemp("chain")))
    accounts = node.bank.state.accounts
    yield {
        token.mint: RawAccount(accounts[token.mint].owner, accounts[token.mint].data)
        for token in BY_SYMBOL.values()
    }
    node.store.close()


class Watch:
    """A pool of a family under watch, slot by slot."""

    def __init__(
        self,
        family: str,
        mints: Mapping[str, RawAccount],
        usdc: Literal["token", "token-2022"] = "token",
    ) -> None:
        """`usdc`: the token program of that mint."""
        self.plan = plan_of(family)
        self.laid: Laid = LAYOUTS[family](self.plan)
        self._mints = mints
        a, b = self.plan.token_a, self.plan.token_b
        tokens = {
            token.mint: TokenEntry(
                token.symbol,
                token.mint,
                token.decimals,
                usdc if token.symbol == "USDC" else "token",
            )
            for token in (a, b)
        }
        self.pool = WatchedPool(self.plan.address, tokens, FAMILIES)
        self.history = PoolHistory(100)
        self.slot = SLOT

    def see(self, laid: Laid | None, time_s: int = TIME_S) -> None:
        """The next slot, with these accounts."""
        self.slot += 1
        accounts = dict(self._mints)
        for address, account in (laid or {}).items():
            accounts[address] = RawAccount(account.owner, account.data)
        clock = Clock(self.slot, time_s)
        while not self.pool.take(accounts, clock, 0.0):
            pass
        seen = self.pool.seen
        pools = {} if seen is None else {self.plan.address: seen}
        self.history.record(SlotSnapshot(self.slot, self.slot * 10**6, pools))

    def _market(self, side: str) -> tuple[PairFilter, Pair]:
        """Of those who are paid in token `side`."""
        out, paid = self.plan.token_b, self.plan.token_a
        if side == "a":
            out, paid = paid, out
        pair = Pair(paid.symbol, out.symbol, paid.decimals, out.decimals)
        return PairFilter(frozenset({"raydium", "meteora"}), paid.mint, out.mint), pair

    def ticks(self, side: str) -> list[Tick]:
        """The newest slot's."""
        return self.history.ticks(*self._market(side), self.slot, self.slot)

    def events(self, side: str) -> list[PoolEvent]:
        """All there were."""
        return list(self.history.events(*self._market(side), 0, self.slot))


@pytest.fixture(params=FAMILY_NAMES)
def watch(request: pytest.FixtureRequest, mints: Mapping[str, RawAccount]) -> Watch:
    return Watch(request.param, mints)


def causes(watch: Watch, side: str) -> list[tuple[str, int]]:
    return [(event.cause, event.slot - SLOT) for event in watch.events(side)]


def test_a_pool_that_trades_has_the_spot_price_less_the_fee(watch: Watch) -> None:
    watch.see(watch.laid)
    pool = watch.pool.pool
    assert pool is not None
    clock = Clock(watch.slot, TIME_S)
    for side in "ab":
        assert first_rate(pool, side == "b", clock) == pool.spot(side == "b")
        assert len(watch.ticks(side)) == 1
        assert causes(watch, side) == []  # it was there when we came


def test_a_disabled_pool_has_no_price_until_it_is_enabled(watch: Watch) -> None:
    watch.see(watch.laid)
    watch.see(disabled(watch.plan, watch.laid))
    assert watch.ticks("a") == watch.ticks("b") == []
    watch.see(watch.laid)
    assert len(watch.ticks("a")) == len(watch.ticks("b")) == 1
    assert causes(watch, "a") == causes(watch, "b") == [("pool-opened", 3)]


def test_a_pool_that_opens_later_has_no_price_before_and_opens_by_the_clock(watch: Watch) -> None:
    closed = opening(watch.plan, watch.laid, TIME_S + 5)
    watch.see(None)
    watch.see(closed)
    watch.see(closed, TIME_S + 4)
    assert watch.ticks("a") == watch.ticks("b") == []
    assert causes(watch, "a") == causes(watch, "b") == []
    watch.see(closed, TIME_S + 6)  # a CLMM pool opens after its time, the others at it
    assert len(watch.ticks("a")) == len(watch.ticks("b")) == 1
    assert causes(watch, "a") == causes(watch, "b") == [("pool-opened", 4)]
    watch.see(closed, TIME_S + 7)
    assert causes(watch, "a") == [("pool-opened", 4)]


@pytest.mark.parametrize("family", OPENS_BY_SLOT)
def test_a_pool_that_opens_at_a_slot_opens_then(
    family: str, mints: Mapping[str, RawAccount]
) -> None:
    watch = Watch(family, mints)
    closed = opening(watch.plan, watch.laid, SLOT + 4, by_slot=True)
    for _ in range(3):
        watch.see(closed)
    assert watch.ticks("a") == watch.ticks("b") == []
    watch.see(closed)
    assert len(watch.ticks("a")) == 1
    assert causes(watch, "a") == causes(watch, "b") == [("pool-opened", 4)]


@pytest.mark.parametrize("side", ["a", "b"])
def test_an_empty_side_has_no_price_and_the_other_has_one_at_which_it_fills(
    side: str, watch: Watch
) -> None:
    other = "ab".replace(side, "")
    one_sided = without(watch.plan, watch.laid, side)
    watch.see(watch.laid)
    watch.see(one_sided)
    assert watch.ticks(side) == []
    if watch.plan.family in ("raydium-cpmm", "raydium-amm-v4"):
        assert watch.ticks(other) == []  # x · y = 0 pays nothing either way
    else:
        assert_filled_at_the_tick(watch, other)
    watch.see(watch.laid)
    assert len(watch.ticks(side)) == 1
    [(cause, slot)] = causes(watch, side)
    assert (cause, slot) in (("liquidity-added", 3), ("pool-opened", 3))


def assert_filled_at_the_tick(watch: Watch, side: str) -> None:
    """A small order at the tick's price is filled, but for rounding."""
    pool = watch.pool.pool
    assert pool is not None
    clock, a_to_b = Clock(watch.slot, TIME_S), side == "b"
    rate = first_rate(pool, a_to_b, clock)
    assert rate is not None
    amount = max(PROBE_UNITS[0], -(-PROBE_UNITS[0] * rate[1] // rate[0]))
    swap = pool.exact_in(amount, a_to_b, clock)
    # Far above or below all liquidity the first fill is far from the spot price.
    assert impact_ppm(swap, rate) <= 2 * 10**6 * ROUNDED_UNITS // PROBE_UNITS[0]
    assert len(watch.ticks(side)) == 1


def test_a_pool_without_liquidity_begins_when_liquidity_is_added(watch: Watch) -> None:
    watch.see(None)
    watch.see(empty(watch.plan, watch.laid))
    assert watch.ticks("a") == watch.ticks("b") == []
    assert causes(watch, "a") == causes(watch, "b") == []
    watch.see(watch.laid)
    assert len(watch.ticks("a")) == len(watch.ticks("b")) == 1
    assert causes(watch, "a") == causes(watch, "b") == [("liquidity-added", 3)]


def test_a_pool_made_and_open_at_once_is_created(watch: Watch) -> None:
    watch.see(None)
    watch.see(watch.laid)
    assert causes(watch, "a") == causes(watch, "b") == [("pool-created", 2)]


def with_usdc(watch: Watch, extension: t22.Extension) -> Laid:
    """The CPMM pool with USDC as a Token-2022 mint that has this extension."""
    usdc, mint = BY_SYMBOL["USDC"].mint, t22.mint(extension)
    program = 232 if watch.plan.token_a.mint == usdc else 264
    key = int.from_bytes(raw(TOKEN_2022_PROGRAM), "little")
    laid = written(watch.laid, watch.plan.address, (program, 32, key))
    return laid | {usdc: Account(1, mint.owner, mint.data)}


def test_a_transfer_fee_is_off_the_price_once(mints: Mapping[str, RawAccount]) -> None:
    watch = Watch("raydium-cpmm", mints, usdc="token-2022")
    watch.see(with_usdc(watch, t22.transfer_fee(100)))
    pool, clock = watch.pool.pool, Clock(watch.slot, TIME_S)
    assert pool is not None
    for a_to_b in (True, False):
        assert first_rate(pool, a_to_b, clock) == pool.spot(a_to_b)
        assert pool.fee_ppb(a_to_b, clock) >= 10_000_000  # the mint's hundredth and the pool's fee


@pytest.mark.parametrize("first", [True, False])
def test_a_pool_of_a_paused_mint_opens_when_the_pause_ends(
    first: bool, mints: Mapping[str, RawAccount]
) -> None:
    watch = Watch("raydium-cpmm", mints, usdc="token-2022")
    paused, trading = (with_usdc(watch, t22.pausable(is_paused)) for is_paused in (True, False))
    if not first:
        watch.see(trading)
    watch.see(paused)
    assert watch.ticks("a") == watch.ticks("b") == []
    watch.see(trading)
    assert len(watch.ticks("a")) == 1
    assert causes(watch, "a") == causes(watch, "b") == [("pool-opened", watch.slot - SLOT)]


def test_an_address_that_only_holds_lamports_is_not_a_pool(watch: Watch) -> None:
    watch.see({watch.plan.address: Account(1)})
    watch.see(watch.laid)
    assert causes(watch, "a") == [("pool-created", 2)]


def test_a_pool_that_cannot_be_read_for_a_while_is_not_new_afterwards(watch: Watch) -> None:
    torn = dict(watch.laid)
    if watch.plan.family == "meteora-damm-v2":
        torn[watch.plan.address] = disabled(watch.plan, torn)[watch.plan.address]
        data = bytearray(torn[watch.plan.address].data)
        data[696] = 7  # no known layout
        torn[watch.plan.address] = torn[watch.plan.address]._replace(data=bytes(data))
    elif watch.plan.family == "meteora-dlmm":
        data = bytearray(torn[watch.plan.address].data)
        data[75] = 77  # no known kind
        torn[watch.plan.address] = torn[watch.plan.address]._replace(data=bytes(data))
    else:
        del torn[watch.plan.part("vault_a")]
    watch.see(torn)
    assert watch.pool.pool is None
    watch.see(watch.laid)
    assert len(watch.ticks("a")) == 1
    watch.see(torn)
    assert watch.ticks("a") == []
    watch.see(watch.laid)
    assert causes(watch, "a") == causes(watch, "b") == []


def test_a_pool_begins_once_the_last_of_its_accounts_exists(watch: Watch) -> None:
    if watch.plan.family.startswith("meteora"):
        half = {watch.plan.address: Account(1, watch.plan.program, b"\x01" * 8)}
    else:
        half = {a: b for a, b in watch.laid.items() if a != watch.plan.part("vault_b")}
    watch.see(None)
    watch.see(half)
    assert causes(watch, "a") == []
    watch.see(watch.laid)
    assert [slot for _, slot in causes(watch, "a")] == [3]
