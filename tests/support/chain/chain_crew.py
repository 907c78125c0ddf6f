"""Workers over a local chain of this process, traded on by the market and chain of `engine up`.

`books` is what the log says that orders took and gave; `holdings` is what the chain says that the
wallet has. Tests compare the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.localnet import traders
from engine.localnet.faults import Faults
from engine.localnet.genesis import pools_file
from engine.localnet.genesis.market import BY_SYMBOL, PoolPlan
from engine.localnet.ledger import Entry, LocalLedger
from engine.localnet.node import Node
from engine.localnet.rpc.server import serve
from engine.localnet.state.accounts import Account, is_token_account, read_token
from engine.localnet.state.addresses import TOKEN_2022, WSOL
from engine.recovery.replay_checks import CHECKS
from engine.settings import Settings
from engine.venues import Trading, open_trading
from events.archive import Archive
from events.archive.history import everything
from events.audit.replay import Replay
from events.audit.verify import verify
from events.log import EventLog
from events.secret import SecretText, SecretUrl
from events.types import Event, OrderConfirmed, OrderFailed, OrderRearmed, OrderSubmitted
from projections.postgres.order_rows import columns
from stages.venues import Venue
from stages.venues.solana.chain import SolanaChain
from tests.support.chain.localchain import OWNER, WALLET, mint_of, opened
from tests.support.log.projected import projected, projecting
from tests.support.log.workers import PATIENT, Crew

SOL = 10**9
DECIMALS = {token.symbol: token.decimals for token in BY_SYMBOL.values()}


class LocalChain:
    """A chain of this process; its slots pass by themselves."""

    def __init__(self, node: Node, url: str) -> None:
        self.node = node
        self.url = url

    def faults(self, **changes: Any) -> None:
        """What goes wrong from now on."""
        self.node.luck.faults = msgspec.structs.replace(self.node.luck.faults, **changes)
        self.node.bank.blocks.delay = self.node.luck.faults.confirm_delay

    def well(self) -> None:
        """Nothing goes wrong any more."""
        self.node.luck.faults = Faults()
        self.node.bank.blocks.delay = 0

    def advance(self, blocks: int) -> None:
        """So many blocks at once."""
        for _ in range(blocks):
            self.node.block()

    def remove(self, accounts: Iterable[str]) -> None:
        """Takes accounts off the chain."""
        self.node.fund(dict.fromkeys(accounts, Account(0)))
        self.node.save()

    def lamports(self, amount: int) -> None:
        """The wallet holds so many."""
        there = self.node.bank.state.accounts[OWNER]
        self.node.fund({OWNER: there._replace(lamports=amount)})
        self.node.save()

    def others_swap(self, plan: PoolPlan, token_in: str, amount: int) -> None:
        """Swaps as another trader, and moves the pool's price."""
        bank = self.node.bank
        pooled = bank.state.pool(plan.address)
        assert pooled is not None
        before = pooled.pool.spot(True)
        traders._trade(bank, plan.address, mint_of(token_in) == pooled.pool.mint_a, amount, None)
        moved = bank.state.pool(plan.address)
        assert moved is not None
        assert moved.pool.spot(True) != before
        self.node.save()

    def holdings(self) -> Counter[str]:
        """What the wallet has, by mint: lamports without what token accounts keep as rent."""
        counter = Counter({WSOL: self.node.bank.state.accounts[OWNER].lamports})
        for account in self.node.bank.state.accounts.values():
            if is_token_account(account) and (token := read_token(account.data)).owner == OWNER:
                counter[token.mint] += token.amount
        return counter

    def entries(self) -> list[Entry]:
        """What the chain's own ledger says."""
        self.node.save()
        ledger = LocalLedger(self.node.store.path)
        try:
            return list(ledger.entries())
        finally:
            ledger.close()

    def executions(self) -> dict[str, int]:
        """By that ledger: how often each order was executed."""
        self.node.save()
        ledger = LocalLedger(self.node.store.path)
        try:
            return ledger.executions()
        finally:
            ledger.close()


@contextlib.asynccontextmanager
async def local_chain(folder: Path, **options: object) -> AsyncIterator[LocalChain]:
    """A chain with a funded wallet, for the length of a block."""
    folder.mkdir(parents=True, exist_ok=True)
    node = opened(folder, **options)
    stop = asyncio.Event()
    runner, port = await serve(node, 0)
    work = asyncio.create_task(node.run(stop), name="local-chain")
    try:
        yield LocalChain(node, f"http://127.0.0.1:{port}")
    finally:
        stop.set()
        await work
        await runner.cleanup()
        node.store.close()


def settings_of(folder: Path, chain: LocalChain, **changes: Any) -> Settings:
    """Settings that lead to the chain. `pools`: by pair, else all that there are."""
    results: dict[str, Any] = pools_file()
    for token in results["tokens"]:
        minted = chain.node.bank.state.accounts[token["mint"]]
        token["program"] = "token-2022" if minted.owner == TOKEN_2022 else "token"
    pools: Mapping[str, Iterable[str]] | None = changes.pop("pools", None)
    if pools is not None:
        results["pools"] = pools
    file, key = folder / "pools.json", folder / "wallet.json"
    file.write_text(json.dumps(results))
    key.write_text(json.dumps(list(bytes(WALLET))))
    key.chmod(0o600)
    given: dict[str, Any] = {
        "venues": ("raydium", "meteora"),
        "data_dir": folder,
        "solana_rpc_url": (SecretUrl(chain.url),),
        "solana_keypair": SecretText(str(key)),
        "pools": str(file),
        "slot_ms": 0,
        "quotes_stale_ms": 600_000,  # no stall of the machine makes them so old
    }
    return Settings(**(given | changes))


class ChainCrew(Crew):
    """A crew whose market and chain are what `engine.venues` makes of the settings."""

    def __init__(self, url: str, local: LocalChain, settings: Settings) -> None:
        super().__init__(url, local.node.store.path, PATIENT)
        self.local = local
        self.settings = msgspec.structs.replace(settings, redis_url=SecretUrl(url))
        self.trading: Trading = open_trading(self.settings, signs=True)

    def chain(self) -> SolanaChain:  # type: ignore[override]  # of another kind, as is the market
        assert isinstance(self.trading.chain, SolanaChain)
        return self.trading.chain

    def venues(self) -> list[Venue]:
        return list(self.trading.market.venues)

    def executions(self) -> dict[str, int]:
        return self.local.executions()

    async def order(self, token_in: str, token_out: str, amount: int, **fields: Any) -> str:
        """One new order; its id."""
        given: dict[str, Any] = {
            "order_type": "market", "token_in": token_in, "token_out": token_out,
            "decimals_in": DECIMALS[token_in], "decimals_out": DECIMALS[token_out],
            "amount_in": amount, "slippage_bps": 100,
        }  # fmt: skip
        return await self.place(OrderSubmitted(**(given | fields)))

    async def swapped(self, *terms: Any, **fields: Any) -> tuple[str, OrderConfirmed]:
        """An order that is confirmed, and its last fact. It is routed by the chain as it is now:
        what the order before it has moved may not be read yet.
        """
        await self.up_to_date()
        order_id = await self.order(*terms, **fields)
        await self.ended([order_id])
        last = self.facts(order_id)[-1]
        assert isinstance(last, OrderConfirmed), last
        return order_id, last

    async def up_to_date(self) -> None:
        """Waits until quotes are made from what the chain holds now."""
        await self.trading.market.next_slot(self.local.node.bank.slot)

    def books(self) -> Counter[str]:
        """What the log says has left the wallet, by mint; what came in is negative."""
        return booked(event for _, event in self.seen)

    def assert_executed_as_recorded(self) -> None:
        """Every confirmed order is in the chain's ledger once, with the amounts of the log."""
        entries = {e.signature: e for e in self.local.entries() if e.ok and not e.forked}
        executions = self.executions()
        confirmed = {event.order_id: event.fact for event in self.of(OrderConfirmed)}
        submitted = {event.order_id: event.fact for event in self.of(OrderSubmitted)}
        assert executions == dict.fromkeys(confirmed, 1)
        for order_id, fact in confirmed.items():
            assert isinstance(fact, OrderConfirmed)
            order = submitted[order_id]
            assert isinstance(order, OrderSubmitted)
            entry = entries[fact.signature]
            assert entry.memo.partition("/")[0] == order_id
            result = fact.amount_in or order.amount_in, fact.amount_out, fact.fee_lamports
            assert (entry.amount_in, entry.amount_out, entry.fee) == result


def booked(events: Iterable[Event]) -> Counter[str]:
    """What has left the wallet by the events' own figures, by mint; what came in is negative."""
    books: Counter[str] = Counter()
    orders: dict[str, OrderSubmitted] = {}
    for event in events:
        match event.fact:
            case OrderSubmitted() as order:
                orders[event.order_id] = order
            case OrderConfirmed() as fill:
                order = orders[event.order_id]
                books[BY_SYMBOL[order.token_in].mint] += fill.amount_in or order.amount_in
                books[BY_SYMBOL[order.token_out].mint] -= fill.amount_out
                books[WSOL] += fill.fee_lamports + fill.rent_lamports
            case OrderFailed() | OrderRearmed() as failed:
                books[WSOL] += failed.fee_lamports
    return books


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What has left, by mint, without zeros."""
    gone = {mint: before.get(mint, 0) - after.get(mint, 0) for mint in before.keys() | after.keys()}
    return {mint: amount for mint, amount in gone.items() if amount}


def nonzero(books: Mapping[str, int]) -> dict[str, int]:
    """Without what came and went."""
    return {mint: amount for mint, amount in books.items() if amount}


@contextlib.asynccontextmanager
async def chain_crew(
    url: str, folder: Path, *, local: LocalChain | None = None, **changes: Any
) -> AsyncIterator[ChainCrew]:
    """A log to work on, over a chain. Options of the chain are named `chain_…`."""
    options = {
        name.removeprefix("chain_"): changes.pop(name)
        for name in list(changes)
        if name.startswith("chain_")
    }
    async with contextlib.AsyncExitStack() as stack:
        if local is None:
            local = await stack.enter_async_context(local_chain(folder / "chain", **options))
        chain_crew = ChainCrew(url, local, settings_of(folder, local, **changes))
        await stack.enter_async_context(chain_crew.trading.live(True))
        stack.push_async_callback(chain_crew.close)
        await chain_crew.open()
        await chain_crew.trading.ready()
        yield chain_crew


async def assert_sound(redis_url: str, database_url: str) -> None:
    """What `engine audit verify` and `engine audit replay --check` say of all there is."""
    log = EventLog(redis_url, build="audit")
    archive = await Archive.open(database_url)
    try:
        await log.open(create=False)
        async with projecting(redis_url, database_url):
            await projected(log, archive)
        verdict = await verify(archive, log, columns)
        assert verdict.problems == []
        replay = Replay(CHECKS)
        async for page in everything(archive, log):
            replay.page(page)
        assert replay.mismatches == []
        assert replay.checked
    finally:
        await archive.close()
        await log.close()
