"""What each node serves of what the engine asks for, and how far nodes are apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from engine.doctor.findings import Finding, failed, ok, warning
from engine.settings import Settings
from engine.venues.cluster import node_survey

if TYPE_CHECKING:  # the simulation needs none of it
    from stages.venues.solana.rpc.survey import Surveyed

MEND = "name another node in SOLANA_RPC_URL beside it, or use a plan that serves this"
LAG_MEND = "wait until it has caught up, or name another node"


async def look(settings: Settings, *, signs: bool) -> AsyncIterator[Finding]:
    """A line for each node that answers, and one for their lag."""
    answers = await node_survey(settings, signs=signs).look()
    seen = [answer for answer in answers if answer is not None]
    for number, node in enumerate(answers, start=1):
        if node is not None:  # else the line of the node names the reason
            yield _methods(f"methods of node {number}", node, seen)
    if len(seen) > 1:
        yield _lag(seen)


def _methods(name: str, surveyed: Surveyed, seen: Sequence[Surveyed]) -> Finding:
    from stages.venues.solana.rpc.survey import METHODS, missing

    orders, others = (
        surveyed.lacks("orders"),
        [*surveyed.lacks("repair"), *surveyed.limits.values()],
    )
    if orders:
        make = failed if list(missing(seen, "orders")) else warning
        return make(name, f"orders need: {'; '.join([*orders, *others])}", MEND)
    if others:
        return warning(name, "; ".join(others), MEND)
    less = f", without {', '.join(surveyed.refusals)}" if surveyed.refusals else ""
    return ok(
        name, f"{surveyed.host}: {len(METHODS) - len(surveyed.refusals)} of {len(METHODS)}{less}"
    )


def _lag(seen: Sequence[Surveyed]) -> Finding:
    """Their slots were asked for at the same moment."""
    from stages.venues.solana.rpc.shared_methods import BEHIND_SLOTS

    newest = max(node.slot for node in seen)
    behind = max(seen, key=lambda surveyed: newest - surveyed.slot)
    lag = newest - behind.slot
    detail = f"{behind.host} is {lag} slots behind the newest of {len(seen)}"
    late = lag > BEHIND_SLOTS["processed"]
    return warning("lag of nodes", detail, LAG_MEND) if late else ok("lag of nodes", detail)
