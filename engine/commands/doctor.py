"""`engine doctor`: is everything that an engine stands on as it should be?"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import NamedTuple, get_args

import msgspec
from redis.exceptions import ResponseError

from engine.commands.up import reachable
from engine.composition.log import make_log
from engine.doctor import archive, chain, log_server, machine, records, running, waiting
from engine.doctor.findings import Finding, Own, Status
from engine.embedded import localnet
from engine.embedded.data_dir import RunState, holds_engine
from engine.embedded.data_dir import running as recorded
from engine.processes.program import StartError
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.telemetry.logging import quiet
from engine.terminal.styles import styled
from engine.venues import chain_of
from events.log import LogError
from events.secret import SecretUrl

HELP = "check set-up, backends, clocks, ports and chain; print the remedy for each fault"
EXAMPLES = (
    "engine doctor",
    "engine doctor --json",
)
EXITS = {0: "nothing is broken, though there may be warnings", 1: "something is"}

MARKS = {"ok": "ok", "warning": "WARN", "failed": "FAIL", "skipped": "-"}
STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}
assert MARKS.keys() == STYLES.keys() == set(get_args(Status)), "each status has a mark and a style"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Prints the findings; returns 1 where something is broken."""
    quiet()
    findings = asyncio.run(examine(settings))
    status = next(
        (s for s in ("failed", "warning") if any(item.status == s for item in findings)), "ok"
    )
    if args.json:
        print(msgspec.json.encode({"status": status, "checks": findings}).decode())
    else:
        for finding in findings:
            _tell(finding)
    return 1 if status == "failed" else 0


class Subject(NamedTuple):
    """What is examined: settings, completed by what runs here."""

    settings: Settings
    record: RunState | None
    """The engine that runs in DATA_DIR."""
    redis_url: SecretUrl
    """Empty where there is none, as the next."""
    database_url: SecretUrl
    chain: str
    """The chain that the settings name; empty where POOLS cannot be read."""

    def own(self, name: str) -> Own | None:
        """The embedded server of this name, where `engine up` runs one."""
        pid = self.record.pids.get(name) if self.record is not None else None
        return None if pid is None else Own(name, pid)

    @property
    def apart(self) -> bool:
        """Whether the processes run by themselves, beside external servers."""
        return is_apart(self.settings, self.record)


def is_apart(settings: Settings, record: RunState | None) -> bool:
    """Whether the processes of this engine run by themselves, beside external servers."""
    return record is None and bool(settings.redis_url and settings.database_url)


async def examine(settings: Settings) -> list[Finding]:
    """Runs all checks; starts nothing and changes nothing."""
    findings: list[Finding] = []
    record: RunState | None = None
    try:
        record = recorded(settings.data_dir)
    except (StartError, OSError) as error:
        findings.append(Finding("engine", "warning", str(error), "wait a moment"))
    findings += machine.look(settings, runs=record is not None, apart=is_apart(settings, record))
    findings += running.processes(
        settings,
        runs=record is not None,
        apart=is_apart(settings, record),
        new=not holds_engine(settings.data_dir),
    )
    subject = _subject(settings, record)
    for check in CHECKS:
        # The gateway names the processes that hang here too, as their signs of life did above.
        hung = {finding.name for finding in findings if "@" in finding.name}
        findings += [finding async for finding in check(subject) if finding.name not in hung]
    return findings


def _subject(settings: Settings, record: RunState | None) -> Subject:
    settings = localnet.with_chain(settings, record)
    try:
        chain_name = chain_of(settings)
    except SettingsError:
        chain_name = ""
    return Subject(
        settings,
        record,
        settings.redis_url or SecretUrl(record.redis_url if record else ""),
        settings.database_url or SecretUrl(record.database_url if record else ""),
        chain_name,
    )


async def _log_server(subject: Subject) -> AsyncIterator[Finding]:
    if subject.redis_url:
        async for finding in log_server.look(
            subject.redis_url, chain=subject.chain, own=subject.own("valkey")
        ):
            yield finding


async def _archive(subject: Subject) -> AsyncIterator[Finding]:
    if subject.database_url:
        async for finding in archive.look(subject.database_url, own=subject.own("postgres")):
            yield finding


async def _records(subject: Subject) -> AsyncIterator[Finding]:
    settings, redis_url, database_url = subject.settings, subject.redis_url, subject.database_url
    if redis_url and database_url:
        async for finding in records.look(settings, redis_url, database_url, chain=subject.chain):
            yield finding


async def _parked(subject: Subject) -> AsyncIterator[Finding]:
    if subject.redis_url:
        async for finding in waiting.parked(subject.settings, subject.redis_url):
            yield finding


async def _doubts(subject: Subject) -> AsyncIterator[Finding]:
    if subject.database_url:
        async for finding in waiting.look(subject.database_url):
            yield finding


async def _chain(subject: Subject) -> AsyncIterator[Finding]:
    async for finding in chain.look(
        subject.settings, apart=subject.apart, own=subject.own("localnet")
    ):
        yield finding


async def _gateway(subject: Subject) -> AsyncIterator[Finding]:
    if subject.record is not None and subject.record.gateway_url:
        for finding in await running.look(subject.record.gateway_url):
            yield finding
    elif subject.apart:
        url, workers = reachable(subject.settings), await _workers(subject)
        for finding in await running.look(url, elsewhere=True, workers=workers):
            yield finding


async def _workers(subject: Subject) -> Collection[str] | None:
    """The stages that have a worker, as the log knows; None where it does not answer."""
    settings = msgspec.structs.replace(subject.settings, redis_url=subject.redis_url)
    log = make_log(settings)
    try:
        silences = {name: s.silent_ms for name, s in (await log.workers()).stages.items()}
    except (LogError, ResponseError, OSError):
        return None
    finally:
        await log.close()
    return running.stages_with_workers(silences, settings.stuck_after_s * 1000)


CHECKS: Sequence[Callable[[Subject], AsyncIterator[Finding]]] = (
    _log_server,
    _archive,
    _records,
    _parked,
    _doubts,
    _chain,
    _gateway,
)
"""In the order of the report; those of this machine come first."""


def _tell(finding: Finding) -> None:
    mark = styled(f"{MARKS[finding.status]:<5}", STYLES[finding.status])
    print(f"{mark} {finding.name}: {finding.detail}")
    if finding.mend:
        print(f"      mend: {finding.mend}")
