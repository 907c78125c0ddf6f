"""Trading on a Solana cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from engine.settings import Settings
from engine.venues.cluster import node_survey, open_rpc, slot_setting, wallet_of
from engine.venues.trading import Trading
from events.money import Token, by_name
from projections.views.explorer import explorer_of
from stages.pools.families import FAMILIES
from stages.routing.costs import Costs
from stages.venues import Venue
from stages.venues.solana.accounts.balance import WalletBalance
from stages.venues.solana.accounts.cache import AccountCache
from stages.venues.solana.accounts.wallet import WalletAccounts
from stages.venues.solana.budget.consumption import Consumption
from stages.venues.solana.budget.shared import SharedConsumption
from stages.venues.solana.chain import SolanaChain
from stages.venues.solana.cluster.commitments import Commitments
from stages.venues.solana.cluster.features import Features
from stages.venues.solana.cluster.polling import PollingLoop
from stages.venues.solana.rpc.options import CacheOptions, ChainOptions
from stages.venues.solana.transaction.programs import WSOL
from stages.venues.solana.venue import SolanaVenue
from stages.venues.venue_group import VenueGroup


class SolanaTrading:
    """Trading on a Solana cluster: what is read of the chain, and what trades by it."""

    def __init__(self, settings: Settings, *, signs: bool) -> None:
        """Asks no node yet. Raises SettingsError."""
        self._settings = settings
        rpc, pools = self._rpc, self._pools = open_rpc(settings)
        wallet = wallet_of(settings) if signs else None
        reading = CacheOptions(
            slot_ms=slot_setting(settings, pools),
            read_ms=settings.pools_read_ms,
            stale_ms=settings.quotes_stale_ms,
        )
        options = ChainOptions(
            cu_price=settings.cu_price_micro_lamports,
            simulate=settings.simulate,
            stalled_ms=settings.quotes_stale_ms,
        )
        self._tokens = by_name(Token(t.symbol, t.decimals, t.mint) for t in pools.tokens)
        self._cache = cache = AccountCache(rpc, FAMILIES, pools, reading)
        self._features = features = Features(rpc, settings.tx_version)
        self._commitments = Commitments(rpc, settings.commitment)
        self._wallet = None if wallet is None else WalletAccounts(rpc, wallet.pubkey, pools.tokens)
        consumption = Consumption()
        self._shared = (
            SharedConsumption(settings.redis_url, pools.cluster, consumption)
            if signs and settings.redis_url
            else None
        )
        self._chain = SolanaChain(
            rpc, wallet, cache, FAMILIES, pools.by_name(), options, features,
            commitments=self._commitments, consumption=consumption, wallet_accounts=self._wallet,
        )  # fmt: skip
        self._nodes = node_survey(settings, signs=False)
        # Only the gateway shows it, and it never reads the key.
        shown = "" if signs else settings.solana_wallet
        self._balance = WalletBalance(rpc, shown) if shown else None

    def trading(self) -> Trading:
        """The parts as the stages and the gateway take them."""
        timeout_s = self._settings.venue_timeout_ms / 1000
        return Trading(
            VenueGroup([self._venue()], timeout_s=timeout_s),
            self._chain,
            self._tokens,
            fault=self._fault,
            live=self._live,
            ready=self._ready,
            unsuited=self._features.unsuited,
            facts=self._facts,
            watch_nodes=self._nodes.watch,
            explorer=explorer_of(self._pools.cluster, self._settings.solana_rpc_url[0]),
        )

    def _venue(self) -> Venue:
        settings, tokens = self._settings, self._tokens
        middles = tuple(tokens[name].mint for name in ("SOL", "USDC") if name in tokens)
        return SolanaVenue(
            self._cache,
            tokens,
            {token.mint: token.program_id for token in self._pools.tokens},
            settings.venues,
            Costs(settings.cu_price_micro_lamports, WSOL, middles),
            max_price_impact_bps=settings.max_price_impact_bps,
            version=lambda: self._features.version,
            wraps=lambda: None if self._wallet is None else self._wallet.exists(WSOL),
        )

    @contextlib.asynccontextmanager
    async def _live(self, pools_too: bool) -> AsyncIterator[None]:
        self._open(pools_too=pools_too)
        try:
            yield
        finally:
            await self._close()

    def _always(self) -> list[PollingLoop]:
        """The readers that every process needs."""
        return [self._cache.slot_time, self._commitments]

    def _of_pools(self) -> list[PollingLoop]:
        """The readers of a process that quotes."""
        readers: list[PollingLoop] = [self._cache, self._features]
        readers += self._of_wallet()
        if self._balance:
            readers.append(self._balance)
        return readers

    def _of_wallet(self) -> list[PollingLoop]:
        """The readers of a process that builds."""
        return [reader for reader in (self._wallet, self._shared) if reader is not None]

    def _open(self, *, pools_too: bool) -> None:
        for reader in [*self._always(), *(self._of_pools() if pools_too else [])]:
            reader.start()
        if pools_too and self._wallet is not None:
            self._chain.start()

    async def _close(self) -> None:
        """Closes all, started or not; the connections last."""
        await self._chain.close()
        for reader in [*self._always(), *self._of_pools()]:
            await reader.close()
        await self._rpc.close()

    async def _ready(self) -> None:
        await asyncio.gather(
            self._cache.next_slot(0), self._features.known(), self._commitments.known()
        )

    def _fault(self) -> str:
        return self._features.fault or self._cache.fault() or self._nodes.fault()

    def _facts(self) -> Mapping[str, Any]:
        return {
            **msgspec.to_builtins(self._features.facts),
            **msgspec.to_builtins(self._commitments.facts),
            "slotMs": round(self._cache.slot_time.ms),
            "slot": self._cache.newest_slot(),
            "nodes": [
                {"host": node.host, "detail": node.fault or None} for node in self._rpc.health()
            ],
            **({"walletLamports": self._balance.lamports()} if self._balance else {}),
        }
