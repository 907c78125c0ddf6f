"""`engine up`: the whole engine on one machine, in processes of their own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import functools
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
import structlog

from engine import venues
from engine.composition import stop_times
from engine.embedded import databases, localnet
from engine.embedded.backends import options
from engine.embedded.data_dir import Folder, RunState, running
from engine.processes import file_limit, lifecycle
from engine.processes.child_log import Rotation
from engine.processes.lifecycle import hung_s, stop_on_signal
from engine.processes.program import Program, StartError
from engine.processes.restarts import Restarts
from engine.processes.signs_of_life import sign_file
from engine.processes.supervisor import Supervisor
from engine.settings import Settings
from engine.settings_loader import environment
from engine.telemetry import enabled, logging
from events.order import STAGES
from events.secret import SecretText, SecretUrl
from events.version import VERSION

if TYPE_CHECKING:  # every process imports this module, and a fifth of its start would be aiohttp
    import aiohttp

stop_times.check_supervisor()

HELP = "run the whole engine: backends, gateway, stages, projector"
EXAMPLES = (
    "engine up",
    "PORT=3100 DATA_DIR=.data2 engine up",
)
EXITS = {0: "stopped as asked", 1: "cannot start or continue"}

# In the order of stopping: the gateway first, so that stages finish without new requests.
PROCESSES: Sequence[Sequence[Sequence[str]]] = (
    (("gateway",),),
    tuple(("stage", name) for name in STAGES),
    (("projector",),),
)
SETTING = 2
"""Exit code of a process whose settings are invalid."""
TRACER = ("tracer",)
"""Beside the projector, where there is a collector."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments: none."""


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Runs until asked to stop; prints one line on stdout when a POST would succeed."""
    logging.configure(settings, "up")
    structlog.get_logger().info("process_started", pid=os.getpid(), version=VERSION)
    lifecycle.log_notices()
    file_limit.prepare()
    venues.check(settings)  # says at once what is wrong with VENUES
    enabled.is_enabled(settings)  # … and with traces
    with Folder(settings.data_dir) as folder, contextlib.ExitStack() as stack:
        stack.enter_context(claimed_port(settings))
        servers = databases.prepare(folder, options(settings))
        stack.callback(servers.clean)
        ready = msgspec.structs.replace(on_servers(settings, servers), data_dir=folder.path)
        chains = []
        if localnet.runs_here(settings):
            ready = localnet.prepare(ready, folder.path)
            chains = [localnet.program(ready)]
        venues.check(ready)
        ready = venues.with_wallet(ready)
        asyncio.run(_supervise(ready, folder, servers, chains))
    structlog.get_logger().info("process_stopped")
    return 0


async def _supervise(
    settings: Settings, folder: Folder, servers: databases.Embedded, chains: Sequence[Program]
) -> None:
    stop = asyncio.Event()
    await stop_on_signal(stop)
    url = reachable(settings)

    restarts = Restarts()

    def changed(pids: dict[str, int]) -> None:
        restarts.take(pids)
        # A full disk does not end the engine: only other commands need this file.
        with contextlib.suppress(StartError):
            told = {"solana_rpc_url": settings.solana_rpc_url[0].reveal()} if chains else {}
            record = servers.record(pids, url)
            folder.record(
                msgspec.structs.replace(
                    record, venues=settings.venues, restarts=restarts.counts, **told
                )
            )

    supervisor = Supervisor(
        [*_programs(settings, folder), *([chains] if chains else []), servers.programs],
        folder.logs,
        changed,
        Rotation(settings.log_file_bytes, settings.log_files),
    )
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=2)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        asked = Readiness(client, f"{url}/readyz")
        await supervisor.run(
            stop,
            ready=asked.is_ready,
            announce=lambda: _announce(url),
            lacking=lambda: asked.lacking,
        )


def _announce(url: str) -> None:
    structlog.get_logger().info("process_ready", url=url)
    print(f"ready {url}", flush=True)


def _programs(settings: Settings, folder: Folder) -> list[list[Program]]:
    """Returns the processes of the engine; they read the same settings from their environment."""

    def intact() -> str:
        folder.restore()
        return ""

    # Their lines are JSON in the files; what a terminal shows of them is rendered here.
    environ = {**os.environ, **environment(settings), "LOG_FORMAT": "json"}
    *before, last = PROCESSES
    processes = [*before, (*last, TRACER) if enabled.is_enabled(settings) else last]
    # The gateway has a port for its metrics already: its own.
    ports = {
        words[-1]: settings.metrics_port + number
        for number, words in enumerate(words for group in processes[1:] for words in group)
        if settings.metrics_port
    }
    return [
        [
            Program(
                name=words[-1],
                # -P: a folder called `engine` where we are started is none of our code.
                argv=[sys.executable, "-P", "-m", "engine", *words],
                environ=environ | {"METRICS_PORT": str(ports.get(words[-1], 0))},
                hopeless=SETTING,
                alive=functools.partial(sign_file, settings, words[-1]),
                hung_s=hung_s(settings),
                lost=intact,
                tells=True,
            )
            for words in group
        ]
        for group in processes
    ]


class Readiness:
    """Whether a gateway accepts orders, and if not, why."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self.lacking = "not asked yet"
        self._client = client
        self._url = url

    async def is_ready(self) -> bool:
        """Asks once."""
        import aiohttp

        try:
            async with self._client.get(self._url) as answer:
                if answer.status == HTTPStatus.OK:
                    return True
                reasons = msgspec.json.decode(await answer.read(), type=_Reasons).reasons
                self.lacking = "; ".join(f"{part}: {text}" for part, text in reasons.items())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            self.lacking = f"the gateway does not answer: {str(error) or 'timeout'}"
        return False


class _Reasons(msgspec.Struct):
    """What is read of /readyz."""

    reasons: dict[str, str]


@contextlib.contextmanager
def claimed_port(settings: Settings) -> Iterator[None]:
    """Holds HOST and PORT for the gateway, from before anything starts. Raises StartError.

    A program that takes any free port gets another one. Without the name another engine that starts
    now could get the port first, and this one would take that gateway for its own.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with (
        socket.socket(family, socket.SOCK_STREAM) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as name,
    ):
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the gateway: both may bind
        try:
            _claim(name, f"order-engine {settings.port} {settings.host}")
            port.bind((settings.host, settings.port))
        except OSError as error:
            msg = f"cannot listen on HOST={settings.host} PORT={settings.port}: {error.strerror}"
            raise StartError(msg) from None
        yield


def _claim(unix: socket.socket, name: str) -> None:
    """Takes an abstract name, which is of one network namespace, as a port is. Linux has them."""
    try:
        if sys.platform == "linux":
            unix.bind(f"\0{name[:100]}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise  # else a sandbox forbids it


def reachable(settings: Settings) -> str:
    """Returns a URL that reaches a gateway that listens on HOST and PORT."""
    host = settings.host
    known = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - not a bind
    return f"http://{known.get(host, f'[{host}]' if ':' in host else host)}:{settings.port}"


def with_backends(settings: Settings) -> Settings:
    """Returns the settings with all URLs filled in, for a process that starts no backends."""
    record = None
    if not (settings.redis_url and settings.database_url) or localnet.runs_here(settings):
        record = running(settings.data_dir)
    settings = localnet.with_chain(settings, record)
    if settings.redis_url and settings.database_url:
        return settings
    if record is None:
        remedy = "start `engine up`, or set REDIS_URL and DATABASE_URL"
        msg = f"no engine runs in {settings.data_dir}: {remedy}"
        raise StartError(msg)
    return on_servers(settings, record)


def on_servers(settings: Settings, servers: databases.Embedded | RunState) -> Settings:
    """Returns the settings with the URLs of embedded servers where the user has set none.

    A password is kept with the URL that it belongs to: an embedded server has none.
    """
    none = SecretText("")
    return msgspec.structs.replace(
        settings,
        redis_url=settings.redis_url or SecretUrl(servers.redis_url),
        redis_password=settings.redis_password if settings.redis_url else none,
        database_url=settings.database_url or SecretUrl(servers.database_url),
        database_password=settings.database_password if settings.database_url else none,
    )
