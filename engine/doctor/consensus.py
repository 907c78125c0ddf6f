"""Which consensus the cluster runs, from when on a fill counts, and how long a slot is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.doctor.findings import Finding, ok, warning
from engine.settings import Settings
from stages.runtime.stage import VenueRefusal

if TYPE_CHECKING:
    from stages.venues.solana.rpc.methods import Rpc

NAME = "consensus"


async def look(settings: Settings, rpc: Rpc, slot_setting: int | None) -> Finding:
    """The consensus and the slot time of a node. `slot_setting`: of `engine.venues.cluster`."""
    from stages.venues.solana.cluster.commitments import Commitments
    from stages.venues.solana.cluster.slot_time import SlotTime

    commitments = Commitments(rpc, settings.commitment)
    slot_time = SlotTime(slot_setting, rpc)
    try:
        await commitments.look()
    except VenueRefusal as error:
        return warning(NAME, f"no node tells which it is: {error}", "try again")
    await slot_time.measure()
    facts = commitments.facts
    length = f"slots of {slot_time.ms:.0f} ms" if slot_time.known else "slots not measured yet"
    detail = f"{facts.consensus}, a fill counts once {facts.commitment}"
    return ok(NAME, f"{detail} (COMMITMENT={settings.commitment}), {length}")
