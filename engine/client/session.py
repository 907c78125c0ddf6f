"""Finds the gateway of a command, and prints what the gateway refuses."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

from engine.client import Client, OutcomeUnknownError, RefusedError, UnreachableError
from engine.embedded.data_dir import running
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.settings_loader import load

UNKNOWN_EXIT = 4
"""Exit code of a command that may have been carried out or not."""

PORT = Settings().port
"""Who leaves it at that may mean any engine."""


def run_with_gateway(work: Coroutine[Any, Any, int]) -> int:
    """Runs a command; prints in one line what the gateway refuses, or that it does not answer."""
    try:
        return asyncio.run(work)
    except SettingsError as error:
        print(f"engine: {error}", file=sys.stderr)
        return 2
    except (RefusedError, UnreachableError) as error:
        hint = ""
        if isinstance(error, RefusedError) and error.code == "unauthenticated":
            hint = " (say it in API_KEY; `engine keys create` makes one)"
        print(f"engine: {error}{hint}", file=sys.stderr)
        return UNKNOWN_EXIT if isinstance(error, OutcomeUnknownError) else 1


def gateway_url(settings: Settings) -> str:
    """Returns where the gateway of this DATA_DIR listens, else the address of HOST and PORT."""
    state = running(settings.data_dir)
    if state and settings.port not in (PORT, urlsplit(state.gateway_url).port or settings.port):
        msg = (
            f"PORT={settings.port}, but the engine of DATA_DIR={settings.data_dir} is"
            f" {state.gateway_url}: set the DATA_DIR of the engine that you mean, too"
        )
        raise SettingsError(msg)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  # compared only
    return (state.gateway_url if state else "") or f"http://{host}:{settings.port}"


def connect(settings: Settings) -> Client:
    """Returns a client of the gateway of this DATA_DIR, not entered yet."""
    return Client(gateway_url(settings), settings.api_key)


def client_of(url: str = "") -> Client:
    """Returns a client of the gateway at `url`, or else of the engine that DATA_DIR and PORT name,
    with the key of API_KEY; not entered yet. Raises SettingsError.
    """
    settings = load()
    return Client(url or gateway_url(settings), settings.api_key)
