"""Which version of transactions the cluster takes, and which is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.doctor.findings import Finding, failed, ok, warning
from engine.settings import Settings
from stages.runtime.stage import VenueRefusal

if TYPE_CHECKING:
    from stages.venues.solana.rpc.methods import Rpc

NAME = "transactions"


async def look(settings: Settings, rpc: Rpc) -> Finding:
    """Whether the cluster's feature accounts enable the version, and whether nodes accept it."""
    from stages.venues.solana.cluster.features import Features

    features = Features(rpc, settings.tx_version)
    try:
        await features.ask()
    except (VenueRefusal, ValueError) as error:
        return warning(NAME, f"the cluster's features cannot be read: {error}", "try again")
    if fault := features.fault:
        return failed(NAME, fault, "set TX_VERSION=auto")
    facts = features.facts
    told = (
        f"the cluster takes v{facts.transaction_version}, v{facts.builds_version} is built"
        f" (TX_VERSION={settings.tx_version})"
    )
    if features.refusal:
        mend = "name a node that takes v1: routes that do not fit into v0 cannot be carried out"
        return warning(NAME, f"{told}: no node takes v1: {features.refusal}", mend)
    return ok(NAME, told)
