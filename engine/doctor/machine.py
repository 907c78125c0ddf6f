"""This machine: Python, DATA_DIR, disk, ports, and the programs of the embedded servers."""

from __future__ import annotations

import http.client
import json
import os
import platform
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.doctor.findings import Finding, failed, ok, skipped, warning
from engine.embedded import binaries, owners
from engine.embedded.backends import missing
from engine.processes.open_files import limits, streams_max
from engine.processes.program import StartError
from engine.settings import Settings

GB = 10**9
DISK_FAILED = GB
DISK_WARNING = 10 * GB
"""The log's file is rewritten beside itself, and the archive only ever grows."""
ANSWER_S = 1.0
WORKERS = 6
"""Processes that `engine up` gives a port of METRICS_PORT to."""


def look(settings: Settings, *, runs: bool, apart: bool) -> Iterator[Finding]:
    """All of it. `runs`: an engine runs here; `apart`: each process by itself, one here perhaps."""
    yield ok("python", f"{platform.python_version()} on {platform.system()}")
    yield from _folder(settings.data_dir)
    yield from _disks(settings.data_dir)
    yield _open_files(settings)
    yield from _secrets(settings)
    if runs or apart:
        yield skipped("ports", "the engine's own, where it runs")
        if runs and settings.metrics_port:
            yield from _served_metrics(settings)
    else:
        yield _port("port", "PORT", settings.host, settings.port)
        if settings.metrics_port:
            for number in range(WORKERS):
                port = settings.metrics_port + number
                yield _port(f"metrics port {port}", "METRICS_PORT", settings.metrics_host, port)
    if not runs:
        yield from _programs(settings)


def _folder(path: Path) -> Iterator[Finding]:
    where = path.absolute()
    if not path.exists():
        above = next(parent for parent in where.parents if parent.exists())
        if os.access(above, os.W_OK | os.X_OK):
            yield ok("DATA_DIR", f"{where} is not there yet and can be made")
        else:
            yield failed("DATA_DIR", f"{where} cannot be made", f"make {above} writable, or name"
                         " another folder")  # fmt: skip
    elif not path.is_dir():
        yield failed("DATA_DIR", f"{where} is not a folder", "name another one")
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield failed("DATA_DIR", f"{where} cannot be written to", f"chown -R $(id -u) {where}")
    elif path.stat().st_mode & stat.S_IWOTH:
        yield failed("DATA_DIR", f"any user may write to {where}", f"chmod o-w {where}")
    else:
        yield ok("DATA_DIR", f"{where} can be written to")


def _disks(data_dir: Path) -> Iterator[Finding]:
    """The disk of DATA_DIR, and those of the servers where they lie on others."""
    there = next(p for p in (data_dir.absolute(), *data_dir.absolute().parents) if p.exists())
    yield _disk("disk", there)
    for name in ("valkey", "postgres"):
        path = data_dir.absolute() / name
        try:
            apart = path.stat().st_dev != there.stat().st_dev
        except OSError:  # there is none, or it is another user's
            continue
        if apart:
            yield _disk(f"disk of {name}", path)


def _disk(name: str, path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    detail = f"{free / GB:.1f} GB free at {path}"
    mend = "free some, or set DATA_DIR to a larger disk"
    if free < DISK_FAILED:
        return failed(name, detail, mend)
    return warning(name, detail, mend) if free < DISK_WARNING else ok(name, detail)


def _open_files(settings: Settings) -> Finding:
    """Whether the gateway may open as many sockets as the settings say."""
    _, hard = limits()
    streams = streams_max(hard, settings.sockets_max)
    if streams >= settings.sockets_max:
        return ok("open files", f"at most {hard}: room for {streams} sockets and event streams")
    detail = f"at most {hard} leave {streams} of SOCKETS_MAX={settings.sockets_max}"
    mend = "raise the hard limit (`ulimit -Hn`, LimitNOFILE of systemd), or lower SOCKETS_MAX"
    return warning("open files", detail, mend)


def _secrets(settings: Settings) -> Iterator[Finding]:
    """Keys that others may read."""
    files = [Path(".env"), settings.data_dir / "wallet.json"]
    if settings.venues != (
        "simulated",
    ) and not settings.solana_keypair.reveal().lstrip().startswith("["):
        files.append(Path(settings.solana_keypair.reveal()).expanduser())
    for path in dict.fromkeys(files):
        try:
            mode = path.stat().st_mode
        except OSError:  # a key of another form is not a path, and is not shown
            continue
        if not stat.S_ISREG(mode):
            continue
        if mode & (stat.S_IRGRP | stat.S_IROTH):
            make = warning if path.name == ".env" else failed
            yield make(path.name, f"others may read {path.absolute()}", f"chmod 600 {path}")
        else:
            yield ok(path.name, "only its owner reads it")


def _port(name: str, setting: str, host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = error.strerror or str(error)
            return failed(name, f"{host} port {port}: {why}", f"end who has it, or set {setting}")
    return ok(name, f"{host} port {port} is free")


def _served_metrics(settings: Settings) -> Iterator[Finding]:
    """The ports of a running engine: a process whose port was taken shows no metrics."""
    for number in range(WORKERS):
        port = settings.metrics_port + number
        name, where = f"metrics port {port}", f"{settings.metrics_host} port {port}"
        if _serves_metrics(settings.metrics_host, port):
            yield ok(name, f"{where} is served")
        else:
            mend = "end who has it: the process opens it then; or set METRICS_PORT"
            yield warning(name, f"{where} is not served by the engine", mend)


def _serves_metrics(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/healthz")
        return isinstance(json.loads(connection.getresponse().read()).get("status"), str)
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return False
    finally:
        connection.close()


def _programs(settings: Settings) -> Iterator[Finding]:
    for name in missing(settings):
        try:
            program = binaries.valkey() if name == "valkey" else binaries.postgres() / "postgres"
            yield ok(f"embedded {name}", f"{binaries.version(program)}, starts with the engine")
        except StartError as error:
            yield failed(f"embedded {name}", str(error), "make run")
    if "postgres" in missing(settings) and not (settings.data_dir / "postgres").is_dir():
        try:
            owners.of_initdb(owners.user())
        except StartError as error:
            why, _, mend = str(error).partition(": ")
            yield failed("user of Postgres", why, mend)
