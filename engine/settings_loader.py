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

from engine import backend_urls, dotenv_file
from engine.setting_parser import SettingsError, convert, text_of
from engine.settings import Settings
from engine.unused_settings import unused
from events.secret import SecretText, SecretUrl

ENV_FILE = Path(".env")
# Keys that Compose reads from the same `.env`; any other key we do not know is an error.
FOREIGN = ("ALERT_", "COMPOSE_", "ENGINE_CPUS", "ENGINE_MEMORY", "POSTGRES_", "VALKEY_")

FORMER_NAMES = {"RUN_AHEAD": "FUSE_STAGES"}
"""Names of settings in earlier builds. Each is refused: an ignored one would change behaviour."""


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Settings:
    """Reads the settings: the environment first, then `env_file` where it exists, then defaults.

    An empty value counts as absent. Raises `SettingsError` with one clear line.
    """
    results = _texts(environ, env_file)
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = results.get(field.name.upper(), "").strip()
        if text:
            values[field.name] = convert(field.name.upper(), text, field.type)
    settings = Settings(**values)
    _check_urls(settings)
    return msgspec.structs.replace(
        settings, **{name: SecretUrl(clean.url) for name, clean in _backends(settings).items()}
    )


def notices(
    environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE
) -> list[str]:
    """Returns what of the settings has no effect, a line each, for the log of a process."""
    results = _texts(environ, env_file)
    given = {name for name, text in results.items() if text.strip()}
    urls = {name: results.get(name.upper(), "").strip() for name in _BACKENDS}
    lines = [
        f"{name.upper()}: {', '.join(dropped)} has no effect here"
        for name, url in urls.items()
        if url and (dropped := _BACKENDS[name](url).dropped)
    ]
    fields = [field.name.upper() for field in msgspec.structs.fields(Settings)]
    # The parent that wrote all settings into this environment has told it, and may have filled in
    # the URLs of embedded servers.
    if not all(name in results for name in fields):
        lines += unused(load(environ, env_file), given)
    return lines


_BACKENDS = {"database_url": backend_urls.postgres, "redis_url": backend_urls.redis}


def _backends(settings: Settings) -> dict[str, backend_urls.CleanUrl]:
    """The URLs of the servers as the client libraries take them. Raises SettingsError."""
    passwords = {
        "database_url": settings.database_password,
        "redis_url": settings.redis_password,
    }
    result = {}
    for name, clean in _BACKENDS.items():
        if url := getattr(settings, name).reveal():
            if passwords[name]:
                url = backend_urls.with_password(url, passwords[name])
            result[name] = clean(url)
    return result


def _texts(environ: Mapping[str, str] | None, env_file: Path | None) -> dict[str, str]:
    """The texts of the settings by variable, those in files of secrets read."""
    environ = os.environ if environ is None else environ
    results = dict(_read_env_file(env_file, environ)) if env_file else {}
    results |= environ
    for former, name in FORMER_NAMES.items():
        if results.get(former, "").strip():
            raise SettingsError(_renamed(former, name))
    for name in _secrets():
        if path := results.pop(f"{name}_FILE", "").strip():
            if results.get(name, "").strip():
                raise SettingsError(f"{name} and {name}_FILE are both set: keep one of them")
            results[name] = _secret_in(f"{name}_FILE", Path(path))
    return results


def _secrets() -> list[str]:
    """The settings that `NAME_FILE` may name a file of."""
    # The wallet's setting takes a file already.
    return [
        field.name.upper()
        for field in msgspec.structs.fields(Settings)
        if isinstance(field.default, SecretText) and field.name != "solana_keypair"
    ] + ["SOLANA_RPC_URL"]


def _secret_in(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"{name}={str(path)!r}: {why}") from None
    if not text or "\n" in text:
        raise SettingsError(f"{name}={str(path)!r}: expected one line with the secret")
    return text


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
    try:
        Path(settings.solana_keypair.reveal()).expanduser()
    except RuntimeError:
        msg = "SOLANA_KEYPAIR: ~ has no home folder here: write the whole path"
        raise SettingsError(msg) from None
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
    # The files are read: a NAME_FILE that the child inherits, or has in `.env`, is the same secret.
    return {f"{name}_FILE": "" for name in _secrets()} | {
        f.name.upper(): text_of(getattr(settings, f.name), _revealed)
        for f in msgspec.structs.fields(settings)
    }


def _revealed(value: object) -> str:
    return value.reveal() if isinstance(value, SecretText) else str(value)


def _read_env_file(path: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yields the settings of a file; none without a file.

    Raises SettingsError for an unknown name, and for a file that cannot be read.
    """
    try:
        if not path.is_file():
            return
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    known = [field.name.upper() for field in msgspec.structs.fields(Settings)]
    known += [f"{name}_FILE" for name in _secrets()]
    for line, key, value, unset in dotenv_file.entries(path, environ):
        if key not in known and key.startswith(FOREIGN):
            continue
        if key in FORMER_NAMES:
            raise SettingsError(f"{path}:{line}: {_renamed(key, FORMER_NAMES[key])}")
        if key not in known:
            near = difflib.get_close_matches(key.upper(), known, n=1, cutoff=0)
            msg = f"{path}:{line}: unknown setting {key}; the nearest is {near[0]}"
            raise SettingsError(msg)
        if unset and not environ.get(key, "").strip():
            # Behind the dollar sign of a password stands a part of it, which is not shown.
            name = "a variable" if key in (*_secrets(), "SOLANA_KEYPAIR") else f"${unset}"
            remedy = "write $$ for a dollar sign, ${NAME:-} for what may be missing"
            raise SettingsError(f"{path}:{line}: {key} names {name} that is not set: {remedy}")
        yield key, value
