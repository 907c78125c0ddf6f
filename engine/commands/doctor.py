"""`engine doctor`: is everything that an engine stands on as it should be?"""

import argparse
import asyncio

import msgspec

from engine.commands.up import reachable
from engine.doctor import archive, chain, log_server, machine, records, running
from engine.doctor.findings import Finding
from engine.embedded import localnet
from engine.embedded.data_dir import RunState
from engine.embedded.data_dir import running as recorded
from engine.processes.program import StartError
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.telemetry.logging import quiet
from engine.terminal.styles import styled
from engine.venues import chain_of
from events.secret import SecretUrl

HELP = "check set-up, backends, clocks, ports and chain; say how to mend what is wrong"
EXAMPLES = (
    "engine doctor",
    "engine doctor --json",
)
EXITS = {0: "nothing is broken, though there may be warnings", 1: "something is"}

MARKS = {"ok": "ok", "warning": "WARN", "failed": "FAIL", "skipped": "-"}
STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Look at everything; 1 where something is broken."""
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


async def examine(settings: Settings) -> list[Finding]:
    """Everything that can be looked at; starts nothing and changes nothing."""
    record: RunState | None = None
    try:
        record = recorded(settings.data_dir)
    except (StartError, OSError) as error:
        findings = [Finding("engine", "warning", str(error), "wait a moment")]
    else:
        findings = []
    apart = record is None and bool(settings.redis_url and settings.database_url)
    findings += machine.look(settings, runs=record is not None, apart=apart)
    settings = localnet.with_chain(settings, record)
    redis_url = settings.redis_url or SecretUrl(record.redis_url if record else "")
    database_url = settings.database_url or SecretUrl(record.database_url if record else "")
    if redis_url:
        findings += [
            finding async for finding in log_server.look(redis_url, chain=_chain(settings))
        ]
    if database_url:
        findings += [finding async for finding in archive.look(database_url)]
    if redis_url and database_url:
        looked = records.look(settings, redis_url, database_url, chain=_chain(settings))
        findings += [finding async for finding in looked]
    findings += [finding async for finding in chain.look(settings, apart=apart)]
    if record is not None and record.gateway_url:
        findings += await running.look(record.gateway_url)
    elif apart:
        findings += await running.look(reachable(settings), elsewhere=True)
    return findings


def _chain(settings: Settings) -> str:
    """The chain that settings name; what is wrong with POOLS, `chain.look` says."""
    try:
        return chain_of(settings)
    except SettingsError:
        return ""


def _tell(finding: Finding) -> None:
    mark = styled(f"{MARKS[finding.status]:<5}", STYLES[finding.status])
    print(f"{mark} {finding.name}: {finding.detail}")
    if finding.mend:
        print(f"      mend: {finding.mend}")
