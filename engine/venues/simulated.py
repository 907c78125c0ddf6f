"""The simulated market and its chain."""

from __future__ import annotations

from pathlib import Path

from engine.settings import Settings
from engine.venues.trading import Trading
from events.money import by_name
from stages.venues.venue_group import VenueGroup

LEDGER = "venue-ledger.sqlite"
"""Under DATA_DIR: what the simulated chain executed."""


def ledger_path(settings: Settings) -> Path:
    """Returns where the simulated chain keeps its ledger."""
    return settings.data_dir / LEDGER


def simulated_trading(settings: Settings) -> Trading:
    """Returns the simulated market with its chain."""
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
