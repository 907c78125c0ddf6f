"""The local chain of an engine: its process, its wallet and its pools, all under DATA_DIR."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.embedded.data_dir import Folder, RunState, running
from engine.embedded.databases import run_program
from engine.processes.program import Program, StartError
from engine.processes.signs_of_life import sign_file
from engine.settings import Settings
from engine.settings_loader import environment
from events.secret import SecretText, SecretUrl

WALLET = "wallet.json"
POOLS = "localnet-pools.json"
HUNG_S = 120.0
"""Longer than of other processes: it may read a long ledger in one turn of its loop."""


def file(settings: Settings) -> Path:
    """Where the chain keeps everything, its ledger too."""
    from engine.localnet.open import FILE

    return settings.data_dir / FILE


def runs_here(settings: Settings) -> bool:
    """Whether the engine trades on a chain and no node is configured."""
    return settings.venues != ("simulated",) and not settings.solana_rpc_url


def prepare(settings: Settings, folder: Path) -> Settings:
    """Makes wallet and pools where there are none; returns the settings that lead to the chain."""
    from engine.localnet.genesis import pools_file

    (folder / POOLS).write_text(json.dumps(pools_file(), indent=1), encoding="utf-8")
    if not settings.solana_keypair:
        _make_wallet(folder / WALLET)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return _leading(settings, folder, f"http://127.0.0.1:{port}")


def with_chain(settings: Settings, record: RunState | None) -> Settings:
    """Returns the settings that lead to what a running engine trades on: its VENUES, not those of
    this command, and its local chain, if it has one.
    """
    if record is not None and record.venues:
        settings = msgspec.structs.replace(settings, venues=record.venues)
    if not runs_here(settings) or record is None or not record.solana_rpc_url:
        return settings
    return _leading(settings, settings.data_dir, record.solana_rpc_url)


@contextlib.contextmanager
def local_chain_running(settings: Settings) -> Iterator[Settings]:
    """Yields the settings that lead to the chain, and runs it for so long where no engine does.

    Enter it in the main thread. Raises StartError.
    """
    if not runs_here(settings):
        yield settings
        return
    with contextlib.ExitStack() as stack:
        record = running(settings.data_dir)
        if record is not None and record.gateway_url:
            if not record.solana_rpc_url:
                msg = f"the engine in {settings.data_dir} trades on no local chain"
                raise StartError(msg)
            yield with_chain(settings, record)
            return
        if record is None:  # else we hold the folder ourselves
            stack.enter_context(Folder(settings.data_dir))
        path = settings.data_dir.absolute()
        ready = prepare(settings, path)
        stack.enter_context(run_program(program(ready), path / "logs"))
        yield ready


def program(settings: Settings) -> Program:
    """The chain's process; `settings` are those that lead to it."""
    from stages.venues.solana.transaction.keypair import load_wallet

    [url] = settings.solana_rpc_url
    port = url.reveal().rpartition(":")[2]
    wallet = load_wallet(settings.solana_keypair).address
    return Program(
        name="localnet",
        argv=[sys.executable, "-P", "-m", "engine", "localnet", "--port", port, "--fund", wallet],
        environ={**os.environ, **environment(settings)},
        ready=lambda _pid: _answers(int(port)),
        alive=functools.partial(sign_file, settings, "localnet"),
        hung_s=HUNG_S,
        tells=True,
    )


def _leading(settings: Settings, folder: Path, url: str) -> Settings:
    return msgspec.structs.replace(
        settings,
        solana_rpc_url=(SecretUrl(url),),
        solana_keypair=settings.solana_keypair or SecretText(str(folder / WALLET)),
        pools=settings.pools or str(folder / POOLS),
    )


def _make_wallet(path: Path) -> None:
    """A key of its own, for play money; in the format of solana-keygen."""
    from solders.keypair import Keypair

    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(list(bytes(Keypair())), file)
    fresh.replace(path)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.05):
            return True
    except OSError:
        return False
