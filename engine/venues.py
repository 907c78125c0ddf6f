"""The options of VENUES: one function and one line of the table each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from engine.setting_parser import SettingsError
from engine.settings import Settings
from events.money import Token, by_name
from stages.venues import Chain
from stages.venues.venue_group import VenueGroup

if TYPE_CHECKING:  # the simulation needs none of it
    from stages.venues.solana.accounts.pools_file import PoolsFile
    from stages.venues.solana.rpc.methods import Rpc
    from stages.venues.solana.rpc.survey import Nodes
    from stages.venues.solana.transaction.keypair import Wallet

LEDGER = "venue-ledger.sqlite"
"""Under DATA_DIR: what the simulated chain executed."""
DEXES = ("raydium", "meteora")

Live = Callable[[bool], contextlib.AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def _nothing_lives(_: bool) -> AsyncIterator[None]:
    yield


async def _at_once() -> None:
    pass


async def _suited() -> str:
    return ""


class Trading(NamedTuple):
    """Where orders go: who quotes, who carries transactions, which tokens there are by name."""

    market: VenueGroup
    chain: Chain
    tokens: Mapping[str, Token]
    fault: Callable[[], str] = lambda: ""
    """Why no venue can be asked now; empty where one can."""
    live: Live = _nothing_lives
    """What has to live while it is used; True where pools are followed as well."""
    ready: Callable[[], Awaitable[object]] = _at_once
    """Returns once there is something to quote from, while it lives."""
    unsuited: Callable[[], Awaitable[str]] = _suited
    """Why the settings do not fit the cluster, once it has answered; empty where they do."""
    facts: Callable[[], Mapping[str, Any] | None] = lambda: None
    """The cluster as /readyz reports it; None where there is none."""
    watch_nodes: Callable[[], Awaitable[None]] = _at_once
    """Looks now and then at what the nodes serve, for `fault`, until it is cancelled."""
    explorer: str = ""
    """URL of an explorer for transactions; empty without one."""


def _simulated(settings: Settings, signs: bool) -> Trading:  # noqa: ARG001  # no key here
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


class _Closes(Protocol):
    async def close(self) -> None: ...


class _Reads(_Closes, Protocol):
    def start(self) -> None: ...


@contextlib.asynccontextmanager
async def _reading(reads: Iterable[_Reads], ends: Iterable[_Closes]) -> AsyncIterator[None]:
    """Starts `reads` in the background for the length of the block; then closes `ends` in order."""
    for read in reads:
        read.start()
    try:
        yield
    finally:
        for each in ends:
            await each.close()


class Connected(NamedTuple):
    """A chain's nodes, and the pools that are traded there."""

    rpc: Rpc
    pools: PoolsFile


def open_rpc(settings: Settings, *, observed: bool = True) -> Connected:
    """Nothing is asked yet; `observed`: see RpcOptions. Raises SettingsError for files that cannot
    be used.
    """
    from stages.venues.solana.rpc.clusters import ClusterGuard
    from stages.venues.solana.rpc.link import RpcLink
    from stages.venues.solana.rpc.methods import Rpc
    from stages.venues.solana.rpc.options import RpcOptions

    if not settings.solana_rpc_url:
        msg = (
            f"no local chain runs in {settings.data_dir}: start `engine up`, or set SOLANA_RPC_URL"
        )
        raise SettingsError(msg)
    pools = _pools_of(settings)
    admission = ClusterGuard(pools.cluster, allow_mainnet=settings.allow_mainnet)
    options = RpcOptions(settings.solana_rpc_url, observed=observed)
    return Connected(Rpc(RpcLink(options, admission)), pools)


def slot_setting(settings: Settings, pools: PoolsFile) -> int | None:
    """Returns how long a slot is set to be; None where it is measured: on every real chain."""
    return settings.slot_ms if pools.cluster == "local" else None


def node_survey(settings: Settings, *, signs: bool) -> Nodes:
    """What the nodes serve of what the engine asks for. Who does not sign asks about no wallet of
    ours. Raises SettingsError.
    """
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


def _solana(settings: Settings, signs: bool) -> Trading:
    from projections.views.explorer import explorer_of
    from stages.pools.families import FAMILIES
    from stages.routing.costs import Costs
    from stages.venues.solana.accounts.cache import AccountCache
    from stages.venues.solana.accounts.holdings import WrappedAccount
    from stages.venues.solana.chain import SolanaChain
    from stages.venues.solana.cluster.commitments import Commitments
    from stages.venues.solana.cluster.features import Features
    from stages.venues.solana.rpc.options import CacheOptions, ChainOptions
    from stages.venues.solana.transaction.programs import WSOL
    from stages.venues.solana.transaction.versions import V0
    from stages.venues.solana.venue import SolanaVenue

    rpc, pools = open_rpc(settings)
    wallet = wallet_of(settings) if signs else None
    reading = CacheOptions(
        slot_ms=slot_setting(settings, pools),
        read_ms=settings.pools_read_ms,
        stale_ms=settings.quotes_stale_ms,
    )
    cache = AccountCache(rpc, FAMILIES, pools, reading)
    options = ChainOptions(
        cu_price=settings.cu_price_micro_lamports,
        stalled_ms=settings.quotes_stale_ms,
    )
    features = Features(rpc, settings.tx_version)
    commitments = Commitments(rpc, settings.commitment)
    wraps = wallet and WrappedAccount(rpc, wallet.pubkey, lambda: features.version == V0)
    chain = SolanaChain(
        rpc, wallet, cache, FAMILIES, pools.by_name(), options, features, commitments=commitments
    )
    entries = pools.tokens
    tokens = by_name(Token(entry.symbol, entry.decimals, entry.mint) for entry in entries)
    middles = tuple(tokens[name].mint for name in ("SOL", "USDC") if name in tokens)
    venue = SolanaVenue(
        cache,
        tokens,
        {entry.mint: entry.program_id for entry in entries},
        settings.venues,
        Costs(settings.cu_price_micro_lamports, WSOL, middles),
        max_price_impact_bps=settings.max_price_impact_bps,
        version=lambda: features.version,
        wraps=wraps.exists if wraps else lambda: None,
    )

    always: list[_Reads] = [cache.slot_time, commitments]
    reads: list[_Reads] = [*always, cache, features, *([wraps] if wraps else [])]

    async def ready() -> None:
        await asyncio.gather(cache.next_slot(0), features.known(), commitments.known())

    market = VenueGroup([venue], timeout_s=settings.venue_timeout_ms / 1000)
    nodes = node_survey(settings, signs=False)
    return Trading(
        market,
        chain,
        tokens,
        live=lambda pools_too: _reading(reads if pools_too else always, [chain, *reads, rpc]),
        ready=ready,
        fault=lambda: features.fault or cache.fault() or nodes.fault(),
        unsuited=features.unsuited,
        facts=lambda: {
            **msgspec.to_builtins(features.facts),
            **msgspec.to_builtins(commitments.facts),
            "slotMs": round(cache.slot_time.ms),
        },
        watch_nodes=nodes.watch,
        explorer=explorer_of(pools.cluster, settings.solana_rpc_url[0]),
    )


def ledger_path(settings: Settings) -> Path:
    """Returns where the simulated chain keeps its ledger."""
    return settings.data_dir / LEDGER


def chain_of(settings: Settings) -> str:
    """Returns the chain that orders trade on: `simulated`, or a cluster; empty where POOLS, which
    says so, is not given to this process. Raises SettingsError.
    """
    if settings.venues == ("simulated",):
        return "simulated"
    if settings.pools:
        return _pools_of(settings).cluster
    return "" if settings.solana_rpc_url else "local"


def check(settings: Settings) -> None:
    """Raises SettingsError where VENUES names nothing that there is, or where what it needs is not
    there or cannot be used: before anything is started.
    """
    _chosen(settings)
    if settings.venues == ("simulated",):
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


def _chosen(settings: Settings) -> Callable[[Settings, bool], Trading]:
    if settings.venues == ("simulated",):
        return _simulated
    if set(settings.venues) <= set(DEXES):
        return _solana
    named = ",".join(settings.venues)
    msg = f"VENUES={named!r}: expected simulated, or one or more of {', '.join(DEXES)}"
    raise SettingsError(msg)


def open_trading(settings: Settings, *, signs: bool) -> Trading:
    """Connects to what VENUES names. A process that does not sign never reads the key.

    Raises SettingsError, OSError.
    """
    return _chosen(settings)(settings, signs)
