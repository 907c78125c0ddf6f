"""The markets of VENUES: the simulated chain, or the DEXes of a Solana cluster.

A DEX is a folder of `stages.pools` and its lines in `stages.pools.families`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from engine.setting_parser import SettingsError
from engine.settings import Settings
from events.money import Token, by_name
from stages.venues import Chain, Venue
from stages.venues.venue_group import VenueGroup

if TYPE_CHECKING:  # the simulation needs none of it
    from stages.venues.solana.accounts.pools_file import PoolsFile
    from stages.venues.solana.rpc.methods import Rpc
    from stages.venues.solana.rpc.survey import Nodes
    from stages.venues.solana.transaction.keypair import Wallet

LEDGER = "venue-ledger.sqlite"
"""Under DATA_DIR: what the simulated chain executed."""
SIMULATED = ("simulated",)
"""VENUES of the simulated chain."""

Live = Callable[[bool], contextlib.AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def _nothing_lives(_: bool) -> AsyncIterator[None]:
    yield


async def _at_once() -> None:
    pass


async def _suited() -> str:
    return ""


class Trading(NamedTuple):
    """The market, the chain and the tokens that orders are traded with."""

    market: VenueGroup
    chain: Chain
    tokens: Mapping[str, Token]
    fault: Callable[[], str] = lambda: ""
    """Why no venue can be asked now; empty where one can."""
    live: Live = _nothing_lives
    """Runs the background readers while it is used; True where pools are followed as well."""
    ready: Callable[[], Awaitable[object]] = _at_once
    """Returns once quotes can be computed, while `live` runs."""
    unsuited: Callable[[], Awaitable[str]] = _suited
    """Why the settings do not fit the cluster, once it has answered; empty where they do."""
    facts: Callable[[], Mapping[str, Any] | None] = lambda: None
    """The cluster as /readyz reports it; None where there is none."""
    watch_nodes: Callable[[], Awaitable[None]] = _at_once
    """Looks now and then at what the nodes serve, for `fault`, until it is cancelled."""
    explorer: str = ""
    """URL of an explorer for transactions; empty without one."""


def _simulated(settings: Settings) -> Trading:
    from stages.venues.simulated.chain import SimulatedChain
    from stages.venues.simulated.venue import DEXES, TOKENS, SimulatedVenue, Simulation

    simulation = Simulation(
        seed=settings.venue_seed,
        latency_ms=settings.venue_latency_ms,
        failure_rate=float(settings.venue_failure_rate),
        slot_ms=settings.slot_ms,
        consensus=settings.consensus,
        volatility_bps=settings.venue_volatility_bps,
        blockhash_slots=settings.blockhash_slots,
    )
    venues = [SimulatedVenue(*dex, simulation) for dex in DEXES]
    return Trading(
        market=VenueGroup(venues, timeout_s=settings.venue_timeout_ms / 1000),
        chain=SimulatedChain(simulation, ledger_path(settings)),
        tokens=by_name(TOKENS.values()),
    )


class _Reader(Protocol):
    """Reads something of the chain in the background."""

    def start(self) -> None: ...

    async def close(self) -> None: ...


class Connected(NamedTuple):
    """The nodes of a chain, and the pools that are traded there."""

    rpc: Rpc
    pools: PoolsFile


def open_rpc(settings: Settings, *, observed: bool = True) -> Connected:
    """The client and the pools; asks no node yet. `observed`: RpcOptions. Raises SettingsError."""
    from stages.venues.solana.rpc.clusters import ClusterGuard
    from stages.venues.solana.rpc.link import RpcLink
    from stages.venues.solana.rpc.methods import Rpc
    from stages.venues.solana.rpc.options import RpcOptions

    if not settings.solana_rpc_url:
        none = f"no local chain runs in {settings.data_dir}"
        raise SettingsError(f"{none}: start `engine up`, or set SOLANA_RPC_URL")
    pools = _pools_of(settings)
    admission = ClusterGuard(pools.cluster, allow_mainnet=settings.allow_mainnet)
    options = RpcOptions(settings.solana_rpc_url, observed=observed)
    return Connected(Rpc(RpcLink(options, admission)), pools)


def slot_setting(settings: Settings, pools: PoolsFile) -> int | None:
    """Returns how long a slot is set to be; None where it is measured: on every real chain."""
    return settings.slot_ms if pools.cluster == "local" else None


def node_survey(settings: Settings, *, signs: bool) -> Nodes:
    """The survey of the nodes' methods, with the wallet if it signs. Raises SettingsError."""
    from stages.venues.solana.rpc.clusters import ClusterGuard
    from stages.venues.solana.rpc.survey import Nodes, Subject
    from stages.venues.solana.transaction.programs import WSOL

    pools = _pools_of(settings)
    subject = Subject(
        wallet_of(settings).address if signs else WSOL,
        [address for some in pools.pools.values() for address in some] or [WSOL],
    )
    return Nodes(
        settings.solana_rpc_url,
        lambda: ClusterGuard(pools.cluster, allow_mainnet=settings.allow_mainnet),
        subject,
    )


class SolanaTrading:
    """Trading on a Solana cluster: what is read of the chain, and what trades by it."""

    def __init__(self, settings: Settings, *, signs: bool) -> None:
        """Asks no node yet. Raises SettingsError."""
        from stages.pools.families import FAMILIES
        from stages.venues.solana.accounts.cache import AccountCache
        from stages.venues.solana.accounts.holdings import WrappedAccount
        from stages.venues.solana.chain import SolanaChain
        from stages.venues.solana.cluster.commitments import Commitments
        from stages.venues.solana.cluster.features import Features
        from stages.venues.solana.rpc.options import CacheOptions, ChainOptions
        from stages.venues.solana.transaction.versions import V0

        self._settings = settings
        rpc, pools = self._rpc, self._pools = open_rpc(settings)
        wallet = wallet_of(settings) if signs else None
        reading = CacheOptions(
            slot_ms=slot_setting(settings, pools),
            read_ms=settings.pools_read_ms,
            stale_ms=settings.quotes_stale_ms,
        )
        options = ChainOptions(
            cu_price=settings.cu_price_micro_lamports, stalled_ms=settings.quotes_stale_ms
        )
        self._tokens = by_name(Token(t.symbol, t.decimals, t.mint) for t in pools.tokens)
        self._cache = cache = AccountCache(rpc, FAMILIES, pools, reading)
        self._features = features = Features(rpc, settings.tx_version)
        self._commitments = Commitments(rpc, settings.commitment)
        self._wrapped = wallet and WrappedAccount(
            rpc, wallet.pubkey, lambda: features.version == V0
        )
        self._chain = SolanaChain(
            rpc, wallet, cache, FAMILIES, pools.by_name(), options, features,
            commitments=self._commitments,
        )  # fmt: skip
        self._nodes = node_survey(settings, signs=False)

    def trading(self) -> Trading:
        """The parts as the stages and the gateway take them."""
        from projections.views.explorer import explorer_of

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
        from stages.routing.costs import Costs
        from stages.venues.solana.transaction.programs import WSOL
        from stages.venues.solana.venue import SolanaVenue

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
            wraps=self._wrapped.exists if self._wrapped else lambda: None,
        )

    @contextlib.asynccontextmanager
    async def _live(self, pools_too: bool) -> AsyncIterator[None]:
        self._open(pools_too=pools_too)
        try:
            yield
        finally:
            await self._close()

    def _always(self) -> list[_Reader]:
        """The readers that every process needs."""
        return [self._cache.slot_time, self._commitments]

    def _of_pools(self) -> list[_Reader]:
        """The readers of a process that quotes."""
        wrapped = [self._wrapped] if self._wrapped else []
        return [self._cache, self._features, *wrapped]

    def _open(self, *, pools_too: bool) -> None:
        for reader in [*self._always(), *(self._of_pools() if pools_too else [])]:
            reader.start()

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
        }


def ledger_path(settings: Settings) -> Path:
    """Returns where the simulated chain keeps its ledger."""
    return settings.data_dir / LEDGER


def chain_of(settings: Settings) -> str:
    """Returns the chain that orders trade on: `simulated`, or a cluster; empty where POOLS, which
    says so, is not given to this process. Raises SettingsError.
    """
    if settings.venues == SIMULATED:
        return "simulated"
    if settings.pools:
        return _pools_of(settings).cluster
    return "" if settings.solana_rpc_url else "local"


def check(settings: Settings) -> None:
    """Raises SettingsError where VENUES, or a file or setting that it needs, cannot be used."""
    _check_venues(settings)
    if settings.venues == SIMULATED:
        return
    for name in ("solana_keypair", "pools"):
        if settings.solana_rpc_url and not getattr(settings, name):
            msg = f"{name.upper()} is needed with SOLANA_RPC_URL"
            raise SettingsError(msg)
    if settings.pools:
        _pools_of(settings)
    if settings.solana_keypair:
        wallet_of(settings)


def _check_cluster(settings: Settings, cluster: str) -> None:
    """Checks the cluster of POOLS against the settings. The nodes are asked too, once they answer,
    and their genesis hash decides.
    """
    if cluster == "mainnet" and not settings.allow_mainnet:
        msg = f"POOLS={settings.pools}: of mainnet, where money is real; ALLOW_MAINNET=1 allows it"
        raise SettingsError(msg)
    if cluster != "local" and not settings.solana_rpc_url:
        msg = f"POOLS={settings.pools}: of {cluster}; SOLANA_RPC_URL is needed"
        raise SettingsError(msg)


class NoWalletError(SettingsError):
    """The wallet's key cannot be read, which is normal in a process that does not sign."""


def wallet_of(settings: Settings) -> Wallet:
    """The key of SOLANA_KEYPAIR. Raises NoWalletError."""
    from stages.venues.solana.transaction.keypair import KeypairError, load_wallet

    try:
        return load_wallet(settings.solana_keypair)
    except KeypairError as error:
        raise NoWalletError(str(error)) from None


def _pools_of(settings: Settings) -> PoolsFile:
    from stages.venues.solana.accounts.pools_file import PoolsFileError, load_pools

    try:
        pools = load_pools(Path(settings.pools))
    except PoolsFileError as error:
        raise SettingsError(str(error)) from None
    _check_cluster(settings, pools.cluster)
    return pools


def _check_venues(settings: Settings) -> None:
    if settings.venues == SIMULATED:
        return
    from stages.pools.families import DEXES

    if not set(settings.venues) <= set(DEXES):
        named = ",".join(settings.venues)
        msg = f"VENUES={named!r}: expected simulated, or one or more of {', '.join(DEXES)}"
        raise SettingsError(msg)


def open_trading(settings: Settings, *, signs: bool) -> Trading:
    """Connects to the markets of VENUES. A process that does not sign never reads the key.

    Raises SettingsError, OSError.
    """
    _check_venues(settings)
    if settings.venues == SIMULATED:
        return _simulated(settings)
    return SolanaTrading(settings, signs=signs).trading()
