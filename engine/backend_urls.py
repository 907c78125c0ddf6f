"""Reads DATABASE_URL and REDIS_URL at start: what the client libraries cannot use is refused.

Providers and other tools put parameters into these URLs that asyncpg and redis-py pass to the
server, or refuse while an order runs. Here each parameter is kept, dropped or refused by a table.
"""

from __future__ import annotations

import difflib
import getpass
import re
import ssl
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from engine.setting_parser import SettingsError
from events.secret import SecretText

POSTGRES_SCHEMES = ("postgresql://", "postgres://")
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


class CleanUrl(NamedTuple):
    """A URL that the client library takes, and the names of the parameters it was rid of."""

    url: str
    dropped: tuple[str, ...]


def _any(value: str) -> str:
    return value


def _one_of(*allowed: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return value

    return check


def _file(value: str) -> str:
    path = Path(value)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{value}: {error.strerror}") from None
    return value


def _authorities(value: str) -> str:
    """`system`, as libpq 16 has it, names the certificate authorities of this machine."""
    if value != "system":
        return _file(value)
    bundle = ssl.get_default_verify_paths().cafile
    if not bundle:
        raise ValueError("this machine has no file of certificate authorities: name one")
    return bundle


def _whole(value: str) -> str:
    if not value.isascii() or not value.isdigit():
        raise ValueError("expected a whole number")
    return value


def _ports(value: str) -> str:
    for port in value.split(","):
        if not port.isdigit() or not 0 < int(port) < 65_536:
            raise ValueError("expected a port")
    return value


def _utf8(value: str) -> str:
    if value.lower().replace("-", "") not in ("utf8", "unicode", "auto"):
        raise ValueError("expected UTF8")
    return "utf8"


def _flag(value: str) -> str:
    known = {"1": "true", "0": "false", "yes": "true", "no": "false"}
    return _one_of("true", "false")(known.get(value.lower(), value.lower()))


def _requirement(value: str) -> str:
    return _one_of("none", "optional", "required")(value.lower().removeprefix("cert_"))


_POSTGRES_KEPT: dict[str, Callable[[str], str]] = {
    # asyncpg's own
    "host": _any, "port": _ports, "user": _any, "password": _any, "passfile": _file,
    "dbname": _any, "database": _any,
    "sslmode": _one_of(*_SSL_MODES), "sslcert": _file, "sslkey": _file, "sslpassword": _any,
    "sslrootcert": _authorities, "sslcrl": _file,
    "sslnegotiation": _one_of("postgres", "direct"),
    "ssl_min_protocol_version": _one_of(*_TLS_VERSIONS),
    "ssl_max_protocol_version": _one_of(*_TLS_VERSIONS),
    "target_session_attrs": _one_of(
        "any", "read-write", "read-only", "primary", "standby", "prefer-standby"
    ),
    "krbsrvname": _any, "gsslib": _one_of("gssapi", "sspi"),
    # of the server, for a session
    "application_name": _any, "options": _any, "client_encoding": _utf8, "search_path": _any,
    "statement_timeout": _any, "lock_timeout": _any, "work_mem": _any,
    "idle_session_timeout": _any, "idle_in_transaction_session_timeout": _any,
    "default_transaction_isolation": _any, "default_transaction_read_only": _any,
    "tcp_keepalives_idle": _any, "tcp_keepalives_interval": _any, "tcp_keepalives_count": _any,
    "tcp_user_timeout": _any,
}  # fmt: skip

_POSTGRES_DROPPED = frozenset(
    [
        # libpq, which asyncpg does not implement; connections have time limits of their own
        "channel_binding", "connect_timeout", "fallback_application_name", "gssdelegation",
        "gssencmode", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
        "load_balance_hosts", "max_protocol_version", "min_protocol_version", "require_auth",
        "scram_client_key", "scram_server_key", "sslcertmode", "sslcompression", "sslkeylogfile",
        "sslsni", "tty",
        # object mappers, drivers and poolers
        "binary_parameters", "command_timeout", "connecttimeout", "connection_limit",
        "default_query_exec_mode", "idle_timeout", "logintimeout", "max_idle_connections",
        "max_lifetime", "max_open_connections", "max_overflow", "pgbouncer", "pool",
        "pool_max_conns", "pool_min_conns", "pool_mode", "pool_recycle", "pool_size",
        "pool_timeout", "prepared_statement_cache_size", "prepared_statements",
        "preparethreshold", "reconnect", "socket_timeout", "sslaccept", "sslfactory",
        "statement_cache_size", "supa", "tcpkeepalive", "uselibpqcompat", "workaround",
    ]
)  # fmt: skip

_UNSAFE = {
    "hostaddr": "name the address as the host",
    "requirepeer": "no equivalent",
    "requiressl": "use sslmode=require",
    "schema": "use search_path",
    "service": "write out what it names",
    "servicefile": "write out what it names",
    "sslcrldir": "use sslcrl",
}
"""Parameters without which a connection would lead elsewhere, or less safely."""
_HARMLESS = {"schema": "public", "requiressl": "0"}
"""Their values that change nothing."""

_REDIS_KEPT: dict[str, Callable[[str], str]] = {
    "db": _whole, "username": _any, "password": _any,
    "ssl_cert_reqs": _requirement, "ssl_check_hostname": _flag, "ssl_ca_certs": _authorities,
    "ssl_ca_path": _any, "ssl_certfile": _file, "ssl_keyfile": _file, "ssl_password": _any,
    "ssl_min_version": _any, "ssl_ciphers": _any,
}  # fmt: skip

_REDIS_DROPPED = frozenset(
    [
        "abortconnect", "client_name", "connect_timeout", "connection_timeout",
        "connectiontimeout", "decode_responses", "encoding", "encoding_errors", "family",
        "health_check_interval", "keepalive", "keepalives", "lib_name", "lib_version",
        "max_connections", "maxretries", "pool_size", "protocol", "read_timeout", "retry",
        "retry_on_error", "retry_on_timeout", "single_connection_client", "socket_connect_timeout",
        "socket_keepalive", "socket_keepalive_options", "socket_read_size", "socket_timeout",
        "timeout", "write_timeout",
    ]
)  # fmt: skip


def postgres(url: str) -> CleanUrl:
    """Returns the URL for asyncpg. Raises SettingsError, which shows no part of a login."""
    name = "DATABASE_URL"
    if not url.startswith(POSTGRES_SCHEMES):
        raise SettingsError(f"{name}: expected one of {', '.join(POSTGRES_SCHEMES)} in front")
    kept, dropped = _parameters(name, url, _POSTGRES_KEPT, _POSTGRES_DROPPED)
    netloc = urlsplit(url).netloc
    _check_ports(name, netloc)
    if not (_user(netloc) or any(key == "user" for key, _ in kept)):
        kept.append(("user", _login_name(name)))
    return CleanUrl(_with_query(url, kept, safe=""), dropped)


def _login_name(name: str) -> str:
    """The user of the system, as libpq has it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise SettingsError(f"{name}: it names no user: add USER@ in front of the host") from None


def redis(url: str) -> CleanUrl:
    """Returns the URL for redis-py. Raises SettingsError, which shows no part of a login."""
    name = "REDIS_URL"
    if not url.startswith(REDIS_SCHEMES):
        raise SettingsError(f"{name}: expected one of {', '.join(REDIS_SCHEMES)} in front")
    parts = urlsplit(url)
    kept, dropped = _parameters(name, url, _REDIS_KEPT, _REDIS_DROPPED)
    if parts.scheme != "rediss":
        for key, _ in kept:
            if key.startswith("ssl"):
                raise SettingsError(f"{name}: {key} needs rediss:// in front")
    if parts.scheme != "unix":
        _check_ports(name, parts.netloc)
        database = parts.path.strip("/")
        if database and not database.isdigit():
            raise SettingsError(f"{name}: expected the number of a database behind the host")
    elif not parts.path:
        raise SettingsError(f"{name}: expected the path of a socket, as unix:///path")
    return CleanUrl(_with_query(url, kept, safe="/:"), dropped)


def with_password(url: str, password: SecretText) -> str:
    """Returns the URL with this password in the place of the one it may have."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password.reveal(), safe='')}@{hosts}"))


def _parameters(
    name: str,
    url: str,
    kept: dict[str, Callable[[str], str]],
    dropped: Collection[str],
) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Splits the query into what is kept, with its checked values, and the names dropped."""
    result: dict[str, str] = {}
    removed: list[str] = []
    for key, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if not value and (key in kept or key.lower() in dropped or key in _UNSAFE):
            continue  # an empty parameter is an absent one
        if key in kept:
            try:
                result[key] = kept[key](value)
            except ValueError as error:
                raise SettingsError(f"{name}: {key}: {error}") from None
        elif key in _UNSAFE and _HARMLESS.get(key) != value:
            raise SettingsError(f"{name}: {key} cannot be used: {_UNSAFE[key]}")
        elif key.lower() in dropped or key in _UNSAFE:
            removed.append(key)
        elif re.fullmatch(r"[a-z_]\w*\.[\w.]+", key, re.ASCII):
            result[key] = value  # a setting of an extension of the server
        else:
            raise SettingsError(f"{name}: unknown parameter {key!r}{_nearest(key, kept)}")
    return list(result.items()), tuple(removed)


def _nearest(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"; the nearest is {near[0]}" if near else ""


def _check_ports(name: str, netloc: str) -> None:
    for host in netloc.rpartition("@")[2].split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not (port.isdigit() and 0 < int(port) < 65_536):
            raise SettingsError(f"{name}: expected a port from 1 to 65535 behind a host")


def _user(netloc: str) -> str:
    login, at, _ = netloc.rpartition("@")
    return unquote(login.partition(":")[0]) if at else ""


def _with_query(url: str, pairs: list[tuple[str, str]], *, safe: str) -> str:
    query = urlencode(pairs, quote_via=quote, safe=safe)
    head = url.partition("?")[0]  # urlunsplit would lose the slashes of `unix:///`
    return f"{head}?{query}" if query else head
