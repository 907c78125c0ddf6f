"""Reads the settings from the environment and from `.env`, and writes them for a child process.

Only `engine/` reads the environment.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from engine.setting_parser import SettingsError, convert, text_of
from engine.settings import Settings
from events.secret import SecretText

ENV_FILE = Path(".env")
# Keys that Compose reads from the same `.env`; any other key we do not know is an error.
FOREIGN = ("ALERT_", "COMPOSE_", "POSTGRES_")

FORMER_NAMES = {"RUN_AHEAD": "FUSE_STAGES"}
"""Names of settings in earlier builds. Each is refused: an ignored one would change behaviour."""

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Settings:
    """Reads the settings: the environment first, then `env_file` where it exists, then defaults.

    An empty value counts as absent. Raises `SettingsError` with one clear line.
    """
    results = dict(_read_env_file(env_file)) if env_file and env_file.is_file() else {}
    results |= os.environ if environ is None else environ
    for former, name in FORMER_NAMES.items():
        if results.get(former, "").strip():
            raise SettingsError(_renamed(former, name))
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = results.get(field.name.upper(), "").strip()
        if text:
            values[field.name] = convert(field.name.upper(), text, field.type)
    settings = Settings(**values)
    _check_urls(settings)
    return settings


def _renamed(former: str, name: str) -> str:
    return f"{former} was renamed: set {name} instead"


def _check_urls(settings: Settings) -> None:
    """Raises SettingsError for a malformed URL. The message does not hold the URL: it may carry a
    password or key.
    """
    for name in ("redis_url", "database_url", "otel_exporter_otlp_endpoint"):
        url = getattr(settings, name)
        if url and not url.well_formed:
            msg = f"{name.upper()}: expected a URL; / ? # and @ of a password as %2F %3F %23 %40"
            raise SettingsError(msg)
    if settings.redis_url and not settings.redis_url.reveal().startswith(REDIS_SCHEMES):
        msg = f"REDIS_URL: expected one of {', '.join(REDIS_SCHEMES)} in front"
        raise SettingsError(msg)
    collector = settings.otel_exporter_otlp_endpoint
    if collector and not _is_http(collector.reveal()):
        msg = "OTEL_EXPORTER_OTLP_ENDPOINT: expected http://host or https://host"
        raise SettingsError(msg)
    for number, url in enumerate(settings.solana_rpc_url, start=1):
        if not _is_http(url.reveal()):
            msg = f"SOLANA_RPC_URL: expected http://host or https://host; URL {number} is neither"
            raise SettingsError(msg)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number
        return False


def environment(settings: Settings) -> dict[str, str]:
    """Returns the settings as environment variables of a child: `load(environment(s)) == s`.

    It holds secrets, and is neither logged nor printed; `settings_reference.shown` is for people.
    """
    return {
        f.name.upper(): text_of(getattr(settings, f.name), _revealed)
        for f in msgspec.structs.fields(settings)
    }


def _revealed(value: object) -> str:
    return value.reveal() if isinstance(value, SecretText) else str(value)


def _read_env_file(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the `KEY=value` lines of a file; comments, `export ` and quotes are allowed."""
    known = [field.name.upper() for field in msgspec.structs.fields(Settings)]
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 ({error.reason} at byte {error.start})"
        raise SettingsError(msg) from None
    for number, line in enumerate(text.splitlines(), start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            msg = f"{path}:{number}: expected KEY=value"
            raise SettingsError(msg)
        if key.startswith(FOREIGN):
            continue
        if key in FORMER_NAMES:
            raise SettingsError(f"{path}:{number}: {_renamed(key, FORMER_NAMES[key])}")
        if key not in known:
            near = difflib.get_close_matches(key.upper(), known, n=1, cutoff=0)
            msg = f"{path}:{number}: unknown setting {key}; the nearest is {near[0]}"
            raise SettingsError(msg)
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        yield key, value[1:-1] if quoted else value.split(" #")[0].strip()
