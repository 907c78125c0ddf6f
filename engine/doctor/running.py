"""The running engine: which of its processes run, and what its gateway reports."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.client import Client, UnreachableError
from engine.doctor.findings import Finding, failed, ok, skipped, warning
from engine.processes.signs_of_life import Sign, signs
from engine.settings import Settings
from engine.terminal.counts import counted
from events.order.wait_reasons import WITHOUT_STAGE, WaitReason
from gateway.http.readiness_reasons import REASONS

LOG_OF = "look into logs/{part}.log of DATA_DIR"
MENDS: Mapping[str, str] = {
    "log-unavailable": "see the lines of the log server and `records` above",
    "log-full": "raise maxmemory of the log server: VALKEY_MAXMEMORY_MB for the embedded one",
    "log-suspended": "see `records` above",
    "log-unsafe": "see the lines of the log server above",
    "log-not-compared": LOG_OF,
    "foreign-entries": "see `records` above",
    "head-damaged": "engine repair --yes",
    "process-hung": "kill -9 {pid} there, unless that host is lost",
    "archive-unavailable": "see the lines of Postgres above",
    "projector-halted": "see `records` above",
    "projector-behind": LOG_OF,
    "projector-age-unknown": "engine audit verify",
    "stage-without-worker": "engine stage {part}",
    "stage-silent": "engine alive {part} names the process that hangs: kill it",
    "stage-stuck": LOG_OF,
    "stage-age-unknown": "engine audit verify",
    "watcher-missing": "engine stage watcher",
    "market-unavailable": "see the lines of the nodes above",
}
"""The remedy for each reason of /readyz, for a reader of the doctor's report."""
assert MENDS.keys() == REASONS.keys(), "each reason has a remedy"
UNKNOWN = LOG_OF
"""Of a reason that a newer gateway gives."""


def processes(settings: Settings, *, runs: bool, apart: bool, new: bool) -> Iterator[Finding]:
    """The processes of DATA_DIR by their signs of life.

    `runs`: `engine up` holds the folder; `apart`: the processes run by themselves, perhaps on other
    machines; `new`: no engine has ever been in the folder.
    """
    present = [sign for sign in signs(settings) if sign.exists and sign.process != "localnet"]
    hung = [sign for sign in present if not sign.is_alive(settings)]
    if present:
        kinds = sorted({sign.process for sign in present})
        yield ok("engine", f"{len(present)} processes of it run here: {', '.join(kinds)}")
    elif runs:
        yield warning(
            "engine", "`engine up` runs, and no process of it shows life", "wait a moment"
        )
    elif apart:
        yield skipped("engine", "no process of it runs with this DATA_DIR; see `gateway`")
    elif new:
        yield skipped("engine", "none was started here yet")
    else:
        yield warning("engine", "none runs on this DATA_DIR: no order is taken", "engine up")
    yield from (_hung(sign) for sign in hung)


def _hung(sign: Sign) -> Finding:
    return failed(
        f"{sign.process}@{sign.host}.{sign.pid}",
        f"process {sign.pid} on {sign.host} exists and shows no life",
        f"kill -9 {sign.pid} there",
    )


async def look(
    url: str, *, elsewhere: bool = False, workers: Collection[str] | None = None
) -> list[Finding]:
    """The answer of /readyz as findings. `elsewhere`: the gateway may run on another machine;
    `workers`: the stages that have a worker, as the log knows; None: not known.
    """
    try:
        async with Client(url) as client:
            ready = msgspec.to_builtins(await client.ready())
    except UnreachableError as error:
        if not elsewhere:
            return [failed("gateway", str(error), LOG_OF.format(part="gateway"))]
        if workers is not None and not workers:
            detail = (
                f"none here, and no stage has a worker: no engine runs on these servers ({error})"
            )
            return [warning("gateway", detail, "start its processes: docs/guide/deployment.md")]
        return [skipped("gateway", f"none here: {error}")]
    return list(_findings(url, ready))


def _findings(url: str, ready: dict[str, object]) -> Iterator[Finding]:
    yield ok("gateway", f"{url}: {ready.get('status')}")
    reasons, codes = ready.get("reasons"), ready.get("codes")
    known = codes if isinstance(codes, dict) else {}
    for part, reason in reasons.items() if isinstance(reasons, dict) else ():
        make = failed if part == "log" else warning
        mend = MENDS.get(str(known.get(part)), UNKNOWN)
        mend = mend.format(part=part, pid=str(part).rpartition(".")[2])
        yield make(part, str(reason), mend)
    if isinstance(halt := ready.get("halted"), dict):
        detail = f"{halt.get('actor')} halted the engine at {halt.get('since')}: nothing is sent"
        yield warning("halt", f"{detail} ({halt.get('reason')})", "engine resume")
    lag = ready.get("lag")
    yield from _waits((lag if isinstance(lag, dict) else {}).get("stages") or {})


WAITS_S = 5.0
"""What waits for less is on its way."""
WAIT_MENDS: Mapping[str, str] = {
    WaitReason.PACING: "none: they start in turn; ORDERS_PER_MINUTE says how many a minute",
    WaitReason.PERMIT: "none: they start in turn; CONCURRENCY says how many at once",
    WaitReason.HALT: "engine resume",
    WaitReason.SUSPENDED: "see `records` above",
    WaitReason.NODE: "see the lines of the nodes above",
    WaitReason.BACKOFF: LOG_OF,
    WaitReason.QUEUE: "engine stage {part}: one more worker",
    WaitReason.CHAIN: "none: the chain decides",
}
"""What ends a wait for a stage, by its reason."""
assert WAIT_MENDS.keys() == set(WaitReason) - WITHOUT_STAGE, "each reason has a remedy"


def _waits(stages: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """What waits for each stage: how many, for how long, and why."""
    for stage, lag in stages.items():
        seconds, reasons = lag.get("seconds"), lag.get("reasons")
        if not isinstance(reasons, dict) or not reasons or (seconds or 0) < WAITS_S:
            continue
        main = max(reasons, key=lambda reason: int(reasons[reason]))
        why = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
        detail = f"{counted(lag['orders'], 'order')} in wait, the oldest for {seconds:.0f} s"
        mend = WAIT_MENDS.get(main, UNKNOWN).format(part=stage)
        yield warning(f"orders of {stage}", f"{detail}: {why}", mend)


def stages_with_workers(silences_ms: Mapping[str, int | None], within_ms: int) -> Sequence[str]:
    """The stages of which a worker made a call within this time."""
    return [s for s, silent in silences_ms.items() if silent is not None and silent < within_ms]
