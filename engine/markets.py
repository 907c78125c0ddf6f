"""The options of VENUES: one function and one line of the table each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.settings import Settings, SettingsError
from events.money import Token, by_name
from stages.market import Market
from stages.venues import Chain

LEDGER = "venue-ledger.sqlite"
"""Under DATA_DIR: what the simulated chain executed."""


class Trading(NamedTuple):
    """Where orders go: who quotes, who carries transactions, which tokens there are by name."""

    market: Market
    chain: Chain
    tokens: Mapping[str, Token]


def _simulated(settings: Settings) -> Trading:
    from stages.venues.simulated.chain import SimulatedChain
    from stages.venues.simulated.venue import DEXES, TOKENS, SimulatedVenue, Simulation

    simulation = Simulation(
        seed=settings.venue_seed,
        latency_ms=settings.venue_latency_ms,
        failure_rate=float(settings.venue_failure_rate),
        slot_ms=settings.slot_ms,
        volatility_bps=settings.venue_volatility_bps,
        blockhash_slots=settings.blockhash_slots,
    )
    venues = [SimulatedVenue(*dex, simulation) for dex in DEXES]
    return Trading(
        market=Market(venues, timeout_s=settings.venue_timeout_ms / 1000),
        chain=SimulatedChain(simulation, ledger_path(settings)),
        tokens=by_name(TOKENS.values()),
    )


MARKETS: dict[str, Callable[[Settings], Trading]] = {
    "simulated": _simulated,
}


def ledger_path(settings: Settings) -> Path:
    """Return where the simulated chain keeps its ledger."""
    return settings.data_dir / LEDGER


def check(settings: Settings) -> None:
    """Raises SettingsError where VENUES names nothing that there is."""
    _chosen(settings)


def _chosen(settings: Settings) -> str:
    if len(settings.venues) != 1 or settings.venues[0] not in MARKETS:
        known = ", ".join(MARKETS)
        msg = f"VENUES={','.join(settings.venues)!r}: expected one of {known}"
        raise SettingsError(msg)
    return settings.venues[0]


def open_trading(settings: Settings) -> Trading:
    """Connect to what VENUES names. Raises SettingsError, OSError."""
    return MARKETS[_chosen(settings)](settings)
