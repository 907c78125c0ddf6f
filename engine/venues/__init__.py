"""The markets of VENUES: the simulated chain, or the DEXes of a Solana cluster.

A DEX is a folder of `stages.pools` and its lines in `stages.pools.families`. Imports settings and
stages, and no other room of the engine. Public: what is exported here, and `cluster`.
"""

from __future__ import annotations

import msgspec

from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.venues.cluster import check_address, pools_of, wallet_of
from engine.venues.simulated import LEDGER, ledger_path, simulated_trading
from engine.venues.trading import Trading

__all__ = [
    "LEDGER", "SIMULATED", "Trading", "chain_of", "check", "ledger_path", "open_trading",
    "with_wallet",
]  # fmt: skip

SIMULATED = ("simulated",)
"""VENUES of the simulated chain."""


def chain_of(settings: Settings) -> str:
    """Returns the chain that orders trade on: `simulated`, or the cluster of POOLS; empty where
    this process has no POOLS. Raises SettingsError.
    """
    if settings.venues == SIMULATED:
        return "simulated"
    if settings.pools:
        return pools_of(settings).cluster
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
        pools_of(settings)
    if settings.solana_keypair:
        wallet_of(settings)
    if settings.solana_wallet:
        check_address(settings.solana_wallet)


def with_wallet(settings: Settings) -> Settings:
    """Returns the settings with the address of the wallet, for processes that never read the key.

    Raises SettingsError.
    """
    if settings.venues == SIMULATED or settings.solana_wallet or not settings.solana_keypair:
        return settings
    return msgspec.structs.replace(settings, solana_wallet=wallet_of(settings).address)


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
        return simulated_trading(settings)
    from engine.venues.solana import SolanaTrading

    return SolanaTrading(settings, signs=signs).trading()
