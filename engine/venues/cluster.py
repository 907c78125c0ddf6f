"""The Solana cluster of the settings: its nodes, its POOLS file, and the wallet's key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.setting_parser import SettingsError
from engine.settings import Settings

if TYPE_CHECKING:  # a process of the simulation does not load them
    from stages.venues.solana.accounts.pools_file import PoolsFile
    from stages.venues.solana.rpc.methods import Rpc
    from stages.venues.solana.rpc.survey import Nodes
    from stages.venues.solana.transaction.keypair import Wallet


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
    pools = pools_of(settings)
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

    pools = pools_of(settings)
    subject = Subject(
        wallet_of(settings).address if signs else WSOL,
        [address for some in pools.pools.values() for address in some] or [WSOL],
    )
    return Nodes(
        settings.solana_rpc_url,
        lambda: ClusterGuard(pools.cluster, allow_mainnet=settings.allow_mainnet),
        subject,
    )


class NoWalletError(SettingsError):
    """The wallet's key cannot be read, which is normal in a process that does not sign."""


def wallet_of(settings: Settings) -> Wallet:
    """The key of SOLANA_KEYPAIR. Raises NoWalletError."""
    from stages.venues.solana.transaction.keypair import KeypairError, load_wallet

    try:
        return load_wallet(settings.solana_keypair)
    except KeypairError as error:
        raise NoWalletError(str(error)) from None


def check_address(text: str) -> None:
    """Raises SettingsError where SOLANA_WALLET is not an address."""
    from solders.pubkey import Pubkey

    try:
        Pubkey.from_string(text)
    except ValueError:
        msg = f"SOLANA_WALLET={text!r}: expected an address in base 58"
        raise SettingsError(msg) from None


def pools_of(settings: Settings) -> PoolsFile:
    """Returns the POOLS file. Raises SettingsError, also where the cluster may not be used."""
    from stages.venues.solana.accounts.pools_file import PoolsFileError, load_pools

    try:
        pools = load_pools(Path(settings.pools))
    except PoolsFileError as error:
        raise SettingsError(str(error)) from None
    _check_cluster(settings, pools.cluster)
    return pools


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
