"""The running engine, as its gateway reports it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.client import Client, UnreachableError
from engine.doctor.findings import Finding, failed, ok, skipped, warning

MENDS = {
    "postgres": "see what is said of Postgres above",
    "market": "see what is said of the nodes above, or name another one in SOLANA_RPC_URL",
    "projector": "see `projector` and `records` above; start it, or look into"
    " logs/projector.log of DATA_DIR",
}
LOG_MENDS = {
    "full": "raise maxmemory of the log server; look at `engine parked list` and the projector",
    "suspended": "see `records` above",
    "unsafe": "see what is said of the log server above",
}
"""By the status of the log."""
LOG_MEND = "see what is said of the log server and of `records` above"
MEND = "look into logs/{part}.log of DATA_DIR; start it, or kill it where it hangs: it starts again"


async def look(url: str, *, elsewhere: bool = False) -> list[Finding]:
    """The answer of /readyz as findings. `elsewhere`: the gateway may run on another machine."""
    try:
        async with Client(url) as client:
            ready = msgspec.to_builtins(await client.ready())
    except UnreachableError as error:
        if elsewhere:
            return [skipped("gateway", f"none here: {error}")]
        return [failed("gateway", str(error), "look into logs/gateway.log of DATA_DIR")]
    return list(_findings(url, ready))


def _findings(url: str, ready: dict[str, object]) -> Iterator[Finding]:
    yield ok("gateway", f"{url}: {ready.get('status')}")
    reasons = ready.get("reasons")
    for part, reason in reasons.items() if isinstance(reasons, dict) else ():
        make = failed if part == "log" else warning
        yield make(part, str(reason), _mend(part, ready))
    if ready.get("parked"):
        detail = f"the engine could not continue {ready['parked']} orders"
        yield warning("parked", detail, "engine parked list")
    if ready.get("halted"):
        yield warning("halt", "an operator halted the engine: nothing is sent", "engine resume")


def _mend(part: str, ready: dict[str, object]) -> str:
    if part != "log":
        return MENDS.get(part, MEND).format(part=part)
    log = ready.get("log")
    status = str(log.get("status")) if isinstance(log, dict) else ""
    return LOG_MENDS.get(status, LOG_MEND)
